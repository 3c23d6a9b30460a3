/** The sends of one room that are not acknowledged yet, in the order in which they were written. */

export interface Outgoing {
  id: string;
  text: string;
  /** When it was last handed to a connection; `null` when not yet on this one. */
  sentMs: number | null;
  /** It is already in the timeline and waits only for its `ack`. */
  placed: boolean;
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

export function write(outbox: Outbox, id: string, text: string): Outbox {
  return [...outbox, { id, text, sentMs: null, placed: false, failure: null }];
}

/** The first send that should go out now: it never has, or its `ack` is late. */
export function due(outbox: Outbox, now: number): Outgoing | undefined {
  return outbox.find((item) => !item.failure && dueMs(item) <= now);
}

/** When something will be due; `Infinity` when nothing waits. */
export function nextDueMs(outbox: Outbox): number {
  return Math.min(Infinity, ...outbox.filter((item) => !item.failure).map(dueMs));
}

export function sent(outbox: Outbox, id: string, now: number): Outbox {
  return change(outbox, id, { sentMs: now });
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
  return outbox.map((item) => ({ ...item, sentMs: null }));
}

function dueMs(item: Outgoing): number {
  return item.sentMs === null ? -Infinity : item.sentMs + ACK_TIMEOUT_MS;
}

function change(outbox: Outbox, id: string, changes: Partial<Outgoing>): Outbox {
  return outbox.map((item) => (item.id === id ? { ...item, ...changes } : item));
}
