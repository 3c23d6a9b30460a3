import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { type Ports, startFakeCluster } from '../dev/fakeCluster';
import { decodeBalancer } from '../src/status/status';
import { getsClients } from '../src/status/tone';

export interface Cluster {
  ports: Ports;
  frontend: string;
  /** Redis nodes that can be killed. */
  redis: readonly string[];
  /** Kills one node without a warning. */
  kill(node: string): void;
  /** Has a server leave, and waits until it is back and all balancers send clients to it. Needs `--restart`. */
  restart: ((node: string) => Promise<void>) | null;
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 40_000;
const STOP_WITHIN_MS = 10_000;
/** A Redis node takes this port, counted from its own, too. */
const REDIS_BUS_OFFSET = 10_000;
const RESTARTED = /^(\S+) is started again \(pid (\d+)\)/;
const ROOT = new URL('../', import.meta.url);

/**
 * The cluster under test: the binary of `DISTR_CHAT_BIN`, which gets these flags too, or the fake one where that is
 * `fake`.
 */
export async function startCluster(...flags: string[]): Promise<Cluster> {
  const free = await freePorts(7);
  const ports: Ports = { frontend: free[0] ?? 0, apps: free.slice(1, 4), balancers: free.slice(4, 7) };
  const binary = binaryPath();
  const cluster = binary === 'fake' ? await startFake(ports) : startReal(binary, ports, await freeRedisPorts(3), flags);
  try {
    await ready(ports);
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

function binaryPath(): string {
  return process.env.DISTR_CHAT_BIN ?? new URL('../target/release/distr-chat', ROOT).pathname;
}

async function startFake(ports: Ports): Promise<Cluster> {
  const fake = await startFakeCluster(ports, new URL('dist/', ROOT).pathname);
  return {
    ports,
    frontend: `http://localhost:${ports.frontend}/`,
    redis: [],
    kill: (node) => fake.kill(ports.apps[Number(node.replace('app-', '')) - 1] ?? 0),
    restart: null,
    stop() {
      fake.stop();
      return Promise.resolve();
    },
  };
}

/** Each node a process, as the table tells that `up` shows. */
function startReal(binary: string, ports: Ports, redisPorts: readonly number[], flags: readonly string[]): Cluster {
  const child = spawn(
    binary,
    [
      'up',
      ...['--backplane', 'redis', '--redis-ports', redisPorts.join()],
      ...['--frontend-port', `${ports.frontend}`],
      ...['--app-ports', ports.apps.join()],
      ...['--lb-ports', ports.balancers.join()],
      ...flags,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const pids = new Map<string, number>();
  createInterface(child.stdout).on('line', (line) => {
    const [, node, pid] = /^ {2}(\S+) .* pid (\d+) /.exec(line) ?? RESTARTED.exec(line) ?? [];
    if (node !== undefined) pids.set(node, Number(pid));
  });
  const pidOf = (node: string) => {
    const pid = pids.get(node);
    if (pid === undefined) throw new Error(`up did not tell the pid of ${node}`);
    return pid;
  };
  return {
    ports,
    frontend: `http://localhost:${ports.frontend}/`,
    redis: redisPorts.map((_port, index) => `redis-${index + 1}`),
    kill: (node) => process.kill(pidOf(node), 'SIGKILL'),
    async restart(node) {
      const before = pidOf(node);
      process.kill(before, 'SIGTERM');
      await until(`${node} was started again`, () => pidOf(node) !== before);
      for (const port of ports.balancers) await until(`lb at ${port} sends clients to ${node}`, () => isUp(port, node));
    },
    stop: () => end(child),
  };
}

/** A frontend server of its own, with these flags; `null` where the cluster is in memory. */
export async function startWeb(
  cluster: Cluster,
  ...flags: string[]
): Promise<{ port: number; stop(): Promise<void> } | null> {
  if (binaryPath() === 'fake') return null;
  const [port = 0] = await freePorts(1);
  const balancers = cluster.ports.balancers.map((port) => `http://localhost:${port}`).join();
  const child = spawn(binaryPath(), ['web', '--listen', `127.0.0.1:${port}`, '--balancers', balancers, ...flags], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await until('a frontend server was ready', () => answers(`http://127.0.0.1:${port}/ready`));
  return { port, stop: () => end(child) };
}

async function end(child: ChildProcess) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGINT');
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
  await exited;
  clearTimeout(late);
}

async function ready({ frontend, apps, balancers }: Ports) {
  const urls = [
    `http://localhost:${frontend}/config.json`,
    ...[...apps, ...balancers].map((port) => `http://localhost:${port}/status`),
    ...[...apps, ...balancers].map((port) => `http://localhost:${port}/ready`),
  ];
  for (const url of urls) await until(`${url} was ready`, () => answers(url));
}

async function until(what: string, is: () => boolean | Promise<boolean>) {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (!(await is())) {
    if (Date.now() > deadline) throw new Error(`not within ${READY_WITHIN_MS} ms: ${what}`);
    await pause(50);
  }
}

async function isUp(port: number, node: string): Promise<boolean> {
  const status = decodeBalancer(await (await fetch(`http://localhost:${port}/status`)).text());
  const row = status?.servers.find(({ name }) => name === node);
  return row !== undefined && getsClients(row);
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen(0)));
  return Promise.all(servers.map(close));
}

/** The same for Redis nodes, below what the kernel hands out, for the second port has to be one too. */
async function freeRedisPorts(count: number): Promise<number[]> {
  const free: number[] = [];
  for (let port = 20_000 + (process.pid % 2_000); free.length < count; port += 1) {
    const both = await Promise.allSettled([listen(port), listen(port + REDIS_BUS_OFFSET)]);
    const servers = both.filter((result) => result.status === 'fulfilled').map(({ value }) => value);
    await Promise.all(servers.map(close));
    if (servers.length === both.length) free.push(port);
  }
  return free;
}

async function listen(port: number): Promise<Server> {
  const server = createServer().listen(port);
  await once(server, 'listening');
  return server;
}

async function close(server: Server): Promise<number> {
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}
