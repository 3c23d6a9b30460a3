import type { Room } from '../client';
import { Avatar } from './Avatar';
import { number } from './format';

export function People({ room, onClose }: { room: Room; onClose: () => void }) {
  return (
    <>
      <button type="button" className="people-shade" aria-label="Close the list of people" onClick={onClose} />
      <aside id="people" className="people" aria-label="People">
        <h2>
          People <span className="count">{number(room.users)}</span>
        </h2>
        {room.roster ? (
          <ul>
            {room.roster.map((name) => (
              <li key={name}>
                <Avatar name={name} />
                <span className="people-name">{name}</span>
                {name === room.user && <span className="faint">you</span>}
              </li>
            ))}
          </ul>
        ) : (
          <p className="faint">
            {room.status === 'joined' ? 'This room is too large for a list of names.' : 'Coming in…'}
          </p>
        )}
      </aside>
    </>
  );
}
