import { CLOSE_NORMAL } from './closeCodes';
import type { Entrance, Way } from './entrance';
import type { Cancel, Environment, Socket } from './environment';
import type { NoWay } from './link';
import { type ClientMessage, decode, encode, type Fault, type ServerMessage, type Welcome } from './protocol';

export const CONNECT_TIMEOUT_MS = 10_000;
/** More than a race over many balancers takes: if an entrance calls nobody back, this does. */
export const ENTRANCE_TIMEOUT_MS = 60_000;
export const SILENCE_MS = 30_000;
/** A late ack (5 s) and this together stay below 10 s. */
export const PONG_TIMEOUT_MS = 4_000;
/** A check that is over sooner is not worth a word. */
export const CHECKING_SHOWN_MS = 1_000;

/** Which server, and which balancer showed the way to it. */
export interface Place {
  node: string;
  /** Where it is; `null` behind a balancer's proxy, which alone knows. */
  url: string | null;
  balancer: string;
}

export type Ending =
  | { kind: 'unreachable'; why: NoWay }
  | { kind: 'unavailable'; retryAfterMs: number }
  | { kind: 'busy'; retryAfterMs: number }
  /** `unopened`: the address of the server where the socket did not open. */
  | { kind: 'closed'; code: number; unopened: string | null }
  /** No welcome in time, or silence that a ping did not break. */
  | { kind: 'dead'; unopened: string | null };

/** What a server says while it is there. */
export type Spoken = Exclude<ServerMessage, { type: 'welcome' | 'resume' }>;

export interface ConnectionEvents {
  assigned(place: Place): void;
  welcomed(welcome: Welcome): void;
  /** Another server has taken over: nothing that was done here holds, and another welcome is on its way. */
  resumed(): void;
  received(message: Spoken): void;
  /** Whether the connection holds is in doubt, or no longer. */
  checking(doubtful: boolean): void;
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
  #unopened: string | null = null;
  #probe: 'none' | 'quiet' | 'shown' = 'none';

  constructor(
    private readonly environment: Environment,
    entrance: Entrance,
    avoid: string | null,
    private readonly events: ConnectionEvents,
  ) {
    this.#watch(ENTRANCE_TIMEOUT_MS, () => this.#end({ kind: 'unreachable', why: { kind: 'no_balancer' } }));
    this.#cancelEntrance = entrance(environment, avoid, (result) => {
      if (result.kind === 'won') this.#open(result.prize);
      else this.#end(result);
    });
  }

  send(message: ClientMessage) {
    this.#socket?.send(encode(message));
  }

  /**
   * Asks at once whether the other end is there. Only its pong is an answer: other frames may have come before the path
   * broke, and been waiting here. They do give it more time, for the pong may be behind them.
   */
  probe() {
    if (!this.welcome || this.#over || this.#probe !== 'none') return;
    this.#probe = 'quiet';
    this.send({ type: 'ping' });
    this.#awaitPong();
  }

  close() {
    this.#release();
  }

  #open(way: Way) {
    if (way.server) {
      this.place = { ...way.server, balancer: way.balancer };
      this.events.assigned(this.place);
      if (this.environment.forbids(way.server.url)) {
        this.#end({ kind: 'unreachable', why: { kind: 'insecure', url: way.server.url } });
        return;
      }
    }
    this.#unopened = way.server?.url ?? null;
    this.#socket = way.open({
      opened: () => {
        this.#unopened = null;
      },
      received: (data) => {
        this.#unopened = null;
        if (!this.#over) this.#received(way, data);
      },
      closed: (code) => this.#end({ kind: 'closed', code, unopened: this.#unopened }),
    });
    this.#awaitWelcome();
  }

  #received({ balancer, server }: Way, data: unknown) {
    const message = decode(data);
    if (message.type === 'welcome') {
      this.welcome = message;
      this.#setProbe('none');
      this.place = { node: message.node, url: server?.url ?? null, balancer };
      this.#listen();
      this.events.welcomed(message);
    } else if (message.type === 'resume') {
      this.welcome = null;
      this.#setProbe('none');
      this.#awaitWelcome();
      this.events.resumed();
    } else {
      // Nothing but a welcome ends the wait for one.
      if (this.welcome) this.#heard(message);
      if (message.type === 'fault') this.events.faulty(message);
      else this.events.received(message);
    }
  }

  #awaitWelcome() {
    this.#watch(CONNECT_TIMEOUT_MS, () => this.#end({ kind: 'dead', unopened: this.#unopened }));
  }

  #heard(message: ServerMessage | Fault) {
    // Our ping may be the frame that there was one too many of: then no pong comes.
    const isAnswer = message.type === 'pong' || (message.type === 'error' && message.code === 'rate_limited');
    if (isAnswer) this.#setProbe('none');
    if (this.#probe === 'none') this.#listen();
    else this.#awaitPong();
  }

  /** A socket whose other end is gone can look open for many minutes: ask, when it has been silent for long. */
  #listen() {
    this.#watch(SILENCE_MS, () => this.probe());
  }

  #awaitPong() {
    this.#watch(CHECKING_SHOWN_MS, () => {
      this.#setProbe('shown');
      this.#watch(PONG_TIMEOUT_MS - CHECKING_SHOWN_MS, () => this.#end({ kind: 'dead', unopened: this.#unopened }));
    });
  }

  #setProbe(probe: 'none' | 'shown') {
    const before = this.#probe;
    this.#probe = probe;
    if (before !== 'none' && probe === 'none') this.events.checking(false);
    if (before !== 'shown' && probe === 'shown') this.events.checking(true);
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
