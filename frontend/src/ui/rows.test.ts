import { expect, test } from 'vitest';
import type { Room } from '../client';
import { write } from '../client/outbox';
import { createRoom, received } from '../client/room';
import { lose, mark } from '../client/timeline';
import { rowsOf } from './rows';

const NOON = new Date(2024, 4, 1, 12).getTime();
const MINUTE = 60_000;

let seq = 0;
const say = (room: Room, from: string, minutes: number) => {
  seq += 1;
  const text = `${from} ${minutes}`;
  const time = NOON + minutes * MINUTE;
  return received(room, { type: 'message', room: 'lobby', from, text, time, stream: 's', seq, id: `${seq}` });
};
const shape = (room: Room) =>
  rowsOf(room).map((row) =>
    row.kind === 'message' ? `${row.line.starts ? '┌' : '│'}${row.line.text}${row.line.ends ? '┘' : ''}` : row.kind,
  );

test('messages of one person run together, until another one speaks or time passes', () => {
  let room = createRoom('lobby', 'ann');
  for (const [from, minutes] of [
    ['bob', 0],
    ['bob', 1],
    ['cat', 2],
    ['bob', 3],
    ['bob', 9],
  ] as const) {
    room = say(room, from, minutes);
  }
  expect(shape(room)).toEqual(['day', '┌bob 0', '│bob 1┘', '┌cat 2┘', '┌bob 3┘', '┌bob 9┘']);
});

test('a new day and a gap stand between the runs', () => {
  let room = say(createRoom('lobby', 'ann'), 'bob', 0);
  room = { ...room, timeline: mark(room.timeline, undefined) };
  room = say(say(room, 'bob', 1), 'bob', 24 * 60);
  expect(shape(room)).toEqual(['day', '┌bob 0┘', 'gap', '┌bob 1┘', 'day', '┌bob 1440┘']);
});

test('losses with nothing between them are one, and those with nothing known about them stay apart', () => {
  let room = say(createRoom('lobby', 'ann'), 'bob', 0);
  room = { ...room, timeline: lose(lose(mark(room.timeline, undefined), 't', 1, 2), 't', 5, 5) };
  expect(rowsOf(room).slice(2)).toMatchObject([
    { kind: 'gap', lost: null },
    { kind: 'gap', lost: 3 },
  ]);
});

test('what is on its way comes last and keeps its key when it arrives', () => {
  let room = say(createRoom('lobby', 'ann'), 'bob', 0);
  room = { ...room, outbox: write(room.outbox, 'a-1', 'hi') };
  const before = rowsOf(room).at(-1);
  expect(before).toMatchObject({ line: { text: 'hi', mark: 'waiting', time: null } });
  room = received(room, {
    ...{ type: 'message', room: 'lobby', from: 'ann', text: 'hi', time: NOON + 1, stream: 's', seq: 99, id: 'a-1' },
  });
  expect(rowsOf(room)).toHaveLength(3);
  expect(rowsOf(room).at(-1)).toMatchObject({ key: before?.key, line: { mark: 'waiting', time: NOON + 1 } });
});

test('a refused send says why', () => {
  const room = createRoom('lobby', 'ann');
  const [item] = write([], 'a-1', 'hi');
  if (!item) throw new Error('nothing written');
  const failure = { code: 'text_too_long', message: 'too long' };
  expect(rowsOf({ ...room, outbox: [{ ...item, failure }] })).toMatchObject([
    { line: { mark: 'failed', reason: 'too long' } },
  ]);
});
