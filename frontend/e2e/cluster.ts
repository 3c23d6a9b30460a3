import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { type Ports, startFakeCluster } from '../dev/fakeCluster';

export interface Cluster {
  ports: Ports;
  frontend: string;
  /** Kills one server without a warning; false where servers are not processes of their own. */
  kill(port: number): Promise<boolean>;
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 40_000;
const STOP_WITHIN_MS = 10_000;
const ROOT = new URL('../', import.meta.url);

/** The cluster under test: the binary of `DISTR_CHAT_BIN`, or the fake one where that is `fake`. */
export async function startCluster(): Promise<Cluster> {
  const free = await freePorts(7);
  const ports: Ports = { frontend: free[0] ?? 0, apps: free.slice(1, 4), balancers: free.slice(4, 7) };
  const binary = process.env.DISTR_CHAT_BIN ?? new URL('../target/release/distr-chat', ROOT).pathname;
  const cluster = binary === 'fake' ? await startFake(ports) : startReal(binary, ports);
  try {
    await ready(ports);
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

async function startFake(ports: Ports): Promise<Cluster> {
  const fake = await startFakeCluster(ports, new URL('dist/', ROOT).pathname);
  return {
    ports,
    frontend: `http://localhost:${ports.frontend}/`,
    kill(port) {
      fake.kill(port);
      return Promise.resolve(true);
    },
    stop() {
      fake.stop();
      return Promise.resolve();
    },
  };
}

function startReal(binary: string, ports: Ports): Cluster {
  const child = spawn(
    binary,
    [
      'up',
      ...['--backplane', 'embedded'],
      ...['--frontend-port', `${ports.frontend}`],
      ...['--app-ports', ports.apps.join()],
      ...['--lb-ports', ports.balancers.join()],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  return {
    ports,
    frontend: `http://localhost:${ports.frontend}/`,
    kill: (port) => killServer(child, port),
    stop: () => end(child),
  };
}

async function end(child: ChildProcess) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGINT');
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
  await exited;
  clearTimeout(late);
}

/** `up` runs each node as a child; the one with this port among its arguments is the server. */
async function killServer(up: ChildProcess, port: number): Promise<boolean> {
  const children = await readFile(`/proc/${up.pid ?? 0}/task/${up.pid ?? 0}/children`, 'utf8').catch(() => '');
  for (const pid of children.split(' ').filter(Boolean).map(Number)) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    const words = command.split('\0');
    if (words[1] === 'app' && words.some((word) => word.endsWith(`${port}`))) return process.kill(pid, 'SIGKILL');
  }
  return false;
}

async function ready({ frontend, apps, balancers }: Ports) {
  const urls = [
    `http://localhost:${frontend}/config.json`,
    ...[...apps, ...balancers].map((port) => `http://localhost:${port}/status`),
    ...balancers.map((port) => `http://localhost:${port}/ready`),
  ];
  const deadline = Date.now() + READY_WITHIN_MS;
  for (const url of urls) {
    while (!(await answers(url))) {
      if (Date.now() > deadline) throw new Error(`${url} was not ready within ${READY_WITHIN_MS} ms`);
      await pause(50);
    }
  }
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
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0);
      await once(server, 'listening');
      return server;
    }),
  );
  return Promise.all(
    servers.map(async (server) => {
      const address = server.address();
      server.close();
      await once(server, 'close');
      return typeof address === 'object' && address ? address.port : 0;
    }),
  );
}
