import { beforeEach, describe, expect, test } from 'vitest';
import { direct, NEXT_BALANCER_MS } from './direct';
import { ANSWER_TIMEOUT_MS, type Way } from './entrance';
import type { Result } from './race';
import { FakeEnvironment, UNAVAILABLE } from './testing/fakeEnvironment';

const BALANCERS = ['http://lb-1', 'http://lb-2', 'http://lb-3'];
let world: FakeEnvironment;
let results: Result<Way>[];

beforeEach(() => {
  world = new FakeEnvironment();
  results = [];
});

const start = (balancers = BALANCERS, avoid: string | null = null) =>
  direct(balancers)(world, avoid, (result) => results.push(result));
const open = () => world.requests.map(({ url }) => url);

describe('the race', () => {
  test('the first good answer wins and ends the other tries', () => {
    start();
    world.advance(NEXT_BALANCER_MS);
    expect(world.requests).toHaveLength(2);
    const [slow, quick] = world.asked;
    world.requests[1]?.answer({ status: 200, retryAfter: null, body: '{"url":"ws://a","node":"app-1"}' });
    expect(results).toMatchObject([
      {
        kind: 'won',
        prize: { balancer: quick?.replace('/assign', ''), server: { url: 'ws://a', node: 'app-1' } },
      },
    ]);
    expect(open()).not.toContain(slow);
    world.advance(60_000);
    expect(world.asked).toHaveLength(2);
  });

  test('the next one is asked 250 ms after the last, not earlier', () => {
    start();
    world.advance(NEXT_BALANCER_MS - 1);
    expect(world.asked).toHaveLength(1);
    world.advance(1);
    expect(world.asked).toHaveLength(2);
    world.advance(NEXT_BALANCER_MS);
    expect(new Set(world.asked).size).toBe(3);
  });

  test('the next one is asked at once when one failed', () => {
    start();
    world.answer(null);
    expect(world.asked).toHaveLength(2);
    expect(results).toEqual([]);
  });

  test.each([
    ['an error', { status: 500, retryAfter: null, body: '' }],
    ['something else than an assignment', { status: 200, retryAfter: null, body: '<html>' }],
  ])('%s is a failure too', (_name, answer) => {
    start();
    world.answer(answer);
    expect(world.asked).toHaveLength(2);
  });

  test('chance decides the order', () => {
    const orders = [0, 0.4, 0.9].map((chance) => {
      world = new FakeEnvironment();
      world.chances = [chance];
      start();
      world.advance(2 * NEXT_BALANCER_MS);
      return world.asked.join();
    });
    expect(new Set(orders).size).toBe(3);
  });

  test('a server that went away is not wanted', () => {
    start(['http://lb-1'], 'app 1&2');
    expect(world.asked).toEqual(['http://lb-1/assign?not=app%201%262']);
  });

  test('the way leads to the server, in the sub-protocol', () => {
    start(['http://lb-1']);
    world.assign('app-1');
    const [result] = results;
    if (result?.kind !== 'won') throw new Error('no way');
    result.prize.open({ opened: () => undefined, received: () => undefined, closed: () => undefined });
    expect(world.socket).toMatchObject({ url: 'ws://app-1/ws?via=lb-1', protocol: 'distr-chat.v1' });
  });

  test('a cancel ends it without a word', () => {
    const cancel = start();
    cancel();
    world.advance(60_000);
    expect(world.asked).toHaveLength(1);
    expect(results).toEqual([]);
  });
});

describe('when nobody helps', () => {
  const tries = () => BALANCERS.map((balancer) => world.asked.filter((url) => url.startsWith(balancer)).length);

  test('each balancer is tried three times, with a wait between the rounds', () => {
    world.chances = [0.5];
    start();
    for (const round of [1, 2, 3]) {
      for (const balancer of BALANCERS) {
        expect(balancer).toBeTruthy();
        world.answer(null);
      }
      expect(world.asked).toHaveLength(3 * round);
      if (round < 3) {
        expect(results).toEqual([]);
        world.advance(1_000);
      }
    }
    expect(tries()).toEqual([3, 3, 3]);
    expect(results).toEqual([{ kind: 'unreachable', why: { kind: 'no_balancer' } }]);
  });

  test('balancers that never answer are given up, too', () => {
    start();
    world.advance(3 * (2 * NEXT_BALANCER_MS + ANSWER_TIMEOUT_MS));
    expect(tries()).toEqual([3, 3, 3]);
    expect(results).toEqual([{ kind: 'unreachable', why: { kind: 'no_balancer' } }]);
  });

  test('no server: each is asked once, and the longest wait is kept', () => {
    start();
    world.answer(UNAVAILABLE);
    world.answer({ ...UNAVAILABLE, retryAfter: '7' });
    world.answer(UNAVAILABLE);
    expect(results).toEqual([{ kind: 'unavailable', retryAfterMs: 7_000 }]);
    expect(tries()).toEqual([1, 1, 1]);
  });

  test('no server is known, though the other balancers are gone', () => {
    start();
    world.answer(UNAVAILABLE);
    while (results.length === 0) {
      if (world.requests.length > 0) world.answer(null);
      else world.advance(1_000);
    }
    expect(tries().toSorted()).toEqual([1, 3, 3]);
    expect(results).toEqual([{ kind: 'unavailable', retryAfterMs: 1_000 }]);
  });

  test.each([
    [null, 1_500],
    ['soon', 1_500],
    ['-1', 1_500],
    ['7', 7_500],
    ['86400', 60_000],
  ])('Retry-After %s waits %d ms, a part of a second of it by chance', (retryAfter, retryAfterMs) => {
    world.chances = [0.5];
    start(['http://lb-1']);
    world.answer({ ...UNAVAILABLE, retryAfter });
    expect(results).toEqual([{ kind: 'unavailable', retryAfterMs }]);
  });

  test('the wait that a balancer tells is exact', () => {
    world.chances = [0.5];
    start(['http://lb-1']);
    world.decline('unavailable', 730);
    expect(results).toEqual([{ kind: 'unavailable', retryAfterMs: 730 }]);
  });

  test('a turn ends the race: the others would only give another one', () => {
    start();
    world.advance(NEXT_BALANCER_MS);
    world.decline('busy', 1_460);
    expect(results).toEqual([{ kind: 'busy', retryAfterMs: 1_460 }]);
    expect(open()).toEqual([]);
    world.advance(60_000);
    expect(world.asked).toHaveLength(2);
  });

  test('a balancer that is leaving is as good as gone', () => {
    start();
    world.decline('draining', 310);
    expect(world.asked).toHaveLength(2);
    world.answer(UNAVAILABLE);
    world.answer(UNAVAILABLE);
    while (results.length === 0) {
      if (world.requests.length > 0) world.decline('draining', 310);
      else world.advance(1_000);
    }
    expect(tries().toSorted()).toEqual([1, 1, 3]);
    expect(results).toEqual([{ kind: 'unavailable', retryAfterMs: 1_000 }]);
  });

  test.each([
    { error: 'busy', message: '…' },
    { error: 'full', message: '…', retry_after_ms: 10 },
    { error: 'unavailable', retry_after_ms: -1 },
  ])('what is not of the protocol, as %j, goes by the header', (body) => {
    start(['http://lb-1']);
    world.answer({ status: 503, retryAfter: '9', body: JSON.stringify(body) });
    expect(results).toEqual([{ kind: 'unavailable', retryAfterMs: 9_000 }]);
  });

  test('without balancers none is reachable', () => {
    start([]);
    world.advance(60_000);
    expect(results).toEqual([{ kind: 'unreachable', why: { kind: 'no_balancer' } }]);
  });
});
