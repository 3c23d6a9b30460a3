import { expect, test } from 'vitest';
import { duration, hostOf, pageOf, plural } from './format';

test.each([
  [0, '0 s'],
  [12, '12 s'],
  [60, '1 min'],
  [125, '2 min 5 s'],
  [7_500, '2 h 5 min'],
  [86_400, '1 d'],
])('%d seconds are %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

test('addresses', () => {
  expect(hostOf('http://localhost:7001')).toBe('localhost:7001');
  expect(hostOf('nonsense')).toBe('nonsense');
  expect(pageOf('ws://localhost:5001/ws?via=lb-1')).toBe('http://localhost:5001/');
  expect(pageOf('wss://chat.example/ws')).toBe('https://chat.example/');
});

test('numbers of things', () => {
  expect(plural(1, 'person', 'people')).toBe('1 person');
  expect(plural(5_001, 'person', 'people')).toBe('5,001 people');
});
