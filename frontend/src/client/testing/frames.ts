import { DEFAULT_LIMITS, type Message } from '../protocol';
import { type FakeEnvironment, type FakeSocket, SECRET } from './fakeEnvironment';

/** What servers say in tests, in one room and mostly in one stream. */

export const welcome = (node: string) => ({ type: 'welcome', node, session: `${node}-s`, limits: DEFAULT_LIMITS });

export const joined = (history: Message[] = [], complete = true) => ({
  ...{ type: 'joined', room: 'lobby', client: SECRET, users: 1, roster: ['ann'], history, complete },
  streams: Object.fromEntries(history.map(({ stream, seq }) => [stream, seq])),
});

export const message = (seq: number, changes: Partial<Message> = {}): Message => ({
  ...{ type: 'message', room: 'lobby', from: 'bob', text: `text ${seq}`, time: 1_000 + seq },
  ...{ stream: 's', seq, id: `b-${seq}`, ...changes },
});

export interface Sent {
  type: string;
  id: string;
  text: string;
}

export const sends = (socket: FakeSocket) => socket.sentOf('send') as Sent[];

export const ackOf = ({ id }: Sent, seq: number) => ({
  ...{ type: 'ack', room: 'lobby', id, stream: 's', seq, time: 1_000 + seq },
});

export const refusalOf = ({ id }: Sent, code: string) => ({ type: 'error', code, message: '…', room: 'lobby', id });

/** Answers `/assign` and welcomes; the rooms are the test's. */
export function accept(world: FakeEnvironment, node: string): FakeSocket {
  world.assign(node);
  world.socket.say(welcome(node));
  return world.socket;
}
