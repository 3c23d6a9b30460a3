import { beforeEach, describe, expect, test } from 'vitest';
import { Client } from './client';
import { CONNECT_TIMEOUT_MS } from './connection';
import { direct } from './direct';
import { FakeEnvironment, type FakeSocket, UNAVAILABLE, SECRET } from './testing/fakeEnvironment';
import * as frames from './testing/frames';
import { ackOf, joined, message, type Sent, sends } from './testing/frames';

let world: FakeEnvironment;
let client: Client;
/** All that the user was ever shown. */
let phases: string[];
let old: FakeSocket;

const link = () => client.store.getSnapshot().link;
const lobby = () => client.store.getSnapshot().rooms.get('lobby');
const texts = () => lobby()?.timeline.map((entry) => (entry.kind === 'message' ? entry.text : 'gap'));
const accept = (node: string) => frames.accept(world, node);
const move = { type: 'move', within_ms: 5_000 };

beforeEach(() => {
  world = new FakeEnvironment();
  world.chances = [0.5];
  client = new Client({ environment: world, entrance: direct(['http://lb-1']) });
  client.join('lobby', 'ann');
  old = accept('app-1');
  old.say(joined());
  phases = [];
  client.store.subscribe(() => phases.push(link().phase));
});

const onlineThroughout = () => expect(phases.filter((phase) => phase !== 'online')).toEqual([]);

describe('make before break', () => {
  test('the old line serves until the new one is in the room', () => {
    old.say(message(1), move);
    world.advance(1_250);
    expect(world.asked).toHaveLength(2);
    const heir = accept('app-2');
    expect(heir.sent).toEqual([{ type: 'join', room: 'lobby', user: 'ann', client: SECRET, since: { s: 1 } }]);
    client.send('lobby', 'in between');
    expect(sends(old)).toHaveLength(1);
    expect(old.closedWith).toBeNull();
    expect(link()).toMatchObject({ phase: 'online', place: { node: 'app-1' } });

    heir.say(joined([message(2)]));
    expect(old.closedWith).toBe(1000);
    expect(link()).toMatchObject({ phase: 'online', place: { node: 'app-2' } });
    expect(sends(heir)).toEqual(sends(old));
    expect(texts()).toEqual(['text 1', 'text 2']);
    onlineThroughout();
  });

  test('all rooms come along', () => {
    client.join('news', 'ann');
    old.say({ ...joined(), room: 'news' }, move);
    world.advance(1_250);
    const heir = accept('app-2');
    expect(heir.sentOf('join')).toMatchObject([{ room: 'lobby' }, { room: 'news' }]);
    heir.say(joined());
    expect(old.closedWith).toBeNull();
    heir.say({ ...joined(), room: 'news' });
    expect(old.closedWith).toBe(1000);
  });

  test.each([
    [0, 0],
    [0.999, 2_497.5],
  ])('chance %d: the successor is sought after %d ms, in the first half of the time', (chance, afterMs) => {
    world.chances = [chance];
    old.say(move);
    world.advance(afterMs - 1);
    expect(world.asked).toHaveLength(1);
    world.advance(1);
    expect(world.asked).toHaveLength(2);
  });

  test('another server is wanted than the one that sends us away', () => {
    old.say(move);
    world.advance(1_250);
    expect(world.asked.at(-1)).toBe('http://lb-1/assign?not=app-1');
  });

  test('both lines may deliver, and nothing is lost or doubled', () => {
    old.say(message(1), move);
    world.advance(1_250);
    const heir = accept('app-2');
    old.say(message(2), message(3));
    heir.say(joined([message(2)]), message(3), message(4));
    expect(texts()).toEqual(['text 1', 'text 2', 'text 3', 'text 4']);
  });

  test('what has no ack is sent again on the new line, in order and with the same ids; what has is not', () => {
    for (const text of ['one', 'two', 'three']) client.send('lobby', text);
    old.say(move);
    world.advance(1_250);
    const heir = accept('app-2');
    const [one, two, three] = sends(old) as [Sent, Sent, Sent];
    old.say(ackOf(two, 2));
    heir.say(joined());
    expect(sends(heir)).toEqual([one, three]);
    heir.say(ackOf(one, 1), ackOf(three, 3));
    expect(texts()).toEqual(['one', 'two', 'three']);
    expect(lobby()?.outbox).toEqual([]);
  });
});

