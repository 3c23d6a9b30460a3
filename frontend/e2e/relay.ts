import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { Page } from 'playwright-core';

/** A path to one server that breaks as a NAT does that has forgotten: what goes in does not come out, and nobody is told. */
export interface Relay {
  port: number;
  /** From now on nothing passes on the connections that are there. New ones work. */
  forget(): void;
  stop(): void;
}

export async function startRelay(target: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  const paired = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      paired.add(from);
      from.on('data', (data) => {
        if (paired.has(from)) to.write(data);
      });
      from.on('error', () => from.destroy());
      from.on('close', () => {
        sockets.delete(from);
        if (paired.delete(from)) to.destroy();
      });
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    forget: () => paired.clear(),
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Whatever server a balancer names, the page is led to this port. */
export async function lead(page: Page, port: number) {
  await page.route('**/assign*', async (route) => {
    const response = await route.fetch();
    const assigned = (await response.json()) as { url: string; node: string };
    const url = new URL(assigned.url);
    url.hostname = '127.0.0.1';
    url.port = `${port}`;
    await route.fulfill({ response, json: { ...assigned, url: url.href } });
  });
}
