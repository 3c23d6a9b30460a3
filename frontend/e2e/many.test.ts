import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { SUBPROTOCOL } from '../src/client/protocol';
import { passes } from './axe';
import { enter } from './browser';
import { world } from './world';

/** Pages that have much to show stay short, can be searched, and pass axe. */

const at = world();

const VIEWS: [string, BrowserContextOptions][] = [
  ['wide and light', { viewport: { width: 1280, height: 800 }, colorScheme: 'light' }],
  ['a phone and dark', { viewport: { width: 390, height: 844 }, colorScheme: 'dark' }],
];
/** Of a page with twenty rows, the tiles and the cards, on a phone; 200 rooms took twice as much. */
const HEIGHT_MAX = 3_000;

const sockets: WebSocket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});

/** Somebody without a page who is in all these rooms of the first server. */
async function join(user: string, rooms: readonly string[]) {
  const socket = new WebSocket(`ws://localhost:${at.cluster.ports.apps[0]}/ws`, SUBPROTOCOL);
  sockets.push(socket);
  await once(socket, 'open');
  for (const room of rooms) {
    for (let type = ''; type !== 'joined';) {
      socket.send(JSON.stringify({ type: 'join', room, user }));
      type = await answerTo(socket, room);
      // A server takes so many new rooms a second, and says when it is enough.
      if (type !== 'joined') await pause(250);
    }
  }
}

function answerTo(socket: WebSocket, room: string): Promise<string> {
  return new Promise((resolve) => {
    const hear = (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as { type: string; room?: string };
      if (frame.room !== room || !['joined', 'error'].includes(frame.type)) return;
      socket.off('message', hear);
      resolve(frame.type);
    };
    socket.on('message', hear);
  });
}

async function staysSmall(page: Page) {
  const size = await page.evaluate(() => {
    const { scrollHeight, scrollWidth, clientWidth } = document.documentElement;
    return { scrollHeight, overflow: scrollWidth - clientWidth };
  });
  expect(size.scrollHeight).toBeLessThan(HEIGHT_MAX);
  expect(size.overflow).toBe(0);
}

describe.each(VIEWS)('%s', (view, options) => {
  test('a server with 200 rooms', async () => {
    const names = Array.from({ length: 200 }, (_name, index) => `${view} ${index + 1}`);
    const shares = Array.from({ length: 10 }, (_share, index) => names.slice(20 * index, 20 * index + 20));
    await Promise.all(shares.map((share, index) => join(`guest-${index}`, share)));
    await join('second', names.slice(0, 5));
    const page = await at.visitors.open(`http://localhost:${at.cluster.ports.apps[0]}/`, options);
    const rooms = page.getByRole('region', { name: 'Rooms' });
    await rooms.getByText(/^20 of \d+ are shown, those with the most users first\.$/).waitFor();
    expect(await rooms.getByRole('rowheader').count()).toBe(20);
    for (const name of names.slice(0, 5)) await rooms.getByRole('rowheader', { name, exact: true }).waitFor();
    await staysSmall(page);
    await passes(page, 'a server with 200 rooms');

    // By keyboard alone.
    await rooms.getByLabel('Find a room').focus();
    await page.keyboard.type(`${view.toUpperCase()} 177`);
    await rooms.getByText(/^1 of \d+ rooms found$/).waitFor();
    expect(await rooms.getByRole('rowheader').allTextContents()).toEqual([`${view} 177`]);
    await passes(page, 'a room that was found');
    await page.keyboard.type(' is not there');
    await rooms.getByText(/^0 of \d+ rooms found$/).waitFor();
    await passes(page, 'a room that is not there');
  });

  test('a server with many peers, nodes and cores', async () => {
    const page = await at.visitors.come(options);
    await page.route('**/status', async (route) => {
      const response = await route.fetch();
      const status = (await response.json()) as { backplane: object; reactors: object[] };
      const peers = Array.from({ length: 50 }, (_peer, index) => ({
        name: `app-${'long-'.repeat(8)}${index}`,
        up: true,
      }));
      const lanes = Array.from({ length: 64 }, (_lane, index) => ({
        ...{ node: `redis-${index}.a-rather-long-name.internal:6379`, state: 'up', for_seconds: 5 },
      }));
      const reactors = Array.from({ length: 64 }, () => ({ connections: 1 }));
      const backplane = { ...status.backplane, peers, lanes };
      await route.fulfill({ json: { ...status, backplane, reactors } });
    });
    await page.goto(`http://localhost:${at.cluster.ports.apps[0]}/`);
    const folds = page.locator('.fold summary');
    await folds.first().waitFor();
    expect(await folds.allTextContents()).toEqual(['41 more', '54 more', '54 more']);
    await staysSmall(page);
    await passes(page, 'a server with many peers');
    await folds.first().focus();
    await page.keyboard.press('Enter');
    await page.getByText(/^app-.*-49$/).waitFor();
    await passes(page, 'a server whose peers are unfolded');
  });

  test('a balancer with 50 servers', async () => {
    const page = await at.visitors.come(options);
    const many = (body: string) => {
      const status = JSON.parse(body) as { servers: object[] };
      const [server] = status.servers;
      const servers = Array.from({ length: 50 }, (_server, index) => ({
        ...{ ...server, name: `app-${index + 1}`, draining: index === 49 },
      }));
      return JSON.stringify({ ...status, servers });
    };
    await page.routeWebSocket('**/status', (route) => {
      route.connectToServer().onMessage((message) => route.send(many(message.toString())));
    });
    await page.route('**/status', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ contentType: 'application/json', body: many(await response.text()) });
    });
    await page.goto(`http://localhost:${at.cluster.ports.balancers[0]}/`);
    const servers = page.getByRole('region', { name: 'Servers', exact: true });
    await servers.getByText('20 of 50 are shown, those that get no clients first.').waitFor();
    expect(await servers.getByRole('rowheader').first().textContent()).toBe('app-50');
    await staysSmall(page);
    await passes(page, 'a balancer with 50 servers');
    await servers.getByLabel('Find a server').focus();
    await page.keyboard.type('app-33');
    await servers.getByText('1 of 50 servers found').waitFor();
    expect(await servers.getByRole('rowheader').allTextContents()).toEqual(['app-33']);
    await passes(page, 'a server that was found');
  });

  test('a room with 100 names', async () => {
    const room = `roster ${view}`;
    await Promise.all(Array.from({ length: 99 }, (_name, index) => join(`guest ${index}`, [room])));
    const page = await at.visitors.open(at.cluster.frontend, options);
    await enter(page, 'ann', room);
    const button = page.getByRole('button', { name: 'People' });
    if (await button.isVisible()) await button.click();
    await page.waitForFunction(() => document.querySelectorAll('.people li').length === 100);
    await staysSmall(page);
    await passes(page, 'a room with 100 names');
    const last = page.locator('.people li').last();
    await last.scrollIntoViewIfNeeded();
    const box = await last.boundingBox();
    const height = page.viewportSize()?.height ?? 0;
    expect(box && box.y + box.height <= height).toBe(true);
  });
});
