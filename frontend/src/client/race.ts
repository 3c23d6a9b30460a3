import { fullJitter } from './backoff';
import type { Cancel, Environment } from './environment';
import type { NoWay } from './link';

export const TRIES_PER_BALANCER = 3;
const BETWEEN_ROUNDS = { baseMs: 500, capMs: 2_000 };

/** What a try at a balancer came to. */
export type Outcome<Prize> =
  | { kind: 'won'; prize: Prize }
  /** It is of no use now; perhaps in the next round. */
  | { kind: 'failed'; why: NoWay }
  /** It knows no server that is alive, and said when to come back. */
  | { kind: 'unavailable'; retryAfterMs: number }
  /** More clients come than it lets in at once, and it gave us a turn. */
  | { kind: 'busy'; retryAfterMs: number };

export type Result<Prize> =
  | Exclude<Outcome<Prize>, { kind: 'failed' }>
  /** No balancer was of any use. */
  | { kind: 'unreachable'; why: NoWay };

export interface Course<Prize> {
  balancers: readonly string[];
  /** A balancer that keeps us waiting for so long is joined by the next one. */
  nextMs: number;
  /** Tries one balancer. `done` is called once, after the return, or never after a cancel. */
  attempt(balancer: string, done: (outcome: Outcome<Prize>) => void): Cancel;
}

/** Tries the balancers: the first prize wins. `done` is called once, after the return, or never after a cancel. */
export function race<Prize>(
  environment: Environment,
  course: Course<Prize>,
  done: (result: Result<Prize>) => void,
): Cancel {
  if (course.balancers.length === 0)
    return environment.after(0, () => done({ kind: 'unreachable', why: { kind: 'no_balancer' } }));
  const race = new Race(environment, course, done);
  race.start();
  return () => race.stop();
}

/**
 * Rounds over the balancers. In a round the next one is tried as soon as the last one failed, or when it has kept us
 * waiting. A balancer that knows no server is not tried again. One that gives us a turn ends the race: who took a turn
 * at each of them would be counted three times.
 */
class Race<Prize> {
  #balancers: string[];
  #round = 0;
  #waiting: string[] = [];
  #asked = new Set<Cancel>();
  #cancelTimer: Cancel = () => undefined;
  #retryAfterMs: number | null = null;
  /** The first reason that says more than that nobody answers. */
  #why: NoWay = { kind: 'no_balancer' };

  constructor(
    private readonly environment: Environment,
    private readonly course: Course<Prize>,
    private readonly done: (result: Result<Prize>) => void,
  ) {
    this.#balancers = shuffle(course.balancers, environment);
  }

  start() {
    this.#waiting = [...this.#balancers];
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
    this.#cancelTimer = this.environment.after(this.course.nextMs, () => this.#next());
    const cancel = this.course.attempt(balancer, (outcome) => {
      this.#asked.delete(cancel);
      this.#answered(balancer, outcome);
    });
    this.#asked.add(cancel);
  }

  #answered(balancer: string, outcome: Outcome<Prize>) {
    switch (outcome.kind) {
      case 'won':
      case 'busy':
        this.#finish(outcome);
        return;
      case 'unavailable':
        this.#retryAfterMs = Math.max(this.#retryAfterMs ?? 0, outcome.retryAfterMs);
        this.#balancers = this.#balancers.filter((other) => other !== balancer);
        this.#next();
        return;
      case 'failed':
        if (this.#why.kind === 'no_balancer') this.#why = outcome.why;
        this.#next();
    }
  }

  #endRound() {
    this.#round += 1;
    if (this.#balancers.length > 0 && this.#round < TRIES_PER_BALANCER) {
      const delayMs = fullJitter(BETWEEN_ROUNDS, this.#round - 1, this.environment.random());
      this.#cancelTimer = this.environment.after(delayMs, () => this.start());
    } else if (this.#retryAfterMs !== null) {
      this.#finish({ kind: 'unavailable', retryAfterMs: this.#retryAfterMs });
    } else {
      this.#finish({ kind: 'unreachable', why: this.#why });
    }
  }

  #finish(result: Result<Prize>) {
    this.stop();
    this.done(result);
  }
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
