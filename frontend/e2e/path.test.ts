import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Page } from 'playwright-core';
import { afterEach, describe, expect, test } from 'vitest';
import { delivered, join, say } from './browser';
import { lead, type Relay, startRelay } from './relay';
import { world } from './world';

/** What the page says of ways that do not work, and how soon. */

const at = world();
const relays: Relay[] = [];

afterEach(() => {
  for (const relay of relays.splice(0)) relay.stop();
});

/** Ann is in a room, over a path that can be broken. */
async function enterOverPath(room: string): Promise<{ ann: Page; relay: Relay }> {
  const relay = await startRelay(at.cluster.ports.apps[0] ?? 0);
  relays.push(relay);
  const ann = await at.visitors.come();
  await lead(ann, relay.port);
  await join(ann, at.cluster.frontend, 'ann', room);
  return { ann, relay };
}

const badge = (page: Page, words: string) => page.locator('.badge-label', { hasText: words }).waitFor();
const notice = (page: Page, words: string | RegExp) => page.locator('.notice', { hasText: words }).waitFor();
const fire = (page: Page, type: string) => page.evaluate((type) => dispatchEvent(new Event(type)), type);

/** Each text that a notice shows from now on. */
async function watchNotices(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const notices: string[] = [];
    new MutationObserver(() => notices.push(document.querySelector('.notice')?.textContent ?? '')).observe(
      document.body,
      { subtree: true, childList: true, characterData: true },
    );
    Object.assign(window, { notices });
  });
  return () => page.evaluate(() => (window as unknown as { notices: string[] }).notices);
}

describe('a path that has forgotten the page', () => {
  // 30 s of patience, the limit of a test: the client once needed 40.
  test('is noticed by what is written, which arrives', async () => {
    const { ann, relay } = await enterOverPath('forgotten');
    relay.forget();
    await say(ann, 'hello');
    await badge(ann, 'Checking');
    await delivered(ann, 'hello');
    await ann.locator('.badge[data-tone=good]').waitFor();
  });

  test.each(['online', 'visibilitychange'])('is noticed by "%s"', async (type) => {
    const { ann, relay } = await enterOverPath(type);
    relay.forget();
    if (type === 'visibilitychange') await ann.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    else await fire(ann, type);
    await badge(ann, 'Checking');
    // Only a new connection can make it good again.
    await ann.locator('.badge[data-tone=good]').waitFor();
  });
});

test('without a network the page says so, and not that no balancer is reachable', async () => {
  const { ann, relay } = await enterOverPath('offline');
  const notices = await watchNotices(ann);
  relay.forget();
  // What a test answers for the network would be there without one.
  await ann.unroute('**/assign*');
  await ann.context().setOffline(true);
  await notice(ann, 'You are offline');
  await ann.locator('.badge[data-phase=waiting]').waitFor();
  await badge(ann, 'You are offline');
  // The first tries have failed by then.
  await ann.waitForEvent('requestfailed');
  await ann.locator('.badge[data-phase=waiting]').waitFor();
  await ann.context().setOffline(false);
  await ann.locator('.badge[data-phase=online]').waitFor();
  for (const text of await notices()) expect(text).toMatch(/^$|^You are offline|^Reconnecting/);
});

describe('an HTTPS page', () => {
  const HOST = 'https://chat.test';

  /** The same pages under HTTPS; `balancer` is what they are told, and the browser asks the first real one behind it. */
  async function open(balancer: string): Promise<Page> {
    const page = await at.visitors.come();
    const { frontend, ports } = at.cluster;
    await page.route(`${HOST}/**`, async (route) => {
      const { pathname } = new URL(route.request().url());
      if (pathname === '/config.json') await route.fulfill({ json: { balancers: [balancer] } });
      else if (pathname === '/lb/assign') {
        const response = await route.fetch({ url: `http://127.0.0.1:${ports.balancers[0]}/assign` });
        const assigned = (await response.json()) as object;
        await route.fulfill({ response, json: { ...assigned, url: 'ws://app.test:5001/ws?ticket=t' } });
      } else await route.fulfill({ response: await route.fetch({ url: new URL(pathname, frontend).href }) });
    });
    await page.goto(`${HOST}/`);
    await page.getByLabel('Your name').fill('ann');
    await page.getByRole('button', { name: 'Join the room' }).click();
    return page;
  }

  test('whose server is not says so', async () => {
    const page = await open(`${HOST}/lb`);
    await notice(page, 'This page is HTTPS, the server is not: ws://app.test:5001/ws.');
  });

  test('whose balancer is not says so', async () => {
    const page = await open('http://lb.test:7001');
    await notice(page, 'This page is HTTPS, the server is not: http://lb.test:7001.');
  });
});

test('a browser that will not open a socket is told of, and does not hang', async () => {
  const page = await at.visitors.come();
  await page.addInitScript(() => {
    window.WebSocket = class extends WebSocket {
      constructor() {
        throw new DOMException('not from here', 'SecurityError');
        super('ws://localhost');
      }
    };
  });
  await page.goto(at.cluster.frontend);
  await page.getByLabel('Your name').fill('ann');
  await page.getByRole('button', { name: 'Join the room' }).click();
  await notice(page, 'No WebSocket');
});

describe('a balancer that answers', () => {
  const closers: (() => void)[] = [];
  afterEach(() => {
    for (const close of closers.splice(0)) close();
  });

  /** What is between a page and its balancers: answers questions so, and lets no WebSocket pass. */
  async function between(status: number, headers: Record<string, string>, body: object): Promise<string> {
    const server = createServer((_request, response) => response.writeHead(status, headers).end(JSON.stringify(body)));
    server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 431 Request Header Fields Too Large\r\n\r\n'));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    closers.push(() => server.close().closeAllConnections());
    const address = server.address();
    return `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
  }

  async function tryAt(balancer: string, proxy: boolean): Promise<Page> {
    const page = await at.visitors.come();
    await page.route('**/config.json', (route) =>
      route.fulfill({ json: { balancers: [`http://${balancer}`], proxy } }),
    );
    await page.goto(at.cluster.frontend);
    await page.getByLabel('Your name').fill('ann');
    await page.getByRole('button', { name: 'Join the room' }).click();
    return page;
  }

  const CORS = { 'Access-Control-Allow-Origin': '*' };
  const TOO_LARGE = { error: 'head_too_large', message: 'more than 16 KiB' };

  test('with an error is told apart from none', async () => {
    const balancer = await between(431, CORS, TOO_LARGE);
    await notice(await tryAt(balancer, false), `${balancer} answered 431: more than 16 KiB.`);
  });

  test('with an error that pages may not read is told apart from none', async () => {
    const balancer = await between(431, {}, TOO_LARGE);
    await notice(await tryAt(balancer, false), `${balancer} answers, but does not let this page read what.`);
  });

  test('but opens no WebSocket is told apart from none', async () => {
    const balancer = await between(200, CORS, { url: 'ws://127.0.0.1:1/ws', node: 'app-1' });
    await notice(await tryAt(balancer, true), `${balancer} does not open one.`);
  });
});
