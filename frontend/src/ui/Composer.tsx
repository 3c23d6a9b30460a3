import { type KeyboardEvent, type SubmitEvent, useEffect, useRef, useState } from 'react';
import { byteLength, type Refusal } from '../client';
import { number } from './format';
import { Icon } from './Icon';
import { isolated } from './names';

/** A message that was refused comes back to be changed. Each time is an object of its own. */
export interface TakenBack {
  text: string;
}

interface ComposerProps {
  room: string;
  takenBack: TakenBack | null;
  maxBytes: number;
  /** Says it, or tells why not. */
  onSend: (text: string) => Refusal | null;
  onTyping: () => void;
}

const REFUSALS: Record<Refusal, string> = {
  not_in_room: 'You are not in this room.',
  text_empty: 'There is nothing to send.',
  text_too_long: 'This is too long for one message.',
  outbox_full: 'Too many messages are waiting to be sent. Please wait until the chat is back.',
};

/** From this part of the limit on the rest is counted. */
const NEAR = 0.8;

export function Composer({ room, takenBack, maxBytes, onSend, onTyping }: ComposerProps) {
  const [text, setText] = useState('');
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [taken, setTaken] = useState<TakenBack | null>(null);
  const box = useRef<HTMLTextAreaElement>(null);
  const spams = useRef(0);
  if (takenBack && takenBack !== taken) {
    setTaken(takenBack);
    setText(text === '' ? takenBack.text : `${text}\n${takenBack.text}`);
  }
  useEffect(() => {
    if (takenBack) box.current?.focus();
  }, [takenBack]);
  const left = maxBytes - byteLength(text);
  const near = left < maxBytes * (1 - NEAR);

  const send = () => {
    if (text.trim() === '') return;
    const why = onSend(text);
    setRefusal(why);
    if (!why) setText('');
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    send();
  };
  const press = (event: KeyboardEvent) => {
    // Enter while an input method composes chooses a word and sends nothing.
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };
  const spam = () => {
    spams.current += 1;
    setRefusal(onSend(`Spam :) ${spams.current}`));
  };

  return (
    <form className="composer" onSubmit={submit}>
      <div className="composer-column">
        <button type="button" className="button spam" onClick={spam}>
          Spam :)
        </button>
        <div className="composer-box" data-over={left < 0}>
          <textarea
            ref={box}
            value={text}
            rows={1}
            dir="auto"
            aria-label={`Message to ${isolated(room)}`}
            aria-describedby="composer-note"
            placeholder={`Message #${isolated(room)}`}
            enterKeyHint="send"
            autoFocus
            onKeyDown={press}
            onChange={(event) => {
              setText(event.target.value);
              setRefusal(null);
              if (event.target.value !== '') onTyping();
            }}
          />
          <button type="submit" className="button send" disabled={text.trim() === '' || left < 0}>
            <Icon name="send" label="Send" />
          </button>
        </div>
      </div>
      <p id="composer-note" className="composer-note" data-over={left < 0 || refusal !== null} role="status">
        {refusal ? REFUSALS[refusal] : near ? countWords(left) : ''}
      </p>
    </form>
  );
}

function countWords(left: number): string {
  return left < 0 ? `${number(-left)} bytes too long` : `${number(left)} bytes left`;
}
