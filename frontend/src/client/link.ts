import type { Place } from './connection';
import type { Limits } from './protocol';

/** How the client stands to the cluster: what an application shows to its user. */
export type Link =
  /** No room wants a connection. */
  | { phase: 'idle' }
  /** Asking the balancers, or opening the socket to the place that one of them named. */
  | { phase: 'connecting'; trouble: Trouble | null; place: Place | null }
  /**
   * `degraded`: its server has no way to the others, so nothing is acknowledged until it has. `checking`: whether the
   * connection still holds is being asked. `offline`: the browser says so, and the server has not been heard since.
   */
  | {
      phase: 'online';
      place: Place;
      session: string;
      limits: Limits;
      degraded: boolean;
      checking: boolean;
      offline: boolean;
    }
  /** It will try again by itself. */
  | { phase: 'waiting'; trouble: Trouble; retryMs: number }
  /** A server closed with a code after which one does not come back by oneself. */
  | { phase: 'stopped'; code: number; meaning: string };

/**
 * Why the client was not online last. It stays until it is online again, so that what is shown does not flicker.
 * `busy`: many come at once, and it has a turn.
 */
export type Trouble = { kind: 'lost' } | { kind: 'offline' } | { kind: 'no_server' } | { kind: 'busy' } | NoWay;

/** Why there is no way in, as far as the browser tells. */
export type NoWay =
  /** No balancer answers. */
  | { kind: 'no_balancer' }
  /** A balancer, or a proxy before it, answers with an error. `status` is 0 where the browser keeps it to itself. */
  | { kind: 'balancer_error'; balancer: string; status: number; message: string | null }
  /** There is an answer at this address, but no WebSocket. */
  | { kind: 'no_socket'; url: string }
  /** The page is HTTPS and this address is not, so the browser forbids it. */
  | { kind: 'insecure'; url: string };
