import { expect, test } from 'vitest';
import { browserEnvironment } from './browserEnvironment';

test('a secret is 128 bits in hex, and each is another one', () => {
  const secrets = Array.from({ length: 100 }, () => browserEnvironment.secret());
  for (const secret of secrets) expect(secret).toMatch(/^[0-9a-f]{32}$/);
  expect(new Set(secrets).size).toBe(100);
});
