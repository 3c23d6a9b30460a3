import { expect, test } from 'vitest';
import { fullJitter } from './backoff';

const backoff = { baseMs: 500, capMs: 10_000 };

test.each([
  [0, 0, 0],
  [0, 0.5, 250],
  [1, 0.5, 500],
  [4, 0.5, 4_000],
  [5, 0.5, 5_000],
  [5_000, 0.5, 5_000],
])('attempt %d with chance %d waits %d ms', (attempt, random, delayMs) => {
  expect(fullJitter(backoff, attempt, random)).toBe(delayMs);
});
