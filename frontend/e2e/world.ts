import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { launch } from './browser';
import { type Cluster, startCluster } from './cluster';
import { Visitors } from './visitors';

export interface World {
  cluster: Cluster;
  browser: Browser;
  visitors: Visitors;
}

/** A cluster and a browser for the tests of a file. What it gives back is there once a test runs. */
export function world(...browserFlags: string[]): World {
  const world = {} as World;
  beforeAll(async () => {
    const [cluster, browser] = await Promise.all([startCluster(), launch(...browserFlags)]);
    Object.assign(world, { cluster, browser, visitors: new Visitors(browser) });
  });
  afterEach(() => world.visitors.leave());
  afterAll(async () => {
    await world.browser.close();
    await world.cluster.stop();
  });
  return world;
}
