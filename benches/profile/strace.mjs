// How often each system call is made. Times mean nothing here: strace stops the server at each.

import { readFileSync } from 'node:fs';

import { runFor } from './children.mjs';
import { hasTool } from './tools.mjs';

export async function countCalls({ pid }, seconds, folder) {
  if (!hasTool('strace')) return 'no system calls: strace is missing: apt-get install strace';
  const file = `${folder}/calls.txt`;
  await runFor(seconds, 'strace', ['-f', '-c', '-U', 'calls,errors,name', '-S', 'calls', '-p', String(pid), '-o', file]);
  return `system calls in ${seconds} s\n${readFileSync(file, 'utf8').trimEnd()}`;
}
