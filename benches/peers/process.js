// Processes on cores of their own, and what the kernel knows of them.

import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const SERVER_CORE = '0';
const LOAD_CORE = '1';
const START_MS = 10_000;
const LOOK_MS = 50;
const LOG_CHARACTERS = 4000;
const GARBAGE_MS = 700;

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A run that says nothing about speed. */
export class Void extends Error {}

export class Server {
  /** Starts what servers.js describes. */
  static async start(description) {
    if (await listens(description.port)) throw new Error(`port ${description.port} is taken`);
    const child = start(SERVER_CORE, description.command, ['ignore', 'ignore', 'pipe']);
    let log = '';
    child.stderr.on('data', (bytes) => (log = (log + bytes).slice(0, LOG_CHARACTERS)));
    const deadline = Date.now() + START_MS;
    while (!(await listens(description.port))) {
      if (running.has(child) && Date.now() < deadline) {
        await sleep(LOOK_MS);
        continue;
      }
      child.kill('SIGKILL');
      throw new Void(`it does not start: ${/^\w*Error: .*$/m.exec(log)?.[0] ?? log.trim()}`);
    }
    return new Server(child, description.collectsGarbage);
  }

  constructor(child, collectsGarbage) {
    Object.assign(this, { child, collectsGarbage, files: `/proc/${child.pid}` });
  }

  /** utime and stime of all threads, but in nanoseconds, since a burst costs less than the 10 ms of /proc/PID/stat. */
  cpuSeconds() {
    const nanoseconds = (thread) =>
      Number(readFileSync(`${this.files}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    return readdirSync(`${this.files}/task`).reduce((sum, thread) => sum + nanoseconds(thread), 0) / 1e9;
  }

  async residentBytes() {
    if (this.collectsGarbage) {
      this.child.kill('SIGUSR2');
      await sleep(GARBAGE_MS);
    }
    return Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`${this.files}/status`, 'utf8'))[1]) * 1024;
  }

  async stop() {
    this.child.kill('SIGKILL');
    await this.child.ended;
  }
}

export const startLoad = (command) => start(LOAD_CORE, command, ['ignore', 'pipe', 'pipe']);

function start(core, command, stdio) {
  const child = spawn('taskset', ['-c', core, ...command], { stdio });
  running.add(child);
  child.ended = new Promise((resolve) => {
    child.on('close', (code) => {
      running.delete(child);
      resolve(code);
    });
  });
  return child;
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => resolve(false));
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
