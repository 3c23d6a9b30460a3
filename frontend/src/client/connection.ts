import { assign } from './balancers';
import { CLOSE_NORMAL } from './closeCodes';
import type { Cancel, Environment, Socket } from './environment';
import {
  type ClientMessage,
  decode,
  encode,
  type Fault,
  type ServerMessage,
  SUBPROTOCOL,
  type Welcome,
} from './protocol';

export const CONNECT_TIMEOUT_MS = 10_000;
export const SILENCE_MS = 30_000;
export const PONG_TIMEOUT_MS = 10_000;

/** Which server, and which balancer named it. */
export interface Place {
  node: string;
  url: string;
  balancer: string;
}

export type Ending =
  | { kind: 'unreachable' }
  | { kind: 'unavailable'; retryAfterMs: number }
  | { kind: 'closed'; code: number }
  /** No welcome in time, or silence that a ping did not break. */
  | { kind: 'dead' };

export interface ConnectionEvents {
  assigned(place: Place): void;
  welcomed(welcome: Welcome): void;
  received(message: ServerMessage): void;
  faulty(fault: Fault): void;
  ended(ending: Ending): void;
}

/**
 * One try to be connected: finds a server, opens the socket, keeps watch over it, and ends once. It never comes back;
 * that is decided by who made it. After `close` it says nothing more.
 */
export class Connection {
  welcome: Welcome | null = null;
  #socket: Socket | null = null;
  #cancelAssign: Cancel;
  #cancelWatch: Cancel = () => undefined;
  #over = false;

  constructor(
    private readonly environment: Environment,
    balancers: readonly string[],
    private readonly events: ConnectionEvents,
  ) {
    this.#cancelAssign = assign(environment, balancers, (assignment) => {
      if (assignment.kind === 'assigned') this.#open(assignment);
      else this.#end(assignment);
    });
  }

  send(message: ClientMessage) {
    this.#socket?.send(encode(message));
  }

  close() {
    this.#release();
  }

  #open(place: Place) {
    this.events.assigned(place);
    this.#socket = this.environment.open(place.url, SUBPROTOCOL, {
      received: (data) => {
        if (!this.#over) this.#received(data);
      },
      closed: (code) => this.#end({ kind: 'closed', code }),
    });
    this.#watch(CONNECT_TIMEOUT_MS, () => this.#end({ kind: 'dead' }));
  }

  #received(data: unknown) {
    this.#listen();
    const message = decode(data);
    if (message.type === 'fault') this.events.faulty(message);
    else if (message.type === 'welcome') {
      this.welcome = message;
      this.events.welcomed(message);
    } else this.events.received(message);
  }

  /** A socket whose other end is gone can look open for many minutes: ask, when it has been silent for long. */
  #listen() {
    this.#watch(SILENCE_MS, () => {
      this.send({ type: 'ping' });
      this.#watch(PONG_TIMEOUT_MS, () => this.#end({ kind: 'dead' }));
    });
  }

  #watch(delayMs: number, late: () => void) {
    this.#cancelWatch();
    this.#cancelWatch = this.environment.after(delayMs, late);
  }

  #end(ending: Ending) {
    if (this.#over) return;
    this.#release();
    this.events.ended(ending);
  }

  #release() {
    if (this.#over) return;
    this.#over = true;
    this.#cancelAssign();
    this.#cancelWatch();
    this.#socket?.close(CLOSE_NORMAL);
  }
}
