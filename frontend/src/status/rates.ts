/** The growth of a counter per second; `null` when it cannot be told: it was started anew, or no time has passed. */
export function rate(before: number, after: number, elapsedMs: number): number | null {
  return elapsedMs > 0 && after >= before ? ((after - before) * 1_000) / elapsedMs : null;
}
