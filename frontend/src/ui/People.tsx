import { memo, useEffect, useRef } from 'react';
import { Avatar } from './Avatar';
import { number } from './format';

interface PeopleProps {
  users: number;
  roster: readonly string[] | null;
  user: string;
  joined: boolean;
  /** It lies over the rest, as on a phone, and has the keyboard to itself. */
  modal: boolean;
  onClose: () => void;
}

/** Every property is a plain value, so messages that come do not draw it again. */
export const People = memo(function People({ users, roster, user, joined, modal, onClose }: PeopleProps) {
  const close = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (modal) close.current?.focus();
  }, [modal]);
  return (
    <>
      {modal && <div className="people-shade" onClick={onClose} />}
      <div
        id="people"
        className="people"
        role={modal ? 'dialog' : 'complementary'}
        aria-modal={modal || undefined}
        aria-label="People"
        // A long list scrolls, also by keyboard; the drawer has a button to be reached by.
        tabIndex={modal ? undefined : 0}
      >
        <div className="people-head">
          <h2>
            People <span className="count">{number(users)}</span>
          </h2>
          {modal && (
            <button ref={close} type="button" className="button small" onClick={onClose}>
              Close
            </button>
          )}
        </div>
        {roster ? (
          <ul>
            {roster.map((name) => (
              <li key={name}>
                <Avatar name={name} />
                <bdi className="people-name">{name}</bdi>
                {name === user && <span className="faint">you</span>}
              </li>
            ))}
          </ul>
        ) : (
          <p className="faint">{joined ? 'This room is too large for a list of names.' : 'Coming in…'}</p>
        )}
      </div>
    </>
  );
});
