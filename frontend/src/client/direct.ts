import { ANSWER_TIMEOUT_MS, type Entrance, type Way } from './entrance';
import type { Environment, HttpAnswer } from './environment';
import type { NoWay } from './link';
import { decodeAssigned, decodeDeclined, decodeMessage, SUBPROTOCOL } from './protocol';
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
  if (!server) return { kind: 'failed', why: noWay(environment, balancer, answer) };
  const open: Way['open'] = (events) => environment.open(server.url, SUBPROTOCOL, events);
  return { kind: 'won', prize: { balancer, server, open } };
}

/** Why this is no assignment. */
export function noWay(environment: Environment, balancer: string, answer: HttpAnswer | null): NoWay {
  if (answer) return { kind: 'balancer_error', balancer, status: answer.status, message: decodeMessage(answer.body) };
  return environment.forbids(balancer) ? { kind: 'insecure', url: balancer } : { kind: 'no_balancer' };
}

/** A balancer that is leaving is as good as gone; one that does not say why it declines has no server. */
export function declined(environment: Environment, answer: HttpAnswer): Exclude<Outcome<never>, { kind: 'won' }> {
  const told = decodeDeclined(answer.body);
  if (told?.error === 'draining') return { kind: 'failed', why: { kind: 'no_balancer' } };
  // What the balancer tells each client is its own; whole seconds are the same for all of them.
  const retryAfterMs = told?.retryAfterMs ?? headerMs(answer.retryAfter) + environment.random() * 1_000;
  return { kind: told?.error ?? 'unavailable', retryAfterMs: Math.min(retryAfterMs, RETRY_AFTER_MAX_MS) };
}

function headerMs(retryAfter: string | null): number {
  const seconds = Number(retryAfter ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : RETRY_AFTER_DEFAULT_MS;
}
