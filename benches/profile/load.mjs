// Clients who talk for as long as it takes.

import { openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import * as children from './children.mjs';
import { scrape } from './measure.mjs';
import { Fault } from './tools.mjs';

const PROGRAM = 'target/release/loadgen';
/** perf and strace take their time to attach and to write. */
const MARGIN_SECONDS = 30;
const LOOK_MS = 100;

/** Returns when the first message was said. */
export async function startLoad(server, { clients, rooms, rate }, flags, seconds, folder) {
  const words = `${folder}/loadgen.txt`;
  const out = openSync(words, 'w');
  const load = children.start(
    PROGRAM,
    ['--balancers', server.balancer, '--clients', clients, '--rooms', rooms, '--rate', rate, ...flags].concat(
      ['--duration', `${seconds + MARGIN_SECONDS}s`],
    ),
    ['ignore', out, out],
  );
  let status;
  load.ended.then(
    (ended) => (status = ended),
    (error) => (status = error.message),
  );
  while ((await scrape(server)).sum('chat_messages_said_total') === 0) {
    if (status !== undefined) throw new Fault(`loadgen ended before it spoke (${status}): ${words} has what it said`);
    await sleep(LOOK_MS);
  }
}
