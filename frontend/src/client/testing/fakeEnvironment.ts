import type { Cancel, Environment, HttpAnswer, Sign, SocketEvents } from '../environment';

interface Timer {
  atMs: number;
  run: () => void;
}

interface Request {
  url: string;
  answer(answer: HttpAnswer | null): void;
}

/** The far end of a socket that the client opened. */
export class FakeSocket {
  readonly sent: unknown[] = [];
  /** The code with which the client closed. */
  closedWith: number | null = null;
  /** Whether it answers pings, as a server does. */
  isThere = false;

  constructor(
    readonly url: string,
    readonly protocol: string | null,
    private readonly events: SocketEvents,
  ) {}

  open() {
    this.events.opened();
  }

  /** What the server says: objects as JSON, strings as they are. */
  say(...frames: unknown[]) {
    for (const frame of frames) this.events.received(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  /** The server, or an accident, closes. */
  drop(code = 1006) {
    this.events.closed(code);
  }

  sentOf(type: string): unknown[] {
    return this.sent.filter((frame) => (frame as { type: string }).type === type);
  }
}

/** The nonce of the client in a fake world. */
export const SECRET = '5f2c9a417be0d83651c4f7a2093be86d';

/** A world in which nothing happens until a test says so. */
export class FakeEnvironment implements Environment {
  nowMs = 4_000_000;
  /** Far from `nowMs`, which counts from some other beginning. */
  startedMs = 1_700_000_000_000;
  /** Each random choice; the last one repeats. */
  chances: number[] = [0];
  readonly sockets: FakeSocket[] = [];
  requests: Request[] = [];
  /** Every URL that was ever asked for. */
  readonly asked: string[] = [];
  #timers = new Set<Timer>();
  #secrets = 0;

  now() {
    return this.nowMs;
  }

  wallTime() {
    return this.startedMs + this.nowMs;
  }

  random() {
    const [chance = 0] = this.chances;
    if (this.chances.length > 1) this.chances.shift();
    return chance;
  }

  /** Another one each time: who needs the same has to keep it. */
  secret() {
    this.#secrets += 1;
    return this.#secrets === 1 ? SECRET : this.#secrets.toString(16).padStart(32, '0');
  }

  /** What callbacks have thrown. */
  readonly reports: unknown[] = [];

  report(error: unknown) {
    this.reports.push(error);
  }

  /** URLs that begin so are forbidden. */
  forbidden: string[] = [];

  forbids(url: string) {
    return this.forbidden.some((start) => url.startsWith(start));
  }

  #watchers = new Set<(sign: Sign) => void>();

  watch(tell: (sign: Sign) => void): Cancel {
    this.#watchers.add(tell);
    return () => {
      this.#watchers.delete(tell);
    };
  }

  sense(sign: Sign) {
    for (const tell of [...this.#watchers]) tell(sign);
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  after(delayMs: number, run: () => void): Cancel {
    const timer = { atMs: this.nowMs + delayMs, run };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  get(url: string, timeoutMs: number, done: (answer: HttpAnswer | null) => void): Cancel {
    const end = (): boolean => {
      cancelTimer();
      const open = this.requests.includes(request);
      this.requests = this.requests.filter((other) => other !== request);
      return open;
    };
    const request: Request = {
      url,
      answer: (answer) => {
        if (end()) done(answer);
      },
    };
    const cancelTimer = this.after(timeoutMs, () => request.answer(null));
    this.asked.push(url);
    this.requests.push(request);
    return end;
  }

  open(url: string, protocol: string | null, events: SocketEvents) {
    const socket = new FakeSocket(url, protocol, events);
    this.sockets.push(socket);
    return {
      send: (text: string) => {
        const frame: unknown = JSON.parse(text);
        socket.sent.push(frame);
        if ((frame as { type: string }).type === 'ping' && socket.isThere)
          this.after(0, () => socket.say({ type: 'pong' }));
      },
      close: (code: number) => {
        socket.closedWith = code;
      },
    };
  }

  /** Lets time pass; what is due runs in order. */
  advance(ms: number) {
    const endMs = this.nowMs + ms;
    for (;;) {
      const [next] = [...this.#timers].filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
      if (!next) break;
      this.#timers.delete(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
    }
    this.nowMs = endMs;
  }

  /** Answers the oldest open request. */
  answer(answer: HttpAnswer | null) {
    const [request] = this.requests;
    if (!request) throw new Error('nothing was asked');
    request.answer(answer);
  }

  assign(node: string) {
    this.answer({ status: 200, retryAfter: null, body: JSON.stringify({ url: `ws://${node}/ws?via=lb-1`, node }) });
  }

  decline(error: string, retryAfterMs: number) {
    this.answer({
      ...{ status: 503, retryAfter: '60' },
      body: JSON.stringify({ error, message: '…', retry_after_ms: retryAfterMs }),
    });
  }

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error('no socket was opened');
    return socket;
  }
}

/** Of a balancer, or a proxy before it, that tells no more. */
export const UNAVAILABLE: HttpAnswer = { status: 503, retryAfter: '1', body: '' };
