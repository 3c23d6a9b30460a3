import { describe, expect, test } from 'vitest';
import * as outbox from './outbox';
import type { Gap, Joined, Message } from './protocol';
import * as rooms from './room';
import { TIMELINE_MAX } from './timeline';

const message = (seq: number, changes: Partial<Message> = {}): Message => ({
  ...{ type: 'message', room: 'lobby', from: 'bob', text: `text ${seq}`, time: 1_000 + seq },
  ...{ stream: 's', seq, id: `b-${seq}`, ...changes },
});
const joinedFrame = (changes: Partial<Joined> = {}): Joined => ({
  ...{
    type: 'joined',
    room: 'lobby',
    client: 'the-nonce-of-this-page',
    users: 2,
    roster: ['ann', 'bob'],
    history: [],
    complete: true,
    streams: {},
    ...changes,
  },
});
const empty = rooms.createRoom('lobby', 'ann');
const here = rooms.joined(empty, joinedFrame(), false);
const texts = (room: rooms.Room) => room.timeline.map((entry) => (entry.kind === 'message' ? entry.text : 'gap'));

describe('joining', () => {
  test('brings users, roster and history', () => {
    const room = rooms.joined(empty, joinedFrame({ history: [message(1), message(2)], streams: { s: 2 } }), false);
    expect(room).toMatchObject({ status: 'joined', users: 2, roster: ['ann', 'bob'] });
    expect(texts(room)).toEqual(['text 1', 'text 2']);
    expect(rooms.resumePoint(room, 64)).toEqual({ s: 2 });
  });

  test('there is nothing to resume before the first visit, and an empty room is resumed too', () => {
    expect(rooms.resumePoint(empty, 64)).toBeUndefined();
    expect(rooms.resumePoint(here, 64)).toEqual({});
  });

  test('a join tells where we stand: further elsewhere counts, streams it does not name are forgotten', () => {
    const room = [message(5), message(3, { stream: 't' })].reduce(rooms.received, here);
    const again = rooms.joined(room, joinedFrame({ streams: { s: 4, u: 9 } }), true);
    expect(rooms.resumePoint(again, 64)).toEqual({ s: 5, u: 9 });
  });

  test('a first join is never a gap, an incomplete resume is', () => {
    const late = joinedFrame({ history: [message(9)], complete: false });
    expect(texts(rooms.joined(empty, late, false))).toEqual(['text 9']);
    expect(texts(rooms.joined(rooms.received(here, message(1)), late, true))).toEqual(['text 1', 'gap', 'text 9']);
  });

  test('what was only acknowledged is nothing to resume from, so nothing can be missing', () => {
    const wrote = { ...here, outbox: outbox.write([], 'a-1', 'hello') };
    const ack = { type: 'ack', room: 'lobby', id: 'a-1', stream: 's', seq: 1, time: 1_001 } as const;
    const again = rooms.joined(rooms.acknowledged(wrote, ack), joinedFrame({ complete: false }), false);
    expect(texts(again)).toEqual(['hello']);
  });

  test('a resume that repeats what is known doubles nothing', () => {
    const room = rooms.received(here, message(1));
    expect(texts(rooms.joined(room, joinedFrame({ history: [message(1), message(2)] }), true))).toEqual([
      'text 1',
      'text 2',
    ]);
  });

  test('a resume names only as many streams as the server takes, the last heard ones', () => {
    const room = [1, 2, 3].reduce((so, n) => rooms.received(so, message(n, { stream: `s${n}` })), here);
    const again = rooms.received(room, message(4, { stream: 's1' }));
    expect(rooms.resumePoint(again, 2)).toEqual({ s3: 3, s1: 4 });
  });
});

describe('positions', () => {
  const gap = (first: number, last: number): Gap => ({ type: 'gap', room: 'lobby', stream: 's', first, last });
  const at = (room: rooms.Room) => rooms.resumePoint(room, 64);
  const five = rooms.joined(empty, joinedFrame({ history: [message(5)], streams: { s: 5 } }), false);

  test('what is not beyond the position is dropped, also where it is no longer shown', () => {
    expect(rooms.received(five, message(5))).toBe(five);
    expect(rooms.received(five, message(4))).toBe(five);
    expect(rooms.received({ ...five, timeline: [] }, message(5)).timeline).toEqual([]);
  });

  test('a server that is behind says again what is known, and goes on', () => {
    const behind = rooms.joined(five, joinedFrame({ streams: { s: 3 } }), true);
    const room = [message(4), message(5), message(6)].reduce(rooms.received, behind);
    expect(texts(room)).toEqual(['text 5', 'text 6']);
    expect(at(room)).toEqual({ s: 6 });
  });

  test('a number that is skipped is no loss', () => {
    expect(texts(rooms.received(five, message(8)))).toEqual(['text 5', 'text 8']);
  });

  test('a gap is marked, and what follows goes on behind it', () => {
    const room = rooms.received(rooms.lost(five, gap(6, 7)), message(8));
    expect(texts(room)).toEqual(['text 5', 'gap', 'text 8']);
    expect(room.timeline[1]).toMatchObject({ lost: 2 });
    expect(at(rooms.lost(five, gap(6, 7)))).toEqual({ s: 7 });
  });

  test('what we have from elsewhere is not lost', () => {
    expect(rooms.lost(five, gap(4, 5))).toBe(five);
    expect(rooms.lost(five, gap(4, 6)).timeline[1]).toMatchObject({ lost: 1 });
  });
});

