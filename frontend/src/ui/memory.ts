/**
 * What the browser keeps for the page. Where cookies are blocked, or the page is in a sandbox, even looking at a storage
 * throws; then it is kept as long as the page is there.
 */
export interface Memory {
  get(key: string): string | null;
  set(key: string, value: string): void;
  remove(key: string): void;
}

export function memory(storage: () => Storage): Memory {
  const spare = new Map<string, string>();
  return {
    get: (key) => attempt(() => storage().getItem(key)) ?? spare.get(key) ?? null,
    set(key, value) {
      spare.set(key, value);
      attempt(() => storage().setItem(key, value));
    },
    remove(key) {
      spare.delete(key);
      attempt(() => storage().removeItem(key));
    },
  };
}

/** `null` where the browser does not allow it. */
export function attempt<T>(deed: () => T): T | null {
  try {
    return deed();
  } catch {
    return null;
  }
}
