import { useEffect, useState } from 'react';
import type { Room } from '../client';
import { isolated } from './names';

/** The title of the window tells what was said while nobody looked. */
export function useUnreadTitle(name: string, room: Room | undefined) {
  const [hidden, setHidden] = useState(document.hidden);
  const arrivals = room?.arrivals ?? 0;
  const [seen, setSeen] = useState(arrivals);
  if (!hidden && seen !== arrivals) setSeen(arrivals);
  const unread = hidden ? arrivals - seen : 0;

  useEffect(() => {
    const look = () => setHidden(document.hidden);
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, []);

  useEffect(() => {
    document.title = `${unread > 0 ? `(${unread}) ` : ''}#${isolated(name)} · Distr Chat`;
    return () => {
      document.title = 'Distr Chat';
    };
  }, [name, unread]);
}
