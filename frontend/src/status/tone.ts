import type { BalancerStatus, LaneStatus, ServerRow, ServerStatus } from './status';

export type Tone = 'good' | 'busy' | 'bad' | 'off';

export interface State {
  tone: Tone;
  label: string;
}

/** How a server sees itself. */
export function stateOfServer(status: ServerStatus | null): State {
  if (!status) return { tone: 'off', label: 'asking' };
  if (status.draining) return { tone: 'busy', label: 'draining' };
  if (!status.backplane.ready) return { tone: 'bad', label: 'no backplane' };
  return status.ready ? { tone: 'good', label: 'ready' } : { tone: 'busy', label: 'not ready' };
}

/** How a balancer sees itself. */
export function stateOfBalancer(status: BalancerStatus | null): State {
  if (!status) return { tone: 'off', label: 'asking' };
  if (status.draining) return { tone: 'busy', label: 'draining' };
  return status.ready ? { tone: 'good', label: 'ready' } : { tone: 'bad', label: 'no server' };
}

/** How a balancer sees a server: why it gets clients, or why not. */
export function stateOfRow({ state, draining, deaf, full }: ServerRow): State {
  if (state === 'gone') return { tone: 'bad', label: 'gone' };
  if (state === 'suspect') return { tone: 'busy', label: 'suspect' };
  if (draining) return { tone: 'busy', label: 'draining' };
  if (deaf) return { tone: 'bad', label: 'deaf' };
  if (full) return { tone: 'busy', label: 'full' };
  return state === 'up' ? { tone: 'good', label: 'up' } : { tone: 'off', label: state };
}

/** How a server sees a way to the others: what passes, what may pass soon, and what does not without a person's help. */
export function stateOfLane({ state }: LaneStatus): State {
  return { tone: LANE_TONES[state] ?? 'off', label: state };
}

const LANE_TONES: Readonly<Record<string, Tone>> = {
  up: 'good',
  suspect: 'busy',
  connecting: 'busy',
  deaf: 'bad',
  refused: 'bad',
};

export function getsClients(row: ServerRow): boolean {
  return stateOfRow(row).tone === 'good';
}
