import { setTimeout as pause } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { launch, nodeOf, say, shown, shownByBadge, texts, watchBadge } from './browser';
import { type Cluster, startCluster } from './cluster';
import { Visitors } from './visitors';

/** Servers go and come back, and whoever talks meanwhile does not notice. */

let cluster: Cluster;
let browser: Browser;
let visitors: Visitors;

beforeAll(async () => {
  const starting = startCluster('--restart', '300ms', '--drain-seconds', '1');
  [cluster, browser] = await Promise.all([starting, launch()]);
  visitors = new Visitors(browser);
});

afterEach(() => visitors.leave());

afterAll(async () => {
  await browser.close();
  await cluster.stop();
});

/** Both talk while it happens. Gives back how often each has spoken. */
async function talkDuring(deed: Promise<unknown>, ann: Page, bob: Page): Promise<number> {
  const over = new AbortController();
  let round = 0;
  const talk = async () => {
    while (!over.signal.aborted) {
      round += 1;
      await say(ann, `ann ${round}`);
      await say(bob, `bob ${round}`);
      await pause(50);
    }
  };
  await Promise.all([talk(), deed.finally(() => over.abort())]);
  return round;
}

/** All of it is there, delivered, once, in the order in which each has said it, and the same for both. */
async function heardAll(ann: Page, bob: Page, rounds: number) {
  for (const page of [ann, bob]) {
    await shown(page, `ann ${rounds}`);
    await shown(page, `bob ${rounds}`);
    await page.locator('.message[data-mark=waiting]').first().waitFor({ state: 'detached' });
    expect(await page.locator('.gap').count()).toBe(0);
  }
  const list = await texts(ann);
  for (const name of ['ann', 'bob']) {
    const expected = Array.from({ length: rounds }, (_, index) => `${name} ${index + 1}`);
    expect(list.filter((text) => text.startsWith(name))).toEqual(expected);
  }
  expect(await texts(bob)).toEqual(list);
}

test('all servers are restarted, one after the other', { timeout: 120_000 }, async ({ skip }) => {
  const { restart } = cluster;
  if (!restart) return skip('the cluster in memory has servers that cannot leave');
  const ann = await visitors.enter(cluster.frontend, 'ann', 'rolling');
  const bob = await visitors.enter(cluster.frontend, 'bob', 'rolling');
  for (const page of [ann, bob]) await watchBadge(page);

  const restarts = async () => {
    for (const node of ['app-1', 'app-2', 'app-3']) await restart(node);
  };
  const rounds = await talkDuring(restarts(), ann, bob);

  await heardAll(ann, bob, rounds);
  for (const page of [ann, bob]) {
    const { phases, nodes } = await shownByBadge(page);
    expect(phases).toEqual(['online']);
    expect(nodes.length).toBeGreaterThan(1);
  }
});

test('behind the proxies of balancers a killed server is not even seen', async () => {
  const balancers = cluster.ports.balancers.map((port) => `http://localhost:${port}`);
  const ann = await visitors.enterByProxy(cluster.frontend, balancers, 'ann', 'proxied');
  const bob = await visitors.enterByProxy(cluster.frontend, balancers, 'bob', 'proxied');
  for (const page of [ann, bob]) await watchBadge(page);
  const left = (await nodeOf(ann)) ?? '';

  const death = async () => {
    await pause(500);
    cluster.kill(left);
    await ann.locator(`.badge:not([data-node="${left}"])`).waitFor();
    await pause(500);
  };
  const rounds = await talkDuring(death(), ann, bob);

  await heardAll(ann, bob, rounds);
  for (const page of [ann, bob]) expect((await shownByBadge(page)).phases).toEqual(['online']);
  expect((await shownByBadge(ann)).nodes[0]).toBe(left);
  expect((await shownByBadge(ann)).nodes.length).toBeGreaterThan(1);
});
