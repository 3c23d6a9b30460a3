import { beforeEach, describe, expect, test } from 'vitest';
import { Client } from './client';
import { JOIN_TIMEOUT_MS } from './line';
import { CLOSE_CODES } from './closeCodes';
import { CONNECT_TIMEOUT_MS, PONG_TIMEOUT_MS, SILENCE_MS } from './connection';
import { direct, NEXT_BALANCER_MS } from './direct';
import { ACK_TIMEOUT_MS } from './outbox';
import type { Fault } from './protocol';
import { TRIES_PER_BALANCER } from './race';
import { FakeEnvironment, type FakeSocket, SECRET } from './testing/fakeEnvironment';
import * as frames from './testing/frames';
import { ackOf, joined, message, refusalOf, type Sent, sends, welcome } from './testing/frames';
import { TYPING_AFTER_SEND_MS, TYPING_EVERY_MS } from './typingHints';

let world: FakeEnvironment;
let client: Client;
let faults: Fault[];

beforeEach(() => {
  world = new FakeEnvironment();
  world.chances = [0.5];
  faults = [];
  client = new Client({
    environment: world,
    entrance: direct(['http://lb-1']),
    onFault: (fault) => faults.push(fault),
  });
});

const link = () => client.store.getSnapshot().link;
const lobby = () => client.store.getSnapshot().rooms.get('lobby');
const texts = () => lobby()?.timeline.map((entry) => (entry.kind === 'message' ? entry.text : 'gap'));

const accept = (node: string) => frames.accept(world, node);

function enter(node = 'app-1'): FakeSocket {
  client.join('lobby', 'ann');
  const socket = accept(node);
  socket.say(joined());
  return socket;
}

describe('coming in', () => {
  test('idle, a balancer, a server, a room', () => {
    expect(link()).toEqual({ phase: 'idle' });
    client.join('lobby', 'ann');
    expect(link()).toEqual({ phase: 'connecting', trouble: null, place: null });
    world.assign('app-2');
    expect(world.socket).toMatchObject({ url: 'ws://app-2/ws?via=lb-1', protocol: 'distr-chat.v1' });
    expect(link()).toMatchObject({ phase: 'connecting', place: { node: 'app-2' } });
    world.socket.say(welcome('app-2'));
    expect(link()).toMatchObject({ phase: 'online', place: { node: 'app-2', balancer: 'http://lb-1' } });
    expect(world.socket.sent).toEqual([{ type: 'join', room: 'lobby', user: 'ann', client: SECRET }]);
    expect(lobby()?.status).toBe('joining');
    world.socket.say(joined([message(1)]));
    expect(lobby()?.status).toBe('joined');
    expect(texts()).toEqual(['text 1']);
  });

  test('a second room shares the connection', () => {
    const socket = enter();
    client.join('news', 'ann');
    expect(world.sockets).toHaveLength(1);
    expect(socket.sent.at(-1)).toEqual({ type: 'join', room: 'news', user: 'ann', client: SECRET });
  });

  test('a join that is not answered is repeated', () => {
    client.join('lobby', 'ann');
    const socket = accept('app-1');
    world.advance(JOIN_TIMEOUT_MS);
    expect(socket.sentOf('join')).toHaveLength(2);
    socket.say(joined());
    world.advance(2 * JOIN_TIMEOUT_MS);
    expect(socket.sentOf('join')).toHaveLength(2);
  });

  test('a room may refuse us; another name may do better', () => {
    client.join('lobby', 'a\nnn');
    const socket = accept('app-1');
    socket.say({ type: 'error', code: 'name_control_character', message: 'no', room: 'lobby' });
    expect(lobby()).toMatchObject({ status: 'refused', failure: { code: 'name_control_character' } });
    client.join('lobby', 'ann');
    expect(socket.sentOf('join').at(-1)).toMatchObject({ user: 'ann', client: SECRET });
  });

  test('an overloaded server is asked again later', () => {
    client.join('lobby', 'ann');
    const socket = accept('app-1');
    socket.say({ type: 'error', code: 'overloaded', message: 'later', room: 'lobby' });
    expect(lobby()?.status).toBe('joining');
    world.advance(JOIN_TIMEOUT_MS);
    expect(socket.sentOf('join')).toHaveLength(2);
  });

  test('the last one to leave closes the door', () => {
    const socket = enter();
    client.leave('lobby');
    expect(socket.sent.at(-1)).toEqual({ type: 'leave', room: 'lobby' });
    expect(socket.closedWith).toBe(1000);
    expect(client.store.getSnapshot()).toEqual({ link: { phase: 'idle' }, rooms: new Map() });
    client.join('lobby', 'ann');
    expect(link().phase).toBe('connecting');
  });
});

