import { type SubmitEvent, useId, useState } from 'react';
import { byteLength, DEFAULT_LIMITS, wellFormed } from '../client';
import { Brand } from './Brand';
import { Cluster } from './Cluster';
import type { Visit } from './visit';
import { hasInvisible, isBlank } from './visibility';

interface JoinFormProps {
  initial: Visit;
  /** Why it did not work, or does not yet. */
  trouble: string | null;
  ready: boolean;
  onJoin: (visit: Visit) => void;
}

export function JoinForm({ initial, trouble, ready, onJoin }: JoinFormProps) {
  const [user, setUser] = useState(initial.user);
  const [room, setRoom] = useState(initial.room || 'lobby');
  const [checked, setChecked] = useState(false);
  const wrong = {
    user: complaint('a name', user, DEFAULT_LIMITS.name_bytes),
    room: complaint('a room', room, DEFAULT_LIMITS.room_bytes),
  };

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    setChecked(true);
    if (ready && !wrong.user && !wrong.room) onJoin({ user: nameOf(user), room: nameOf(room) });
  };

  return (
    <main className="welcome">
      <section className="welcome-story" aria-label="What this is">
        <Brand />
        <Cluster />
        <h1>
          Stop any node.
          <br />
          The chat goes on.
        </h1>
        <p>
          Many servers carry one room. When yours goes, another one takes you in, you read on where you were, and what
          you were about to say goes out from there.
        </p>
      </section>
      <section className="welcome-form">
        <form onSubmit={submit} noValidate>
          <h2>Come in</h2>
          <Field
            label="Your name"
            value={user}
            onChange={setUser}
            complaint={checked ? wrong.user : null}
            autoComplete="nickname"
            autoFocus={user === ''}
          />
          <Field
            label="Room"
            value={room}
            onChange={setRoom}
            complaint={checked ? wrong.room : null}
            autoComplete="off"
            hint="Everyone who types the same room meets there."
          />
          <button className="button primary wide" type="submit" disabled={!ready} autoFocus={user !== ''}>
            Join the room
          </button>
          <p className="form-trouble" role="status">
            {trouble}
          </p>
        </form>
      </section>
    </main>
  );
}

interface FieldProps {
  label: string;
  value: string;
  complaint: string | null;
  autoComplete: string;
  autoFocus?: boolean;
  hint?: string;
  onChange: (value: string) => void;
}

function Field({ label, value, complaint: wrong, hint, onChange, ...rest }: FieldProps) {
  const id = useId();
  const note = wrong ?? hint;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        dir="auto"
        value={value}
        onChange={(event) => onChange(event.target.value)}
        aria-invalid={wrong !== null}
        aria-describedby={note ? `${id}-note` : undefined}
        spellCheck={false}
        autoCapitalize="off"
        enterKeyHint="go"
        {...rest}
      />
      {note && (
        <p id={`${id}-note`} className={wrong ? 'field-note wrong' : 'field-note'}>
          {note}
        </p>
      )}
    </div>
  );
}

function nameOf(value: string): string {
  return wellFormed(value.trim());
}

function complaint(what: string, value: string, maxBytes: number): string | null {
  if (value.trim() === '') return `Please enter ${what}.`;
  if (isBlank(value)) return `Nothing of that is seen. Please enter ${what} with a letter.`;
  if (hasInvisible(value.trim())) return 'That has a character that nobody sees. Please type it anew.';
  return byteLength(value.trim()) > maxBytes ? `That is too long for ${what}.` : null;
}
