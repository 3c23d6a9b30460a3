import { expect, test, vi } from 'vitest';
import { createStore } from './store';

test('listeners hear each change, and nothing when there is none', () => {
  const store = createStore('a');
  const listener = vi.fn();
  const stop = store.subscribe(listener);
  store.set('a');
  expect(listener).not.toHaveBeenCalled();
  store.set('b');
  expect(listener).toHaveBeenCalledOnce();
  expect(store.getSnapshot()).toBe('b');
  stop();
  store.set('c');
  expect(listener).toHaveBeenCalledOnce();
});
