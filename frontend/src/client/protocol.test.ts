import { describe, expect, test } from 'vitest';
import {
  byteLength,
  type ClientMessage,
  decode,
  decodeAssigned,
  decodeDeclined,
  DEFAULT_LIMITS,
  encode,
} from './protocol';
import { golden } from './testing/golden';

describe('frames of a server', () => {
  test.each(Object.entries(golden.server))('golden example: %s', (_name, frame) => {
    const message = decode(JSON.stringify(frame));
    // Absent becomes null; everything that is there comes through unchanged.
    const present = Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null));
    expect(present).toEqual(frame);
  });

  test('unknown fields are ignored', () => {
    expect(decode('{"type":"pong","colour":"blue"}')).toEqual({ type: 'pong' });
  });

  test('an unknown type is a fault of its own, for servers may grow', () => {
    expect(decode('{"type":"fly"}')).toEqual({ type: 'fault', why: 'unknown_type', of: 'fly' });
  });

  test.each(['hello', '[1,2]', '{"type":"pong"', 'null', '7'])('%s is not a JSON object', (data) => {
    expect(decode(data)).toEqual({ type: 'fault', why: 'not_json' });
  });

  test('a binary message is not JSON', () => {
    expect(decode(new ArrayBuffer(2))).toEqual({ type: 'fault', why: 'not_json' });
  });

  const optional = new Set(['roster', 'joined', 'left', 'room of an error', 'id of an error']);
  const fields = Object.values(golden.server).flatMap((frame) =>
    Object.keys(frame)
      .filter((field) => !optional.has(field) && !optional.has(`${field} of an ${String(frame.type)}`))
      .map((field) => ({ frame, field })),
  );

  test.each(fields)('$frame.type without $field is a fault', ({ frame, field }) => {
    expect(decode(JSON.stringify({ ...frame, [field]: undefined }))).toEqual({
      type: 'fault',
      why: 'wrong_field',
      field,
    });
  });

  test.each(Object.values(golden.server).flatMap((frame) => Object.keys(frame).map((field) => ({ frame, field }))))(
    '$frame.type with a $field of another kind is a fault',
    ({ frame, field }) => {
      expect(decode(JSON.stringify({ ...frame, [field]: null }))).toEqual({ type: 'fault', why: 'wrong_field', field });
    },
  );

  test.each([-1, 1.5, '17', 2 ** 53])('a seq of %s is a fault', (seq) => {
    expect(decode(JSON.stringify({ ...golden.server.ack, seq }))).toMatchObject({ why: 'wrong_field', field: 'seq' });
  });

  test('one bad message spoils the history', () => {
    const frame = { ...golden.server.joined, history: [golden.server.message, 7] };
    expect(decode(JSON.stringify(frame))).toMatchObject({ why: 'wrong_field', field: 'history' });
  });
});

test.each(Object.entries(golden.client))('golden example of a client: %s', (_name, frame) => {
  expect(JSON.parse(encode(frame as unknown as ClientMessage))).toEqual(frame);
});

test('the default limits are those of the protocol', () => {
  expect(DEFAULT_LIMITS).toEqual(golden.limits);
});

test('an assignment needs a url and a node', () => {
  expect(decodeAssigned('{"url":"ws://h:1/ws","node":"app-1","more":1}')).toEqual({
    url: 'ws://h:1/ws',
    node: 'app-1',
  });
  expect(decodeAssigned('{"url":"ws://h:1/ws"}')).toBeNull();
  expect(decodeAssigned('<html>')).toBeNull();
});

test('who is declined is told why, and until when', () => {
  const declined = { error: 'busy', message: 'many come', retry_after_ms: 1_460 };
  expect(decodeDeclined(JSON.stringify(declined))).toEqual({ error: 'busy', retryAfterMs: 1_460 });
  expect(decodeDeclined(JSON.stringify({ ...declined, error: 'full' }))).toBeNull();
  expect(decodeDeclined(JSON.stringify({ ...declined, retry_after_ms: '1' }))).toBeNull();
});

test('limits count bytes of UTF-8', () => {
  expect(byteLength('aé€😀')).toBe(1 + 2 + 3 + 4);
});
