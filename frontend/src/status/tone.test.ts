import { expect, test } from 'vitest';
import { goldenStatus } from '../client/testing/golden';
import { decodeBalancer, decodeServer, type ServerRow, type ServerStatus } from './status';
import { stateOfRow, stateOfServer } from './tone';

const server = { ...decodeServer(JSON.stringify(goldenStatus.app)) } as ServerStatus;
const [up, gone] = decodeBalancer(JSON.stringify(goldenStatus.balancer))?.servers as [ServerRow, ServerRow];

test.each<[Partial<ServerStatus>, string]>([
  [{}, 'ready'],
  [{ ready: false }, 'not ready'],
  [{ draining: true, ready: false }, 'draining'],
  [{ backplane: { ...server.backplane, ready: false }, ready: false }, 'no backplane'],
])('a server with %o is %s', (changes, label) => {
  expect(stateOfServer({ ...server, ...changes }).label).toBe(label);
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
