import type { Link, Trouble } from '../client';

export interface LinkWords {
  tone: 'good' | 'busy' | 'bad';
  label: string;
  /** What it means for the user; empty while all is well. */
  detail: string;
  action: 'Try now' | 'Reconnect' | null;
}

const WAITING = 'What you write is kept and sent as soon as the chat is back.';
const CUT_OFF = 'What you write is shown here and delivered to all when it is back.';

/** What the user is told about the connection. */
export function linkWords(link: Link, now: number): LinkWords {
  switch (link.phase) {
    case 'idle':
      return { tone: 'busy', label: 'Not connected', detail: '', action: null };
    case 'online':
      return link.degraded
        ? { tone: 'busy', label: 'This server is cut off from the others', detail: CUT_OFF, action: null }
        : { tone: 'good', label: `Connected to ${link.place.node}`, detail: '', action: null };
    case 'connecting':
      if (link.trouble && link.trouble !== 'lost') return troubled(link.trouble, null);
      return {
        tone: 'busy',
        label: link.trouble ? 'Reconnecting' : 'Connecting',
        detail: link.trouble ? WAITING : '',
        action: null,
      };
    case 'waiting': {
      const seconds = Math.max(0, Math.ceil((link.retryMs - now) / 1_000));
      if (link.trouble !== 'lost') return troubled(link.trouble, seconds);
      return { tone: 'busy', label: 'Reconnecting', detail: WAITING, action: null };
    }
    case 'stopped':
      return {
        tone: 'bad',
        label: 'Disconnected',
        detail: `The server closed the connection: ${link.meaning} (${link.code}).`,
        action: 'Reconnect',
      };
  }
}

/** `seconds`: until the next try; `null` while it is going on. */
function troubled(trouble: Exclude<Trouble, 'lost'>, seconds: number | null): LinkWords {
  const next = seconds === null ? 'Trying now.' : `Next try in ${seconds} s.`;
  switch (trouble) {
    case 'no_balancer':
      return {
        tone: 'bad',
        label: 'No balancer reachable',
        detail: `Each was tried three times. ${next} ${WAITING}`,
        action: 'Try now',
      };
    case 'no_server':
      return { tone: 'bad', label: 'No server available', detail: `${next} ${WAITING}`, action: 'Try now' };
    case 'busy': {
      const turn = seconds === null ? 'It is your turn.' : `Your turn is in ${seconds} s.`;
      return { tone: 'busy', label: 'Many are connecting', detail: `${turn} ${WAITING}`, action: null };
    }
  }
}
