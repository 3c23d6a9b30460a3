import type { BrowserContextOptions, Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { passes } from './axe';
import { delivered, dropSockets, enter, join, nodeOf, say, shown } from './browser';
import { world } from './world';

/** Every page in every state passes axe, and what axe cannot see: focus, forced colours, the direction of text. */

const at = world();

const VIEWS: [string, BrowserContextOptions][] = [
  ['wide and light', { viewport: { width: 1280, height: 800 }, colorScheme: 'light' }],
  ['narrow and dark', { viewport: { width: 390, height: 844 }, colorScheme: 'dark' }],
  ['narrow and light', { viewport: { width: 390, height: 844 }, colorScheme: 'light' }],
  ['wide and dark', { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' }],
];
const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 } };

async function inRoom(room: string, options?: BrowserContextOptions): Promise<Page> {
  const page = await at.visitors.come(options);
  await join(page, at.cluster.frontend, 'ann', room);
  return page;
}

describe.each(VIEWS)('%s', (view, options) => {
  test('the way in', async () => {
    const page = await at.visitors.open(at.cluster.frontend, options);
    await page.getByRole('button', { name: 'Join the room' }).waitFor();
    await passes(page, 'the form');
    await page.getByLabel('Room').fill('');
    await page.getByRole('button', { name: 'Join the room' }).click();
    await page.getByText('Please enter a room.').waitFor();
    await passes(page, 'the form with complaints');
    await page.route('**/config.json', (route) => route.abort());
    await page.reload();
    await page.getByText(/frontend server does not answer/).waitFor();
    await passes(page, 'the form without a configuration');
  });

  test('a room', async () => {
    const ann = await inRoom(`axe ${view}`, options);
    await passes(ann, 'an empty room');
    const bob = await at.visitors.enter(at.cluster.frontend, 'bob', `axe ${view}`);
    for (const text of ['hello', 'world']) await say(bob, text);
    await say(ann, 'hi');
    await delivered(ann, 'hi');
    await shown(ann, 'world');
    await bob.getByRole('textbox').pressSequentially('hm');
    await ann.getByText('bob is typing').waitFor();
    await passes(ann, 'a room with messages');
    await ann.locator('.badge summary').click();
    await passes(ann, 'the route');
    await ann.locator('.badge summary').click();
    await ann.getByRole('textbox').fill('é'.repeat(2_060));
    await ann.getByText(/too long/).waitFor();
    await passes(ann, 'a text that is too long');
  });

  test('a room without a connection', async () => {
    const ann = await inRoom(`cut off ${view}`, options);
    await ann.route('**/assign*', (route) => route.abort());
    await dropSockets(ann);
    await say(ann, 'written offline');
    await ann.locator('.notice', { hasText: 'Reconnecting' }).waitFor();
    await passes(ann, 'reconnecting');
    await ann.getByRole('button', { name: 'Try now' }).waitFor();
    await passes(ann, 'no balancer');
    await ann.context().setOffline(true);
    await ann.locator('.notice', { hasText: 'You are offline' }).waitFor();
    await passes(ann, 'offline');
  });

  test('a message that was refused', async () => {
    const ann = await at.visitors.come(options);
    await ann.addInitScript(() => {
      window.WebSocket = class extends WebSocket {
        override send(data: string) {
          super.send(data.includes('break me') ? '{' : data);
        }
      };
    });
    await join(ann, at.cluster.frontend, 'ann', `refused ${view}`);
    await say(ann, 'break me');
    await ann.getByText(/^Not sent:/).waitFor();
    await passes(ann, 'a refused message');
  });

  test('the status pages', async () => {
    for (const [kind, port] of [
      ['server', at.cluster.ports.apps[0]],
      ['balancer', at.cluster.ports.balancers[0]],
    ] as const) {
      const page = await at.visitors.open(`http://localhost:${port}/`, options);
      await page.locator('.tile').first().waitFor();
      await passes(page, kind);
      await page.route('**/status', (route) => route.abort());
      await dropSockets(page);
      await page.getByText(/^Unreachable since/).waitFor();
      await passes(page, `${kind}, unreachable`);
    }
  });
});

test('the drawer of people takes the focus, keeps it, and gives it back', async () => {
  const ann = await inRoom('drawer', PHONE);
  await ann.getByRole('button', { name: 'People' }).click();
  const drawer = ann.getByRole('dialog', { name: 'People' });
  await drawer.waitFor();
  await passes(ann, 'the drawer');
  const isInside = () => ann.evaluate(() => document.activeElement?.closest('#people') !== null);
  expect(await isInside()).toBe(true);
  for (let press = 0; press < 4; press += 1) {
    await ann.keyboard.press('Tab');
    const away = await ann.evaluate(() => document.activeElement?.closest('.chat-head, .chat-main') ?? null);
    expect(away).toBeNull();
  }
  await ann.keyboard.press('Escape');
  await ann.waitForFunction(() => document.activeElement?.classList.contains('people-toggle'));
  await ann.getByRole('button', { name: 'People' }).click();
  await drawer.getByRole('button', { name: 'Close' }).click();
  await ann.waitForFunction(() => document.activeElement?.classList.contains('people-toggle'));
});

test('everything has a name that begins with what is seen', async () => {
  const ann = await inRoom('labels');
  const node = await nodeOf(ann);
  await ann.getByRole('button', { name: 'Copy link' }).waitFor();
  const badge = ann.locator('.badge summary');
  const seen = await badge.innerText();
  const name = (await badge.textContent()) ?? '';
  expect(name.startsWith(seen.trim().split(/\s+/).join(' '))).toBe(true);
  expect(name).toContain(`Connected to ${node ?? ''}`);
  const bob = await at.visitors.enter(at.cluster.frontend, 'bob', 'labels');
  for (const text of ['one', 'two']) await say(bob, text);
  await shown(ann, 'two');
  for (const text of ['one', 'two']) {
    const label = await ann.getByRole('article').filter({ hasText: text }).getAttribute('aria-label');
    expect(label).toContain('bob');
  }
});

test('with forced colours the badge and its dot are still seen', async () => {
  const ann = await inRoom('forced', { forcedColors: 'active' });
  await passes(ann, 'forced colours');
  const look = await ann.locator('.badge summary').evaluate((badge) => {
    const dot = badge.querySelector('.dot');
    return {
      border: getComputedStyle(badge).borderTopWidth,
      line: getComputedStyle(badge).borderTopStyle,
      badge: getComputedStyle(badge).backgroundColor,
      dot: dot && getComputedStyle(dot).backgroundColor,
    };
  });
  expect(look).toMatchObject({ border: '1px', line: 'solid' });
  expect(look.dot).not.toBe(look.badge);
});

test.each([
  ['Hebrew', 'שלום לכולם'],
  ['Arabic', 'مرحبا بالجميع'],
])('%s begins at the right, where it is written and where it is read', async (script, text) => {
  const ann = await inRoom(`right ${script}`);
  const box = ann.getByRole('textbox');
  await box.fill(text);
  expect(await box.evaluate((element) => getComputedStyle(element).direction)).toBe('rtl');
  await box.press('Enter');
  await delivered(ann, text);
  await say(ann, 'left');
  await delivered(ann, 'left');
  const directions = await ann
    .locator('.bubble')
    .evaluateAll((bubbles) => bubbles.map((bubble) => getComputedStyle(bubble).direction));
  expect(directions).toEqual(['rtl', 'ltr']);
});

test('a name does not turn round what stands beside it', async () => {
  const ann = await at.visitors.come();
  await ann.goto(at.cluster.frontend);
  await enter(ann, 'דנה', 'names');
  const people = ann.locator('.people-name');
  expect(await people.evaluate((name) => name.localName)).toBe('bdi');
  const bob = await at.visitors.enter(at.cluster.frontend, 'bob', 'names');
  await say(ann, 'hi');
  await shown(bob, 'hi');
  expect(await bob.locator('.message-from bdi').allTextContents()).toEqual(['דנה']);
  await ann.getByRole('textbox').pressSequentially('hm');
  await bob.locator('.typing bdi', { hasText: 'דנה' }).waitFor();
});
