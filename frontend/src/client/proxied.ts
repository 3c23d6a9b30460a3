import { CLOSE_NORMAL } from './closeCodes';
import { declined, noWay } from './direct';
import { ANSWER_TIMEOUT_MS, type Entrance, type Way } from './entrance';
import type { Cancel, Environment, SocketEvents } from './environment';
import { SUBPROTOCOL } from './protocol';
import { type Outcome, race } from './race';

/** Longer than for a question: what was opened in vain costs a server a connection. */
export const NEXT_PROXY_MS = 1_000;

/** The client connects to a balancer, which passes on what it and a server say. */
export function proxied(balancers: readonly string[]): Entrance {
  return (environment, _avoid, done) => {
    const attempt = (balancer: string, done: (outcome: Outcome<Way>) => void) => knock(environment, balancer, done);
    return race(environment, { balancers, nextMs: NEXT_PROXY_MS, attempt }, done);
  };
}

const DEAF: SocketEvents = { opened: () => undefined, received: () => undefined, closed: () => undefined };

/** A socket that opens is the way, and goes on to whoever takes it. */
function knock(environment: Environment, balancer: string, done: (outcome: Outcome<Way>) => void): Cancel {
  const url = `${balancer.replace(/^http/, 'ws')}/ws`;
  let cancelQuestion: Cancel = () => undefined;
  let events: SocketEvents = {
    ...DEAF,
    opened: () => {
      forget();
      const open = (next: SocketEvents) => {
        events = next;
        return socket;
      };
      done({ kind: 'won', prize: { balancer, server: null, open } });
    },
    closed: () => {
      forget();
      cancelQuestion = askWhy(environment, balancer, url, done);
    },
  };
  const socket = environment.open(url, SUBPROTOCOL, {
    opened: () => events.opened(),
    received: (data) => events.received(data),
    closed: (code) => events.closed(code),
  });
  const cancelTimer = environment.after(ANSWER_TIMEOUT_MS, () => {
    abandon();
    cancelQuestion = askWhy(environment, balancer, url, done);
  });
  const forget = () => {
    cancelTimer();
    events = DEAF;
  };
  const abandon = () => {
    forget();
    cancelQuestion();
    socket.close(CLOSE_NORMAL);
  };
  return abandon;
}

/** A browser does not tell how a socket was refused, but it does tell what the balancer answers to a question. */
function askWhy(environment: Environment, balancer: string, url: string, done: (outcome: Outcome<Way>) => void) {
  return environment.get(`${balancer}/assign`, ANSWER_TIMEOUT_MS, (answer) => {
    if (answer?.status === 503) done(declined(environment, answer));
    else if (answer?.status === 200) done({ kind: 'failed', why: { kind: 'no_socket', url } });
    else done({ kind: 'failed', why: noWay(environment, balancer, answer) });
  });
}
