/**
 * The client protocol `distr-chat.v1`. The only file that knows the wire: outside of it there are typed messages.
 * What comes from the network is a value until it is proven: nothing here throws on a bad frame.
 */
import {
  count,
  counts,
  type Fields,
  flag,
  json,
  list,
  names,
  object,
  optional,
  parse,
  text,
  WrongField,
} from './fields';

export const SUBPROTOCOL = 'distr-chat.v1';

export interface Limits {
  frame_bytes: number;
  text_bytes: number;
  name_bytes: number;
  room_bytes: number;
  id_bytes: number;
  rooms: number;
  streams: number;
  frames_per_second: number;
  frames_burst: number;
}

/** What holds until a `welcome` says otherwise. */
export const DEFAULT_LIMITS: Limits = {
  frame_bytes: 32_768,
  text_bytes: 4_096,
  name_bytes: 64,
  room_bytes: 64,
  id_bytes: 64,
  rooms: 32,
  streams: 64,
  frames_per_second: 50,
  frames_burst: 200,
};

export type ClientMessage =
  | { type: 'join'; room: string; user: string; client?: string; since?: Readonly<Record<string, number>> }
  | { type: 'send'; room: string; id: string; text: string }
  | { type: 'typing'; room: string }
  | { type: 'leave'; room: string }
  | { type: 'ping' };

export interface Welcome {
  type: 'welcome';
  node: string;
  session: string;
  limits: Limits;
}

export interface Joined {
  type: 'joined';
  room: string;
  /** The nonce that our messages in the room are known by; told to us alone. */
  client: string;
  users: number;
  /** `null` in large rooms. */
  roster: readonly string[] | null;
  history: readonly Message[];
  complete: boolean;
  /** The last seq of each stream that the server knows: where we stand once we have the history. */
  streams: Readonly<Record<string, number>>;
}

export interface Message {
  type: 'message';
  room: string;
  from: string;
  text: string;
  time: number;
  stream: string;
  seq: number;
  id: string;
}

export interface Ack {
  type: 'ack';
  room: string;
  id: string;
  stream: string;
  seq: number;
  time: number;
}

/** These numbers of a stream are lost for good. A number that is only skipped is not: it was said in another stream. */
export interface Gap {
  type: 'gap';
  room: string;
  stream: string;
  first: number;
  last: number;
}

export interface Presence {
  type: 'presence';
  room: string;
  users: number;
  /** `null` in large rooms, as `left` is. */
  joined: readonly string[] | null;
  left: readonly string[] | null;
}

export interface ServerError {
  type: 'error';
  code: string;
  message: string;
  room: string | null;
  id: string | null;
}

export type ServerMessage =
  | Welcome
  | Joined
  | Message
  | Ack
  | Gap
  | Presence
  | { type: 'typing'; room: string; user: string }
  | { type: 'left'; room: string }
  | { type: 'pong' }
  | ServerError
  /** Whether the server has no way to the others. */
  | { type: 'degraded'; degraded: boolean }
  | { type: 'move'; within_ms: number }
  /** Another server has taken over this connection and knows nothing of it. Its welcome follows. */
  | { type: 'resume' };

/** Why a frame of a server is not a message. `unknown_type` is harmless: servers may grow. */
export type Fault =
  | { type: 'fault'; why: 'not_json' }
  | { type: 'fault'; why: 'unknown_type'; of: string }
  | { type: 'fault'; why: 'wrong_field'; field: string };

export interface Assigned {
  url: string;
  node: string;
}

/** Why a balancer assigns nothing, and when to come back. */
export interface Declined {
  error: 'unavailable' | 'busy' | 'draining';
  retryAfterMs: number;
}

export function encode(message: ClientMessage): string {
  return JSON.stringify(message);
}

export function decode(data: unknown): ServerMessage | Fault {
  const frame = json(data);
  if (!frame) return { type: 'fault', why: 'not_json' };
  try {
    return message(frame);
  } catch (error) {
    if (error instanceof WrongField) return { type: 'fault', why: 'wrong_field', field: error.field };
    throw error;
  }
}

