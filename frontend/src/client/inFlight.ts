import { type Join, JOIN_TIMEOUT_MS } from './line';
import * as outbox from './outbox';
import type { Room } from './room';

/** A frame that a server has and may still answer. */
export type Flight =
  | { kind: 'join'; room: string; untilMs: number; alone: boolean }
  | { kind: 'send'; room: string; id: string; untilMs: number; alone: boolean };

/** `alone`: such a frame goes only while nothing else is in flight, so that an error without a subject has one. */
export function inFlight(
  rooms: Iterable<Room>,
  joins: ReadonlyMap<string, Join>,
  oneByOne: boolean,
  now: number,
): Flight[] {
  const asked = [...joins]
    .filter(([, { answered, sentMs }]) => !answered && sentMs + JOIN_TIMEOUT_MS > now)
    .map(([room, { sentMs }]): Flight => ({ kind: 'join', room, untilMs: sentMs + JOIN_TIMEOUT_MS, alone: oneByOne }));
  const said = [...rooms].flatMap(({ name, outbox: sends }) =>
    outbox
      .inFlight(sends, now)
      .map(({ id, dueMs, suspected }): Flight => ({ kind: 'send', room: name, id, untilMs: dueMs, alone: suspected })),
  );
  return [...asked, ...said];
}

/** When the next frame may go; `-Infinity`: now. */
export function heldUntilMs(flights: readonly Flight[], alone: boolean): number {
  if (flights.length === 0 || !(alone || flights.some((flight) => flight.alone))) return -Infinity;
  return Math.min(...flights.map(({ untilMs }) => untilMs));
}
