import { expect, test } from 'vitest';
import { FakeEnvironment } from '../client/testing/fakeEnvironment';
import { poll, POLL_MS, POLL_TIMEOUT_MS } from './poll';
import { rate } from './rates';
import { SAMPLES_MAX, Watch } from './watch';

const reading = {
  decode: (body: unknown) => (body === '' ? null : Number(body)),
  counters: (total: number) => [total],
};

function start() {
  const world = new FakeEnvironment();
  const watch = new Watch(world, reading);
  const cancel = poll(world, '/status', watch);
  const { store } = watch;
  const answer = (body: string, status = 200) => {
    world.answer({ status, retryAfter: null, body });
    world.advance(POLL_MS);
  };
  return { world, store, answer, cancel };
}

test('each second a status, and from the second one on a rate', () => {
  const { store, answer, world } = start();
  answer('10');
  expect(store.getSnapshot()).toEqual({ status: 10, live: false, unreachable: null, rates: [[]] });
  answer('15');
  answer('15');
  expect(store.getSnapshot()).toMatchObject({ status: 15, rates: [[5, 0]] });
  for (let total = 16; total < 200; total += 1) answer(`${total}`);
  expect(store.getSnapshot().rates[0]).toHaveLength(SAMPLES_MAX);
  expect(new Set(world.asked)).toEqual(new Set(['/status']));
});

test('a slow answer does not make two questions at once', () => {
  const { world } = start();
  world.advance(POLL_MS);
  expect(world.asked).toHaveLength(1);
  world.assign('app-1');
  world.advance(0);
  expect(world.asked).toHaveLength(2);
});

test('a cancel ends it, between two questions and while one is open', () => {
  for (const answers of [1, 0]) {
    const { world, cancel } = start();
    if (answers > 0) world.answer({ status: 200, retryAfter: null, body: '10' });
    cancel();
    world.advance(60_000);
    expect(world.asked).toHaveLength(1);
  }
});

test('silence is told since when, keeps what was known, and passes', () => {
  const { world, store, answer } = start();
  answer('10');
  const sinceMs = world.nowMs + POLL_TIMEOUT_MS;
  world.advance(3 * POLL_TIMEOUT_MS);
  expect(store.getSnapshot()).toMatchObject({ status: 10, unreachable: { sinceMs } });
  answer('12');
  expect(store.getSnapshot()).toMatchObject({ status: 12, unreachable: null });
});

test.each([
  ['', 200],
  ['10', 500],
])('an answer of "%s" with %d is silence', (body, code) => {
  const { store, answer } = start();
  answer(body, code);
  expect(store.getSnapshot()).toMatchObject({ status: null, rates: [] });
  expect(store.getSnapshot().unreachable).not.toBeNull();
});

test('a counter that was started anew has no rate', () => {
  expect(rate(100, 3, 1_000)).toBeNull();
  expect(rate(3, 3, 0)).toBeNull();
  expect(rate(3, 13, 2_000)).toBe(5);
});
