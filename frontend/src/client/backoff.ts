export interface Backoff {
  baseMs: number;
  capMs: number;
}

/**
 * Full jitter: any time between nothing and the exponential bound, so that the many clients of a dead server spread
 * over the whole wait instead of coming back together. `random` is in [0, 1).
 */
export function fullJitter({ baseMs, capMs }: Backoff, attempt: number, random: number): number {
  return random * Math.min(capMs, baseMs * 2 ** attempt);
}
