import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export function launch(...flags: string[]): Promise<Browser> {
  return chromium.launch({ executablePath: EXECUTABLE, args: [...FLAGS, ...flags] });
}

/** A browser with a profile of its own, as its user has set it up. */
export function launchProfile(directory: string): Promise<BrowserContext> {
  return chromium.launchPersistentContext(directory, { executablePath: EXECUTABLE, args: FLAGS, locale: 'en-GB' });
}

/** A page of a user of its own: nothing is shared with the others. */
export async function newPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ locale: 'en-GB', reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  await page.addInitScript(() => {
    const sockets: WebSocket[] = [];
    window.WebSocket = class extends WebSocket {
      constructor(...args: ConstructorParameters<typeof WebSocket>) {
        super(...args);
        sockets.push(this);
      }
    };
    Object.assign(window, { dropSockets: () => sockets.forEach((socket) => socket.close()) });
  });
  return page;
}

/** Closes the page's WebSockets beneath the client, as an accident would. */
export async function dropSockets(page: Page) {
  await page.evaluate(() => (window as unknown as { dropSockets: () => void }).dropSockets());
}

export async function join(page: Page, url: string, user: string, room: string) {
  await page.goto(url);
  await enter(page, user, room);
}

export async function enter(page: Page, user: string, room: string) {
  await page.getByLabel('Your name').fill(user);
  await page.getByLabel('Room').fill(room);
  await page.getByRole('button', { name: 'Join the room' }).click();
  await page.locator('.badge[data-phase=online]').waitFor();
  await page.getByText(/\d here$|people here$|person here$/).waitFor();
}

export async function say(page: Page, text: string) {
  const box = page.getByRole('textbox', { name: /^Message to/ });
  await box.fill(text);
  await box.press('Enter');
}

export const nodeOf = (page: Page) => page.locator('.badge').getAttribute('data-node');
export const texts = (page: Page) => page.locator('.message-text').allTextContents();
export const shown = (page: Page, text: string) =>
  page.locator('.message-text').getByText(text, { exact: true }).waitFor();
export const delivered = (page: Page, text: string) =>
  page.locator('.message[data-mark=delivered]').getByText(text, { exact: true }).waitFor();

/** What the badge has shown: each phase, and each server, as often as it came. */
export interface Shown {
  phases: string[];
  nodes: string[];
}

/** From now on the page remembers what its badge shows. */
export async function watchBadge(page: Page) {
  await page.evaluate(() => {
    const shown: Shown = { phases: [], nodes: [] };
    const note = (list: string[], value: string | null | undefined) => {
      if (value !== list.at(-1)) list.push(value ?? 'nothing');
    };
    const look = () => {
      const badge = document.querySelector('.badge');
      note(shown.phases, badge?.getAttribute('data-phase'));
      note(shown.nodes, badge?.getAttribute('data-node'));
    };
    look();
    new MutationObserver(look).observe(document.body, {
      ...{ subtree: true, childList: true, attributes: true },
      attributeFilter: ['data-phase', 'data-node'],
    });
    Object.assign(window, { shown });
  });
}

export function shownByBadge(page: Page): Promise<Shown> {
  return page.evaluate(() => (window as unknown as { shown: Shown }).shown);
}
