import { useMemo } from 'react';
import type { Room } from '../client';
import { dayName, plural } from './format';
import { Icon } from './Icon';
import { isolated } from './names';
import { MessageRow } from './MessageRow';
import { rowsOf } from './rows';
import { useStickyEnd } from './useStickyEnd';

interface MessageListProps {
  room: Room;
  onDiscard: (id: string) => void;
  onEdit: (id: string, text: string) => void;
}

export function MessageList({ room, onDiscard, onEdit }: MessageListProps) {
  const { box, column, atEnd, unseen, toEnd } = useStickyEnd(room.arrivals, room.outbox.at(-1)?.id);
  const rows = useMemo(() => rowsOf(atEnd ? newest(room) : room), [atEnd, room]);

  return (
    <div className="messages-frame">
      {/* The keyboard has to reach what scrolls. */}
      <div ref={box} className="messages" role="log" aria-label={`Messages in ${isolated(room.name)}`} tabIndex={0}>
        <div ref={column} className="messages-column">
          {rows.length === 0 && room.status === 'joined' && (
            <div className="empty">
              <p className="empty-title">Nobody has said anything yet.</p>
              <p>Share the link to this room, or break the ice yourself.</p>
            </div>
          )}
          {rows.map((row) => {
            switch (row.kind) {
              case 'day':
                return (
                  <p key={row.key} className="divider">
                    <span>{dayName(row.time)}</span>
                  </p>
                );
              case 'gap':
                return (
                  <p key={row.key} className="divider gap">
                    <span>
                      <Icon name="gap" />
                      {gapWords(row.lost)}
                    </span>
                  </p>
                );
              case 'message':
                return <MessageRow key={row.key} {...row.line} onDiscard={onDiscard} onEdit={onEdit} />;
            }
          })}
        </div>
      </div>
      {unseen > 0 && (
        <button type="button" className="button to-end" onClick={toEnd}>
          <Icon name="down" />
          {plural(unseen, 'new message')}
        </button>
      )}
    </div>
  );
}

/** More than a screen shows; the rest is drawn when the user scrolls up. */
const NEWEST = 80;
/** So many are drawn beyond that before the oldest go, so that not each new row moves all others. */
const SLACK = 40;

function newest(room: Room): Room {
  return { ...room, timeline: room.timeline.slice(-(NEWEST + (room.arrivals % SLACK))) };
}

function gapWords(lost: number | null): string {
  if (lost === null) return 'Some messages from your absence are no longer available';
  return `${plural(lost, 'message')} ${lost === 1 ? 'was' : 'were'} lost here`;
}
