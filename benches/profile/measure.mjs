// What a server counted, and what its threads cost, while something was done.

import { readdirSync, readFileSync } from 'node:fs';

import { groupBy, percent } from './figures.mjs';

/** What `/metrics` tells. */
export async function scrape({ url }) {
  const text = await (await fetch(`${url}/metrics`)).text();
  const samples = text.split('\n').map((line) => /^distr_(\w+)(?:\{(.*)\})? (\S+)$/.exec(line)).filter(Boolean);
  return new Counters(samples.map(([, name, labels = '', value]) => ({ name, labels, value: Number(value) })));
}

/** The result of `action`, and an account of the time that it took. */
export async function measure(server, action) {
  const before = { counters: await scrape(server), cpu: threadCpu(server) };
  const result = await action();
  const counters = (await scrape(server)).since(before.counters);
  const cpu = threadCpu(server).map(([thread, ms]) => [thread, ms - (new Map(before.cpu).get(thread) ?? 0)]);
  return { result, text: [ratios(counters), ...phases(counters), costs(cpu, counters)].join('\n') };
}

class Counters {
  constructor(samples) {
    this.samples = samples;
  }

  since(before) {
    const key = ({ name, labels }) => `${name}{${labels}}`;
    const old = new Map(before.samples.map((sample) => [key(sample), sample.value]));
    return new Counters(
      this.samples.map((sample) => ({ ...sample, value: sample.value - (old.get(key(sample)) ?? 0) })),
    );
  }

  of(name) {
    return this.samples.filter((sample) => sample.name === name);
  }

  sum(name) {
    return this.of(name).reduce((sum, { value }) => sum + value, 0);
  }
}

function ratios(counters) {
  const ratio = (of, to) => (counters.sum(of) / counters.sum(to)).toFixed(2);
  return [
    `${counters.sum('deliveries_total')} deliveries in ${counters.sum('turns_total')} turns of the reactors`,
    `${ratio('deliveries_total', 'turns_total')} a turn`,
    `${ratio('writes_total', 'deliveries_total')} writes a delivery`,
    `${counters.sum('hub_turns_total')} turns of the hub`,
    `${ratio('chat_messages_said_total', 'hub_turns_total')} messages said a turn`,
    `${ratio('chat_messages_heard_total', 'hub_turns_total')} heard`,
  ].join(', ');
}

/** A line for each thread: the share of its time that each phase took. */
function phases(counters) {
  const samples = [...counters.of('turn_seconds_total'), ...counters.of('hub_turn_seconds_total')];
  const threads = groupBy(samples, ({ labels }) => /reactor="(\d+)"/.exec(labels)?.[1] ?? 'hub');
  return threads.sort().map(([thread, samples]) => {
    const all = samples.reduce((sum, { value }) => sum + value, 0);
    const share = ({ labels, value }) => `${/phase="(\w+)"/.exec(labels)[1]} ${percent(value / all)}`;
    return `  ${thread.padEnd(4)} ${samples.map(share).sort().join(', ')}`;
  });
}

function costs(cpu, counters) {
  const deliveries = counters.sum('deliveries_total');
  const cost = ([thread, ms]) => `${thread} ${((ms * 1000) / deliveries).toFixed(2)}`;
  return `CPU of threads, µs a delivery: ${cpu.filter(([, ms]) => ms >= 1).map(cost).join(', ')}`;
}

/** Milliseconds on a core of each thread of the server, by name. */
function threadCpu({ pid, name }) {
  const read = (task, file) => readFileSync(`/proc/${pid}/task/${task}/${file}`, 'utf8').trim();
  return readdirSync(`/proc/${pid}/task`)
    .map((task) => [read(task, 'comm'), Number(read(task, 'schedstat').split(' ')[0]) / 1e6])
    .filter(([thread]) => thread.startsWith(name));
}
