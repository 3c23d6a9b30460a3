import { expect, test } from 'vitest';
import { hasInvisible, isBlank } from './visibility';

test.each([
  ...['\u200b', '\u200d', '\ufeff', '\u00ad', '\u034f', '\u3164', '\u115f', '\uffa0', '\ufe0f', '\u2060', '\u{e0041}'],
  ...['\u061c', '\u200e', '\u202a', '\u202e', '\u2066', '\u2069', '\u2028', '\ufff9'],
])('%j is not seen', (letter) => {
  expect(hasInvisible(`ann${letter}`)).toBe(true);
  expect(isBlank(letter)).toBe(true);
  expect(isBlank(`${letter}.`)).toBe(false);
});

test.each(['a', 'é', '안', 'あ', '😀', 'ª', '\ufffd', 'א', 'ا', 'a b'])('%j is', (text) => {
  expect(hasInvisible(text)).toBe(false);
  expect(isBlank(text)).toBe(false);
});

test('an empty place is no letter', () => {
  for (const text of ['', ' ', '\u00a0\u3000', '\u2800', '\u{1d159}']) expect(isBlank(text)).toBe(true);
});
