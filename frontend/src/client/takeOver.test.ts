import { beforeEach, describe, expect, test } from 'vitest';
import { Client } from './client';
import { CONNECT_TIMEOUT_MS } from './connection';
import { direct } from './direct';
import { proxied } from './proxied';
import { FakeEnvironment, type FakeSocket, SECRET } from './testing/fakeEnvironment';
import * as frames from './testing/frames';
import { ackOf, joined, message, refusalOf, type Sent, sends, welcome } from './testing/frames';

let world: FakeEnvironment;
let client: Client;
/** All that the user was ever shown. */
let phases: string[];
let line: FakeSocket;

const link = () => client.store.getSnapshot().link;
const lobby = () => client.store.getSnapshot().rooms.get('lobby');
const texts = () => lobby()?.timeline.map((entry) => (entry.kind === 'message' ? entry.text : 'gap'));
const resume = { type: 'resume' };

/** In the lobby, through the proxy of a balancer, at app-1. */
beforeEach(() => {
  world = new FakeEnvironment();
  world.chances = [0.5];
  client = new Client({ environment: world, entrance: proxied(['http://lb-1']) });
  client.join('lobby', 'ann');
  line = world.socket;
  line.open();
  line.say(welcome('app-1'), joined());
  phases = [];
  client.store.subscribe(() => phases.push(link().phase));
});

const onlineThroughout = () => expect(phases.filter((phase) => phase !== 'online')).toEqual([]);

test('a place behind a proxy has a name, and no address', () => {
  expect(link()).toMatchObject({
    phase: 'online',
    place: { node: 'app-1', url: null, balancer: 'http://lb-1' },
  });
});

test('another server: from where we were, repeating what was not acknowledged, and the user sees nothing', () => {
  line.say(message(1));
  for (const text of ['one', 'two', 'three']) client.send('lobby', text);
  const [one, two, three] = sends(line) as [Sent, Sent, Sent];
  line.say(ackOf(one, 2), resume);
  expect(link()).toMatchObject({ phase: 'online', place: { node: 'app-1' } });
  client.send('lobby', 'four');
  expect(sends(line)).toHaveLength(3);

  line.say(welcome('app-2'));
  expect(link()).toMatchObject({ phase: 'online', place: { node: 'app-2' }, session: 'app-2-s' });
  expect(line.sent.at(-1)).toEqual({ type: 'join', room: 'lobby', user: 'ann', client: SECRET, since: { s: 1 } });
  expect(lobby()?.status).toBe('joined');
  line.say(joined([message(3)]));
  expect(sends(line).slice(3)).toMatchObject([two, three, { text: 'four' }]);
  expect(world.sockets).toHaveLength(1);
  onlineThroughout();
});

test('what was under way to the old server is not refused for good, and costs one join', () => {
  client.send('lobby', 'one');
  client.send('lobby', 'two');
  const [one, two] = sends(line) as [Sent, Sent];
  line.say(resume, welcome('app-2'), refusalOf(one, 'not_joined'), refusalOf(two, 'not_joined'));
  expect(line.sentOf('join')).toHaveLength(2);
  expect(lobby()?.outbox).toMatchObject([{ failure: null }, { failure: null }]);
  line.say(joined());
  expect(sends(line).slice(2)).toEqual([one, two]);
});

test('a join that was under way is answered once more, and that does no harm', () => {
  client.join('news', 'ann');
  line.say(resume, welcome('app-2'), { ...joined(), room: 'news' });
  line.say({ type: 'error', code: 'already_joined', message: '…', room: 'news' }, joined());
  client.send('news', 'hi');
  expect(sends(line)).toMatchObject([{ room: 'news', text: 'hi' }]);
  expect(line.sentOf('join')).toHaveLength(4);
});

test('twice in a row', () => {
  client.send('lobby', 'hi');
  const [hi] = sends(line) as [Sent];
  line.say(resume, resume, welcome('app-2'), resume, welcome('app-3'), joined());
  expect(link()).toMatchObject({ phase: 'online', place: { node: 'app-3' } });
  expect(sends(line)).toEqual([hi, hi]);
  onlineThroughout();
});