/** The body of a 200 of `/assign`; `null` when it is not one. */
export function decodeAssigned(body: string): Assigned | null {
  return parse(body, (assigned) => ({ url: text(assigned, 'url'), node: text(assigned, 'node') }));
}

/** What the body of an error says to people; `null` when it says nothing. */
export function decodeMessage(body: string): string | null {
  return parse(body, (refusal) => text(refusal, 'message'));
}

/** The body of a 503 of `/assign`; `null` when it is not one. */
export function decodeDeclined(body: string): Declined | null {
  return parse(body, (declined) => ({
    error: reason(declined),
    retryAfterMs: count(declined, 'retry_after_ms'),
  }));
}

/**
 * Half of a surrogate pair, as a cut emoji leaves it, is no Unicode and has no UTF-8: servers refuse the whole frame.
 * It becomes U+FFFD, as `String.prototype.toWellFormed` (ES2024) does.
 */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

const utf8 = new TextEncoder();

/** The limits of the protocol count bytes of UTF-8. */
export function byteLength(text: string): number {
  return utf8.encode(text).length;
}

function message(frame: Fields): ServerMessage | Fault {
  const type = text(frame, 'type');
  switch (type) {
    case 'welcome':
      return {
        type,
        node: text(frame, 'node'),
        session: text(frame, 'session'),
        limits: object(frame, 'limits', limits),
      };
    case 'joined':
      return {
        type,
        room: text(frame, 'room'),
        client: text(frame, 'client'),
        users: count(frame, 'users'),
        roster: names(frame, 'roster'),
        history: list(frame, 'history', said),
        complete: flag(frame, 'complete'),
        streams: counts(frame, 'streams'),
      };
    case 'message':
      return said(frame);
    case 'ack':
      return {
        type,
        room: text(frame, 'room'),
        id: text(frame, 'id'),
        stream: text(frame, 'stream'),
        seq: count(frame, 'seq'),
        time: count(frame, 'time'),
      };
    case 'gap':
      return {
        type,
        room: text(frame, 'room'),
        stream: text(frame, 'stream'),
        first: count(frame, 'first'),
        last: count(frame, 'last'),
      };
    case 'presence':
      return {
        type,
        room: text(frame, 'room'),
        users: count(frame, 'users'),
        joined: names(frame, 'joined'),
        left: names(frame, 'left'),
      };
    case 'typing':
      return { type, room: text(frame, 'room'), user: text(frame, 'user') };
    case 'left':
      return { type, room: text(frame, 'room') };
    case 'pong':
    case 'resume':
      return { type };
    case 'error':
      return {
        type,
        code: text(frame, 'code'),
        message: text(frame, 'message'),
        room: optional(frame, 'room'),
        id: optional(frame, 'id'),
      };
    case 'degraded':
      return { type, degraded: flag(frame, 'degraded') };
    case 'move':
      return { type, within_ms: count(frame, 'within_ms') };
    default:
      return { type: 'fault', why: 'unknown_type', of: type };
  }
}

function said(frame: Fields): Message {
  return {
    type: 'message',
    room: text(frame, 'room'),
    from: text(frame, 'from'),
    text: text(frame, 'text'),
    time: count(frame, 'time'),
    stream: text(frame, 'stream'),
    seq: count(frame, 'seq'),
    id: text(frame, 'id'),
  };
}

function reason(declined: Fields): Declined['error'] {
  const error = text(declined, 'error');
  if (error === 'unavailable' || error === 'busy' || error === 'draining') return error;
  throw new WrongField('error');
}

function limits(fields: Fields): Limits {
  return {
    frame_bytes: count(fields, 'frame_bytes'),
    text_bytes: count(fields, 'text_bytes'),
    name_bytes: count(fields, 'name_bytes'),
    room_bytes: count(fields, 'room_bytes'),
    id_bytes: count(fields, 'id_bytes'),
    rooms: count(fields, 'rooms'),
    streams: count(fields, 'streams'),
    frames_per_second: count(fields, 'frames_per_second'),
    frames_burst: count(fields, 'frames_burst'),
  };
}
