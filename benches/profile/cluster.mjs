// The cluster whose first server is looked at. Its ports are not those of `make up`, which may run beside it.

import { once } from 'node:events';
import { createInterface } from 'node:readline';

import * as children from './children.mjs';
import { Fault } from './tools.mjs';

const PROGRAM = 'target/profiling/distr-chat';
const SERVER = 'app-1';
const FIRST_PORT = 5611;
const BALANCER_PORT = 5621;
const FRONTEND_PORT = 5631;
const REDIS_PORTS = [5641, 5642, 5643];

/** Returns the server's name, pid and URL, and the balancer that sends clients to it. */
export async function startCluster({ servers, backplane }) {
  const ports = Array.from({ length: Number(servers) }, (_, index) => FIRST_PORT + index);
  const flags = ['--log', 'warn', 'up', '--app-ports', ports, '--lb-ports', BALANCER_PORT, '--frontend-port', FRONTEND_PORT];
  flags.push('--redis-ports', REDIS_PORTS, ...(backplane ? ['--backplane', backplane] : []));
  const up = children.start(PROGRAM, flags.map(String), ['ignore', 'pipe', 'inherit']);
  const own = await announcedLine(up, new RegExp(`^ *${SERVER} .*`));
  // Where all nodes are in one process, none has a pid of its own.
  const pid = Number(/pid (\d+)/.exec(own)?.[1] ?? up.pid);
  return {
    name: SERVER,
    pid,
    url: `http://127.0.0.1:${FIRST_PORT}`,
    balancer: `http://127.0.0.1:${BALANCER_PORT}`,
  };
}

async function announcedLine(up, pattern) {
  const lines = createInterface({ input: up.stdout });
  const found = new Promise((resolve) => lines.on('line', (line) => pattern.test(line) && resolve(line)));
  const ended = once(lines, 'close').then(() => {
    throw new Fault('the cluster did not start');
  });
  ended.catch(() => {});
  return Promise.race([found, ended]);
}
