import { useMemo, useSyncExternalStore } from 'react';
import type { Store } from '../client';

/** A screen has no use for more than this: a busy room changes hundreds of times in a second. */
const REDRAW_MS = 16;

/** The one bridge from the client to React. Changes that come close together are drawn once. */
export function useStore<T>(store: Store<T>): T {
  const subscribe = useMemo(() => gathered(store), [store]);
  return useSyncExternalStore(subscribe, store.getSnapshot);
}

function gathered<T>(store: Store<T>) {
  return (redraw: () => void) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = store.subscribe(() => {
      timer ??= setTimeout(() => {
        timer = undefined;
        redraw();
      }, REDRAW_MS);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  };
}
