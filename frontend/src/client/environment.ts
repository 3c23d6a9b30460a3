/**
 * Everything the client needs from outside. The client calls nothing else that is not a pure function, so a test that
 * passes its own environment decides every delay, every random choice and every byte.
 */
export interface Environment {
  /** Milliseconds since some beginning. It must never be set back: intervals are measured by it. */
  now(): number;
  /** Milliseconds since the epoch, to be shown to people. It may jump, so nothing is measured by it. */
  wallTime(): number;
  /** At least 0, less than 1. */
  random(): number;
  /** 128 random bits in hex that nobody can guess. */
  secret(): string;
  /** What a callback of the application has thrown: the client goes on, and the fault is to be seen. */
  report(error: unknown): void;
  after(delayMs: number, run: () => void): Cancel;
  /** Whether the platform lets nobody reach this URL from here: an HTTPS page no plain HTTP or WebSocket. */
  forbids(url: string): boolean;
  /** Tells what the machine goes through, at first that it is offline where it is. Comes after the return. */
  watch(tell: (sign: Sign) => void): Cancel;
  /** One `GET`; `null` when there was no answer in time. `done` comes after the return, and never after a cancel. */
  get(url: string, timeoutMs: number, done: (answer: HttpAnswer | null) => void): Cancel;
  /** Never throws. Events come after the return; the last one is `closed`. `protocol`: the sub-protocol, where there is one. */
  open(url: string, protocol: string | null, events: SocketEvents): Socket;
}

export type Cancel = () => void;

/** `awake`: the machine, the page or its tab was asleep, so what was open may be long gone. */
export type Sign = 'online' | 'offline' | 'awake';

export interface HttpAnswer {
  /** 0: there was an answer, and the platform keeps it to itself. */
  status: number;
  retryAfter: string | null;
  body: string;
}

export interface Socket {
  send(text: string): void;
  close(code: number): void;
}

export interface SocketEvents {
  opened(): void;
  received(data: unknown): void;
  closed(code: number): void;
}
