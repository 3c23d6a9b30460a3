/** What ES2023 gives arrays, for browsers that have it not: docs of the baseline are in README.md. */

/** The last place where it holds; -1: nowhere. */
export function lastIndex<T>(list: readonly T[], holds: (item: T) => boolean): number {
  for (let index = list.length - 1; index >= 0; index -= 1) {
    if (holds(list[index] as T)) return index;
  }
  return -1;
}

export function spliced<T>(list: readonly T[], start: number, count: number, ...items: T[]): T[] {
  const copy = [...list];
  copy.splice(start, count, ...items);
  return copy;
}
