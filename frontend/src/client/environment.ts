/**
 * Everything the client needs from outside. The client calls nothing else that is not a pure function, so a test that
 * passes its own environment decides every delay, every random choice and every byte.
 */
export interface Environment {
  /** Milliseconds since some beginning. It must never be set back: intervals are measured by it. */
  now(): number;
  /** At least 0, less than 1. */
  random(): number;
  /** 128 random bits in hex that nobody can guess. */
  secret(): string;
  after(delayMs: number, run: () => void): Cancel;
  /** One `GET`; `null` when there was no answer in time. `done` comes after the return, and never after a cancel. */
  get(url: string, timeoutMs: number, done: (answer: HttpAnswer | null) => void): Cancel;
  /** Events come after the return; the last one is `closed`. `protocol`: the sub-protocol, where there is one. */
  open(url: string, protocol: string | null, events: SocketEvents): Socket;
}

export type Cancel = () => void;

export interface HttpAnswer {
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
