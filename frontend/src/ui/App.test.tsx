// @vitest-environment happy-dom
import { act, cleanup, fireEvent, render, screen, within } from '@testing-library/react';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DEFAULT_LIMITS } from '../client';
import { FakeEnvironment, type FakeSocket, SECRET } from '../client/testing/fakeEnvironment';
import { App } from './App';
import { loadConfig } from './config';

let world: FakeEnvironment;

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
  sessionStorage.clear();
  location.hash = '';
  world = new FakeEnvironment();
  world.chances = [0.5];
});

afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

/** Does something, and lets the page draw what came of it. */
function happen(deed: () => void) {
  act(() => {
    deed();
    vi.advanceTimersByTime(20);
  });
}

function open() {
  render(<App environment={world} config={loadConfig(world)} />);
  happen(() => world.answer({ status: 200, retryAfter: null, body: '{"balancers":["http://lb-1"]}' }));
}

function fill(label: string, value: string) {
  fireEvent.change(screen.getByLabelText(label), { target: { value } });
}

const connectedTo = (node: string) => screen.getAllByText(`Connected to ${node}`);
const submit = () => fireEvent.click(screen.getByRole('button', { name: 'Join the room' }));
const box = () => screen.getByRole('textbox', { name: /^Message to/ });
const log = () => within(screen.getByRole('log'));
const sends = (socket: FakeSocket) => socket.sentOf('send') as { id: string; text: string }[];

function enter(changes: object = {}): FakeSocket {
  open();
  fill('Your name', 'ann');
  submit();
  return arrive(changes);
}

function arrive(changes: object = {}): FakeSocket {
  happen(() => {
    world.assign('app-1');
    world.socket.say({ type: 'welcome', node: 'app-1', session: 's', limits: DEFAULT_LIMITS });
    world.socket.say({
      ...{
        type: 'joined',
        room: 'lobby',
        client: SECRET,
        users: 2,
        roster: ['ann', 'bob'],
        history: [],
        complete: true,
        streams: {},
      },
      ...changes,
    });
  });
  return world.socket;
}

const message = (seq: number, from = 'bob') => ({
  ...{ type: 'message', room: 'lobby', from, text: `text ${seq}`, time: world.nowMs + seq, stream: 's', seq },
  id: `${from}-${seq}`,
});

describe('the form', () => {
  test('waits for the configuration, and says so when it does not come', () => {
    render(<App environment={world} config={loadConfig(world)} />);
    expect(screen.getByRole('button', { name: 'Join the room' })).toHaveProperty('disabled', true);
    happen(() => world.answer(null));
    expect(screen.getByText(/frontend server does not answer/)).toBeTruthy();
  });

  test('wants a name and a room that fit', () => {
    open();
    fill('Room', ' ');
    submit();
    expect(screen.getByText('Please enter a name.')).toBeTruthy();
    expect(screen.getByText('Please enter a room.')).toBeTruthy();
    fill('Your name', 'é'.repeat(33));
    expect(screen.getByText('That is too long for a name.')).toBeTruthy();
    expect(screen.queryByRole('log')).toBeNull();
  });

  test.each([
    ['\u200b', /Nothing of that is seen/],
    ['\u2800', /Nothing of that is seen/],
    ['ann\u200b', /a character that nobody sees/],
    ['\u202enna', /a character that nobody sees/],
  ])('refuses the name and the room %j before any server does', (name, words) => {
    open();
    fill('Your name', name);
    fill('Room', name);
    submit();
    expect(screen.getAllByText(words)).toHaveLength(2);
    expect(world.asked).toEqual(['config.json']);
  });

  test('remembers the name, and takes the room from the address', () => {
    localStorage.setItem('distr-chat.name', 'ann');
    location.hash = '#a%20b';
    open();
    expect(screen.getByLabelText('Your name')).toHaveProperty('value', 'ann');
    expect(screen.getByLabelText('Room')).toHaveProperty('value', 'a b');
  });

  test('comes back with the reason when the server will not have the name', () => {
    open();
    fill('Your name', 'ann');
    submit();
    happen(() => {
      world.assign('app-1');
      world.socket.say({ type: 'welcome', node: 'app-1', session: 's', limits: DEFAULT_LIMITS });
      world.socket.say({ type: 'error', code: 'name_too_long', message: 'that name is too long', room: 'lobby' });
    });
    expect(screen.getByText('that name is too long')).toBeTruthy();
    fill('Your name', 'al');
    submit();
    arriveAgain();
    expect(screen.getByRole('log')).toBeTruthy();
  });

  function arriveAgain() {
    happen(() => {
      if (world.requests.length > 0) arrive();
      else
        world.socket.say({
          type: 'joined',
          client: SECRET,
          room: 'lobby',
          users: 1,
          roster: ['al'],
          history: [],
          complete: true,
          streams: {},
        });
    });
  }
});

