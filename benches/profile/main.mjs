// A profile of one server of a cluster under load: a flame graph, the top symbols of each thread, what its turns went to,
// and its system calls. `make profile`; docs/profiling.md says how to read it.

import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import * as children from './children.mjs';
import { startCluster } from './cluster.mjs';
import { drawFlames, foldStacks } from './flames.mjs';
import { startLoad } from './load.mjs';
import { measure } from './measure.mjs';
import { recordStacks, tellClock } from './perf.mjs';
import { countCalls } from './strace.mjs';
import { topSymbols } from './symbols.mjs';
import { Fault, needTool } from './tools.mjs';

const FOLDER = 'target/profile';
/** strace slows the server several times, so it comes last and is short. */
const STRACE_SECONDS = 3;
/** From the first message until rooms, queues and allocator are as they will be. */
const WARM_UP_SECONDS = 2;

async function main() {
  const { values: plan, positionals: loadFlags } = parseArgs({
    allowPositionals: true,
    options: {
      clients: { type: 'string', default: '1000' },
      rooms: { type: 'string', default: '100' },
      rate: { type: 'string', default: '3000' },
      seconds: { type: 'string', default: '10' },
      servers: { type: 'string', default: '2' },
      backplane: { type: 'string' },
    },
  });
  const seconds = Number(plan.seconds);
  needTool('perf', 'install perf: apt-get install linux-perf (Debian), linux-tools-generic (Ubuntu), perf (Fedora)');
  mkdirSync(FOLDER, { recursive: true });

  const server = await startCluster(plan);
  await startLoad(server, plan, loadFlags, WARM_UP_SECONDS + seconds + STRACE_SECONDS, FOLDER);
  await sleep(WARM_UP_SECONDS * 1000);
  const clock = tellClock();
  say(`${server.name}, pid ${server.pid}: perf for ${seconds} s by ${clock} …`);
  const turns = await measure(server, () => recordStacks(server, clock, seconds, FOLDER));
  say(`system calls for ${STRACE_SECONDS} s …`);
  const calls = await measure(server, () => countCalls(server, STRACE_SECONDS, FOLDER));
  await children.endAll();

  const stacks = foldStacks(FOLDER);
  const title = `One of ${plan.servers} servers: ${plan.clients} clients, ${plan.rooms} rooms, ${plan.rate} messages a second`;
  const flames = drawFlames(stacks, title, FOLDER);
  const report = [title, turns.text, topSymbols(stacks), calls.result, calls.text].join('\n\n');
  writeFileSync(`${FOLDER}/report.txt`, `${report}\n`);
  say(`\n${report}\n\nthe flame graph:  ${flames}\nthis report:      ${FOLDER}/report.txt`);
}

function say(text) {
  console.log(text);
}

let isInterrupted = false;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    isInterrupted = true;
    await children.endAll();
    process.exit(130);
  });
}

try {
  await main();
} catch (error) {
  await children.endAll();
  // What ends because all is told to is no news.
  if (!isInterrupted) {
    if (!(error instanceof Fault || error.code?.startsWith('ERR_PARSE_ARGS'))) throw error;
    console.error(`profile: ${error.message}`);
    process.exitCode = 1;
  }
}
