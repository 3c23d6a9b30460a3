export interface CloseCode {
  code: number;
  name: string;
  reconnect: boolean;
  meaning: string;
}

/** The table of docs/protocol.json; a test holds the two equal. */
export const CLOSE_CODES: readonly CloseCode[] = [
  { code: 1000, name: 'normal', reconnect: false, meaning: 'the client closed' },
  { code: 1001, name: 'going_away', reconnect: true, meaning: 'the server is leaving' },
  { code: 1002, name: 'protocol_error', reconnect: false, meaning: 'a frame broke RFC 6455' },
  {
    code: 1003,
    name: 'unsupported_data',
    reconnect: false,
    meaning: 'a binary message was sent; the protocol is text',
  },
  { code: 1007, name: 'invalid_text', reconnect: false, meaning: 'a text message was not UTF-8' },
  { code: 1008, name: 'policy', reconnect: false, meaning: 'far more frames than the rate allows' },
  { code: 1009, name: 'too_big', reconnect: false, meaning: 'a message was larger than frame_bytes' },
  { code: 1011, name: 'internal_error', reconnect: true, meaning: 'the server failed' },
  { code: 1013, name: 'try_later', reconnect: true, meaning: 'the server is full' },
  { code: 4000, name: 'slow_consumer', reconnect: true, meaning: 'the client read too slowly; it can resume' },
  { code: 4001, name: 'ping_timeout', reconnect: true, meaning: 'the client was silent for too long' },
  { code: 4002, name: 'idle', reconnect: false, meaning: 'the client was in no room for too long' },
];

export const CLOSE_NORMAL = 1000;
export const CLOSE_GOING_AWAY = 1001;
/** Never sent: what a socket says that ended without a close frame. */
export const CLOSE_LOST = 1006;

/** What to do after a close. A code that nobody wrote down, 1006 above all, is an accident: come back. */
export function closeCode(code: number): CloseCode {
  return (
    CLOSE_CODES.find((known) => known.code === code) ?? {
      code,
      name: 'lost',
      reconnect: true,
      meaning: 'the connection was lost',
    }
  );
}
