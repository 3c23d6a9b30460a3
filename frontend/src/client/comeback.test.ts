import { expect, test } from 'vitest';
import { comeback, isLeft } from './comeback';
import type { Ending } from './connection';
import type { Trouble } from './link';

const closed = (code: number): Ending => ({ kind: 'closed', code, unopened: null });

const dead: Ending = { kind: 'dead', unopened: null };
const unreachable: Ending = { kind: 'unreachable', why: { kind: 'no_balancer' } };

test.each<[Ending, Trouble, number]>([
  [unreachable, { kind: 'no_balancer' }, 8_000],
  [{ kind: 'unavailable', retryAfterMs: 730 }, { kind: 'no_server' }, 730 + 2_000],
  [dead, { kind: 'lost' }, 1_000],
  [closed(1006), { kind: 'lost' }, 1_000],
  [closed(1013), { kind: 'lost' }, 1_000],
])('after %o it tries again: %o, %d ms', (ending, trouble, delayMs) => {
  expect(comeback(ending, 2, 0.5)).toEqual({ kind: 'retry', trouble, delayMs, attempt: 3 });
});

test('a turn is kept to the millisecond, and is no failure', () => {
  expect(comeback({ kind: 'busy', retryAfterMs: 1_460 }, 2, 0.5)).toEqual({
    ...{ kind: 'retry', trouble: { kind: 'busy' }, delayMs: 1_460, attempt: 2 },
  });
});

test('who is thrown out stays away', () => {
  expect(comeback(closed(1008), 0, 0.5)).toMatchObject({ kind: 'stop', code: 1008 });
});

test.each<[Ending, boolean]>([
  [dead, true],
  [closed(1006), true],
  [closed(1001), true],
  [closed(1013), false],
  [closed(4000), false],
  [unreachable, false],
  [{ kind: 'busy', retryAfterMs: 1 }, false],
])('%o: the server went away = %s', (ending, left) => {
  expect(isLeft(ending)).toBe(left);
});
