import type { Cancel, Environment, Socket, SocketEvents } from './environment';
import type { Result } from './race';

/**
 * How a client comes into the cluster: looks for a way once. `avoid` names a server that another one is to be preferred
 * to. `done` is called once, after the return, or never after a cancel.
 */
export type Entrance = (environment: Environment, avoid: string | null, done: (result: Result<Way>) => void) => Cancel;

/** A way to a server that a balancer has shown. */
export interface Way {
  balancer: string;
  /** Which one; `null` where that is not known before it says welcome. */
  server: { node: string; url: string } | null;
  /** Takes the way. Call it at once, and once. */
  open(events: SocketEvents): Socket;
}

/** For so long a balancer may say nothing. */
export const ANSWER_TIMEOUT_MS = 3_000;