test('before the first welcome', () => {
  world = new FakeEnvironment();
  client = new Client({ environment: world, entrance: proxied(['http://lb-1']) });
  client.join('lobby', 'ann');
  world.socket.open();
  world.socket.say(resume);
  expect(link()).toEqual({ phase: 'connecting', trouble: null, place: null });
  world.socket.say(welcome('app-2'));
  expect(link()).toMatchObject({ phase: 'online', place: { node: 'app-2' } });
  expect(world.socket.sent).toEqual([{ type: 'join', room: 'lobby', user: 'ann', client: SECRET }]);
});

test('a welcome that does not come is a loss', () => {
  line.say(resume);
  world.advance(CONNECT_TIMEOUT_MS - 1);
  onlineThroughout();
  world.advance(1);
  expect(line.closedWith).toBe(1000);
  expect(link()).toMatchObject({ phase: 'waiting', trouble: { kind: 'lost' } });
});

test('chatter does not stand in for the welcome', () => {
  line.say(resume);
  world.advance(CONNECT_TIMEOUT_MS - 1);
  line.say({ type: 'pong' });
  world.advance(1);
  expect(link()).toMatchObject({ phase: 'waiting', trouble: { kind: 'lost' } });
});

test('the server before was cut off; the next one is not', () => {
  line.say({ type: 'degraded', degraded: true }, resume, welcome('app-2'));
  expect(link()).toMatchObject({ phase: 'online', degraded: false });
});

test('the limits are those of the server that is there', () => {
  const small = { ...welcome('app-2'), limits: { ...welcome('app-2').limits, text_bytes: 4 } };
  line.say(resume, small);
  expect(client.send('lobby', 'hello')).toBe('text_too_long');
});

describe('and a move', () => {
  beforeEach(() => {
    world = new FakeEnvironment();
    world.chances = [0.5];
    client = new Client({ environment: world, entrance: direct(['http://lb-1']) });
    client.join('lobby', 'ann');
    line = frames.accept(world, 'app-1');
    line.say(joined(), { type: 'move', within_ms: 5_000 });
  });

  test('that has not begun is off: who wanted it is gone', () => {
    line.say(resume, welcome('app-2'), joined());
    world.advance(5_000);
    expect(world.asked).toHaveLength(1);
  });

  test('that is under way comes to its end', () => {
    world.advance(1_250);
    line.say(resume, welcome('app-2'), joined());
    frames.accept(world, 'app-3').say(joined());
    expect(link()).toMatchObject({ phase: 'online', place: { node: 'app-3' } });
    expect(line.closedWith).toBe(1000);
  });

  test('whose successor is itself taken over waits for that', () => {
    world.advance(1_250);
    const heir = frames.accept(world, 'app-2');
    heir.say(resume, joined());
    expect(line.closedWith).toBeNull();
    heir.say(welcome('app-3'), joined());
    expect(link()).toMatchObject({ phase: 'online', place: { node: 'app-3' } });
    expect(line.closedWith).toBe(1000);
  });
});

test('when the balancer dies the next one is taken', () => {
  world = new FakeEnvironment();
  client = new Client({ environment: world, entrance: proxied(['http://lb-1', 'http://lb-2']) });
  client.join('lobby', 'ann');
  world.socket.drop();
  world.answer(null);
  const { socket } = world;
  socket.open();
  socket.say(welcome('app-1'), joined(), message(1));
  socket.drop();
  world.advance(250);
  world.socket.open();
  world.socket.say(welcome('app-2'));
  expect(world.socket.sent).toEqual([{ type: 'join', room: 'lobby', user: 'ann', client: SECRET, since: { s: 1 } }]);
  expect(texts()).toEqual(['text 1']);
});

test('no balancer, three times each: said so, and tried again', () => {
  client.leave('lobby');
  client.join('lobby', 'ann');
  while (link().phase === 'connecting') {
    world.socket.drop();
    world.answer(null);
    world.advance(1_000);
  }
  expect(world.sockets).toHaveLength(1 + 3);
  expect(link()).toMatchObject({ phase: 'waiting', trouble: { kind: 'no_balancer' } });
  world.advance(2_000);
  expect(world.sockets).toHaveLength(1 + 4);
});
