import { expect, test } from 'vitest';
import { isMixedContent } from './mixedContent';

test.each([
  ['https://chat.example/', 'ws://app.example:5001/ws', true],
  ['https://chat.example/', 'http://lb.example:7001', true],
  ['https://chat.example/', 'wss://app.example/ws', false],
  ['https://chat.example/', 'https://lb.example', false],
  ['http://chat.example/', 'ws://app.example/ws', false],
  ['https://chat.example/', 'ws://localhost:5001/ws', false],
  ['https://chat.example/', 'ws://app.localhost/ws', false],
  ['https://chat.example/', 'ws://127.0.0.1:5001/ws', false],
  ['https://chat.example/', 'ws://[::1]:5001/ws', false],
  ['https://chat.example/', 'ws://127.0.0.1.example/ws', true],
  ['https://chat.example/', 'no address', false],
])('at %s, %s is mixed content: %s', (page, url, mixed) => expect(isMixedContent(page, url)).toBe(mixed));
