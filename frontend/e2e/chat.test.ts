import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { delivered, dropSockets, launch, nodeOf, say, shown, texts } from './browser';
import { type Cluster, startCluster } from './cluster';
import { Visitors } from './visitors';

let cluster: Cluster;
let browser: Browser;
let visitors: Visitors;

beforeAll(async () => {
  [cluster, browser] = await Promise.all([startCluster(), launch()]);
  visitors = new Visitors(browser);
});

afterEach(() => visitors.leave());

afterAll(async () => {
  await browser.close();
  await cluster.stop();
});

const open = (url: string) => visitors.open(url);
const enter = (user: string, room: string) => visitors.enter(cluster.frontend, user, room);

/** Two people at different servers. */
async function meet(room: string): Promise<[Page, Page]> {
  const two: [Page, Page] = [await enter('ann', room), await enter('bob', room)];
  expect(await nodeOf(two[0])).not.toBe(await nodeOf(two[1]));
  return two;
}

const phaseIs = (page: Page, phase: string) => page.locator(`.badge[data-phase=${phase}]`).waitFor();
const person = (page: Page, name: string) => page.locator('.people-name').getByText(name, { exact: true });

describe('two people in one room', () => {
  test('are at different servers and hear each other', async () => {
    const [ann, bob] = await meet('talk');
    await say(ann, 'hello bob');
    await shown(bob, 'hello bob');
    await delivered(ann, 'hello bob');
    await say(bob, 'hello ann');
    await shown(ann, 'hello ann');
    expect(await texts(ann)).toEqual(['hello bob', 'hello ann']);
    expect(await texts(bob)).toEqual(['hello bob', 'hello ann']);
  });

  test('see each other come, type, and go', async () => {
    const ann = await enter('ann', 'doors');
    await ann.getByText('1 person here').waitFor();
    const bob = await enter('bob', 'doors');
    await person(ann, 'bob').waitFor();
    await person(bob, 'ann').waitFor();
    await ann.getByText('2 people here').waitFor();
    await bob.getByRole('textbox').pressSequentially('hm');
    await ann.getByText('bob is typing').waitFor();
    await bob.getByRole('button', { name: 'Leave' }).click();
    await bob.getByRole('button', { name: 'Join the room' }).waitFor();
    await person(ann, 'bob').waitFor({ state: 'detached' });
    await ann.getByText('1 person here').waitFor();
  });

  test('one who comes later reads what was said, and a link leads to the room', async () => {
    const ann = await enter('ann', 'a room, with ümlauts');
    await say(ann, 'early');
    await delivered(ann, 'early');
    const dan = await open(ann.url());
    await dan.getByLabel('Your name').fill('dan');
    await dan.getByRole('button', { name: 'Join the room' }).click();
    await shown(dan, 'early');
    expect(await nodeOf(dan)).not.toBe(await nodeOf(ann));
  });
});

test('Spam :) says something at each click', async () => {
  const ann = await enter('ann', 'spam');
  const bob = await enter('bob', 'spam');
  for (let click = 0; click < 10; click += 1) {
    await ann.getByRole('button', { name: 'Spam :)', exact: true }).click();
  }
  await shown(bob, 'Spam :) 10');
  const expected = Array.from({ length: 10 }, (_, index) => `Spam :) ${index + 1}`);
  expect(await texts(bob)).toEqual(expected);
  await delivered(ann, 'Spam :) 10');
  expect(await texts(ann)).toEqual(expected);
});

test('Shift and Enter makes a line, Enter sends it', async () => {
  const ann = await enter('ann', 'lines');
  const box = ann.getByRole('textbox');
  await box.pressSequentially('one');
  await box.press('Shift+Enter');
  await box.pressSequentially('two');
  await box.press('Enter');
  await shown(ann, 'one\ntwo');
  expect(await box.inputValue()).toBe('');
});

