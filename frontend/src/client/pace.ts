/** A token bucket that keeps a client within the rate a server allows, so that a full outbox is not thrown out. */
export class Pace {
  #tokens: number;
  #atMs: number;

  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
    now: number,
  ) {
    this.#tokens = burst;
    this.#atMs = now;
  }

  /** Whether one more may go now. Counts it if so. */
  take(now: number): boolean {
    this.#tokens = Math.min(this.burst, this.#tokens + ((now - this.#atMs) / 1_000) * this.perSecond);
    this.#atMs = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  get waitMs(): number {
    return Math.ceil((1_000 * Math.max(0, 1 - this.#tokens)) / this.perSecond);
  }
}
