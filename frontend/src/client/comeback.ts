import { type Backoff, fullJitter } from './backoff';
import { CLOSE_GOING_AWAY, CLOSE_LOST, closeCode } from './closeCodes';
import type { Ending } from './connection';
import type { Trouble } from './link';

/** What to do once a connection has ended. */
export type Comeback =
  /** `attempt`: how often it has failed by then. */
  | { kind: 'retry'; trouble: Trouble; delayMs: number; attempt: number }
  | { kind: 'stop'; code: number; meaning: string };

const AFTER_LOSS: Backoff = { baseMs: 500, capMs: 10_000 };
const AFTER_NO_SERVER: Backoff = { baseMs: 1_000, capMs: 10_000 };
const AFTER_NO_BALANCER: Backoff = { baseMs: 4_000, capMs: 30_000 };

/** `attempt`: how often it has failed before. `random` is in [0, 1). */
export function comeback(ending: Ending, attempt: number, random: number): Comeback {
  const retry = (trouble: Trouble, backoff: Backoff, leastMs = 0): Comeback => ({
    ...{ kind: 'retry', trouble, attempt: attempt + 1 },
    delayMs: leastMs + fullJitter(backoff, attempt, random),
  });
  switch (ending.kind) {
    case 'unreachable':
      return retry(ending.why, AFTER_NO_BALANCER);
    case 'unavailable':
      return retry({ kind: 'no_server' }, AFTER_NO_SERVER, ending.retryAfterMs);
    case 'busy':
      // The turn is this client's alone. Whoever comes at another time has none.
      return { kind: 'retry', trouble: { kind: 'busy' }, delayMs: ending.retryAfterMs, attempt };
    case 'dead':
      return retry({ kind: 'lost' }, AFTER_LOSS);
    case 'closed': {
      const { code, meaning, reconnect } = closeCode(ending.code);
      return reconnect ? retry({ kind: 'lost' }, AFTER_LOSS) : { kind: 'stop', code, meaning };
    }
  }
}

/** Whether it was the server that went away: the next one should be another. */
export function isLeft(ending: Ending): boolean {
  return (
    ending.kind === 'dead' ||
    (ending.kind === 'closed' && (ending.code === CLOSE_GOING_AWAY || ending.code === CLOSE_LOST))
  );
}