describe('sending', () => {
  const writing = { ...here, outbox: outbox.write([], 'a-1', 'hello') };
  const own = message(1, { from: 'ann', id: 'a-1', text: 'hello' });
  const ack = { type: 'ack', room: 'lobby', id: 'a-1', stream: 's', seq: 1, time: 1_001 } as const;

  test('own message, then ack', () => {
    const placed = rooms.received(writing, own);
    expect(placed.timeline).toMatchObject([{ text: 'hello', own: true, acknowledged: false }]);
    expect(placed.outbox).toMatchObject([{ id: 'a-1', placed: true }]);
    const safe = rooms.acknowledged(placed, ack);
    expect(safe.timeline).toMatchObject([{ text: 'hello', acknowledged: true }]);
    expect(safe.outbox).toEqual([]);
  });

  test('ack, then own message', () => {
    const safe = rooms.acknowledged(writing, ack);
    expect(safe.timeline).toMatchObject([{ text: 'hello', seq: 1, own: true, acknowledged: true }]);
    expect(safe.outbox).toEqual([]);
    expect(rooms.received(safe, own).timeline).toEqual(safe.timeline);
  });

  test('an ack does not move the resume point: earlier messages of its stream may be on their way', () => {
    expect(rooms.resumePoint(rooms.acknowledged(writing, { ...ack, seq: 7 }), 64)).toEqual({});
  });

  test('an ack for nothing changes nothing', () => {
    expect(rooms.acknowledged(here, ack)).toBe(here);
  });

  test('what the user said elsewhere is own, and safe', () => {
    expect(rooms.received(here, own).timeline).toMatchObject([{ own: true, acknowledged: true }]);
  });

  test('another user with the same id is another message', () => {
    const room = rooms.received(rooms.received(writing, own), message(2, { id: 'a-1' }));
    expect(texts(room)).toEqual(['hello', 'text 2']);
    expect(room.outbox).toHaveLength(1);
  });

  test('a namesake with the same id and another text is another message', () => {
    const namesake = message(1, { from: 'ann', id: 'a-1', text: 'not hello' });
    const heard = rooms.received(writing, namesake);
    expect(heard.outbox).toMatchObject([{ id: 'a-1', placed: false }]);
    const safe = rooms.acknowledged(rooms.received(heard, { ...own, seq: 2 }), { ...ack, seq: 2 });
    expect(texts(safe)).toEqual(['not hello', 'hello']);
  });
});

describe('presence', () => {
  const presence = { type: 'presence', room: 'lobby' } as const;

  test('names come and go', () => {
    const more = rooms.present(here, { ...presence, users: 2, joined: ['al'], left: ['bob'] });
    expect(more).toMatchObject({ users: 2, roster: ['al', 'ann'] });
  });

  test('a room that has grown large has only a number', () => {
    expect(rooms.present(here, { ...presence, users: 101, joined: null, left: null })).toMatchObject({
      users: 101,
      roster: null,
    });
  });
});

describe('typing', () => {
  test('is shown until it is old, or the message is there', () => {
    const typing = rooms.typed(here, 'bob', 0);
    expect(typing.typing).toHaveLength(1);
    expect(rooms.forgetTyping(typing, rooms.TYPING_SHOWN_MS - 1)).toBe(typing);
    expect(rooms.forgetTyping(typing, rooms.TYPING_SHOWN_MS).typing).toEqual([]);
    expect(rooms.received(typing, message(1)).typing).toEqual([]);
  });

  test('of oneself on another device is no news', () => {
    expect(rooms.typed(here, 'ann', 0).typing).toEqual([]);
  });
});

describe('how much has come', () => {
  const many = (room: rooms.Room, count: number) =>
    Array.from({ length: count }, (_, index) => message(index + 1)).reduce(rooms.received, room);

  test('goes on counting when the timeline is full', () => {
    const room = many(rooms.createRoom('lobby', 'ann'), TIMELINE_MAX + 200);
    expect(room.timeline).toHaveLength(TIMELINE_MAX);
    expect(room.arrivals).toBe(TIMELINE_MAX + 200);
  });

  test('does not count what was here already', () => {
    const room = many(rooms.createRoom('lobby', 'ann'), 2);
    const again = rooms.received(room, { ...message(2), stream: 'other', seq: 1, time: message(2).time + 1 });
    expect(again.arrivals).toBe(2);
  });
});
