import { expect, test } from 'vitest';
import { Pace } from './pace';

test('a burst, then the rate, and never more than the burst saved up', () => {
  const pace = new Pace(10, 3, 0);
  const taken = (now: number) => [0, 1, 2, 3].map(() => pace.take(now)).filter(Boolean).length;
  expect(taken(0)).toBe(3);
  expect(pace.waitMs).toBe(100);
  expect(taken(99)).toBe(0);
  expect(taken(100)).toBe(1);
  expect(taken(60_000)).toBe(3);
});
