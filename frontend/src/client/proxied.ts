import { CLOSE_NORMAL } from './closeCodes';
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
      done({ kind: 'failed' });
    },
  };
  const socket = environment.open(`${balancer.replace(/^http/, 'ws')}/ws`, SUBPROTOCOL, {
    opened: () => events.opened(),
    received: (data) => events.received(data),
    closed: (code) => events.closed(code),
  });
  const cancelTimer = environment.after(ANSWER_TIMEOUT_MS, () => {
    abandon();
    done({ kind: 'failed' });
  });
  const forget = () => {
    cancelTimer();
    events = DEAF;
  };
  const abandon = () => {
    forget();
    socket.close(CLOSE_NORMAL);
  };
  return abandon;
}
