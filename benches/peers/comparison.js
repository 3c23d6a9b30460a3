// Ours and the peers in turn under the same load, each time as a new process: `make peers`. docs/performance.md says
// what came out, and what is not the same.

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { Server, Void, startLoad } from './process.js';
import { LOADGEN, MODULES, OURS, servers } from './servers.js';

const HELP = `usage: make peers ARGS="…"
  --rounds N      so many rounds, of which the first does not count [default: 6]
  --seconds N     seconds of load in each run, a multiple of 4 [default: 8]
  --only NAME,…   of room, bursts, flood, rooms, idle [default: all]`;

const DELIVERIES = { what: 'deliveries per CPU second', of: ({ delivered, cpuSeconds }) => delivered / cpuSeconds };
const MEASURES = [
  {
    name: 'room',
    title: 'one room of 1,000, 20 messages a second, each alone',
    plan: { clients: 1000, rooms: 1, rate: 20 },
    run: deliver,
    columns: [DELIVERIES],
  },
  {
    name: 'bursts',
    // The slowest of them needs most of these 4 s.
    title: 'one room of 1,000, 100 messages at once every 4 s',
    plan: { clients: 1000, rooms: 1, rate: 25, burst: 100 },
    run: deliver,
    columns: [DELIVERIES],
  },
  {
    name: 'flood',
    // Ten times what those get done who write each message by itself.
    title: 'one room of 1,000, 100 messages at once ten times a second',
    plan: { clients: 1000, rooms: 1, rate: 1000, burst: 100 },
    run: deliver,
    takesPart: ({ gathers }) => gathers,
    columns: [DELIVERIES],
  },
  {
    name: 'rooms',
    title: '200 rooms of 10, 2,000 messages a second',
    plan: { clients: 2000, rooms: 200, rate: 2000 },
    run: deliver,
    columns: [DELIVERIES],
  },
  {
    name: 'idle',
    title: '10,000 connections in 1,000 rooms',
    plan: { clients: 10_000, rooms: 1000, rate: 0, seconds: 4 },
    run: idle,
    columns: [
      { what: 'bytes of resident memory each', of: ({ bytes, clients }) => bytes / clients },
      { what: 'µs of CPU until each is in its room', of: ({ cpuSeconds, clients }) => (cpuSeconds * 1e6) / clients },
    ],
  },
];
/** Compilers, pools and buffers are warm after it. */
const WARM_UP = { clients: 500, rooms: 50, rate: 1000, seconds: 1 };
/** What follows the last arrival or departure is over after it. */
const REST_MS = 1500;

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));
try {
  const { rounds, seconds, measures } = options();
  check();
  const all = servers();
  console.log([`Node.js ${process.versions.node}`, ...all.map(({ name, version }) => `${name} ${version}`)].join(', '));
  for (const measure of measures) {
    const field = all.filter(measure.takesPart ?? Boolean);
    const results = await alternate(field, rounds, measure, { seconds, ...measure.plan });
    measure.columns.forEach((column) => print(measure.title, column, results));
  }
} catch (error) {
  console.error(`peers: ${error.message}`);
  process.exit(1);
}

