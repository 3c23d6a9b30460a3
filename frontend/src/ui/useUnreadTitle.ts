import { useEffect, useState } from 'react';
import type { Room } from '../client';

/** The title of the window tells what was said while nobody looked. */
export function useUnreadTitle(name: string, room: Room | undefined) {
  const [hidden, setHidden] = useState(document.hidden);
  const [seenKey, setSeenKey] = useState<string | undefined>();
  const timeline = room?.timeline ?? [];
  const lastKey = timeline.at(-1)?.key;
  if (!hidden && seenKey !== lastKey) setSeenKey(lastKey);
  const unread = hidden ? timeline.length - 1 - timeline.findLastIndex(({ key }) => key === seenKey) : 0;

  useEffect(() => {
    const look = () => setHidden(document.hidden);
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, []);

  useEffect(() => {
    document.title = `${unread > 0 ? `(${unread}) ` : ''}#${name} · Distr Chat`;
    return () => {
      document.title = 'Distr Chat';
    };
  }, [name, unread]);
}
