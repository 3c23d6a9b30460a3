// The processes that a run started. They end with it, the latest first, however it ends.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { Fault } from './tools.mjs';

/** A cluster says goodbye to its clients and ends its nodes one kind after another, each kind within 5 s. */
const PATIENCE_MS = 25_000;

const running = new Set();

export function start(program, flags, stdio) {
  // In a group of its own, since Ctrl-C is for us, who tell each when its time has come.
  const child = spawn(program, flags, { stdio, detached: true });
  child.ended = once(child, 'exit').then(
    ([code, signal]) => code ?? signal,
    (error) => {
      throw new Fault(`${program}: ${error.message}`);
    },
  );
  child.ended.catch(() => {}).finally(() => running.delete(child));
  running.add(child);
  return child;
}

/** Runs a program that goes on until it is told to stop. */
export async function runFor(seconds, program, flags) {
  const child = start(program, flags, ['ignore', 'ignore', 'pipe']);
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (complaint += text));
  const early = await Promise.race([child.ended, sleep(seconds * 1000)]);
  if (early !== undefined) throw new Fault(`${program} ended by itself (${early}): ${complaint.trim()}`);
  await end(child);
}

export async function endAll() {
  for (const child of [...running].reverse()) await end(child);
}

async function end(child) {
  child.kill('SIGINT');
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  await child.ended.catch(() => {});
  clearTimeout(timer);
}
