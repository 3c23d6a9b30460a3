/** `npm run screenshots -- directory`: every page, light and dark, narrow and wide. */
import { mkdir } from 'node:fs/promises';
import { join as path } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { dropSockets, join, launch, newPage, say } from './browser';
import { type Cluster, startCluster } from './cluster';

const SIZES = { wide: { width: 1280, height: 800 }, narrow: { width: 390, height: 844 } };
const SCHEMES = ['light', 'dark'] as const;
const PEOPLE = ['Ada', 'Grace', 'Leslie', 'Ken'];
const TALK: [number, string][] = [
  [1, 'Morning. Is the new build out on all three?'],
  [0, 'On two. I am draining app-3 right now, you may see a short blink.'],
  [1, 'I saw nothing at all, honestly.'],
  [1, 'Wait, my badge says app-1 now. It was app-3 a minute ago.'],
  [2, 'That was the move. The old line stays open until the new one has everything.'],
  [
    3,
    'Pulling the plug on a balancer next. Shout if anything hiccups.\n\nIf it does, the log on the status page is the place to look.',
  ],
  [0, 'Go on. Messages are numbered, so a gap could not hide.'],
  [3, 'Done. lb-2 is gone.'],
  [1, 'Still here.'],
];

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('usage: npm run screenshots -- directory');
await mkdir(directory, { recursive: true });
const [cluster, browser] = await Promise.all([startCluster(), launch()]);
try {
  await takeAll(cluster, browser, directory);
} finally {
  await browser.close();
  await cluster.stop();
}

async function takeAll({ frontend, ports }: Cluster, browser: Browser, directory: string) {
  const views = Object.entries(SIZES).flatMap(([size, viewport]) =>
    SCHEMES.map((colorScheme) => ({
      name: `${size}-${colorScheme}`,
      narrow: size === 'narrow',
      options: { viewport, colorScheme, deviceScaleFactor: size === 'narrow' ? 2 : 1 },
    })),
  );

  // The status pages watch all the while, so that their curves have something to tell.
  const statusPages: { file: string; page: Page }[] = [];
  for (const { name, options } of views) {
    for (const [kind, port] of [
      ['server', ports.apps[0]],
      ['balancer', ports.balancers[0]],
    ] as const) {
      const page = await newPage(browser, options);
      await page.goto(`http://localhost:${port}/`);
      statusPages.push({ file: `${kind}-${name}.png`, page });
    }
  }
  await makeNoise(browser, frontend);

  const people: Page[] = [];
  for (const name of PEOPLE) {
    const page = await newPage(browser);
    await join(page, frontend, name, 'release');
    people.push(page);
  }
  for (const [who, text] of TALK) {
    const page = people[who];
    if (!page) continue;
    await say(page, text);
    await page.locator('.message[data-mark=delivered]').getByText(text).last().waitFor();
  }

  for (const { name, narrow, options } of views) {
    const page = await newPage(browser, options);
    const take = (what: string) => page.screenshot({ path: path(directory, `${what}-${name}.png`) });

    await page.goto(frontend);
    await page.getByRole('heading', { name: 'Come in' }).waitFor();
    await take('join');

    await join(page, frontend, 'Grace', 'release');
    await page.getByText('Still here').waitFor();
    await people[2]?.getByRole('textbox').pressSequentially('I was wondering', { delay: 160 });
    await page.getByText('Leslie is typing').waitFor();
    await take('room');

    await page.locator('.badge summary').click();
    await take('route');
    await page.locator('.badge summary').click();
    if (narrow) {
      await page.getByRole('button', { name: 'People' }).click();
      await take('people');
      await page.keyboard.press('Escape');
    }

    await page.route('**/assign*', (route) => route.abort());
    await dropSockets(page);
    await say(page, 'I write this while I am offline.');
    await page.getByRole('button', { name: 'Try now' }).waitFor();
    await take('offline');
    await page.context().close();
  }

  for (const { file, page } of statusPages) {
    await page.locator('.curve-line').first().waitFor();
    await page.screenshot({ path: path(directory, file) });
  }
}

/** Three people in rooms of their own who press the button now and then, and one who comes and goes. */
async function makeNoise(browser: Browser, frontend: string) {
  for (const [index, room] of ['lobby', 'news', 'lobby'].entries()) {
    const page = await newPage(browser);
    await join(page, frontend, `visitor ${index + 1}`, room);
    await page.getByRole('button', { name: 'Spam :)' }).evaluate((button: HTMLElement) => {
      let turn = 0;
      setInterval(() => {
        turn += 1;
        const clicks = Math.round(2 + 2 * Math.sin(turn / 9));
        for (let click = 0; click < clicks; click += 1) button.click();
      }, 400);
    });
  }
  const guest = await newPage(browser);
  await join(guest, frontend, 'guest', 'news');
  await guest.evaluate(() => {
    const press = (name: string) =>
      [...document.querySelectorAll('button')].find((button) => button.textContent === name)?.click();
    setInterval(() => {
      press('Leave');
      press('Join the room');
    }, 700);
  });
}
