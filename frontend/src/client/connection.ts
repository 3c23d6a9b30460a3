import { CLOSE_NORMAL } from './closeCodes';
import type { Entrance, Way } from './entrance';
import type { Cancel, Environment, Socket } from './environment';
import { type ClientMessage, decode, encode, type Fault, type ServerMessage, type Welcome } from './protocol';

export const CONNECT_TIMEOUT_MS = 10_000;
export const SILENCE_MS = 30_000;
export const PONG_TIMEOUT_MS = 10_000;

/** Which server, and which balancer showed the way to it. */
export interface Place {
  node: string;
  /** Where it is; `null` behind a balancer's proxy, which alone knows. */
  url: string | null;
  balancer: string;
}

export type Ending =
  | { kind: 'unreachable' }
  | { kind: 'unavailable'; retryAfterMs: number }
  | { kind: 'busy'; retryAfterMs: number }
  | { kind: 'closed'; code: number }
  /** No welcome in time, or silence that a ping did not break. */
  | { kind: 'dead' };

/** What a server says while it is there. */
export type Spoken = Exclude<ServerMessage, { type: 'welcome' | 'resume' }>;

export interface ConnectionEvents {
  assigned(place: Place): void;
  welcomed(welcome: Welcome): void;
  /** Another server has taken over: nothing that was done here holds, and another welcome is on its way. */
  resumed(): void;
  received(message: Spoken): void;
  faulty(fault: Fault): void;
  ended(ending: Ending): void;
}

/**
 * One try to be connected: finds a server, opens the socket, keeps watch over it, and ends once. It never comes back;
 * that is decided by who made it. After `close` it says nothing more.
 */
export class Connection {
  /** `null` until there is one from the server that is there now. */
  welcome: Welcome | null = null;
  /** The server that is there now or, until it says welcome, the last one that was known to be. */
  place: Place | null = null;
  #socket: Socket | null = null;
  #cancelEntrance: Cancel;
  #cancelWatch: Cancel = () => undefined;
  #over = false;

  constructor(
    private readonly environment: Environment,
    entrance: Entrance,
    avoid: string | null,
    private readonly events: ConnectionEvents,
  ) {
    this.#cancelEntrance = entrance(environment, avoid, (result) => {
      if (result.kind === 'won') this.#open(result.prize);
      else this.#end(result);
    });
  }

  send(message: ClientMessage) {
    this.#socket?.send(encode(message));
  }

  close() {
    this.#release();
  }

  #open(way: Way) {
    if (way.server) {
      this.place = { ...way.server, balancer: way.balancer };
      this.events.assigned(this.place);
    }
    this.#socket = way.open({
      opened: () => undefined,
      received: (data) => {
        if (!this.#over) this.#received(way, data);
      },
      closed: (code) => this.#end({ kind: 'closed', code }),
    });
    this.#awaitWelcome();
  }

  #received({ balancer, server }: Way, data: unknown) {
    const message = decode(data);
    if (message.type === 'welcome') {
      this.welcome = message;
      this.place = { node: message.node, url: server?.url ?? null, balancer };
      this.#listen();
      this.events.welcomed(message);
    } else if (message.type === 'resume') {
      this.welcome = null;
      this.#awaitWelcome();
      this.events.resumed();
    } else {
      // Nothing but a welcome ends the wait for one.
      if (this.welcome) this.#listen();
      if (message.type === 'fault') this.events.faulty(message);
      else this.events.received(message);
    }
  }

  #awaitWelcome() {
    this.#watch(CONNECT_TIMEOUT_MS, () => this.#end({ kind: 'dead' }));
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
    this.#cancelEntrance();
    this.#cancelWatch();
    this.#socket?.close(CLOSE_NORMAL);
  }
}
