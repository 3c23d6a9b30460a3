import type { Place } from './connection';
import type { Limits } from './protocol';

/** How the client stands to the cluster: what an application shows to its user. */
export type Link =
  /** No room wants a connection. */
  | { phase: 'idle' }
  /** Asking the balancers, or opening the socket to the place that one of them named. */
  | { phase: 'connecting'; trouble: Trouble | null; place: Place | null }
  /** `degraded`: its server has no way to the others, so nothing is acknowledged until it has. */
  | { phase: 'online'; place: Place; session: string; limits: Limits; degraded: boolean }
  /** It will try again by itself. */
  | { phase: 'waiting'; trouble: Trouble; retryMs: number }
  /** A server closed with a code after which one does not come back by oneself. */
  | { phase: 'stopped'; code: number; meaning: string };

/**
 * Why the client was not online last. It stays until it is online again, so that what is shown does not flicker.
 * `busy`: many come at once, and it has a turn.
 */
export type Trouble = 'lost' | 'no_balancer' | 'no_server' | 'busy';
