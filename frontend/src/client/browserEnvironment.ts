import type { Environment } from './environment';

/** The environment of a browser. The only file of the client that touches the platform. */
export const browserEnvironment: Environment = {
  now: () => performance.now(),

  random: () => Math.random(),

  secret: () => Array.from(crypto.getRandomValues(new Uint8Array(16)), hex).join(''),

  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },

  get(url, timeoutMs, done) {
    const abort = new AbortController();
    let over = false;
    const finish = (answer: Parameters<typeof done>[0]) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      done(answer);
    };
    const timer = setTimeout(() => {
      finish(null);
      abort.abort();
    }, timeoutMs);
    fetch(url, { signal: abort.signal, cache: 'no-store' })
      .then(async (response) => {
        const body = await response.text();
        finish({ status: response.status, retryAfter: response.headers.get('Retry-After'), body });
      })
      .catch(() => finish(null));
    return () => {
      over = true;
      clearTimeout(timer);
      abort.abort();
    };
  },

  open(url, protocol, events) {
    const socket = new WebSocket(url, protocol ?? []);
    socket.onopen = () => events.opened();
    socket.onmessage = (event: MessageEvent<unknown>) => events.received(event.data);
    socket.onclose = (event) => events.closed(event.code);
    return {
      // A browser drops what is sent while the socket closes; the outbox repeats it on the next connection.
      send: (text) => {
        if (socket.readyState === WebSocket.OPEN) socket.send(text);
      },
      close: (code) => socket.close(code),
    };
  },
};

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
