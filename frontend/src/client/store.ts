export interface Store<T> {
  readonly getSnapshot: () => T;
  /** Calls `listener` after each change until the returned function is called. */
  readonly subscribe: (listener: () => void) => () => void;
}

export interface WritableStore<T> extends Store<T> {
  readonly set: (next: T) => void;
}

/**
 * A value that can be watched. Snapshots are immutable: a change is a new value, never a changed one. What a listener
 * throws is reported, and stops neither the others nor whoever made the change.
 */
export function createStore<T>(initial: T, report: (error: unknown) => void): WritableStore<T> {
  let value = initial;
  const listeners = new Set<() => void>();
  return {
    getSnapshot: () => value,
    subscribe(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) {
        try {
          listener();
        } catch (error) {
          report(error);
        }
      }
    },
  };
}
