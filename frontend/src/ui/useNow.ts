import { useCallback, useSyncExternalStore } from 'react';

/** A drawing takes less, so within one the time stands still. */
const GRAIN_MS = 100;

/** The time, once a second while `active`, and at each drawing: it is never as old as the last tick. */
export function useNow(active = true): number {
  const subscribe = useCallback(
    (tick: () => void) => {
      if (!active) return () => undefined;
      const timer = setInterval(tick, 1_000);
      return () => clearInterval(timer);
    },
    [active],
  );
  return useSyncExternalStore(subscribe, now);
}

function now(): number {
  return Math.floor(performance.now() / GRAIN_MS) * GRAIN_MS;
}
