import { expect, test } from 'vitest';
import { memory } from './memory';

function storage(): Storage {
  const kept = new Map<string, string>();
  return {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  } as Storage;
}

const blocked = () => {
  throw new DOMException('access is denied', 'SecurityError');
};

const full = (): Storage =>
  Object.assign(storage(), {
    setItem: () => {
      throw new DOMException('it is full', 'QuotaExceededError');
    },
  });

test.each([
  ['one that works', storage()],
  ['one that is full', full()],
])('%s is remembered by', (_what, kept) => {
  const remembered = memory(() => kept);
  remembered.set('a', '1');
  expect(remembered.get('a')).toBe('1');
  remembered.remove('a');
  expect(remembered.get('a')).toBeNull();
});

test('what is blocked is remembered by the page', () => {
  const remembered = memory(blocked);
  expect(remembered.get('a')).toBeNull();
  remembered.set('a', '1');
  expect(remembered.get('a')).toBe('1');
  remembered.remove('a');
  expect(remembered.get('a')).toBeNull();
});

test('what another page has written is seen', () => {
  const kept = storage();
  const remembered = memory(() => kept);
  remembered.set('a', '1');
  kept.setItem('a', '2');
  expect(remembered.get('a')).toBe('2');
});
