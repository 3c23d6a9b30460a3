import type { Link } from '../client';
import { hostOf } from './format';

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
      if (link.trouble && link.trouble !== 'lost') return troubled(link.trouble, 'Trying now.');
      return {
        tone: 'busy',
        label: link.trouble ? 'Reconnecting' : 'Connecting',
        detail: link.trouble ? WAITING : '',
        action: null,
      };
    case 'waiting': {
      const seconds = Math.max(0, Math.ceil((link.retryMs - now) / 1_000));
      if (link.trouble !== 'lost') return troubled(link.trouble, `Next try in ${seconds} s.`);
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

function troubled(trouble: 'no_balancer' | 'no_server', next: string): LinkWords {
  const label = trouble === 'no_balancer' ? 'No balancer reachable' : 'No server available';
  return { tone: 'bad', label, detail: `${next} ${WAITING}`, action: 'Try now' };
}

/** The route in a few words, such as `app-2 via localhost:7001`. */
export function routeOf(link: Link): string | null {
  return link.phase === 'online' ? `via ${hostOf(link.place.balancer)}` : null;
}
