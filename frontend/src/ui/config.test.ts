import { expect, test } from 'vitest';
import { FakeEnvironment } from '../client/testing/fakeEnvironment';
import { decodeBalancers, loadConfig } from './config';

test('asks until the frontend server answers', () => {
  const world = new FakeEnvironment();
  const store = loadConfig(world);
  expect(store.getSnapshot()).toEqual({ state: 'loading' });
  world.answer(null);
  expect(store.getSnapshot()).toEqual({ state: 'failing' });
  world.advance(2_000);
  world.answer({ status: 200, retryAfter: null, body: '{"balancers":["http://localhost:7001/"]}' });
  expect(store.getSnapshot()).toEqual({ state: 'loaded', balancers: ['http://localhost:7001'] });
  world.advance(60_000);
  expect(world.asked).toHaveLength(2);
});

test.each(['', '{}', '{"balancers":7}', '{"balancers":[7]}'])('%s is no configuration', (body) => {
  expect(decodeBalancers(body)).toBeNull();
});
