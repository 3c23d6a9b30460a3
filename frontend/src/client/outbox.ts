/** The sends of one room that are not acknowledged yet, in the order in which they were written. */

export interface Outgoing {
  id: string;
  text: string;
  /** When it goes out, again if it has been sent; `-Infinity` when not yet on this connection. */
  dueMs: number;
  /** The server would not take it now; the ones behind it wait with it. */
  putOff: boolean;
  /** How often it has done so. */
  refusals: number;
  /** It is already in the timeline and waits only for its `ack`. */
  placed: boolean;
  /** It was under way when the server could not read a frame and did not say which: it goes out alone. */
  suspected: boolean;
  /** A server will never take it. The user decides what becomes of it. */
  failure: Failure | null;
}

export interface Failure {
  code: string;
  message: string;
}

export type Outbox = readonly Outgoing[];

export const OUTBOX_MAX = 500;
export const ACK_TIMEOUT_MS = 5_000;

const UNSENT = { dueMs: -Infinity, putOff: false, refusals: 0 };

export function write(outbox: Outbox, id: string, text: string): Outbox {
  return [...outbox, { id, text, ...UNSENT, placed: false, suspected: false, failure: null }];
}

/** The first send that should go out now: it never has, or its `ack` is late. */
export function due(outbox: Outbox, now: number): Outgoing | undefined {
  const ready = free(outbox).filter(({ dueMs }) => dueMs <= now);
  const suspects = ready.filter(({ suspected, dueMs }) => suspected && dueMs > -Infinity);
  if (suspects.length === 0) return ready[0];
  // Each goes alone: the one that has waited longest, or the first of them would have every turn.
  return suspects.reduce((longest, item) => (item.dueMs < longest.dueMs ? item : longest));
}

/** What this connection carries and the server has not answered yet. */
export function inFlight(outbox: Outbox, now: number): Outbox {
  return outbox.filter(({ dueMs, putOff, failure }) => dueMs > now && !putOff && !failure);
}

/** All that is in flight may be what the server could not read. */
export function suspect(outbox: Outbox, now: number): Outbox {
  const suspects = new Set(inFlight(outbox, now));
  return outbox.map((item) => (suspects.has(item) ? { ...item, suspected: true } : item));
}

/** When something will be due; `Infinity` when nothing waits. */
export function nextDueMs(outbox: Outbox): number {
  return Math.min(Infinity, ...free(outbox).map(({ dueMs }) => dueMs));
}

export function sent(outbox: Outbox, id: string, now: number): Outbox {
  return change(outbox, id, { dueMs: now + ACK_TIMEOUT_MS, putOff: false });
}

/** The server has no room for it now. `wait` tells for how long, by how often it has said so. */
export function putOff(outbox: Outbox, id: string, now: number, wait: (refusals: number) => number): Outbox {
  return outbox.map((item) =>
    item.id === id ? { ...item, dueMs: now + wait(item.refusals), putOff: true, refusals: item.refusals + 1 } : item,
  );
}

export function placed(outbox: Outbox, id: string): Outbox {
  return change(outbox, id, { placed: true });
}

export function failed(outbox: Outbox, id: string, failure: Failure): Outbox {
  return change(outbox, id, { failure });
}

export function remove(outbox: Outbox, id: string): Outbox {
  return outbox.some((item) => item.id === id) ? outbox.filter((item) => item.id !== id) : outbox;
}

/** On a new connection everything is sent again at once; the ids keep it from being said twice. */
export function restart(outbox: Outbox): Outbox {
  return outbox.map((item) => ({ ...item, ...UNSENT }));
}

/** Those that may go when they are due: none behind one that was put off, so that the order stays. */
function free(outbox: Outbox): Outbox {
  const waiting = outbox.filter(({ failure }) => !failure);
  const last = waiting.findIndex((item) => item.putOff);
  return last < 0 ? waiting : waiting.slice(0, last + 1);
}

function change(outbox: Outbox, id: string, changes: Partial<Outgoing>): Outbox {
  return outbox.map((item) => (item.id === id ? { ...item, ...changes } : item));
}
