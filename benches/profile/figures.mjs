// Figures, and how they are written.

export function percent(share) {
  return `${(share * 100).toFixed(1)} %`;
}

/** Pairs of a key and the items that have it, in the order in which the keys came. */
export function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(item);
  }
  return [...groups];
}
