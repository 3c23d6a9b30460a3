import { beforeEach, describe, expect, test } from 'vitest';
import { Client } from './client';
import { direct } from './direct';
import { JOIN_TIMEOUT_MS } from './line';
import { ACK_TIMEOUT_MS } from './outbox';
import { wellFormed } from './protocol';
import { FakeEnvironment, type FakeSocket } from './testing/fakeEnvironment';
import { accept, ackOf, joined, sends } from './testing/frames';

/** What a server will not take, and what it cannot even read. */

let world: FakeEnvironment;
let client: Client;

beforeEach(() => {
  world = new FakeEnvironment();
  world.chances = [0.5];
  client = new Client({ environment: world, entrance: direct(['http://lb-1']) });
});

const HALF = '\ud83d';
const UNREADABLE = { type: 'error', code: 'not_json', message: 'the frame is not a JSON object' };
const room = (name = 'lobby') => client.store.getSnapshot().rooms.get(name);
const outbox = (name?: string) => room(name)?.outbox ?? [];
const failures = () => outbox().map(({ text, failure }) => [text, failure?.code ?? null]);
const written = (socket: FakeSocket) => sends(socket).map(({ text }) => text);

function come(): FakeSocket {
  const socket = accept(world, 'app-1');
  socket.isThere = true;
  return socket;
}

function enter(): FakeSocket {
  client.join('lobby', 'ann');
  const socket = come();
  socket.say(joined());
  return socket;
}

describe('text that is no Unicode', () => {
  test.each([
    [`cut ${HALF}`, 'cut \ufffd'],
    ['\ude00 tail', '\ufffd tail'],
    [`${HALF}${HALF}\ude00`, '\ufffd😀'],
    ['a 😀 stays whole', 'a 😀 stays whole'],
  ])('%j is mended to %j', (text, mended) => expect(wellFormed(text)).toBe(mended));

  test('goes out mended, and its ack finds it', () => {
    const socket = enter();
    client.send('lobby', `cut ${HALF}`);
    const [sent] = sends(socket);
    expect(sent?.text).toBe('cut \ufffd');
    if (sent) socket.say(ackOf(sent, 1));
    expect(outbox()).toEqual([]);
  });

  test('is mended in names and rooms too, and the room is known by both spellings', () => {
    client.join(`room ${HALF}`, `ann ${HALF}`);
    const socket = come();
    expect(socket.sentOf('join')).toMatchObject([{ room: 'room \ufffd', user: 'ann \ufffd' }]);
    expect(client.send(`room ${HALF}`, 'hi')).toBeNull();
    client.leave(`room ${HALF}`);
    expect(client.store.getSnapshot().rooms.size).toBe(0);
  });
});

describe('an error that names a send', () => {
  test.each([[{ room: 'lobby' }], [{}]])('ends its resend, with %o beside the id', (subject) => {
    const socket = enter();
    client.send('lobby', 'hi');
    const [sent] = sends(socket);
    socket.say({ ...UNREADABLE, code: 'wrong_field', ...subject, id: sent?.id });
    expect(failures()).toEqual([['hi', 'wrong_field']]);
    world.advance(20_000);
    expect(written(socket)).toEqual(['hi']);
  });
});

describe('an error about a frame that nobody can name', () => {
  test('is about the only send in flight', () => {
    const socket = enter();
    client.send('lobby', 'hi');
    socket.say(UNREADABLE);
    expect(failures()).toEqual([['hi', 'not_json']]);
    world.advance(20_000);
    expect(written(socket)).toEqual(['hi']);
  });

  test('puts each of several under suspicion: they go out alone, and only the culprit is given up', () => {
    const socket = enter();
    for (const text of ['one', 'bad', 'three']) client.send('lobby', text);
    socket.say(UNREADABLE);
    expect(failures()).toEqual([
      ['one', null],
      ['bad', null],
      ['three', null],
    ]);
    const [one, , three] = sends(socket);
    if (one) socket.say(ackOf(one, 1));
    if (three) socket.say(ackOf(three, 2));
    world.advance(ACK_TIMEOUT_MS);
    expect(written(socket)).toEqual(['one', 'bad', 'three', 'bad']);
    socket.say(UNREADABLE);
    expect(failures()).toEqual([['bad', 'not_json']]);
    world.advance(20_000);
    expect(written(socket)).toHaveLength(4);
    client.send('lobby', 'after');
    expect(written(socket)).toHaveLength(5);
  });

  test('while nothing is acknowledged, each still goes alone until the culprit is found', () => {
    const socket = enter();
    for (const text of ['one', 'bad', 'three']) client.send('lobby', text);
    socket.say(UNREADABLE);
    for (let step = 0; step < 20 && failures().every(([, code]) => code === null); step += 1) {
      const before = written(socket).length;
      world.advance(ACK_TIMEOUT_MS);
      const repeated = written(socket).slice(before);
      expect(repeated.length).toBeLessThanOrEqual(1);
      if (repeated[0] === 'bad') socket.say(UNREADABLE);
    }
    expect(failures()).toEqual([
      ['one', null],
      ['bad', 'not_json'],
      ['three', null],
    ]);
  });

  test('refuses the room if the join is all there is', () => {
    client.join('lobby', 'ann');
    const socket = come();
    socket.say(UNREADABLE);
    expect(room()).toMatchObject({ status: 'refused', failure: { code: 'not_json' } });
    world.advance(4 * JOIN_TIMEOUT_MS);
    expect(socket.sentOf('join')).toHaveLength(1);
  });

  test('of several joins finds the one it is about', () => {
    client.join('lobby', 'ann');
    client.join('bad', 'ann');
    const socket = come();
    socket.say(UNREADABLE, joined());
    for (let step = 0; step < 6 && room('bad')?.status === 'joining'; step += 1) {
      const joins = () => socket.sentOf('join') as { room: string }[];
      const before = joins().length;
      world.advance(JOIN_TIMEOUT_MS);
      for (const { room: name } of joins().slice(before)) socket.say(name === 'bad' ? UNREADABLE : joined());
    }
    expect(room()?.status).toBe('joined');
    expect(room('bad')).toMatchObject({ status: 'refused', failure: { code: 'not_json' } });
  });

  test('that passes by itself blames nobody', () => {
    const socket = enter();
    client.send('lobby', 'hi');
    socket.say({ ...UNREADABLE, code: 'rate_limited' });
    expect(failures()).toEqual([['hi', null]]);
  });

  test('with nothing in flight blames nobody', () => {
    const socket = enter();
    socket.say(UNREADABLE);
    client.send('lobby', 'hi');
    expect(failures()).toEqual([['hi', null]]);
  });
});