describe('a successor that fails', () => {
  test('is followed by another one while there is time', () => {
    old.say(move);
    world.advance(1_250);
    world.assign('app-2');
    world.socket.drop();
    world.advance(250);
    accept('app-3').say(joined());
    expect(link()).toMatchObject({ phase: 'online', place: { node: 'app-3' } });
    onlineThroughout();
  });

  test('is sought with waits that grow, and no longer than the old server allows', () => {
    old.say(move);
    world.advance(1_250);
    for (const waitMs of [250, 500, 1_000]) {
      world.assign('app-2');
      world.socket.drop();
      world.advance(waitMs - 1);
      expect(world.requests).toEqual([]);
      world.advance(1);
    }
    world.assign('app-2');
    world.socket.drop();
    // 3,000 ms have passed, and 2,000 ms more would be too late.
    world.advance(5_000);
    expect(world.requests).toEqual([]);
    expect(old.closedWith).toBeNull();
    onlineThroughout();
    old.drop(1001);
    expect(link()).toMatchObject({ phase: 'waiting', trouble: { kind: 'lost' } });
  });

  test('while no other server is there, the old one goes on', () => {
    old.say(move);
    world.advance(1_250);
    world.answer(UNAVAILABLE);
    client.send('lobby', 'still here');
    expect(sends(old)).toHaveLength(1);
    onlineThroughout();
  });

  test('has a turn where many move', () => {
    old.say(move);
    world.advance(1_250);
    world.decline('busy', 700);
    world.advance(699);
    expect(world.asked).toHaveLength(2);
    world.advance(1);
    accept('app-2').say(joined());
    expect(link()).toMatchObject({ place: { node: 'app-2' } });
    onlineThroughout();
  });

  test('when its time was over a later wish to move is heard', () => {
    old.say(move);
    world.advance(1_250);
    world.decline('unavailable', 10_000);
    world.advance(10_000);
    old.say(move);
    world.advance(1_250);
    accept('app-2').say(joined());
    expect(link()).toMatchObject({ place: { node: 'app-2' } });
  });

  test('has more time when the server says so again', () => {
    old.say(move);
    world.advance(1_250);
    old.say({ type: 'move', within_ms: 20_000 });
    world.decline('busy', 10_000);
    world.advance(10_000);
    accept('app-2').say(joined());
    expect(link()).toMatchObject({ place: { node: 'app-2' } });
    expect(world.sockets).toHaveLength(2);
  });
});

describe('an old server that leaves too early', () => {
  test('hands over at once', () => {
    old.say(move);
    world.advance(1_250);
    old.drop(1001);
    expect(link()).toEqual({ phase: 'connecting', trouble: { kind: 'lost' }, place: null });
    world.assign('app-2');
    expect(link()).toMatchObject({ phase: 'connecting', trouble: { kind: 'lost' }, place: { node: 'app-2' } });
    world.socket.say(frames.welcome('app-2'), joined());
    expect(link()).toMatchObject({ phase: 'online', place: { node: 'app-2' } });
    expect(world.asked).toHaveLength(2);
  });

  test('is not missed by a successor that has its welcome', () => {
    client.send('lobby', 'hi');
    old.say(move);
    world.advance(1_250);
    const heir = accept('app-2');
    old.drop(1001);
    expect(link()).toMatchObject({ phase: 'online', place: { node: 'app-2' } });
    heir.say(joined());
    expect(sends(heir)).toEqual(sends(old));
    onlineThroughout();
  });

  test('before a successor is sought it is an ordinary loss', () => {
    old.say(move);
    old.drop(1001);
    world.advance(250);
    expect(world.asked.slice(1)).toEqual(['http://lb-1/assign?not=app-1']);
    accept('app-2').say(joined());
    world.advance(CONNECT_TIMEOUT_MS);
    expect(world.sockets).toHaveLength(2);
  });
});
