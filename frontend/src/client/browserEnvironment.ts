import { CLOSE_LOST } from './closeCodes';
import type { Cancel, Environment, HttpAnswer, Sign, SocketEvents } from './environment';
import { isMixedContent } from './mixedContent';

const SLEEP_LOOK_MS = 2_000;
/** So much longer than it should be, a pause between two looks was sleep. */
const SLEEP_MS = 10_000;

/** The environment of a browser. The only file of the client that touches the platform. */
export const browserEnvironment: Environment = {
  now: () => performance.now(),

  wallTime: () => Date.now(),

  random: () => Math.random(),

  secret: () => Array.from(crypto.getRandomValues(new Uint8Array(16)), hex).join(''),

  report: (error) => reportError(error),

  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },

  forbids: (url) => isMixedContent(location.href, url),

  watch,

  get(url, timeoutMs, done) {
    const abort = new AbortController();
    let isWanted = true;
    const end = () => {
      isWanted = false;
      clearTimeout(timer);
      abort.abort();
    };
    const finish = (answer: HttpAnswer | null) => {
      if (!isWanted) return;
      end();
      done(answer);
    };
    const timer = setTimeout(() => finish(null), timeoutMs);
    // What `done` throws is no part of this promise, which would take it for a failed question.
    void ask(url, abort.signal)
      .catch(() => null)
      .then((answer) => queueMicrotask(() => finish(answer)));
    return end;
  },

  open(url, protocol, events) {
    const socket = created(url, protocol);
    if (!socket) {
      queueMicrotask(() => events.closed(CLOSE_LOST));
      return { send: () => undefined, close: () => undefined };
    }
    return attached(socket, events);
  },
};

async function ask(url: string, signal: AbortSignal): Promise<HttpAnswer | null> {
  if (isMixedContent(location.href, url)) return null;
  try {
    const response = await fetch(url, { signal, cache: 'no-store' });
    const body = await response.text();
    return { status: response.status, retryAfter: response.headers.get('Retry-After'), body };
  } catch (error) {
    if (signal.aborted) throw error;
    // An error without CORS headers looks like silence. Asked so, the browser tells at least whether there is an answer.
    await fetch(url, { signal, cache: 'no-store', mode: 'no-cors' });
    return { status: 0, retryAfter: null, body: '' };
  }
}

/** `null`: the browser will not even try, as with an address that is none. */
function created(url: string, protocol: string | null): WebSocket | null {
  try {
    return new WebSocket(url, protocol ?? []);
  } catch {
    return null;
  }
}

function attached(socket: WebSocket, events: SocketEvents) {
  socket.onopen = () => events.opened();
  socket.onmessage = (event: MessageEvent<unknown>) => events.received(event.data);
  socket.onclose = (event) => events.closed(event.code);
  return {
    // A browser drops what is sent while the socket closes; the outbox repeats it on the next connection.
    send: (text: string) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    close: (code: number) => socket.close(code),
  };
}

function watch(tell: (sign: Sign) => void): Cancel {
  const end = new AbortController();
  const { signal } = end;
  window.addEventListener('online', () => tell('online'), { signal });
  window.addEventListener('offline', () => tell('offline'), { signal });
  window.addEventListener('pageshow', (event) => event.persisted && tell('awake'), { signal });
  // A frozen tab goes on.
  document.addEventListener('resume', () => tell('awake'), { signal });
  document.addEventListener('visibilitychange', () => !document.hidden && tell('awake'), { signal });
  // No event tells of a lid that was closed. The clock on the wall went on meanwhile; timers did not.
  let lookedMs = Date.now();
  const timer = setInterval(() => {
    const now = Date.now();
    if (now - lookedMs > SLEEP_MS) tell('awake');
    lookedMs = now;
  }, SLEEP_LOOK_MS);
  const first = navigator.onLine ? undefined : setTimeout(() => tell('offline'));
  return () => {
    end.abort();
    clearInterval(timer);
    clearTimeout(first);
  };
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
