/** A screen has no use for more than this. */
export const QUICKEST_MS = 16;
/** Later than this a person feels it. */
export const SLOWEST_MS = 200;
/** So many changes a second are drawn at once; of more, each adds to the wait. */
const CALM = 20;
const MS_PER_CHANGE = 0.35;
const RATE_OVER_MS = 500;

/**
 * When to draw a change: the busier it is, the more of them at once, so that the page has time for what the user does.
 * The wait is 16 ms up to 20 changes a second, 114 ms at 300 and 200 ms from 545 on.
 */
export class Redraws {
  #rate = 0;
  #atMs: number;

  constructor(now: number) {
    this.#atMs = now;
  }

  /** Something has changed. */
  note(now: number) {
    const elapsedMs = Math.max(0, now - this.#atMs);
    this.#atMs = now;
    this.#rate = this.#rate * Math.exp(-elapsedMs / RATE_OVER_MS) + 1_000 / RATE_OVER_MS;
  }

  /** How long it may wait. */
  get waitMs(): number {
    return Math.min(SLOWEST_MS, QUICKEST_MS + Math.max(0, this.#rate - CALM) * MS_PER_CHANGE);
  }
}
