/**
 * `npm run redraw -- [dist]`: what a busy room costs the page. A cluster in memory says so many messages a second; the
 * page's main thread is watched, and keys are pressed all the while. docs/performance.md has the figures.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { CDPSession, Page } from 'playwright-core';
import { type FakeCluster, startFakeCluster } from '../dev/fakeCluster';
import { join, launch, newPage } from './browser';
import { freePorts } from './cluster';

const RATES = [0, 100, 300, 1_000];
const PEOPLE = 20;
/** Until the room has as many messages as a page keeps, and the code is compiled. */
const WARM_UP_MS = 6_000;
const MEASURED_MS = 15_000;
const TICK_MS = 10;
const KEY_EVERY_MS = 120;

const [dist = new URL('../dist/', import.meta.url).pathname] = process.argv.slice(2);
const [frontend = 0, app = 0, balancer = 0] = await freePorts(3);
const cluster = await startFakeCluster({ frontend, apps: [app], balancers: [balancer] }, dist);
const browser = await launch();
try {
  console.log('| messages/s | main thread busy | keys to paint p50 | p95 | max |');
  console.log('|---:|---:|---:|---:|---:|');
  for (const rate of RATES) await measure(rate);
} finally {
  await browser.close();
  cluster.stop();
}

async function measure(rate: number) {
  const page = await newPage(browser, { viewport: { width: 1280, height: 800 } });
  const room = `busy ${rate}`;
  for (let count = 0; count < 1_000; count += 1) speak(cluster, room, count);
  await join(page, `http://localhost:${frontend}/`, 'reader', room);
  await watchKeys(page);
  const stop = pour(cluster, room, rate);
  await pause(WARM_UP_MS);
  await takeKeys(page);
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const before = await taskSeconds(session);
  const begun = performance.now();
  await pressKeys(page, begun + MEASURED_MS);
  const seconds = (performance.now() - begun) / 1_000;
  const busy = ((await taskSeconds(session)) - before) / seconds;
  stop();
  const keys = (await takeKeys(page)).sort((a, b) => a - b);
  const at = (part: number) => (keys[Math.min(keys.length - 1, Math.floor(part * keys.length))] ?? 0).toFixed(0);
  console.log(`| ${rate} | ${(100 * busy).toFixed(0)} % | ${at(0.5)} ms | ${at(0.95)} ms | ${at(1)} ms |`);
  await page.context().close();
}

function speak(cluster: FakeCluster, room: string, count: number) {
  const words = 'lorem ipsum dolor sit amet consetetur sadipscing elitr'.split(' ');
  cluster.say(room, `person ${count % PEOPLE}`, `${count} ${words.slice(0, 1 + (count % words.length)).join(' ')}`);
}

/** So many messages a second, evenly. Gives back what ends it. */
function pour(cluster: FakeCluster, room: string, rate: number): () => void {
  const begun = performance.now();
  let said = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - begun) * rate) / 1_000);
    for (; said < due; said += 1) speak(cluster, room, said);
  }, TICK_MS);
  return () => clearInterval(timer);
}

/** From the moment a key went down, as the browser's own thread has it, to the frame after. */
async function watchKeys(page: Page) {
  await page.evaluate(() => {
    const keys: number[] = [];
    Object.assign(window, { keys });
    const { port1, port2 } = new MessageChannel();
    const pending: number[] = [];
    port1.onmessage = () => {
      const now = performance.now();
      for (const pressed of pending.splice(0)) keys.push(now - pressed);
    };
    addEventListener(
      'keydown',
      ({ timeStamp }) => {
        requestAnimationFrame(() => {
          pending.push(timeStamp);
          // A task behind the frame runs once it is painted.
          port2.postMessage(null);
        });
      },
      { capture: true },
    );
  });
}

function takeKeys(page: Page): Promise<number[]> {
  return page.evaluate(() => (window as unknown as { keys: number[] }).keys.splice(0));
}

async function pressKeys(page: Page, untilMs: number) {
  await page.getByRole('textbox', { name: /^Message to/ }).focus();
  for (let count = 0; performance.now() < untilMs; count += 1) {
    await page.keyboard.press(count % 20 === 19 ? 'Space' : 'a');
    await pause(KEY_EVERY_MS);
  }
}

async function taskSeconds(session: CDPSession): Promise<number> {
  const { metrics } = await session.send('Performance.getMetrics');
  return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0;
}
