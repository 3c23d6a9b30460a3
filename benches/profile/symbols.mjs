// Where each thread was: functions of our own, and the kernel by the system call that led there.

import { groupBy, percent } from './figures.mjs';

const ROWS = 20;
/** A thread with less of the samples is not worth a table. */
const SHARE_MIN = 0.01;

export function topSymbols(stacks) {
  const samples = stacks.trim().split('\n').map((line) => {
    const [, stack, count] = /^(.*) (\d+)$/.exec(line);
    const [thread, ...frames] = stack.split(';');
    return { thread, place: placeOf(frames), count: Number(count) };
  });
  const all = total(samples);
  return groupBy(samples, ({ thread }) => thread)
    .filter(([, own]) => total(own) / all >= SHARE_MIN)
    .sort(([, one], [, other]) => total(other) - total(one))
    .map(([thread, own]) => table(thread, own, all))
    .join('\n\n');
}

function table(thread, samples, all) {
  const places = groupBy(samples, ({ place }) => place)
    .map(([place, own]) => [place, total(own)])
    .sort(([, one], [, other]) => other - one);
  const row = ([place, count]) => `${percent(count / all).padStart(8)}  ${place}`;
  return [`${thread}: ${percent(total(samples) / all)} of ${all} samples`, ...places.slice(0, ROWS).map(row)].join('\n');
}

function placeOf(frames) {
  const innermost = frames.at(-1) ?? '[unknown]';
  if (!innermost.endsWith('_[k]')) return innermost;
  const call = frames.map((frame) => /^__(?:x64|arm64|se)_sys_(\w+)_\[k\]$/.exec(frame)?.[1]).find(Boolean);
  return `kernel: ${call ?? 'into, out of and between calls'}`;
}

function total(samples) {
  return samples.reduce((sum, { count }) => sum + count, 0);
}
