/**
 * What one user knows of one room. Pure: each function takes a room and gives the room after it.
 * It knows no connection, so it outlives them: that is what a resume is made of.
 */
import * as outbox from './outbox';
import type { Failure, Outbox } from './outbox';
import type { Ack, Gap, Joined, Message, Presence } from './protocol';
import { acknowledge, lose, mark, messageKey, place, type Said, type Timeline } from './timeline';

export interface Room {
  name: string;
  user: string;
  status: 'joining' | 'joined' | 'refused';
  /** Why a server will not have us. */
  failure: Failure | null;
  users: number;
  /** Sorted; `null` where only the number is known. */
  roster: readonly string[] | null;
  timeline: Timeline;
  /** How many messages have found a place in the timeline, which keeps only the last ones. */
  arrivals: number;
  outbox: Outbox;
  typing: readonly Typing[];
  /** We have been in it, so whoever we come back to is asked for what came after. */
  visited: boolean;
  /** For each stream where we stand, the most recently heard stream last. */
  since: ReadonlyMap<string, number>;
}

export interface Typing {
  user: string;
  untilMs: number;
}

export const TYPING_SHOWN_MS = 4_000;

export function createRoom(name: string, user: string): Room {
  return {
    name,
    user,
    status: 'joining',
    failure: null,
    users: 0,
    roster: null,
    timeline: [],
    arrivals: 0,
    outbox: [],
    typing: [],
    visited: false,
    since: new Map(),
  };
}

/** `resumed`: the join asked for everything after `since`, so `complete` tells whether we got it. */
export function joined(room: Room, frame: Joined, resumed: boolean): Room {
  const [oldest] = frame.history;
  const timeline = resumed && !frame.complete ? mark(room.timeline, oldest) : room.timeline;
  const start: Room = {
    ...room,
    status: 'joined',
    visited: true,
    failure: null,
    users: frame.users,
    roster: frame.roster,
    timeline,
  };
  const heard = frame.history.reduce(received, start);
  return { ...heard, since: stand(heard.since, frame.streams) };
}

/**
 * What is not beyond our position in its stream was here already: after a resume elsewhere it can come again. A number
 * that is skipped is no loss: that message was said before in another stream.
 */
export function received(room: Room, message: Message): Room {
  const own = message.from === room.user;
  const { from, text, time, stream, seq, id } = message;
  if (seq <= position(room, stream)) return room;
  const waiting = own && room.outbox.some((item) => item.id === id && item.text === text);
  const key = messageKey(from, id, text);
  return {
    ...arrive(room, { kind: 'message', key, from, text, time, stream, seq, id, own, acknowledged: !waiting }),
    since: advance(room.since, stream, seq),
    outbox: waiting ? outbox.placed(room.outbox, id) : room.outbox,
    typing: room.typing.filter((typing) => typing.user !== from),
  };
}

/**
 * The send is safe. `since` stays as it is: an `ack` may overtake earlier messages of its stream, and a resume has to
 * ask for those.
 */
export function acknowledged(room: Room, ack: Ack): Room {
  const item = room.outbox.find(({ id }) => id === ack.id);
  if (!item) return room;
  const key = messageKey(room.user, ack.id, item.text);
  const { id, stream, seq, time } = ack;
  const [from, text] = [room.user, item.text];
  const next = item.placed
    ? { ...room, timeline: acknowledge(room.timeline, key) }
    : arrive(room, { kind: 'message', key, from, text, time, stream, seq, id, own: true, acknowledged: true });
  return { ...next, outbox: outbox.remove(room.outbox, id) };
}

function arrive(room: Room, said: Said): Room {
  const timeline = place(room.timeline, said);
  const isNew = timeline !== room.timeline && !room.timeline.some(({ key }) => key === said.key);
  return { ...room, timeline, arrivals: room.arrivals + (isNew ? 1 : 0) };
}

/** These are lost for good, unless we have them from elsewhere. */
export function lost(room: Room, { stream, first, last }: Gap): Room {
  const known = position(room, stream);
  if (last <= known) return room;
  return {
    ...room,
    since: advance(room.since, stream, last),
    timeline: lose(room.timeline, stream, Math.max(first, known + 1), last),
  };
}

export function present(room: Room, { users, joined, left }: Presence): Room {
  if (!joined || !left || !room.roster) return { ...room, users, roster: null };
  const gone = new Set(left);
  const roster = [...new Set([...room.roster.filter((name) => !gone.has(name)), ...joined])].sort();
  return { ...room, users, roster, typing: room.typing.filter((typing) => !gone.has(typing.user)) };
}

export function typed(room: Room, user: string, now: number): Room {
  if (user === room.user) return room;
  const others = room.typing.filter((typing) => typing.user !== user);
  return { ...room, typing: [...others, { user, untilMs: now + TYPING_SHOWN_MS }] };
}

export function forgetTyping(room: Room, now: number): Room {
  return room.typing.some(({ untilMs }) => untilMs <= now)
    ? { ...room, typing: room.typing.filter(({ untilMs }) => untilMs > now) }
    : room;
}

export function refused(room: Room, failure: Failure): Room {
  return { ...room, status: 'refused', failure };
}

/** What a join asks for; `undefined` on the first visit. */
export function resumePoint(room: Room, streamsMax: number): Record<string, number> | undefined {
  if (!room.visited) return undefined;
  return Object.fromEntries([...room.since].slice(-streamsMax));
}

/** More streams than any server takes in one `since`. */
const STREAMS_KEPT = 256;

/**
 * The server's positions are ours now, but for streams that we have heard further elsewhere. Those that it does not
 * name are forgotten: asked for again and again they would look like a gap each time.
 */
function stand(since: Room['since'], streams: Joined['streams']): Room['since'] {
  return new Map(Object.entries(streams).map(([stream, seq]) => [stream, Math.max(seq, since.get(stream) ?? 0)]));
}

function position(room: Room, stream: string): number {
  return room.since.get(stream) ?? 0;
}

function advance(since: Room['since'], stream: string, seq: number): Room['since'] {
  const next = new Map(since);
  next.delete(stream);
  next.set(stream, seq);
  const [oldest] = next.keys();
  if (next.size > STREAMS_KEPT && oldest !== undefined) next.delete(oldest);
  return next;
}
