// @vitest-environment happy-dom
import { act, cleanup, fireEvent, render, screen } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { write } from '../client/outbox';
import { createRoom, received } from '../client/room';
import type { Room } from '../client';
import { MessageList } from './MessageList';

afterEach(cleanup);

const LINE_PX = 50;
const VIEW_PX = 200;

const say = (room: Room, seq: number) =>
  received(room, {
    type: 'message',
    room: 'lobby',
    from: 'bob',
    text: `${seq}`,
    time: seq,
    stream: 's',
    seq,
    id: `${seq}`,
  });

/** A list in a browser that measures: every message is as high as the next. */
function show(count: number) {
  let room = createRoom('lobby', 'ann');
  for (let seq = 1; seq <= count; seq += 1) room = say(room, seq);
  const list = (now: Room) => <MessageList room={now} onDiscard={vi.fn()} onEdit={vi.fn()} />;
  const { rerender } = render(list(room));
  const log = screen.getByRole('log');
  Object.defineProperty(log, 'scrollHeight', {
    get: () => room.timeline.length * LINE_PX + room.outbox.length * LINE_PX,
  });
  Object.defineProperty(log, 'clientHeight', { get: () => VIEW_PX });
  const draw = (next: Room) => {
    room = next;
    rerender(list(next));
  };
  const scroll = (top: number) => {
    log.scrollTop = top;
    fireEvent.scroll(log);
  };
  return { log, scroll, draw, room: () => room };
}

test('whoever reads the newest stays there', () => {
  const { log, draw, room } = show(10);
  draw(say(room(), 11));
  expect(log.scrollTop).toBe(11 * LINE_PX);
  expect(screen.queryByRole('button')).toBeNull();
});

test('whoever has scrolled up stays there, and is told of what is new', () => {
  const { log, draw, room, scroll } = show(10);
  scroll(0);
  draw(say(room(), 11));
  expect(screen.getByRole('button', { name: '1 new message' })).toBeTruthy();
  draw(say(say(room(), 12), 13));
  expect(log.scrollTop).toBe(0);
  act(() => screen.getByRole('button', { name: '3 new messages' }).click());
  expect(log.scrollTop).toBe(13 * LINE_PX);
  expect(screen.queryByRole('button')).toBeNull();
});

test('scrolling down by hand is seeing them', () => {
  const { draw, room, scroll } = show(10);
  scroll(0);
  draw(say(room(), 11));
  scroll(11 * LINE_PX - VIEW_PX);
  expect(screen.queryByRole('button')).toBeNull();
});

test('saying something brings one to the end', () => {
  const { log, draw, room, scroll } = show(10);
  scroll(0);
  draw({ ...room(), outbox: write(room().outbox, 'a-1', 'hi') });
  expect(log.scrollTop).toBe(11 * LINE_PX);
});