describe('when the connection is lost', () => {
  test('it comes back, and everything said meanwhile arrives exactly once', async () => {
    const [ann, bob] = await meet('loss');
    await say(ann, 'before');
    await shown(bob, 'before');

    await ann.route('**/assign*', (route) => route.abort());
    await dropSockets(ann);
    await ann.locator('.notice', { hasText: 'Reconnecting' }).waitFor();
    await say(ann, 'written offline');
    await ann.locator('.message[data-mark=waiting]').getByText('written offline').waitFor();
    await say(bob, 'missed by ann');
    await delivered(bob, 'missed by ann');
    await ann.locator('.notice', { hasText: 'No balancer reachable' }).waitFor();

    await ann.unroute('**/assign*');
    await ann.getByRole('button', { name: 'Try now' }).click();
    await phaseIs(ann, 'online');
    await delivered(ann, 'written offline');
    await shown(bob, 'written offline');
    const everything = ['before', 'missed by ann', 'written offline'];
    await shown(ann, 'missed by ann');
    expect(await texts(ann)).toEqual(everything);
    expect(await texts(bob)).toEqual(everything);
    expect(await ann.locator('.notice').textContent()).toBe('');
  });

  test('a killed server is left for another one', async () => {
    const [ann, bob] = await meet('kill');
    await say(ann, 'before');
    await shown(bob, 'before');
    const left = await nodeOf(ann);
    cluster.kill(left ?? '');
    await say(ann, 'still here?');
    await delivered(ann, 'still here?');
    await shown(bob, 'still here?');
    await phaseIs(ann, 'online');
    expect(await nodeOf(ann)).not.toBe(left);
    await say(bob, 'of course');
    await shown(ann, 'of course');
    const everything = ['before', 'still here?', 'of course'];
    expect(await texts(ann)).toEqual(everything);
    expect(await texts(bob)).toEqual(everything);
  });

  test('two of three Redis nodes die while two people talk, and nothing is lost', async ({ skip }) => {
    const [first, second] = cluster.redis;
    if (first === undefined || second === undefined) return skip('the cluster in memory has no Redis nodes');
    const [ann, bob] = await meet('lanes');
    const rounds = Array.from({ length: 30 }, (_, index) => index + 1);
    for (const round of rounds) {
      if (round === 10) cluster.kill(first);
      if (round === 20) cluster.kill(second);
      await say(ann, `ann ${round}`);
      await say(bob, `bob ${round}`);
    }
    for (const page of [ann, bob]) {
      await page
        .locator('.message-text')
        .nth(2 * rounds.length - 1)
        .waitFor();
      await page.locator('.message[data-mark=waiting]').first().waitFor({ state: 'detached' });
      const list = await texts(page);
      for (const name of ['ann', 'bob']) {
        expect(list.filter((text) => text.startsWith(name))).toEqual(rounds.map((round) => `${name} ${round}`));
      }
      expect(await page.locator('.gap').count()).toBe(0);
    }
    expect(await texts(ann)).toEqual(await texts(bob));
  });
});

describe('status pages', () => {
  test('of a server: its rooms, live', async () => {
    const ann = await enter('ann', 'watched');
    const node = await nodeOf(ann);
    await ann.locator('.badge summary').click();
    const address = await ann.locator('.badge-panel a').first().getAttribute('href');
    const page = await open(address ?? '');
    await page.getByRole('heading', { name: node ?? '' }).waitFor();
    const row = page.getByRole('row', { name: /^watched/ });
    await row.waitFor();
    expect(await row.getByRole('cell').allTextContents()).toEqual(['1', '1', '0']);
    await say(ann, 'hello');
    await row.getByRole('cell').nth(2).getByText('1', { exact: true }).waitFor();
  });

  test('of a balancer: its servers and what it does, live', async () => {
    const page = await open(`http://localhost:${cluster.ports.balancers[0]}/`);
    await page.getByRole('heading', { name: 'lb-1' }).waitFor();
    await page.getByRole('row', { name: /^app-3/ }).waitFor();
    expect(await page.getByRole('row').count()).toBe(1 + 3);
    const answer = await fetch(`http://localhost:${cluster.ports.balancers[0]}/assign`);
    const { node } = (await answer.json()) as { node: string };
    await page.getByText(`Client sent to ${node}`).first().waitFor();
  });

  test('a node that is silent is shown so, until it speaks again', async () => {
    const page = await open(`http://localhost:${cluster.ports.balancers[1]}/`);
    await page.getByText('Live').waitFor();
    await page.getByRole('heading', { name: 'lb-2' }).waitFor();
    await page.route('**/status', (route) => route.abort());
    await dropSockets(page);
    await page.getByText(/Unreachable since \d/).waitFor();
    await page.unroute('**/status');
    await page.getByText(/Unreachable since/).waitFor({ state: 'detached' });
  });
});
