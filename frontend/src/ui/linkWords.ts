import type { Link, Trouble } from '../client';
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

const COOKIES = 'Or the cookies of this host are too large: delete them and reload.';
const OFFLINE: LinkWords = { tone: 'bad', label: 'You are offline', detail: WAITING, action: null };

/** What the user is told about the connection. */
export function linkWords(link: Link, now: number): LinkWords {
  switch (link.phase) {
    case 'idle':
      return { tone: 'busy', label: 'Not connected', detail: '', action: null };
    case 'online':
      return online(link);
    case 'connecting':
      return link.trouble
        ? troubled(link.trouble, null)
        : { tone: 'busy', label: 'Connecting', detail: '', action: null };
    case 'waiting':
      return troubled(link.trouble, Math.max(0, Math.ceil((link.retryMs - now) / 1_000)));
    case 'stopped':
      return {
        tone: 'bad',
        label: 'Disconnected',
        detail: `The server closed the connection: ${link.meaning} (${link.code}).`,
        action: 'Reconnect',
      };
  }
}

function online({ place, degraded, checking, offline }: Extract<Link, { phase: 'online' }>): LinkWords {
  if (offline) return OFFLINE;
  if (checking) return { tone: 'busy', label: 'Checking the connection', detail: '', action: null };
  return degraded
    ? { tone: 'busy', label: 'This server is cut off from the others', detail: CUT_OFF, action: null }
    : { tone: 'good', label: `Connected to ${place.node}`, detail: '', action: null };
}

/** `seconds`: until the next try; `null` while it is going on. */
function troubled(trouble: Trouble, seconds: number | null): LinkWords {
  const next = seconds === null ? 'Trying now.' : `Next try in ${seconds} s.`;
  switch (trouble.kind) {
    case 'lost':
      return { tone: 'busy', label: 'Reconnecting', detail: WAITING, action: null };
    case 'offline':
      return OFFLINE;
    case 'no_balancer':
      return {
        tone: 'bad',
        label: 'No balancer reachable',
        detail: `Each was tried three times. ${next} ${WAITING}`,
        action: 'Try now',
      };
    case 'balancer_error':
      return {
        tone: 'bad',
        label: 'The balancer answers with an error',
        detail: `${errorWords(trouble)} ${next} ${WAITING}`,
        action: 'Try now',
      };
    case 'no_socket':
      return {
        tone: 'bad',
        label: 'No WebSocket',
        detail: `${hostOf(trouble.url)} does not open one. A proxy or firewall in between may not let it pass. ${COOKIES} ${next} ${WAITING}`,
        action: 'Try now',
      };
    case 'insecure':
      return {
        tone: 'bad',
        label: 'The browser forbids the connection',
        detail: `This page is HTTPS, the server is not: ${withoutQuery(trouble.url)}. It needs an https:// or wss:// address.`,
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

/** A head that is too large is mostly one of cookies, which a browser sends to all ports of a host. */
function errorWords({ balancer, status, message }: Extract<Trouble, { kind: 'balancer_error' }>): string {
  const host = hostOf(balancer);
  if (status === 0) return `${host} answers, but does not let this page read what. ${COOKIES}`;
  if (status === 200) return `What is at ${host} is no balancer.`;
  const words = `${host} answered ${status}${message === null ? '' : `: ${message}`}.`;
  return status === 431 || status === 400 ? `${words} ${COOKIES}` : words;
}

/** The rest may hold a ticket. */
function withoutQuery(url: string): string {
  return url.replace(/\?.*$/, '');
}
