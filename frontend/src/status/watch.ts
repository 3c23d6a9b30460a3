import type { Environment } from '../client';
import { createStore, type Store, type WritableStore } from '../client/store';
import { rate } from './rates';

/** Closer together, the growth of a counter says more about chance than about the node. */
export const SAMPLE_MS = 900;
export const SAMPLES_MAX = 60;

export interface Watched<Status> {
  /** The last one that was heard, also while the node is silent. */
  status: Status | null;
  /** Whether each change comes by itself. */
  live: boolean;
  /** Since when the node has not answered: by the clock that measures, and by the one that is shown. */
  unreachable: { sinceMs: number; wallTime: number } | null;
  /** Per second and counter, the last minute of it, oldest first. */
  rates: readonly (readonly number[])[];
}

export interface Reading<Status> {
  decode(body: unknown): Status | null;
  /** Totals whose growth is worth a curve. */
  counters(status: Status): readonly number[];
}

/** What is known of a node from what it says of itself, however that comes. */
export class Watch<Status> {
  readonly store: Store<Watched<Status>>;
  readonly #store: WritableStore<Watched<Status>>;
  #sample: { counters: readonly number[]; atMs: number } | null = null;

  constructor(
    private readonly environment: Environment,
    private readonly reading: Reading<Status>,
  ) {
    const nothing = { status: null, live: false, unreachable: null, rates: [] };
    this.#store = createStore<Watched<Status>>(nothing, (error) => environment.report(error));
    this.store = this.#store;
  }

  /** Whether it was a status. */
  heard(body: unknown, live: boolean): boolean {
    const status = this.reading.decode(body);
    if (status === null) return false;
    const rates = this.#rates(this.reading.counters(status));
    this.#store.set({ status, live, unreachable: null, rates });
    return true;
  }

  silent() {
    const known = this.#store.getSnapshot();
    const now = { sinceMs: this.environment.now(), wallTime: this.environment.wallTime() };
    this.#store.set({ ...known, live: false, unreachable: known.unreachable ?? now });
  }

  #rates(counters: readonly number[]): Watched<Status>['rates'] {
    const { rates } = this.#store.getSnapshot();
    const before = this.#sample;
    const atMs = this.environment.now();
    const elapsedMs = before ? atMs - before.atMs : Infinity;
    if (elapsedMs >= SAMPLE_MS) this.#sample = { counters, atMs };
    return counters.map((counter, index) => {
      const known = rates[index] ?? [];
      const fresh = before && elapsedMs >= SAMPLE_MS ? rate(before.counters[index] ?? 0, counter, elapsedMs) : null;
      return fresh === null ? known : [...known, fresh].slice(-SAMPLES_MAX);
    });
  }
}
