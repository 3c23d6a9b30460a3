import { ANSWER_TIMEOUT_MS, type Entrance, type Way } from './entrance';
import type { Environment, HttpAnswer } from './environment';
import { decodeAssigned, decodeDeclined, SUBPROTOCOL } from './protocol';
import { type Outcome, race } from './race';

export const NEXT_BALANCER_MS = 250;
const RETRY_AFTER_DEFAULT_MS = 1_000;
const RETRY_AFTER_MAX_MS = 60_000;

/** A balancer names a server, and the client connects to that. */
export function direct(balancers: readonly string[]): Entrance {
  return (environment, avoid, done) => {
    const query = avoid === null ? '' : `?not=${encodeURIComponent(avoid)}`;
    const course = {
      balancers,
      nextMs: NEXT_BALANCER_MS,
      attempt: (balancer: string, done: (outcome: Outcome<Way>) => void) =>
        environment.get(`${balancer}/assign${query}`, ANSWER_TIMEOUT_MS, (answer) =>
          done(outcomeOf(environment, balancer, answer)),
        ),
    };
    return race(environment, course, done);
  };
}

function outcomeOf(environment: Environment, balancer: string, answer: HttpAnswer | null): Outcome<Way> {
  if (answer?.status === 503) return declined(environment, answer);
  const server = answer?.status === 200 ? decodeAssigned(answer.body) : null;
  if (!server) return { kind: 'failed' };
  const open: Way['open'] = (events) => environment.open(server.url, SUBPROTOCOL, events);
  return { kind: 'won', prize: { balancer, server, open } };
}

/** A balancer that is leaving is as good as gone; one that does not say why it declines has no server. */
function declined(environment: Environment, { body, retryAfter }: HttpAnswer): Outcome<Way> {
  const told = decodeDeclined(body);
  if (told?.error === 'draining') return { kind: 'failed' };
  // What the balancer tells each client is its own; whole seconds are the same for all of them.
  const retryAfterMs = told?.retryAfterMs ?? headerMs(retryAfter) + environment.random() * 1_000;
  return { kind: told?.error ?? 'unavailable', retryAfterMs: Math.min(retryAfterMs, RETRY_AFTER_MAX_MS) };
}

function headerMs(retryAfter: string | null): number {
  const seconds = Number(retryAfter ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : RETRY_AFTER_DEFAULT_MS;
}
