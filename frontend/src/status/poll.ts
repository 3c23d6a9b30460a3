import type { Environment } from '../client';
import { createStore, type Store } from '../client/store';
import { rate } from './rates';

export const POLL_MS = 1_000;
export const POLL_TIMEOUT_MS = 2_500;
export const SAMPLES_MAX = 60;

export interface Polled<Status> {
  /** The last one that was read, also while the node is silent. */
  status: Status | null;
  /** Since when the node has not answered. */
  unreachableSinceMs: number | null;
  /** Per second and counter, the last minute of it, oldest first. */
  rates: readonly (readonly number[])[];
}

export interface Reading<Status> {
  decode(body: string): Status | null;
  /** Totals whose growth is worth a curve. */
  counters(status: Status): readonly number[];
}

/** Reads `/status` every second, for ever. A node that is stopped and started again shows up by itself. */
export function poll<Status>(environment: Environment, url: string, reading: Reading<Status>): Store<Polled<Status>> {
  const store = createStore<Polled<Status>>({ status: null, unreachableSinceMs: null, rates: [] });
  let last: { counters: readonly number[]; atMs: number } | null = null;

  const ask = () => {
    const askedMs = environment.now();
    environment.get(url, POLL_TIMEOUT_MS, (answer) => {
      const now = environment.now();
      const status = answer?.status === 200 ? reading.decode(answer.body) : null;
      store.set(status ? heard(status, now) : silent(now));
      environment.after(Math.max(0, askedMs + POLL_MS - now), ask);
    });
  };

  const heard = (status: Status, now: number): Polled<Status> => {
    const counters = reading.counters(status);
    const before = last;
    last = { counters, atMs: now };
    const { rates } = store.getSnapshot();
    return {
      status,
      unreachableSinceMs: null,
      rates: counters.map((counter, index) => {
        const known = rates[index] ?? [];
        const fresh = before ? rate(before.counters[index] ?? 0, counter, now - before.atMs) : null;
        return fresh === null ? known : [...known, fresh].slice(-SAMPLES_MAX);
      }),
    };
  };

  const silent = (now: number): Polled<Status> => {
    const known = store.getSnapshot();
    return { ...known, unreachableSinceMs: known.unreachableSinceMs ?? now };
  };

  ask();
  return store;
}
