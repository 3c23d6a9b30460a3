import { expect, test } from 'vitest';
import { DEFAULT_LIMITS, type Link } from '../client';
import { linkWords } from './linkWords';

const place = { node: 'app-2', url: 'ws://localhost:5002/ws', balancer: 'http://localhost:7001' };
const online = { phase: 'online', place, session: 's', limits: DEFAULT_LIMITS, degraded: false } as const;

test.each<[Link, string, string | null]>([
  [{ phase: 'idle' }, 'Not connected', null],
  [{ phase: 'connecting', trouble: null, place: null }, 'Connecting', null],
  [{ phase: 'connecting', trouble: 'lost', place }, 'Reconnecting', null],
  [{ phase: 'connecting', trouble: 'no_balancer', place: null }, 'No balancer reachable', 'Try now'],
  [online, 'Connected to app-2', null],
  [{ ...online, degraded: true }, 'This server is cut off from the others', null],
  [{ phase: 'waiting', trouble: 'lost', retryMs: 0 }, 'Reconnecting', null],
  [{ phase: 'waiting', trouble: 'no_balancer', retryMs: 0 }, 'No balancer reachable', 'Try now'],
  [{ phase: 'waiting', trouble: 'no_server', retryMs: 0 }, 'No server available', 'Try now'],
  [{ phase: 'waiting', trouble: 'busy', retryMs: 0 }, 'Many are connecting', null],
  [{ phase: 'connecting', trouble: 'busy', place: null }, 'Many are connecting', null],
  [{ phase: 'stopped', code: 1008, meaning: 'too fast' }, 'Disconnected', 'Reconnect'],
])('%o is "%s"', (link, label, action) => {
  expect(linkWords(link, 0)).toMatchObject({ label, action });
});

test('the wait is counted down, and never below nothing', () => {
  const link = { phase: 'waiting', trouble: 'no_server', retryMs: 4_200 } as const;
  expect(linkWords(link, 1_000).detail).toContain('in 4 s');
  expect(linkWords(link, 9_000).detail).toContain('in 0 s');
});

test('a client that has a turn is told when', () => {
  const link = { phase: 'waiting', trouble: 'busy', retryMs: 1_460 } as const;
  expect(linkWords(link, 0).detail).toContain('Your turn is in 2 s.');
});

test('when no balancer was of use the user learns how hard that was tried', () => {
  const link = { phase: 'waiting', trouble: 'no_balancer', retryMs: 4_000 } as const;
  expect(linkWords(link, 0).detail).toContain('Each was tried three times. Next try in 4 s.');
});
