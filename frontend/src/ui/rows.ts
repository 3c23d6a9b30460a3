import { type Gap, messageKey, type Room } from '../client';

export type Mark = 'none' | 'waiting' | 'delivered' | 'failed';

export interface MessageLine {
  id: string;
  from: string;
  text: string;
  /** `null` until a server has stamped it. */
  time: number | null;
  own: boolean;
  mark: Mark;
  /** Why a server refused it. */
  reason: string | null;
  /** Begins, ends a run of messages of one person. */
  starts: boolean;
  ends: boolean;
}

export type Row =
  | { kind: 'day'; key: string; time: number }
  /** `lost`: how many messages, where that is known. */
  | { kind: 'gap'; key: string; lost: number | null }
  | { kind: 'message'; key: string; line: MessageLine };

/** A run of one person's messages breaks after a silence of this length. */
const RUN_MS = 5 * 60_000;

/** The lines on the screen: what was said, in order, then what is still on its way. */
export function rowsOf(room: Room): Row[] {
  const rows: Row[] = [];
  let lastTime: number | null = null;
  for (const entry of room.timeline) {
    if (entry.kind === 'gap') {
      pushGap(rows, entry);
      continue;
    }
    if (lastTime === null || !sameDay(lastTime, entry.time)) {
      rows.push({ kind: 'day', key: `day ${entry.time}`, time: entry.time });
    }
    lastTime = entry.time;
    const mark = !entry.own ? 'none' : entry.acknowledged ? 'delivered' : 'waiting';
    const { id, from, text, time, own } = entry;
    push(rows, entry.key, { id, from, text, time, own, mark, reason: null });
  }
  for (const { id, text, placed, failure } of room.outbox) {
    if (placed && !failure) continue;
    const mark = failure ? 'failed' : 'waiting';
    const reason = failure?.message ?? null;
    push(rows, messageKey(room.user, id, text), { id, from: room.user, text, time: null, own: true, mark, reason });
  }
  return rows;
}

/** Losses with nothing between them are one. */
function pushGap(rows: Row[], { key, lost }: Gap) {
  const last = rows.at(-1);
  if (last?.kind === 'gap' && last.lost !== null && lost !== null) last.lost += lost;
  else rows.push({ kind: 'gap', key, lost });
}

function push(rows: Row[], key: string, said: Omit<MessageLine, 'starts' | 'ends'>) {
  const last = rows.at(-1);
  const before = last?.kind === 'message' ? last.line : null;
  const goesOn = before !== null && before.from === said.from && near(before.time, said.time);
  if (goesOn) before.ends = false;
  rows.push({ kind: 'message', key, line: { ...said, starts: !goesOn, ends: true } });
}

function near(a: number | null, b: number | null): boolean {
  return a === null || b === null || b - a < RUN_MS;
}

function sameDay(a: number, b: number): boolean {
  return new Date(a).toDateString() === new Date(b).toDateString();
}
