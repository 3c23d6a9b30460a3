import { lastIndex, spliced } from './arrays';

/** The messages of a room in the order in which every client shows them: by time, ties by stream, then by seq. */

export interface Said {
  kind: 'message';
  key: string;
  from: string;
  text: string;
  time: number;
  stream: string;
  seq: number;
  id: string;
  own: boolean;
  /** Whether the cluster has promised to keep it. For messages of others that is taken as given. */
  acknowledged: boolean;
}

/** Here some messages are missing that can no longer be had. */
export interface Gap {
  kind: 'gap';
  key: string;
  /** How many; `null` where nobody can tell. */
  lost: number | null;
  time: number;
  stream: string;
  seq: number;
}

export type Entry = Said | Gap;

export type Timeline = readonly Entry[];

export const TIMELINE_MAX = 1_000;

/**
 * Adds an entry at its place. One that is already there changes nothing. Neither does the later of two with the same
 * sender, id and text: a server died before it could tell the others, and the repeated send got another place.
 */
export function place(timeline: Timeline, entry: Entry): Timeline {
  const twin = lastIndex(timeline, (other) => other.key === entry.key);
  const known = timeline[twin];
  if (known && compare(known, entry) <= 0) return timeline;
  const rest = known ? spliced(timeline, twin, 1) : timeline;
  const before = lastIndex(rest, (other) => compare(other, entry) < 0);
  return spliced(rest, before + 1, 0, entry).slice(-TIMELINE_MAX);
}

/** The sender's mark that the message is safe now. */
export function acknowledge(timeline: Timeline, key: string): Timeline {
  const at = lastIndex(timeline, (entry) => entry.key === key);
  const entry = timeline[at];
  return entry?.kind === 'message' && !entry.acknowledged
    ? spliced(timeline, at, 1, { ...entry, acknowledged: true })
    : timeline;
}

/** A gap just before `next`, or after everything when there is no next. */
export function mark(timeline: Timeline, next: { time: number } | undefined): Timeline {
  const last = timeline.at(-1);
  if (!last) return timeline;
  const time = next?.time ?? last.time;
  const stream = next ? BEFORE_ALL : AFTER_ALL;
  return place(timeline, { kind: 'gap', key: `gap ${stream} ${time}`, lost: null, time, stream, seq: 0 });
}

/**
 * These numbers of a stream are lost. The gap stands behind what came before it in its stream, so that it is at the same
 * place for everyone who has seen that; otherwise behind everything.
 */
export function lose(timeline: Timeline, stream: string, first: number, last: number): Timeline {
  const before = timeline[lastIndex(timeline, (entry) => entry.stream === stream && entry.seq < first)];
  return place(timeline, {
    kind: 'gap',
    key: `gap ${stream} ${first}`,
    lost: last + 1 - first,
    time: (before ?? timeline.at(-1))?.time ?? 0,
    stream: before ? stream : AFTER_ALL,
    seq: first,
  });
}

/**
 * Others are not told whose nonce a message has; the text keeps apart those of namesakes whose ids are equal. A name and
 * an id hold no control characters, so a line feed does that to them.
 */
export function messageKey(from: string, id: string, text: string): string {
  return `${from}\n${id}\n${text}`;
}

const BEFORE_ALL = '';
const AFTER_ALL = '\uffff';

function compare(a: Entry, b: Entry): number {
  if (a.time !== b.time) return a.time - b.time;
  if (a.stream !== b.stream) return a.stream < b.stream ? -1 : 1;
  return a.seq - b.seq;
}
