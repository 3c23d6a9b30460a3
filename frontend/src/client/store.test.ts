import { expect, test, vi } from 'vitest';
import { createStore } from './store';

test('listeners hear each change, and nothing when there is none', () => {
  const store = createStore('a', vi.fn());
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

test('a listener that throws is reported, and stops nobody', () => {
  const report = vi.fn();
  const store = createStore('a', report);
  const fault = new Error('of the application');
  const listener = vi.fn();
  store.subscribe(() => {
    throw fault;
  });
  store.subscribe(listener);
  store.set('b');
  expect(listener).toHaveBeenCalledOnce();
  expect(report).toHaveBeenCalledWith(fault);
});
