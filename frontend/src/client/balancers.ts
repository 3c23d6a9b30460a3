import { fullJitter } from './backoff';
import type { Cancel, Environment, HttpAnswer } from './environment';
import { decodeAssigned } from './protocol';

export const NEXT_BALANCER_MS = 250;
export const TRIES_PER_BALANCER = 3;
export const ANSWER_TIMEOUT_MS = 3_000;
const BETWEEN_ROUNDS = { baseMs: 500, capMs: 2_000 };
const RETRY_AFTER_DEFAULT_MS = 1_000;
const RETRY_AFTER_MAX_MS = 60_000;

export type Assignment =
  | { kind: 'assigned'; url: string; node: string; balancer: string }
  /** Balancers answered, and none of them knows a server that is alive. */
  | { kind: 'unavailable'; retryAfterMs: number }
  /** No balancer answered. */
  | { kind: 'unreachable' };

/** Asks the balancers for a server: the first good answer wins. `done` is called once, or never after a cancel. */
export function assign(
  environment: Environment,
  balancers: readonly string[],
  done: (assignment: Assignment) => void,
): Cancel {
  const race = new Race(environment, shuffle(balancers, environment), done);
  race.start();
  return () => race.stop();
}

/** A random order, so that the balancers share the clients. */
function shuffle(balancers: readonly string[], environment: Environment): string[] {
  const order = [...balancers];
  for (let left = order.length; left > 1; left -= 1) {
    const [chosen] = order.splice(Math.floor(environment.random() * left), 1);
    if (chosen !== undefined) order.push(chosen);
  }
  return order;
}

/**
 * Rounds over the balancers. In a round the next one is asked as soon as the last one failed, or when it has kept us
 * waiting. A balancer that answered "no server" is not asked again: it told when to come back.
 */
class Race {
  #round = 0;
  #waiting: string[] = [];
  #asked = new Set<Cancel>();
  #cancelTimer: Cancel = () => undefined;
  #retryAfterMs: number | null = null;

  constructor(
    private readonly environment: Environment,
    private balancers: string[],
    private readonly done: (assignment: Assignment) => void,
  ) {}

  start() {
    this.#waiting = [...this.balancers];
    this.#next();
  }

  stop() {
    this.#cancelTimer();
    for (const cancel of this.#asked) cancel();
    this.#asked.clear();
  }

  #next() {
    this.#cancelTimer();
    const balancer = this.#waiting.shift();
    if (balancer !== undefined) this.#ask(balancer);
    else if (this.#asked.size === 0) this.#endRound();
  }

  #ask(balancer: string) {
    this.#cancelTimer = this.environment.after(NEXT_BALANCER_MS, () => this.#next());
    const cancel = this.environment.get(`${balancer}/assign`, ANSWER_TIMEOUT_MS, (answer) => {
      this.#asked.delete(cancel);
      this.#answered(balancer, answer);
    });
    this.#asked.add(cancel);
  }

  #answered(balancer: string, answer: HttpAnswer | null) {
    const assigned = answer?.status === 200 ? decodeAssigned(answer.body) : null;
    if (assigned) {
      this.#finish({ kind: 'assigned', ...assigned, balancer });
      return;
    }
    if (answer?.status === 503) {
      this.#retryAfterMs = Math.max(this.#retryAfterMs ?? 0, retryAfterMs(answer.retryAfter));
      this.balancers = this.balancers.filter((other) => other !== balancer);
    }
    this.#next();
  }

  #endRound() {
    this.#round += 1;
    if (this.balancers.length > 0 && this.#round < TRIES_PER_BALANCER) {
      const delayMs = fullJitter(BETWEEN_ROUNDS, this.#round - 1, this.environment.random());
      this.#cancelTimer = this.environment.after(delayMs, () => this.start());
    } else if (this.#retryAfterMs !== null) {
      this.#finish({ kind: 'unavailable', retryAfterMs: this.#retryAfterMs });
    } else {
      this.#finish({ kind: 'unreachable' });
    }
  }

  #finish(assignment: Assignment) {
    this.stop();
    this.done(assignment);
  }
}

function retryAfterMs(header: string | null): number {
  const seconds = Number(header ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0
    ? Math.min(seconds * 1_000, RETRY_AFTER_MAX_MS)
    : RETRY_AFTER_DEFAULT_MS;
}