describe('the room', () => {
  test('shows who is here and what is said', () => {
    const socket = enter();
    expect(screen.getByText('2 people here')).toBeTruthy();
    expect(connectedTo('app-1')).toBeTruthy();
    expect(location.hash).toBe('#lobby');
    happen(() => socket.say(message(1)));
    expect(log().getByText('text 1')).toBeTruthy();
  });

  test('a large room has a number instead of names', () => {
    enter({ users: 5_001, roster: undefined });
    expect(screen.getByText('5,001 people here')).toBeTruthy();
    expect(screen.getByText(/too large for a list/)).toBeTruthy();
  });

  test('a message is shown as sending until it is promised, then as delivered', () => {
    const socket = enter();
    fireEvent.change(box(), { target: { value: 'hi' } });
    happen(() => void fireEvent.keyDown(box(), { key: 'Enter' }));
    expect(log().getByLabelText('Sending')).toBeTruthy();
    expect(box()).toHaveProperty('value', '');
    const [{ id } = { id: '' }] = sends(socket);
    const row = log().getByText('hi');
    happen(() => socket.say({ ...message(1, 'ann'), id, text: 'hi' }));
    expect(log().getByLabelText('Sending')).toBeTruthy();
    happen(() => socket.say({ type: 'ack', room: 'lobby', id, stream: 's', seq: 1, time: world.nowMs + 1 }));
    expect(log().getByLabelText('Delivered')).toBeTruthy();
    // It is the same line all the time, so nothing flickers.
    expect(log().getByText('hi')).toBe(row);
  });

  test('Shift and Enter, and Enter of an input method, send nothing', () => {
    const socket = enter();
    fireEvent.change(box(), { target: { value: 'hi' } });
    fireEvent.keyDown(box(), { key: 'Enter', shiftKey: true });
    fireEvent.keyDown(box(), { key: 'Enter', isComposing: true });
    expect(sends(socket)).toEqual([]);
  });

  test('near the limit the rest is counted, and what is too long cannot be sent', () => {
    const socket = enter();
    fireEvent.change(box(), { target: { value: 'é'.repeat(2_000) } });
    expect(screen.getByText('96 bytes left')).toBeTruthy();
    fireEvent.change(box(), { target: { value: 'é'.repeat(2_050) } });
    expect(screen.getByText('4 bytes too long')).toBeTruthy();
    expect(screen.getByRole('button', { name: 'Send' })).toHaveProperty('disabled', true);
    fireEvent.keyDown(box(), { key: 'Enter' });
    expect(sends(socket)).toEqual([]);
    expect(box()).toHaveProperty('value', 'é'.repeat(2_050));
  });

  test('a refused message can be removed', () => {
    const socket = enter();
    happen(() => void fireEvent.click(screen.getByRole('button', { name: 'Spam :)' })));
    const [{ id } = { id: '' }] = sends(socket);
    happen(() => socket.say({ type: 'error', code: 'id_reused', message: 'the id is taken', room: 'lobby', id }));
    expect(log().getByText(/Not sent: the id is taken/)).toBeTruthy();
    happen(() => void fireEvent.click(screen.getByRole('button', { name: 'Remove' })));
    expect(log().queryByText('Spam :) 1')).toBeNull();
  });

  test('a refused message can be taken back and changed', () => {
    const socket = enter();
    fireEvent.change(box(), { target: { value: 'wrong' } });
    happen(() => void fireEvent.keyDown(box(), { key: 'Enter' }));
    const [{ id } = { id: '' }] = sends(socket);
    happen(() => socket.say({ type: 'error', code: 'id_reused', message: 'the id is taken', room: 'lobby', id }));
    fireEvent.change(box(), { target: { value: 'a draft' } });
    happen(() => void fireEvent.click(screen.getByRole('button', { name: 'Edit' })));
    expect(log().queryByText('wrong')).toBeNull();
    expect(box()).toHaveProperty('value', 'a draft\nwrong');
    expect(document.activeElement).toBe(box());
  });

  test('what is lost for good is marked', () => {
    const socket = enter();
    happen(() => {
      socket.say(message(1));
      socket.drop();
      world.advance(250);
    });
    arrive({ history: [message(9)], complete: false });
    expect(log().getByText(/no longer available/)).toBeTruthy();
  });

  test.each([
    [2, '1 message was lost here'],
    [3, '2 messages were lost here'],
  ])('up to %d lost: %s', (last, words) => {
    const socket = enter();
    happen(() =>
      socket.say(message(1), { type: 'gap', room: 'lobby', stream: 's', first: 2, last }, message(last + 1)),
    );
    expect(log().getByText(words)).toBeTruthy();
  });

  test('leaving goes back to the form', () => {
    const socket = enter();
    fireEvent.click(screen.getByRole('button', { name: 'Leave' }));
    expect(screen.getByRole('button', { name: 'Join the room' })).toBeTruthy();
    expect(socket.closedWith).toBe(1000);
    expect(location.hash).toBe('');
  });

  test('a reload goes on where it was', () => {
    enter();
    cleanup();
    world = new FakeEnvironment();
    open();
    arrive();
    expect(screen.getByText('2 people here')).toBeTruthy();
  });
});

