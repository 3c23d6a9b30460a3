import { expect, test } from 'vitest';
import { CLOSE_CODES, closeCode } from './closeCodes';
import { golden } from './testing/golden';

test('the table is that of the protocol', () => {
  expect(CLOSE_CODES).toEqual(golden.closeCodes);
});

test.each(CLOSE_CODES)('$code is $name', (known) => {
  expect(closeCode(known.code)).toBe(known);
});

test.each([1005, 1006, 3000, 4999])('after %s one comes back', (code) => {
  expect(closeCode(code)).toMatchObject({ code, reconnect: true });
});