describe('sending', () => {
  test('shown at once, sent, acknowledged', () => {
    const socket = enter();
    expect(client.send('lobby', 'hi')).toBeNull();
    expect(lobby()?.outbox).toMatchObject([{ text: 'hi' }]);
    const [send] = sends(socket) as [Sent];
    expect(send).toMatchObject({ room: 'lobby', text: 'hi' });
    socket.say(ackOf(send, 1));
    expect(lobby()?.outbox).toEqual([]);
    expect(texts()).toEqual(['hi']);
  });

  test('ids differ between two clients of the same user', () => {
    const ids = [0.1, 0.7].map((chance) => {
      world.chances = [chance];
      client = new Client({ environment: world, entrance: direct(['http://lb-1']) });
      client.join('lobby', 'ann');
      client.send('lobby', 'hi');
      return lobby()?.outbox[0]?.id;
    });
    expect(new Set(ids).size).toBe(2);
  });

  test('a send whose ack is late is repeated with the same id', () => {
    const socket = enter();
    client.send('lobby', 'hi');
    world.advance(ACK_TIMEOUT_MS - 1);
    expect(sends(socket)).toHaveLength(1);
    world.advance(1);
    const [first, second] = sends(socket);
    expect(second).toEqual(first);
  });

  test('a flood keeps to the rate and the order', () => {
    const socket = enter();
    for (let n = 0; n < 300; n += 1) client.send('lobby', `${n}`);
    expect(sends(socket)).toHaveLength(100);
    world.advance(1_000);
    expect(sends(socket)).toHaveLength(125);
    expect(sends(socket).map(({ text }) => text)).toEqual(Array.from({ length: 125 }, (_, n) => `${n}`));
  });

  test('what cannot be sent is said at once', () => {
    expect(client.send('lobby', 'hi')).toBe('not_in_room');
    enter();
    expect(client.send('lobby', ' \n')).toBe('text_empty');
    expect(client.send('lobby', 'é'.repeat(2_049))).toBe('text_too_long');
    for (let n = 0; n < 500; n += 1) expect(client.send('lobby', 'hi')).toBeNull();
    expect(client.send('lobby', 'hi')).toBe('outbox_full');
  });

  test('a refused send stays until the user drops it, and is not repeated', () => {
    const socket = enter();
    client.send('lobby', 'hi');
    const [{ id }] = sends(socket) as [Sent];
    socket.say({ type: 'error', code: 'id_reused', message: 'taken', room: 'lobby', id });
    expect(lobby()?.outbox).toMatchObject([{ id, failure: { code: 'id_reused' } }]);
    world.advance(2 * ACK_TIMEOUT_MS);
    expect(sends(socket)).toHaveLength(1);
    client.discard('lobby', id);
    expect(lobby()?.outbox).toEqual([]);
  });

  test('a send that was rate limited is repeated', () => {
    const socket = enter();
    client.send('lobby', 'hi');
    const [send] = sends(socket) as [Sent];
    socket.say(refusalOf(send, 'rate_limited'));
    world.advance(ACK_TIMEOUT_MS);
    expect(sends(socket)).toHaveLength(2);
  });

  test('what an overloaded server does not take is repeated after a moment, longer each time, in order', () => {
    const socket = enter();
    client.send('lobby', 'one');
    client.send('lobby', 'two');
    const [one, two] = sends(socket) as [Sent, Sent];
    const refuse = (send: Sent) => socket.say(refusalOf(send, 'overloaded'));
    refuse(one);
    refuse(two);
    client.send('lobby', 'three');
    world.advance(499);
    expect(sends(socket)).toHaveLength(2);
    world.advance(1);
    expect(sends(socket).slice(2)).toMatchObject([one, two, { text: 'three' }]);
    refuse(one);
    world.advance(999);
    expect(sends(socket)).toHaveLength(5);
    world.advance(1);
    expect(sends(socket).slice(5)).toEqual([one]);
    expect(lobby()?.outbox).toMatchObject([{ failure: null }, { failure: null }, { failure: null }]);
  });

  test('a server that forgot us is joined again, from where we were', () => {
    const socket = enter();
    socket.say(message(4));
    client.send('lobby', 'hi');
    const [send] = sends(socket) as [Sent];
    socket.say(refusalOf(send, 'not_joined'));
    expect(socket.sent.at(-1)).toEqual({ type: 'join', room: 'lobby', user: 'ann', client: SECRET, since: { s: 4 } });
  });

  test('typing goes out once in two seconds, and is forgotten by itself', () => {
    const socket = enter();
    client.typing('lobby');
    client.typing('lobby');
    expect(socket.sentOf('typing')).toHaveLength(1);
    world.advance(TYPING_EVERY_MS);
    client.typing('lobby');
    expect(socket.sentOf('typing')).toHaveLength(2);
    socket.say({ type: 'typing', room: 'lobby', user: 'bob' });
    expect(lobby()?.typing).toMatchObject([{ user: 'bob' }]);
    world.advance(4_000);
    expect(lobby()?.typing).toEqual([]);
  });

  test('that the user writes is told again soon after something was sent', () => {
    const socket = enter();
    client.typing('lobby');
    client.send('lobby', 'hi');
    world.advance(TYPING_AFTER_SEND_MS - 1);
    client.typing('lobby');
    expect(socket.sentOf('typing')).toHaveLength(1);
    world.advance(1);
    expect(socket.sentOf('typing')).toHaveLength(2);
    world.advance(TYPING_AFTER_SEND_MS);
    client.typing('lobby');
    expect(socket.sentOf('typing')).toHaveLength(2);
  });

  test('that the user writes is not told where there is no server', () => {
    const socket = enter();
    client.typing('lobby');
    client.send('lobby', 'hi');
    client.typing('lobby');
    socket.drop();
    world.advance(250 + TYPING_EVERY_MS);
    expect(accept('app-2').sentOf('typing')).toEqual([]);
  });

  test('that the user writes is not told of what was sent meanwhile', () => {
    const socket = enter();
    client.typing('lobby');
    client.send('lobby', 'hi');
    client.typing('lobby');
    client.send('lobby', 'again');
    world.advance(TYPING_EVERY_MS);
    expect(socket.sentOf('typing')).toHaveLength(1);
  });
});

