// Samples of stacks.

import { spawnSync } from 'node:child_process';

import { runFor } from './children.mjs';

/** No divisor of the timers that the server may run by. */
const SAMPLES_PER_SECOND = 999;

/** Cycles where the machine counts them, else the software clock, as in most virtual machines. */
export function tellClock() {
  const { status, stderr } = spawnSync('perf', ['stat', '-e', 'cycles', '--', 'true'], { encoding: 'utf8' });
  return status === 0 && !stderr.includes('<not ') ? 'cycles' : 'cpu-clock';
}

export async function recordStacks({ pid }, clock, seconds, folder) {
  const flags = ['record', '-e', clock, '-F', SAMPLES_PER_SECOND, '--call-graph', 'fp', '-p', pid];
  await runFor(seconds, 'perf', [...flags, '-o', `${folder}/perf.data`].map(String));
}
