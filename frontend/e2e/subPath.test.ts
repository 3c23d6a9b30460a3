import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { delivered, join, say } from './browser';
import { startWeb } from './cluster';
import { world } from './world';

/** The pages below a path of another host, behind a proxy that strips its prefix, or keeps it. */

const at = world();
const proxies: Server[] = [];

afterEach(() => {
  for (const proxy of proxies.splice(0)) proxy.close().closeAllConnections();
});

/** Gives back where `/chat/` of a proxy leads to this port; all else is not found there. */
async function behind(port: number, strips: boolean): Promise<string> {
  const proxy = createServer((incoming, outgoing) => {
    const { url = '/', method, headers } = incoming;
    if (!/^\/chat(\/|$)/.test(url)) {
      outgoing.writeHead(404).end();
      return;
    }
    const path = strips ? url.replace(/^\/chat/, '') || '/' : url;
    const onward = request({ host: '127.0.0.1', port, path, method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.writeHead(502).end());
    incoming.pipe(onward);
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  proxies.push(proxy);
  const address = proxy.address();
  return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/chat`;
}

async function chat(url: string, room: string) {
  const ann = await at.visitors.come();
  const missed: string[] = [];
  ann.on('response', (response) => {
    if (response.status() >= 400) missed.push(response.url());
  });
  await join(ann, url, 'ann', room);
  await say(ann, 'hello');
  await delivered(ann, 'hello');
  expect(new URL(ann.url()).pathname).toBe('/chat/');
  await ann.getByRole('button', { name: 'Leave' }).click();
  await ann.reload();
  await ann.getByRole('button', { name: 'Join the room' }).waitFor();
  expect(missed).toEqual([]);
}

describe('the chat', () => {
  test('behind a proxy that strips the prefix', async () => {
    await chat(`${await behind(at.cluster.ports.frontend, true)}/`, 'stripped');
  });

  test('behind a proxy that keeps the prefix, with --base-path', async ({ skip }) => {
    const web = await startWeb(at.cluster, '--base-path', '/chat');
    if (!web) return skip('the cluster in memory has no flags');
    try {
      const address = await behind(web.port, false);
      await chat(`${address}/`, 'kept');
      // Without the slash the files would be looked for beside it.
      await chat(address, 'kept without a slash');
    } finally {
      await web.stop();
    }
  });
});

test.each(['server', 'balancer'] as const)('the status page of a %s', async (kind) => {
  const { apps, balancers } = at.cluster.ports;
  const [port = 0] = kind === 'server' ? apps : balancers;
  const page = await at.visitors.open(`${await behind(port, true)}/`);
  await page.getByRole('heading', { name: kind === 'server' ? 'app-1' : 'lb-1' }).waitFor();
  await page.locator('.tile').first().waitFor();
  expect(await page.getByRole('link', { name: 'JSON' }).evaluate((link: HTMLAnchorElement) => link.href)).toBe(
    `${new URL(page.url()).origin}/chat/status`,
  );
});
