import { expect, test } from 'vitest';
import { QUICKEST_MS, Redraws, SLOWEST_MS } from './redraws';

function waitAt(rate: number): number {
  const redraws = new Redraws(0);
  for (let count = 1; count <= 3 * rate; count += 1) redraws.note((count * 1_000) / rate);
  return redraws.waitMs;
}

test.each([
  [5, QUICKEST_MS],
  [15, QUICKEST_MS],
  [300, 114],
  [2_000, SLOWEST_MS],
])('%d changes a second are drawn every %d ms', (rate, waitMs) =>
  expect(Math.abs(waitAt(rate) - waitMs)).toBeLessThan(3),
);

test('after a storm the first change is drawn at once', () => {
  const redraws = new Redraws(0);
  for (let now = 1; now <= 2_000; now += 1) redraws.note(now);
  redraws.note(10_000);
  expect(redraws.waitMs).toBe(QUICKEST_MS);
});
