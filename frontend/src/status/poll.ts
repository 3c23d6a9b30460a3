import type { Environment } from '../client';
import type { Cancel } from '../client/environment';
import type { Watch } from './watch';

export const POLL_MS = 1_000;
export const POLL_TIMEOUT_MS = 2_500;

/** Reads a status every second until it is cancelled. A node that is stopped and started again shows up by itself. */
export function poll<Status>(environment: Environment, url: string, watch: Watch<Status>): Cancel {
  let cancel: Cancel;
  const ask = () => {
    const askedMs = environment.now();
    cancel = environment.get(url, POLL_TIMEOUT_MS, (answer) => {
      if (answer?.status !== 200 || !watch.heard(answer.body, false)) watch.silent();
      cancel = environment.after(Math.max(0, askedMs + POLL_MS - environment.now()), ask);
    });
  };
  ask();
  return () => cancel();
}
