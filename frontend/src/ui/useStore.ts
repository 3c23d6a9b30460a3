import { useMemo, useSyncExternalStore } from 'react';
import type { Store } from '../client';
import { Redraws } from './redraws';

/** The one bridge from the client to React. Changes that come close together are drawn once. */
export function useStore<T>(store: Store<T>): T {
  const subscribe = useMemo(() => gathered(store), [store]);
  return useSyncExternalStore(subscribe, store.getSnapshot);
}

function gathered<T>(store: Store<T>) {
  return (redraw: () => void) => {
    const redraws = new Redraws(performance.now());
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = store.subscribe(() => {
      redraws.note(performance.now());
      timer ??= setTimeout(() => {
        timer = undefined;
        redraw();
      }, redraws.waitMs);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  };
}