describe('coming back', () => {
  test('after a loss: another server, from where we were, repeating what was not acknowledged', () => {
    const first = enter('app-1');
    first.say(message(1));
    client.send('lobby', 'lost?');
    first.drop();
    expect(link()).toEqual({ phase: 'waiting', trouble: { kind: 'lost' }, retryMs: world.nowMs + 250 });
    client.send('lobby', 'written offline');
    world.advance(250);
    expect(link()).toEqual({ phase: 'connecting', trouble: { kind: 'lost' }, place: null });
    const second = accept('app-2');
    expect(second.sent).toEqual([{ type: 'join', room: 'lobby', user: 'ann', client: SECRET, since: { s: 1 } }]);
    second.say(joined([message(2)]));
    expect(sends(second).map(({ text }) => text)).toEqual(['lost?', 'written offline']);
    expect(sends(second)[0]).toEqual(sends(first)[0]);
    expect(texts()).toEqual(['text 1', 'text 2']);
    expect(link()).toMatchObject({ phase: 'online', place: { node: 'app-2' } });
  });

  test('what was missed and is gone is shown as a gap', () => {
    const first = enter();
    first.say(message(1));
    first.drop();
    world.advance(250);
    accept('app-2').say(joined([message(9)], false));
    expect(texts()).toEqual(['text 1', 'gap', 'text 9']);
  });

  test('what is lost for good is shown where it was', () => {
    const socket = enter();
    socket.say(message(1), { type: 'gap', room: 'lobby', stream: 's', first: 2, last: 3 }, message(4));
    expect(texts()).toEqual(['text 1', 'gap', 'text 4']);
    socket.drop();
    world.advance(250);
    expect(accept('app-2').sent).toEqual([
      { type: 'join', room: 'lobby', user: 'ann', client: SECRET, since: { s: 4 } },
    ]);
  });

  test('waits grow while it fails, and start again after a good connection', () => {
    const waits: number[] = [];
    const lose = (socket: FakeSocket) => {
      socket.drop();
      const now = link();
      if (now.phase !== 'waiting') throw new Error(now.phase);
      waits.push(now.retryMs - world.nowMs);
      world.advance(now.retryMs - world.nowMs);
    };
    lose(enter());
    lose(accept('app-1'));
    lose(accept('app-1'));
    const good = accept('app-1');
    good.say(joined());
    world.advance(5_000);
    lose(good);
    expect(waits).toEqual([250, 500, 1_000, 250]);
  });

  test.each(CLOSE_CODES)('after $code $name: back = $reconnect', ({ code, reconnect, meaning }) => {
    enter().drop(code);
    world.advance(60_000);
    if (reconnect) {
      expect(world.asked.length).toBeGreaterThan(1);
    } else {
      expect(link()).toEqual({ phase: 'stopped', code, meaning });
      expect(world.asked).toHaveLength(1);
      client.reconnect();
      accept('app-2').say(joined());
      expect(link()).toMatchObject({ phase: 'online', place: { node: 'app-2' } });
    }
  });

  test('no balancer: said so, and tried again, for ever', () => {
    client.join('lobby', 'ann');
    const giveUp = () => {
      while (link().phase === 'connecting') {
        if (world.requests.length > 0) world.answer(null);
        else world.advance(1_000);
      }
    };
    giveUp();
    expect(world.asked).toHaveLength(3);
    expect(link()).toEqual({ phase: 'waiting', trouble: { kind: 'no_balancer' }, retryMs: world.nowMs + 2_000 });
    for (let round = 2; round < 12; round += 1) {
      const now = link();
      world.advance(now.phase === 'waiting' ? now.retryMs - world.nowMs : 0);
      expect(link()).toMatchObject({ phase: 'connecting', trouble: { kind: 'no_balancer' } });
      giveUp();
      expect(world.asked).toHaveLength(3 * round);
    }
    client.reconnect();
    accept('app-1').say(joined());
    expect(link().phase).toBe('online');
  });

  test('no server: said so, and not earlier than the balancer wants', () => {
    client.join('lobby', 'ann');
    world.decline('unavailable', 3_000);
    expect(link()).toEqual({ phase: 'waiting', trouble: { kind: 'no_server' }, retryMs: world.nowMs + 3_500 });
    world.advance(3_499);
    expect(world.asked).toHaveLength(1);
    world.advance(1);
    expect(world.asked).toHaveLength(2);
  });

  test('a turn: to the millisecond, and the waits do not grow', () => {
    client.join('lobby', 'ann');
    for (const turn of [1, 2, 3]) {
      world.decline('busy', 1_460);
      expect(link()).toEqual({ phase: 'waiting', trouble: { kind: 'busy' }, retryMs: world.nowMs + 1_460 });
      world.advance(1_459);
      expect(world.asked).toHaveLength(turn);
      world.advance(1);
      expect(world.asked).toHaveLength(turn + 1);
      expect(link()).toMatchObject({ phase: 'connecting', trouble: { kind: 'busy' } });
    }
    const socket = accept('app-1');
    expect(link()).toMatchObject({ phase: 'online' });
    socket.drop();
    expect(link()).toEqual({ phase: 'waiting', trouble: { kind: 'lost' }, retryMs: world.nowMs + 250 });
  });

  test.each([1001, 1006])('after %d the server is avoided until another one has us', (code) => {
    enter('app-2').drop(code);
    world.advance(250);
    expect(world.asked.at(-1)).toBe('http://lb-1/assign?not=app-2');
    world.decline('busy', 1_000);
    world.advance(1_000);
    expect(world.asked.at(-1)).toBe('http://lb-1/assign?not=app-2');
    accept('app-1').drop(1013);
    world.advance(1_000);
    expect(world.asked.at(-1)).toBe('http://lb-1/assign');
  });

  test('a server that did not answer is avoided', () => {
    client.join('lobby', 'ann');
    world.assign('app-3');
    world.advance(CONNECT_TIMEOUT_MS + 250);
    expect(world.asked.at(-1)).toBe('http://lb-1/assign?not=app-3');
  });

  test('a server that does not welcome is left', () => {
    client.join('lobby', 'ann');
    world.assign('app-1');
    world.advance(CONNECT_TIMEOUT_MS);
    expect(world.socket.closedWith).toBe(1000);
    expect(link()).toMatchObject({ phase: 'waiting', trouble: { kind: 'lost' } });
  });

  test('silence is broken by a ping, and a server that stays silent is left', () => {
    const socket = enter();
    world.advance(SILENCE_MS);
    expect(socket.sentOf('ping')).toHaveLength(1);
    socket.say({ type: 'pong' });
    world.advance(PONG_TIMEOUT_MS);
    expect(link().phase).toBe('online');
    world.advance(SILENCE_MS - PONG_TIMEOUT_MS);
    expect(socket.sentOf('ping')).toHaveLength(2);
    world.advance(PONG_TIMEOUT_MS);
    expect(socket.closedWith).toBe(1000);
    expect(link()).toMatchObject({ phase: 'waiting', trouble: { kind: 'lost' } });
  });

  test('a closed socket has no more to say', () => {
    const first = enter();
    first.drop();
    first.say(message(1));
    first.drop();
    expect(texts()).toEqual([]);
  });

  test('after close nothing happens; reconnect goes on with the rooms', () => {
    const socket = enter();
    client.close();
    expect(socket.closedWith).toBe(1000);
    world.advance(60_000);
    expect(world.asked).toHaveLength(1);
    client.reconnect();
    expect(accept('app-2').sentOf('join')).toHaveLength(1);
  });
});

