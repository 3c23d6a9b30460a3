import { useEffect, useState } from 'react';

/** The time, once a second while `active`. */
export function useNow(active = true): number {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    if (!active) return;
    const timer = setInterval(() => setNow(performance.now()), 1_000);
    return () => clearInterval(timer);
  }, [active]);
  return now;
}
