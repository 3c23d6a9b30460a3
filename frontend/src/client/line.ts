import type { Connection } from './connection';
import type { Pace } from './pace';

export const JOIN_TIMEOUT_MS = 5_000;

export interface Join {
  /** `-Infinity`: not yet, or it has to be sent again. */
  sentMs: number;
  resumed: boolean;
  answered: boolean;
}

/** What was done with the server at the other end of a connection; another server knows nothing of it. */
export interface Progress {
  joins: Map<string, Join>;
  pace: Pace | null;
  degraded: boolean;
  /** Whether the connection holds is in doubt. */
  checking: boolean;
  /** The browser is offline, and nothing has come since. */
  unheard: boolean;
  /** A frame could not be read, and nobody knows which: a join goes only while nothing else is in flight. */
  oneByOne: boolean;
  /** Something is due and has to wait for that long for what is in flight. */
  heldUntilMs: number;
}

export interface Line extends Progress {
  connection: Connection;
  onlineMs: number | null;
}

export function noProgress(): Progress {
  return {
    joins: new Map(),
    pace: null,
    degraded: false,
    checking: false,
    unheard: false,
    oneByOne: false,
    heldUntilMs: -Infinity,
  };
}
