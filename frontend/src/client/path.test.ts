import { beforeEach, describe, expect, test } from 'vitest';
import { Client } from './client';
import { CHECKING_SHOWN_MS, CONNECT_TIMEOUT_MS, ENTRANCE_TIMEOUT_MS, PONG_TIMEOUT_MS, SILENCE_MS } from './connection';
import { direct } from './direct';
import type { Sign } from './environment';
import { JOIN_TIMEOUT_MS } from './line';
import { ACK_TIMEOUT_MS } from './outbox';
import { FakeEnvironment, type FakeSocket } from './testing/fakeEnvironment';
import { accept, ackOf, joined, message, sends } from './testing/frames';

/** Paths that break without a word, and what the client says of them. */

let world: FakeEnvironment;
let client: Client;

beforeEach(() => {
  world = new FakeEnvironment();
  world.chances = [0.5];
  client = new Client({ environment: world, entrance: direct(['http://lb-1']) });
});

const link = () => client.store.getSnapshot().link;
const pings = (socket: FakeSocket) => socket.sentOf('ping').length;

function enter(): FakeSocket {
  client.join('lobby', 'ann');
  const socket = accept(world, 'app-1');
  socket.say(joined());
  return socket;
}

describe('a path that has broken', () => {
  test.each<Sign>(['online', 'offline', 'awake'])('is noticed within 10 s of "%s"', (sign) => {
    const socket = enter();
    world.advance(1_000);
    world.sense(sign);
    expect(pings(socket)).toBe(1);
    world.advance(PONG_TIMEOUT_MS);
    expect(link().phase).toBe('waiting');
    expect(PONG_TIMEOUT_MS).toBeLessThan(10_000);
  });

  test('is noticed within 10 s of a send', () => {
    const socket = enter();
    client.send('lobby', 'hi');
    world.advance(ACK_TIMEOUT_MS);
    expect(pings(socket)).toBe(1);
    world.advance(PONG_TIMEOUT_MS);
    expect(link().phase).toBe('waiting');
    expect(ACK_TIMEOUT_MS + PONG_TIMEOUT_MS).toBeLessThan(10_000);
  });

  test('is noticed within 10 s of a join', () => {
    client.join('lobby', 'ann');
    const socket = accept(world, 'app-1');
    world.advance(JOIN_TIMEOUT_MS);
    expect(pings(socket)).toBe(1);
    world.advance(PONG_TIMEOUT_MS);
    expect(link().phase).toBe('waiting');
  });

  test('is not taken for whole because of what was heard before it broke', () => {
    const socket = enter();
    world.sense('awake');
    socket.say(message(1));
    world.advance(PONG_TIMEOUT_MS);
    expect(link().phase).toBe('waiting');
  });
});

describe('a path that holds', () => {
  test('is not left, and is shown as being checked only while an answer takes long', () => {
    const socket = enter();
    world.sense('awake');
    world.advance(CHECKING_SHOWN_MS - 1);
    expect(link()).toMatchObject({ phase: 'online', checking: false });
    world.advance(1);
    expect(link()).toMatchObject({ phase: 'online', checking: true });
    socket.say({ type: 'pong' });
    expect(link()).toMatchObject({ phase: 'online', checking: false });
    world.advance(SILENCE_MS - 1);
    expect(pings(socket)).toBe(1);
  });

  test('has more time while it brings other things, which are before the pong', () => {
    const socket = enter();
    world.sense('awake');
    for (let seq = 1; seq <= 5; seq += 1) {
      world.advance(PONG_TIMEOUT_MS - 1);
      socket.say(message(seq));
    }
    expect(link().phase).toBe('online');
    expect(pings(socket)).toBe(1);
  });

  test('is not left when the server ignores the ping as one frame too many', () => {
    const socket = enter();
    world.sense('awake');
    socket.say({ type: 'error', code: 'rate_limited', message: '…' });
    world.advance(SILENCE_MS - 1);
    expect(link()).toMatchObject({ phase: 'online', checking: false });
  });

  test('whose server acknowledges nothing is asked, and kept', () => {
    const socket = enter();
    socket.isThere = true;
    client.send('lobby', 'hi');
    world.advance(60_000);
    expect(link()).toMatchObject({ phase: 'online', checking: false });
    const [sent] = sends(socket);
    if (sent) socket.say(ackOf(sent, 1));
    const before = pings(socket);
    world.advance(SILENCE_MS - 1);
    expect(pings(socket)).toBe(before);
  });
});