describe('trouble', () => {
  test('a lost connection is told, and what is written then goes out later', () => {
    const socket = enter();
    happen(() => socket.drop());
    expect(screen.getByText('Reconnecting.')).toBeTruthy();
    fireEvent.change(box(), { target: { value: 'offline' } });
    happen(() => void fireEvent.keyDown(box(), { key: 'Enter' }));
    expect(log().getByLabelText('Sending')).toBeTruthy();
    happen(() => world.advance(250));
    const next = arrive();
    expect(sends(next)).toMatchObject([{ text: 'offline' }]);
    expect(screen.queryByText('Reconnecting.')).toBeNull();
  });

  test('a server that is cut off says what becomes of what is written', () => {
    const socket = enter();
    happen(() => socket.say({ type: 'degraded', degraded: true }));
    expect(screen.getAllByText(/^This server is cut off from the others/)).not.toEqual([]);
    expect(screen.getByText('What you write is shown here and delivered to all when it is back.')).toBeTruthy();
    happen(() => socket.say({ type: 'degraded', degraded: false }));
    expect(screen.queryByText(/cut off/)).toBeNull();
    expect(connectedTo('app-1')).toBeTruthy();
  });

  test('no server, and trying again by hand', () => {
    const socket = enter();
    happen(() => {
      socket.drop();
      world.advance(250);
      world.answer({ status: 503, retryAfter: '9', body: '' });
    });
    expect(screen.getByText('No server available.')).toBeTruthy();
    happen(() => void fireEvent.click(screen.getByRole('button', { name: 'Try now' })));
    arrive();
    expect(connectedTo('app-1')).toBeTruthy();
  });

  test('a server that wants no return is obeyed until the user decides', () => {
    const socket = enter();
    happen(() => {
      socket.drop(1008);
      world.advance(60_000);
    });
    expect(screen.getAllByText(/far more frames than the rate allows/)).not.toEqual([]);
    expect(world.requests).toEqual([]);
    happen(() => void fireEvent.click(screen.getByRole('button', { name: 'Reconnect' })));
    expect(world.requests).toHaveLength(1);
  });
});