describe('a server that is cut off', () => {
  const degraded = (flag: boolean) => ({ type: 'degraded', degraded: flag });

  test('says so, and when it is back', () => {
    const socket = enter();
    expect(link()).toMatchObject({ phase: 'online', degraded: false });
    socket.say(degraded(true));
    expect(link()).toMatchObject({ phase: 'online', degraded: true });
    socket.say(degraded(false));
    expect(link()).toMatchObject({ phase: 'online', degraded: false });
  });

  test('shows what we write, and promises it later', () => {
    const socket = enter();
    socket.say(degraded(true));
    client.send('lobby', 'hi');
    const [send] = sends(socket) as [Sent];
    socket.say(message(1, { from: 'ann', id: send.id, text: 'hi' }));
    expect(lobby()?.timeline).toMatchObject([{ text: 'hi', acknowledged: false }]);
    socket.say(degraded(false), ackOf(send, 1));
    expect(lobby()?.timeline).toMatchObject([{ text: 'hi', acknowledged: true }]);
  });

  test('is not what the next one is', () => {
    const first = enter();
    first.say(degraded(true));
    first.drop();
    world.advance(250);
    accept('app-2');
    expect(link()).toMatchObject({ phase: 'online', degraded: false });
  });

  test('is seen when it takes over, not before', () => {
    const old = enter('app-1');
    client.join('news', 'ann');
    old.say({ ...joined(), room: 'news' }, { type: 'move', within_ms: 5_000 });
    world.advance(1_250);
    const heir = accept('app-2');
    heir.say(joined(), degraded(true));
    expect(link()).toMatchObject({ place: { node: 'app-1' }, degraded: false });
    heir.say({ ...joined(), room: 'news' });
    expect(link()).toMatchObject({ place: { node: 'app-2' }, degraded: true });
  });
});

test('the times are those that the protocol and the servers count on', () => {
  expect({
    NEXT_BALANCER_MS,
    TRIES_PER_BALANCER,
    ACK_TIMEOUT_MS,
    TYPING_EVERY_MS,
    SILENCE_MS,
    PONG_TIMEOUT_MS,
  }).toEqual({
    NEXT_BALANCER_MS: 250,
    TRIES_PER_BALANCER: 3,
    ACK_TIMEOUT_MS: 5_000,
    TYPING_EVERY_MS: 2_000,
    SILENCE_MS: 30_000,
    PONG_TIMEOUT_MS: 4_000,
  });
});

test('what is not in the protocol is reported and changes nothing', () => {
  const socket = enter();
  const before = client.store.getSnapshot();
  socket.say('hello', { type: 'fly' }, { type: 'ack', room: 'lobby' });
  expect(faults.map(({ why }) => why)).toEqual(['not_json', 'unknown_type', 'wrong_field']);
  expect(client.store.getSnapshot()).toBe(before);
});