function options() {
  const string = (preset) => ({ type: 'string', default: preset });
  const names = MEASURES.map(({ name }) => name);
  const { values } = parseArgs({
    options: {
      rounds: string('6'),
      seconds: string('8'),
      only: string(names.join()),
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(HELP);
    process.exit();
  }
  const [rounds, seconds] = [values.rounds, values.seconds].map(Number);
  const wanted = values.only.split(',');
  if (!(rounds >= 2) || !(seconds >= 4) || seconds % 4 || wanted.some((name) => !names.includes(name))) {
    throw new Error(`these values are not possible\n${HELP}`);
  }
  return { rounds, seconds, measures: MEASURES.filter(({ name }) => wanted.includes(name)) };
}

function check() {
  const missing = [OURS, LOADGEN, MODULES].find((needed) => !existsSync(needed));
  if (missing) throw new Error(`${missing} is missing; \`make peers\` makes it`);
  if (availableParallelism() < 2) throw new Error('two cores are needed, one for servers and one for loadgen');
}

/** A B C D A B C D …: the results of all rounds but the first, by server. */
async function alternate(field, rounds, measure, plan) {
  const results = new Map(field.map((server) => [server, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const server of field) {
      const result = await attempt(server, measure, plan);
      const shown =
        result.why ?? measure.columns.map((column) => `${figure(column.of(result))} ${column.what}`).join(', ');
      console.error(`${measure.name}, round ${round} of ${rounds - 1}: ${server.name}: ${shown}`);
      if (round > 0) results.get(server).push(result);
    }
  }
  return results;
}

/** What came out, or why nothing did. */
async function attempt(server, measure, plan) {
  let started;
  try {
    started = await Server.start(server);
    await drive(server, WARM_UP, () => {});
    await sleep(REST_MS);
    return await measure.run(started, (onPhase) => drive(server, plan, onPhase), plan);
  } catch (error) {
    if (error instanceof Void) return { why: `void: ${error.message}` };
    throw error;
  } finally {
    await started?.stop();
  }
}

/** From when all are in their rooms until all is said, and mostly heard. */
async function deliver(server, drive) {
  let from, to, delivered;
  await drive((phase, count) => {
    if (phase === 'sending') from ??= server.cpuSeconds();
    if (phase === 'draining' && to === undefined) [to, delivered] = [server.cpuSeconds(), count];
  });
  return { delivered, cpuSeconds: to - from };
}

async function idle(server, drive, { clients }) {
  const bytesBefore = await server.residentBytes();
  const cpuBefore = server.cpuSeconds();
  let result;
  await drive(async (phase) => {
    if (phase !== 'sending' || result) return;
    await sleep(REST_MS);
    const cpuSeconds = server.cpuSeconds() - cpuBefore;
    result = { clients, cpuSeconds, bytes: (await server.residentBytes()) - bytesBefore };
  });
  return result;
}

/** Runs loadgen, and tells of its phases and how many clients are in their rooms, messages said or deliveries made. */
async function drive(server, { clients, rooms, rate, burst = 1, seconds }, onPhase) {
  const flags = { clients, rooms, rate, burst, duration: `${seconds}s` };
  const words = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const generator = startLoad([LOADGEN, ...server.target, ...words]);
  const report = text(generator.stdout);
  let line;
  for await (line of createInterface({ input: generator.stderr })) {
    const [, phase, count] = /^(\w+) ([\d,]+)\//.exec(line) ?? [];
    if (phase) await onPhase(phase, Number(count.replaceAll(',', '')));
  }
  // What was lost, or what loadgen said last.
  if ((await generator.ended) !== 0) throw new Void(/^FAILED: (.*)$/m.exec(await report)?.[1] ?? line);
}

function print(title, column, results) {
  const [ours] = results.values();
  const value = (result) => (result.why ? NaN : column.of(result));
  console.log(`\n${title}: ${column.what}\n`);
  console.log('| | median | min | max | ours ÷ it: median | min | max |\n|---|---:|---:|---:|---:|---:|---:|');
  for (const [server, rows] of results) {
    const values = spread(rows.map(value));
    const ratios = spread(rows.map((row, round) => value(ours[round]) / value(row)));
    const faults = rows.filter(({ why }) => why).map(({ why }) => why);
    const note = faults.length ? ` (${faults.length} of ${rows.length} rounds ${faults[0]})` : '';
    console.log(`| ${server.name}${note} | ${[...values, ...ratios].map(figure).join(' | ')} |`);
  }
}

function spread(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return [(sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2, sorted[0], sorted.at(-1)];
}

function figure(value) {
  return Number.isFinite(value) ? value.toLocaleString('en', { maximumSignificantDigits: 3 }) : '–';
}
