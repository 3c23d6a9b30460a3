import { useCallback, useEffect, useRef, useState } from 'react';
import type { Client } from '../client';
import { Brand } from './Brand';
import { Composer, type TakenBack } from './Composer';
import { ConnectionBadge } from './ConnectionBadge';
import { ConnectionNotice } from './ConnectionNotice';
import { plural } from './format';
import { Icon } from './Icon';
import { JoinForm } from './JoinForm';
import { MessageList } from './MessageList';
import { People } from './People';
import { TypingLine } from './TypingLine';
import { useMedia } from './useMedia';
import { useStore } from './useStore';
import { useUnreadTitle } from './useUnreadTitle';
import type { Visit } from './visit';

interface ChatProps {
  client: Client;
  visit: Visit;
  onLeave: () => void;
  onRetry: (visit: Visit) => void;
}

/** As in chat.css. */
const NARROW = '(max-width: 900px)';

/** One room, from the first try to come in until the user leaves. */
export function Chat({ client, visit, onLeave, onRetry }: ChatProps) {
  const { link, rooms } = useStore(client.store);
  const [peopleOpen, setPeopleOpen] = useState(false);
  const room = rooms.get(visit.room);
  useUnreadTitle(visit.room, room);
  const [takenBack, setTakenBack] = useState<TakenBack | null>(null);
  const discard = useCallback((id: string) => client.discard(visit.room, id), [client, visit.room]);
  const edit = useCallback(
    (id: string, text: string) => {
      client.discard(visit.room, id);
      setTakenBack({ text });
    },
    [client, visit.room],
  );

  const drawer = useMedia(NARROW) && peopleOpen;
  const opener = useRef<HTMLButtonElement>(null);
  const closePeople = useCallback(() => setPeopleOpen(false), []);

  useEffect(() => {
    if (!drawer) return;
    const { current } = opener;
    const close = (event: KeyboardEvent) => {
      if (event.key === 'Escape') closePeople();
    };
    window.addEventListener('keydown', close);
    return () => {
      window.removeEventListener('keydown', close);
      // Once it is no longer inert.
      setTimeout(() => current?.focus());
    };
  }, [drawer, closePeople]);

  if (!room) return null;
  if (room.status === 'refused') {
    return <JoinForm initial={visit} trouble={room.failure?.message ?? null} ready onJoin={onRetry} />;
  }
  const share = `${location.origin}${location.pathname}${location.hash}`;

  return (
    <div className="chat" data-people={peopleOpen}>
      <header className="chat-head" inert={drawer}>
        <Brand />
        <div className="chat-title">
          <h1>
            <span className="hash">#</span>
            <bdi>{room.name}</bdi>
          </h1>
          <p>{room.status === 'joined' ? `${plural(room.users, 'person', 'people')} here` : 'Coming in…'}</p>
        </div>
        <ConnectionBadge link={link} />
        <div className="chat-tools">
          <CopyLink address={share} />
          <button
            ref={opener}
            type="button"
            className="button quiet people-toggle"
            aria-expanded={peopleOpen}
            aria-controls="people"
            onClick={() => setPeopleOpen(!peopleOpen)}
          >
            <Icon name="people" />
            <span className="visually-hidden">People</span>
          </button>
          <button type="button" className="button quiet" onClick={onLeave}>
            <Icon name="leave" />
            <span className="tool-label">Leave</span>
          </button>
        </div>
      </header>
      <ConnectionNotice link={link} onReconnect={() => client.reconnect()} />
      <main className="chat-main" inert={drawer}>
        <MessageList room={room} onDiscard={discard} onEdit={edit} />
        <TypingLine names={room.typing.map(({ user }) => user)} />
        <Composer
          room={room.name}
          takenBack={takenBack}
          maxBytes={client.limits.text_bytes}
          onSend={(text) => client.send(room.name, text)}
          onTyping={() => client.typing(room.name)}
        />
      </main>
      <People
        users={room.users}
        roster={room.roster}
        user={room.user}
        joined={room.status === 'joined'}
        modal={drawer}
        onClose={closePeople}
      />
    </div>
  );
}

/** Absent where the browser gives pages no clipboard: plain HTTP from another machine. */
function CopyLink({ address }: { address: string }) {
  const [outcome, setOutcome] = useState<'copied' | 'refused' | null>(null);
  useEffect(() => {
    if (!outcome) return;
    const timer = setTimeout(() => setOutcome(null), 2_000);
    return () => clearTimeout(timer);
  }, [outcome]);
  if (!window.isSecureContext) return null;
  const copy = () => {
    navigator.clipboard.writeText(address).then(
      () => setOutcome('copied'),
      () => setOutcome('refused'),
    );
  };
  return (
    <>
      <button type="button" className="button quiet" onClick={copy}>
        <Icon name={outcome === 'copied' ? 'check' : 'link'} />
        <span className="tool-label">Copy link</span>
      </button>
      <span className="copied" role="status">
        {outcome === 'copied' && 'Copied'}
        {outcome === 'refused' && 'Not allowed'}
      </span>
    </>
  );
}
