import { describe, expect, test } from 'vitest';
import { goldenStatus } from '../client/testing/golden';
import { decodeBalancer, decodeServer } from './status';

/** The names of the wire, as this page calls them. */
function camel(value: unknown, path = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => camel(item, path));
  if (typeof value !== 'object' || value === null) return value;
  const counts = path === 'totals' || path === 'heartbeats';
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      counts ? key : key.replace(/_(.)/g, (_match, letter: string) => letter.toUpperCase()),
      camel(item, key),
    ]),
  );
}

/** Absent becomes null; everything that is there comes through unchanged. */
function present(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_key, item: unknown) => item ?? undefined));
}

describe.each([
  ['app', decodeServer],
  ['balancer', decodeBalancer],
] as const)('%s', (role, decode) => {
  const golden = goldenStatus[role];

  test('the golden example is read whole', () => {
    expect(camel(golden)).toMatchObject(present(decode(JSON.stringify(golden))) as object);
    expect(decode(JSON.stringify(golden))).not.toBeNull();
  });

  test.each(Object.keys(golden).filter((field) => field !== 'role' && field !== 'url'))(
    'nothing without %s',
    (field) => {
      expect(decode(JSON.stringify({ ...golden, [field]: undefined }))).toBeNull();
    },
  );

  test.each(['', 'null', '[]', '<html>'])('%s is no status', (body) => {
    expect(decode(body)).toBeNull();
  });
});
