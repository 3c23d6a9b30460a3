import { expect, test } from 'vitest';
import { comeback, isLeft } from './comeback';
import type { Ending } from './connection';

const closed = (code: number): Ending => ({ kind: 'closed', code });

test.each<[Ending, string, number]>([
  [{ kind: 'unreachable' }, 'no_balancer', 8_000],
  [{ kind: 'unavailable', retryAfterMs: 730 }, 'no_server', 730 + 2_000],
  [{ kind: 'dead' }, 'lost', 1_000],
  [closed(1006), 'lost', 1_000],
  [closed(1013), 'lost', 1_000],
])('after %o it tries again: %s, %d ms', (ending, trouble, delayMs) => {
  expect(comeback(ending, 2, 0.5)).toEqual({ kind: 'retry', trouble, delayMs, attempt: 3 });
});

test('a turn is kept to the millisecond, and is no failure', () => {
  expect(comeback({ kind: 'busy', retryAfterMs: 1_460 }, 2, 0.5)).toEqual({
    ...{ kind: 'retry', trouble: 'busy', delayMs: 1_460, attempt: 2 },
  });
});

test('who is thrown out stays away', () => {
  expect(comeback(closed(1008), 0, 0.5)).toMatchObject({ kind: 'stop', code: 1008 });
});

test.each<[Ending, boolean]>([
  [{ kind: 'dead' }, true],
  [closed(1006), true],
  [closed(1001), true],
  [closed(1013), false],
  [closed(4000), false],
  [{ kind: 'unreachable' }, false],
  [{ kind: 'busy', retryAfterMs: 1 }, false],
])('%o: the server went away = %s', (ending, left) => {
  expect(isLeft(ending)).toBe(left);
});
