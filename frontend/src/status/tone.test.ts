import { expect, test } from 'vitest';
import { goldenStatus } from '../client/testing/golden';
import {
  type BalancerStatus,
  decodeBalancer,
  decodeServer,
  type LaneStatus,
  type ServerRow,
  type ServerStatus,
} from './status';
import { stateOfBalancer, stateOfLane, stateOfRow, stateOfServer } from './tone';

const server = { ...decodeServer(JSON.stringify(goldenStatus.app)) } as ServerStatus;
const balancer = { ...decodeBalancer(JSON.stringify(goldenStatus.balancer)) } as BalancerStatus;
const [up, gone] = balancer.servers as [ServerRow, ServerRow];

test.each<[Partial<ServerStatus>, string]>([
  [{}, 'ready'],
  [{ ready: false }, 'not ready'],
  [{ draining: true, ready: false }, 'draining'],
  [{ backplane: { ...server.backplane, ready: false }, ready: false }, 'no backplane'],
])('a server with %o is %s', (changes, label) => {
  expect(stateOfServer({ ...server, ...changes }).label).toBe(label);
});

test.each<[Partial<BalancerStatus>, string]>([
  [{}, 'ready'],
  [{ ready: false }, 'no server'],
  [{ draining: true, ready: false }, 'draining'],
])('a balancer with %o is %s', (changes, label) => {
  expect(stateOfBalancer({ ...balancer, ...changes }).label).toBe(label);
});

test.each<[Partial<ServerRow>, string]>([
  [{}, 'up'],
  [gone, 'gone'],
  [{ state: 'suspect' }, 'suspect'],
  [{ draining: true }, 'draining'],
  [{ deaf: true }, 'deaf'],
  [{ full: true }, 'full'],
  [{ state: 'new' }, 'new'],
])('to a balancer, a server with %o is %s', (changes, label) => {
  expect(stateOfRow({ ...up, ...changes }).label).toBe(label);
});

test.each([
  ['up', 'good'],
  ['suspect', 'busy'],
  ['connecting', 'busy'],
  ['deaf', 'bad'],
  ['refused', 'bad'],
  ['new', 'off'],
])('a lane that is %s is %s', (state, tone) => {
  const lane: LaneStatus = { node: 'localhost:6401', state, reason: null, forSeconds: 1 };
  expect(stateOfLane(lane)).toEqual({ tone, label: state });
});
