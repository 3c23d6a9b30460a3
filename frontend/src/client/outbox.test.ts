import { expect, test } from 'vitest';
import { ACK_TIMEOUT_MS, due, failed, nextDueMs, remove, restart, sent, write } from './outbox';

const two = write(write([], 'a', 'one'), 'b', 'two');

test('what was never sent is due at once, the oldest first', () => {
  expect(due(two, 0)?.id).toBe('a');
  expect(due(sent(two, 'a', 0), 0)?.id).toBe('b');
});

test('a send whose ack is late is due again', () => {
  const waiting = sent(sent(two, 'a', 100), 'b', 200);
  expect(nextDueMs(waiting)).toBe(100 + ACK_TIMEOUT_MS);
  expect(due(waiting, 99 + ACK_TIMEOUT_MS)).toBeUndefined();
  expect(due(waiting, 100 + ACK_TIMEOUT_MS)?.id).toBe('a');
});

test('on a new connection all are due again', () => {
  expect(due(restart(sent(two, 'a', 100)), 100)?.id).toBe('a');
});

test('what a server refused is never due', () => {
  const refused = failed(two, 'a', { code: 'text_too_long', message: '…' });
  expect(due(refused, 0)?.id).toBe('b');
  expect(nextDueMs(remove(refused, 'b'))).toBe(Infinity);
});
