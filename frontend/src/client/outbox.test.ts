import { expect, test } from 'vitest';
import { ACK_TIMEOUT_MS, due, failed, nextDueMs, putOff, remove, restart, sent, write } from './outbox';

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

test('a send that is put off waits longer each time, and those behind it wait with it', () => {
  const wait = (refusals: number) => 100 * 2 ** refusals;
  const once = putOff(sent(two, 'a', 0), 'a', 10, wait);
  expect(due(once, 109)).toBeUndefined();
  expect(nextDueMs(once)).toBe(110);
  expect(due(once, 110)?.id).toBe('a');
  expect(due(sent(once, 'a', 110), 110)?.id).toBe('b');
  const twice = putOff(sent(once, 'a', 110), 'a', 120, wait);
  expect(nextDueMs(twice)).toBe(320);
  expect(due(restart(twice), 120)?.id).toBe('a');
  expect(nextDueMs(putOff(restart(twice), 'a', 120, wait))).toBe(220);
});

test('those before one that is put off do not wait for it', () => {
  const off = putOff(sent(sent(two, 'a', 0), 'b', 0), 'b', 0, () => 2 * ACK_TIMEOUT_MS);
  expect(due(off, ACK_TIMEOUT_MS)?.id).toBe('a');
});
