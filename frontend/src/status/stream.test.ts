import { beforeEach, describe, expect, test } from 'vitest';
import { FakeEnvironment } from '../client/testing/fakeEnvironment';
import { POLL_MS, POLL_TIMEOUT_MS } from './poll';
import { REOPEN_MS, stream, STREAM_SILENCE_MS } from './stream';
import { Watch } from './watch';

const reading = {
  decode: (body: unknown) => (Number.isNaN(Number(body)) ? null : Number(body)),
  counters: (total: number) => [total],
};
let world: FakeEnvironment;
let watch: Watch<number>;

beforeEach(() => {
  world = new FakeEnvironment();
  watch = new Watch(world, reading);
  stream(world, 'http://lb-1/status', watch);
});

const known = () => watch.store.getSnapshot();
const answer = (body: string) => world.answer({ status: 200, retryAfter: null, body });

test('each frame is a status', () => {
  expect(world.socket).toMatchObject({ url: 'ws://lb-1/status', protocol: null });
  world.socket.say('10');
  expect(known()).toEqual({ status: 10, live: true, unreachable: null, rates: [[]] });
  world.advance(250);
  world.socket.say('11');
  expect(known()).toMatchObject({ status: 11, live: true });
  expect(world.asked).toEqual([]);
});

test('a rate is of about a second, however often the node speaks', () => {
  for (const total of [0, 100, 100, 100, 108, 110]) {
    world.socket.say(`${total}`);
    world.advance(250);
  }
  expect(known().rates).toEqual([[108]]);
});

describe('while there is no socket', () => {
  test('the status is read every second', () => {
    world.socket.drop();
    answer('10');
    expect(known()).toMatchObject({ status: 10, live: false });
    world.advance(POLL_MS);
    answer('11');
    expect(known()).toMatchObject({ status: 11, live: false });
  });

  test('one is opened again after a while, and ends the reading when it speaks', () => {
    world.socket.say('10');
    world.socket.drop();
    world.advance(REOPEN_MS - 1);
    expect(world.sockets).toHaveLength(1);
    world.advance(1);
    expect(world.sockets).toHaveLength(2);
    const asked = world.asked.length;
    world.socket.say('12');
    expect(known()).toMatchObject({ status: 12, live: true, unreachable: null });
    world.advance(POLL_TIMEOUT_MS);
    expect(world.asked).toHaveLength(asked);
  });

  test('a node that is silent everywhere is told', () => {
    world.socket.say('10');
    world.socket.drop();
    world.answer(null);
    expect(known()).toMatchObject({
      status: 10,
      live: false,
      unreachable: { sinceMs: world.nowMs, wallTime: world.wallTime() },
    });
  });

  test('failing to open one does not read twice as often', () => {
    world.socket.drop();
    world.advance(REOPEN_MS);
    world.socket.drop();
    expect(world.requests).toHaveLength(1);
  });
});

test('a socket that is silent for too long is left', () => {
  world.socket.say('10');
  world.advance(STREAM_SILENCE_MS - 1);
  world.socket.say('11');
  world.advance(STREAM_SILENCE_MS - 1);
  expect(world.socket.closedWith).toBeNull();
  world.advance(1);
  expect(world.socket.closedWith).toBe(1000);
  expect(world.requests).toHaveLength(1);
});

test('a socket that speaks of something else is left, and not heard any more', () => {
  const { socket } = world;
  socket.say('hello');
  expect(socket.closedWith).toBe(1000);
  socket.say('10');
  socket.drop();
  expect(known().status).toBeNull();
  expect(world.requests).toHaveLength(1);
});
