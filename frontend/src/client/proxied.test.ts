import { beforeEach, describe, expect, test } from 'vitest';
import { ANSWER_TIMEOUT_MS, type Way } from './entrance';
import { NEXT_PROXY_MS, proxied } from './proxied';
import type { Result } from './race';
import { FakeEnvironment } from './testing/fakeEnvironment';

const BALANCERS = ['http://lb-1', 'https://lb-2', 'http://lb-3'];
let world: FakeEnvironment;
let results: Result<Way>[];

beforeEach(() => {
  world = new FakeEnvironment();
  results = [];
});

const start = (balancers = BALANCERS) => proxied(balancers)(world, null, (result) => results.push(result));
/** The socket does not open, and neither is the question why answered. */
const refuse = () => {
  world.socket.drop();
  world.answer(null);
};
const urls = () => world.sockets.map(({ url }) => url);

test('a socket at a balancer is the way', () => {
  start(['https://lb-2']);
  expect(world.asked).toEqual([]);
  expect(world.socket).toMatchObject({ url: 'wss://lb-2/ws', protocol: 'distr-chat.v1' });
  world.socket.open();
  expect(results).toMatchObject([{ kind: 'won', prize: { balancer: 'https://lb-2', server: null } }]);
});

test('who takes the way hears what comes, and sends', () => {
  proxied(['http://lb-1'])(world, null, (result) => {
    if (result.kind !== 'won') throw new Error(result.kind);
    const heard: unknown[] = [];
    const socket = result.prize.open({
      opened: () => heard.push('opened'),
      received: (data) => heard.push(data),
      closed: (code) => heard.push(code),
    });
    world.after(0, () => {
      socket.send('{}');
      world.socket.say('hello');
      world.socket.drop(1001);
      expect(heard).toEqual(['hello', 1001]);
      expect(world.socket.sent).toEqual([{}]);
    });
  });
  world.socket.open();
  world.advance(ANSWER_TIMEOUT_MS);
  expect.assertions(2);
});

describe('when a balancer is of no use', () => {
  test('the next one is tried at once when it does not connect', () => {
    start();
    refuse();
    expect(urls()).toHaveLength(2);
    expect(new Set(urls()).size).toBe(2);
    expect(results).toEqual([]);
  });

  test('the next one is tried after a second when it keeps us waiting; the first to open wins', () => {
    start();
    world.advance(NEXT_PROXY_MS - 1);
    expect(world.sockets).toHaveLength(1);
    world.advance(1);
    const [slow, quick] = world.sockets;
    quick?.open();
    expect(results).toMatchObject([{ kind: 'won' }]);
    expect(slow?.closedWith).toBe(1000);
    slow?.open();
    slow?.drop();
    world.advance(60_000);
    expect(results).toHaveLength(1);
    expect(quick?.closedWith).toBeNull();
  });

  test('each is tried three times, in rounds with a wait between them', () => {
    world.chances = [0.5];
    start();
    for (const round of [1, 2, 3]) {
      BALANCERS.forEach(refuse);
      expect(world.sockets).toHaveLength(3 * round);
      if (round < 3) world.advance(1_000);
    }
    expect(results).toEqual([{ kind: 'unreachable', why: { kind: 'no_balancer' } }]);
    expect(BALANCERS.map((_balancer, n) => urls().filter((url) => url.includes(`lb-${n + 1}/`)).length)).toEqual([
      3, 3, 3,
    ]);
  });

  test('one that never answers is given up, and is not heard any more', () => {
    start(['http://lb-1']);
    const { socket } = world;
    world.advance(ANSWER_TIMEOUT_MS);
    expect(socket.closedWith).toBe(1000);
    expect(world.asked).toEqual(['http://lb-1/assign']);
    socket.drop();
    world.advance(60_000);
    expect(world.sockets).toHaveLength(3);
    expect(results).toEqual([{ kind: 'unreachable', why: { kind: 'no_balancer' } }]);
  });

  test('a cancel ends it without a word', () => {
    const cancel = start();
    cancel();
    expect(world.socket.closedWith).toBe(1000);
    world.socket.drop();
    world.advance(60_000);
    expect(world.sockets).toHaveLength(1);
    expect(results).toEqual([]);
  });

  test('a balancer that answers questions and opens no socket is told apart from one that is gone', () => {
    start(['http://lb-1']);
    for (let round = 0; round < 3; round += 1) {
      world.socket.drop();
      world.assign('app-1');
      world.advance(1_000);
    }
    expect(results).toEqual([{ kind: 'unreachable', why: { kind: 'no_socket', url: 'ws://lb-1/ws' } }]);
  });

  test('a balancer that has no server, or gives a turn, says so', () => {
    start(['http://lb-1']);
    world.socket.drop();
    world.decline('busy', 1_460);
    expect(results).toEqual([{ kind: 'busy', retryAfterMs: 1_460 }]);
  });
});
