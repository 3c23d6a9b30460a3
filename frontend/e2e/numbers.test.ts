import { expect, test } from 'vitest';
import { dropSockets, say, shown } from './browser';
import { crowd } from './crowd';
import { world } from './world';

/** Numbers and places on the pages are what they say. */

const at = world();

test('a node is unreachable since a time that a clock on the wall shows', async () => {
  const page = await at.visitors.open(`http://localhost:${at.cluster.ports.apps[0]}/`);
  await page.getByRole('heading', { name: 'app-1' }).waitFor();
  const wall = () =>
    page.evaluate(() => new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' }).format(Date.now()));
  const before = await wall();
  await page.route('**/status', (route) => route.abort());
  const words = await page.getByText(/^Unreachable since/).textContent();
  const after = await wall();
  expect([before, after].some((time) => words?.includes(time))).toBe(true);
});

test('the next try is in as many seconds as the page says, from the first moment', async () => {
  const ann = await at.visitors.enter(at.cluster.frontend, 'ann', 'seconds');
  await ann.evaluate(() => {
    const seen: string[] = [];
    new MutationObserver(() => seen.push(document.querySelector('.notice')?.textContent ?? '')).observe(document.body, {
      ...{ subtree: true, childList: true, characterData: true },
    });
    Object.assign(window, { seen });
  });
  await ann.route('**/assign*', (route) =>
    route.fulfill({ status: 503, json: { error: 'unavailable', message: '…', retry_after_ms: 1_500 } }),
  );
  // What is as old as the page would say that many seconds more.
  await ann.waitForFunction(() => performance.now() > 10_000);
  await dropSockets(ann);
  await ann.locator('.notice', { hasText: 'Next try in' }).waitFor();
  const seen = await ann.evaluate(() => (window as unknown as { seen: string[] }).seen);
  const seconds = seen.flatMap((text) => /Next try in (\d+) s/.exec(text)?.slice(1) ?? []).map(Number);
  expect(seconds.length).toBeGreaterThan(0);
  // 1.5 s, and a random part of up to 2 s for the second try.
  expect(Math.max(...seconds)).toBeLessThanOrEqual(4);
});

test('who reads further up keeps the place, and is told how much came, also beyond what a page keeps', async () => {
  const ann = await at.visitors.enter(at.cluster.frontend, 'ann', 'full');
  await crowd(at.cluster, 'full', 1_000);
  await say(ann, 'the last one');
  await shown(ann, 'the last one');
  const log = ann.getByRole('log');
  await log.evaluate((box) => {
    box.scrollTop -= 4 * box.clientHeight;
  });
  await ann.waitForFunction(() => document.querySelectorAll('.message').length > 900);
  const place = () =>
    log.evaluate((box) => {
      const { top } = box.getBoundingClientRect();
      const row = [...box.querySelectorAll('.message')].find((row) => row.getBoundingClientRect().top >= top);
      return { text: row?.textContent, offset: Math.round((row?.getBoundingClientRect().top ?? 0) - top) };
    });
  const before = await place();
  await crowd(at.cluster, 'full', 300);
  await ann.getByRole('button', { name: '300 new messages' }).waitFor();
  expect(await place()).toEqual(before);

  await crowd(at.cluster, 'full', 900);
  await ann.getByRole('button', { name: '1,200 new messages' }).click();
  await ann.getByRole('button', { name: /new messages/ }).waitFor({ state: 'detached' });
  expect(await log.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight)).toBeLessThan(2);
});

test('who reads the newest has few rows on the page, and all of them after scrolling up', async () => {
  const ann = await at.visitors.enter(at.cluster.frontend, 'ann', 'rows');
  await crowd(at.cluster, 'rows', 600);
  await say(ann, 'the last one');
  await shown(ann, 'the last one');
  expect(await ann.locator('.message').count()).toBeLessThanOrEqual(120);
  await ann.getByRole('log').press('PageUp');
  await ann.waitForFunction(() => document.querySelectorAll('.message').length === 601);
});

test('that one goes on writing is told again after a send', async () => {
  const ann = await at.visitors.enter(at.cluster.frontend, 'ann', 'typing');
  const bob = await at.visitors.enter(at.cluster.frontend, 'bob', 'typing');
  await ann.getByRole('textbox').press('h');
  await bob.getByText('ann is typing').waitFor();
  await say(ann, 'hi');
  await shown(bob, 'hi');
  await bob.locator('.typing[data-shown=false]').waitFor({ state: 'attached' });
  await ann.getByRole('textbox').pressSequentially('and more', { delay: 180 });
  await bob.getByText('ann is typing').waitFor();
});
