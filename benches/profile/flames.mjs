// Samples → folded stacks, whose first frame is the thread → a flame graph. By inferno, which `make profile` installs.

import { writeFileSync } from 'node:fs';

import { run } from './tools.mjs';

const TOOLS = 'target/tools/bin';
const FIELDS = 'comm,pid,tid,time,event,ip,sym,dso';
/** Frames that are narrower than so many percent only make the picture large. */
const WIDTH_MIN = '0.2';

/** Lines of `thread;outermost;…;innermost count`; what is of the kernel ends with `_[k]`. */
export function foldStacks(folder) {
  const samples = run('perf', ['script', '--no-inline', '-F', FIELDS, '-i', `${folder}/perf.data`]);
  const folded = run(`${TOOLS}/inferno-collapse-perf`, ['--kernel'], samples);
  const stacks = folded.replace(/::h[0-9a-f]{16}\b/g, '');
  writeFileSync(`${folder}/stacks.folded`, stacks);
  return stacks;
}

export function drawFlames(stacks, title, folder) {
  const path = `${folder}/flamegraph.svg`;
  const flags = ['--title', title, '--countname', 'samples', '--colors', 'rust', '--minwidth', WIDTH_MIN];
  writeFileSync(path, run(`${TOOLS}/inferno-flamegraph`, flags, stacks));
  return path;
}