describe('without a network', () => {
  test('it is said at once, and never that no balancer is reachable', () => {
    enter();
    world.sense('offline');
    expect(link()).toMatchObject({ phase: 'online', offline: true });
    for (let step = 0; step < 60; step += 1) {
      world.advance(1_000);
      while (world.requests.length > 0) world.answer(null);
      const now = link();
      if (now.phase !== 'online') expect(now).toMatchObject({ trouble: { kind: 'offline' } });
    }
  });

  test('what is on the same machine goes on, once it has answered', () => {
    const socket = enter();
    world.sense('offline');
    socket.say({ type: 'pong' });
    expect(link()).toMatchObject({ phase: 'online', offline: false });
  });

  test('it tries at once when the network is back', () => {
    enter().drop();
    world.sense('offline');
    expect(link()).toMatchObject({ phase: 'waiting', trouble: { kind: 'offline' } });
    const before = world.asked.length;
    world.sense('online');
    expect(world.asked).toHaveLength(before + 1);
    expect(link()).toMatchObject({ phase: 'connecting' });
  });

  test('what was begun without it is begun again', () => {
    client.join('lobby', 'ann');
    world.sense('offline');
    expect(link()).toMatchObject({ phase: 'connecting', trouble: { kind: 'offline' } });
    world.sense('online');
    expect(world.requests).toHaveLength(1);
    expect(world.asked).toHaveLength(2);
  });
});

test('who has a turn does not come before it because a page was looked at', () => {
  client.join('lobby', 'ann');
  world.decline('busy', 5_000);
  world.sense('awake');
  world.sense('online');
  expect(world.asked).toHaveLength(1);
  world.advance(5_000);
  expect(world.asked).toHaveLength(2);
});

test('who was thrown out stays out when the network comes back', () => {
  enter().drop(1008);
  world.sense('online');
  expect(world.asked).toHaveLength(1);
});

test('after close nobody listens to the machine, and after coming back one does', () => {
  enter();
  expect(world.watchers).toBe(1);
  client.close();
  expect(world.watchers).toBe(0);
  client.reconnect();
  accept(world, 'app-1').drop();
  world.advance(250);
  expect(world.watchers).toBe(1);
});

describe('every state ends', () => {
  test('an entrance that calls nobody back', () => {
    client = new Client({ environment: world, entrance: () => () => undefined });
    client.join('lobby', 'ann');
    world.advance(ENTRANCE_TIMEOUT_MS);
    expect(link()).toMatchObject({ phase: 'waiting', trouble: { kind: 'no_balancer' } });
  });

  test('a server that is an address the browser forbids', () => {
    world.forbidden = ['ws://app-1'];
    client.join('lobby', 'ann');
    world.assign('app-1');
    expect(world.sockets).toEqual([]);
    expect(link()).toMatchObject({ phase: 'waiting', trouble: { kind: 'insecure', url: 'ws://app-1/ws?via=lb-1' } });
  });

  test('a balancer that is an address the browser forbids', () => {
    world.forbidden = ['http://lb-1'];
    client.join('lobby', 'ann');
    while (link().phase === 'connecting') {
      while (world.requests.length > 0) world.answer(null);
      world.advance(100);
    }
    expect(link()).toMatchObject({ trouble: { kind: 'insecure', url: 'http://lb-1' } });
  });

  test.each([
    ['closes', 0],
    ['says nothing', CONNECT_TIMEOUT_MS],
  ])('a server whose socket never opens and %s is named after three tries', (_how, waitMs) => {
    client.join('lobby', 'ann');
    const troubles = [1, 2, 3].map(() => {
      world.assign('app-1');
      if (waitMs === 0) world.socket.drop();
      else world.advance(waitMs);
      const now = link();
      if (now.phase !== 'waiting') throw new Error(now.phase);
      world.advance(now.retryMs - world.nowMs);
      return now.trouble.kind;
    });
    expect(troubles).toEqual(['lost', 'lost', 'no_socket']);
  });

  test.each([
    [431, '{"error":"head_too_large","message":"more than 16 KiB"}', 'more than 16 KiB'],
    [502, '<html>Bad Gateway</html>', null],
    [0, '', null],
  ])('a balancer that answers %d says more than one that is silent', (status, body, told) => {
    client = new Client({ environment: world, entrance: direct(['http://lb-1', 'http://lb-2']) });
    client.join('lobby', 'ann');
    while (link().phase === 'connecting') {
      const [request] = world.requests;
      request?.answer(request.url.startsWith('http://lb-1') ? { status, retryAfter: null, body } : null);
      world.advance(100);
    }
    expect(link()).toMatchObject({
      trouble: { kind: 'balancer_error', balancer: 'http://lb-1', status, message: told },
    });
  });
});

describe('what an application throws', () => {
  const fault = new Error('of the application');

  test('while it is told of a change is reported, and the chat goes on', () => {
    client.store.subscribe(() => {
      throw fault;
    });
    const socket = enter();
    client.send('lobby', 'hi');
    expect(sends(socket)).toHaveLength(1);
    expect(link().phase).toBe('online');
    expect(new Set(world.reports)).toEqual(new Set([fault]));
  });

  test('while it is told of a fault is reported, and the chat goes on', () => {
    client = new Client({
      environment: world,
      entrance: direct(['http://lb-1']),
      onFault: () => {
        throw fault;
      },
    });
    const socket = enter();
    socket.say('nonsense', message(1));
    expect(world.reports).toEqual([fault]);
    expect(client.store.getSnapshot().rooms.get('lobby')?.timeline).toHaveLength(1);
  });
});
