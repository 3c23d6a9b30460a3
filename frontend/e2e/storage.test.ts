import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as path } from 'node:path';
import type { BrowserContext } from 'playwright-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { delivered, enter, launchProfile, say } from './browser';
import { world } from './world';

/** A browser whose user has blocked all cookies, and with them all that pages may keep. */

const at = world();
let profile: string;
let context: BrowserContext;

beforeEach(async () => {
  profile = await mkdtemp(path(tmpdir(), 'distr-chat-profile-'));
  await mkdir(path(profile, 'Default'));
  const blocked = { profile: { default_content_setting_values: { cookies: 2 } } };
  await writeFile(path(profile, 'Default', 'Preferences'), JSON.stringify(blocked));
  context = await launchProfile(profile);
});

afterEach(async () => {
  await context.close();
  await rm(profile, { recursive: true, force: true });
});

test('chats, and remembers the name as long as the page is there', async () => {
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', ({ message }) => faults.push(message));
  await page.goto(at.cluster.frontend);
  const look = page.evaluate(() => localStorage.length);
  await expect(look).rejects.toThrow(/SecurityError|denied/);

  await enter(page, 'ann', 'blocked');
  await say(page, 'hello');
  await delivered(page, 'hello');
  await page.getByRole('button', { name: 'Leave' }).click();
  expect(await page.getByLabel('Your name').inputValue()).toBe('ann');
  expect(faults).toEqual([]);
});
