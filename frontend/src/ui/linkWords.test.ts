import { expect, test } from 'vitest';
import { DEFAULT_LIMITS, type Link, type Trouble } from '../client';
import { linkWords } from './linkWords';

const place = { node: 'app-2', url: 'ws://localhost:5002/ws', balancer: 'http://localhost:7001' };
const online = {
  phase: 'online',
  place,
  session: 's',
  limits: DEFAULT_LIMITS,
  degraded: false,
  checking: false,
  offline: false,
} as const;

test.each<[Link, string, string | null]>([
  [{ phase: 'idle' }, 'Not connected', null],
  [{ phase: 'connecting', trouble: null, place: null }, 'Connecting', null],
  [{ phase: 'connecting', trouble: { kind: 'lost' }, place }, 'Reconnecting', null],
  [{ phase: 'connecting', trouble: { kind: 'no_balancer' }, place: null }, 'No balancer reachable', 'Try now'],
  [online, 'Connected to app-2', null],
  [{ ...online, checking: true }, 'Checking the connection', null],
  [{ ...online, offline: true }, 'You are offline', null],
  [{ phase: 'waiting', trouble: { kind: 'offline' }, retryMs: 0 }, 'You are offline', null],
  [{ phase: 'connecting', trouble: { kind: 'offline' }, place: null }, 'You are offline', null],
  [{ ...online, degraded: true }, 'This server is cut off from the others', null],
  [{ phase: 'waiting', trouble: { kind: 'lost' }, retryMs: 0 }, 'Reconnecting', null],
  [{ phase: 'waiting', trouble: { kind: 'no_balancer' }, retryMs: 0 }, 'No balancer reachable', 'Try now'],
  [{ phase: 'waiting', trouble: { kind: 'no_server' }, retryMs: 0 }, 'No server available', 'Try now'],
  [{ phase: 'waiting', trouble: { kind: 'busy' }, retryMs: 0 }, 'Many are connecting', null],
  [{ phase: 'connecting', trouble: { kind: 'busy' }, place: null }, 'Many are connecting', null],
  [{ phase: 'stopped', code: 1008, meaning: 'too fast' }, 'Disconnected', 'Reconnect'],
])('%o is "%s"', (link, label, action) => {
  expect(linkWords(link, 0)).toMatchObject({ label, action });
});

test('the wait is counted down, and never below nothing', () => {
  const link = { phase: 'waiting', trouble: { kind: 'no_server' }, retryMs: 4_200 } as const;
  expect(linkWords(link, 1_000).detail).toContain('in 4 s');
  expect(linkWords(link, 9_000).detail).toContain('in 0 s');
});

test('a client that has a turn is told when', () => {
  const link = { phase: 'waiting', trouble: { kind: 'busy' }, retryMs: 1_460 } as const;
  expect(linkWords(link, 0).detail).toContain('Your turn is in 2 s.');
});

test('when no balancer was of use the user learns how hard that was tried', () => {
  const link = { phase: 'waiting', trouble: { kind: 'no_balancer' }, retryMs: 4_000 } as const;
  expect(linkWords(link, 0).detail).toContain('Each was tried three times. Next try in 4 s.');
});

const waiting = (trouble: Trouble) => linkWords({ phase: 'waiting', trouble, retryMs: 0 }, 0);

test.each<[Trouble, RegExp]>([
  [
    { kind: 'insecure', url: 'ws://app-1/ws?ticket=s3cret' },
    /^This page is HTTPS, the server is not: ws:\/\/app-1\/ws\./,
  ],
  [{ kind: 'no_socket', url: 'ws://app-1:5001/ws' }, /^app-1:5001 does not open one\. .*cookies/],
  [
    { kind: 'balancer_error', balancer: 'http://lb-1:7001', status: 431, message: 'more than 16 KiB' },
    /^lb-1:7001 answered 431: more than 16 KiB\. .*cookies/,
  ],
  [
    { kind: 'balancer_error', balancer: 'http://lb-1:7001', status: 502, message: null },
    /^lb-1:7001 answered 502\. Next/,
  ],
  [{ kind: 'balancer_error', balancer: 'http://lb-1:7001', status: 200, message: null }, /^What is at lb-1:7001 is no/],
  [
    { kind: 'balancer_error', balancer: 'http://lb-1:7001', status: 0, message: null },
    /^lb-1:7001 answers, but .*cookies/,
  ],
])('%o is told with what to do', (trouble, words) => {
  expect(waiting(trouble).detail).toMatch(words);
  expect(waiting(trouble).action).toBe('Try now');
});

test('a ticket is not shown', () => {
  expect(waiting({ kind: 'insecure', url: 'ws://app-1/ws?ticket=s3cret' }).detail).not.toContain('s3cret');
});
