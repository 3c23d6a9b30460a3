import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { expect } from 'vitest';
import { join, newPage } from './browser';

/** What a browser says by itself of a connection that failed, which some tests bring about. */
const OF_THE_BROWSER = ['Failed to load resource', 'WebSocket connection to', 'Access to fetch at'];

/** The pages of one test. All else that they complain of is a fault of theirs. */
export class Visitors {
  readonly #pages: Page[] = [];
  readonly #complaints: string[] = [];

  constructor(private readonly browser: Browser) {}

  async open(url: string, options?: BrowserContextOptions): Promise<Page> {
    const page = await this.come(options);
    await page.goto(url);
    return page;
  }

  async enter(url: string, user: string, room: string): Promise<Page> {
    const page = await this.come();
    await join(page, url, user, room);
    return page;
  }

  /** Through the proxies of these balancers, whatever the frontend server says. */
  async enterByProxy(url: string, balancers: readonly string[], user: string, room: string): Promise<Page> {
    const page = await this.come();
    await page.route('**/config.json', (route) => route.fulfill({ json: { balancers, proxy: true } }));
    await join(page, url, user, room);
    return page;
  }

  async leave() {
    for (const page of this.#pages.splice(0)) await page.context().close();
    const faults = this.#complaints.splice(0).filter((text) => !OF_THE_BROWSER.some((known) => text.startsWith(known)));
    expect(faults).toEqual([]);
  }

  /** A page that has not gone anywhere yet. */
  async come(options?: BrowserContextOptions): Promise<Page> {
    const page = await newPage(this.browser, options);
    this.#pages.push(page);
    page.on('console', (message) => {
      if (message.type() === 'error') this.#complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.#complaints.push(error.message));
    return page;
  }
}
