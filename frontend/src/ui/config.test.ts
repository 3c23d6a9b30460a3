import { expect, test } from 'vitest';
import { FakeEnvironment } from '../client/testing/fakeEnvironment';
import { decodeConfig, loadConfig } from './config';

test('asks until the frontend server answers', () => {
  const world = new FakeEnvironment();
  const store = loadConfig(world);
  expect(store.getSnapshot()).toEqual({ state: 'loading' });
  world.answer(null);
  expect(store.getSnapshot()).toEqual({ state: 'failing' });
  world.advance(2_000);
  world.answer({ status: 200, retryAfter: null, body: '{"balancers":["http://localhost:7001/"]}' });
  expect(store.getSnapshot()).toEqual({ state: 'loaded', balancers: ['http://localhost:7001'], proxy: false });
  world.advance(60_000);
  expect(world.asked).toHaveLength(2);
});

test('browsers may be wanted at the balancers only', () => {
  expect(decodeConfig('{"balancers":[],"proxy":true}')).toEqual({ balancers: [], proxy: true });
});

test.each(['', '{}', '{"balancers":7}', '{"balancers":[7]}', '{"balancers":[],"proxy":1}'])(
  '%s is no configuration',
  (body) => {
    expect(decodeConfig(body)).toBeNull();
  },
);
