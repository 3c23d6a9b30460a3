import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { delivered, join, say, shown, texts } from './browser';
import { world } from './world';

/** Messages that a server will not take. */

const at = world();

/** Types what a keyboard can and the wire of the browser's driver cannot: half of a surrogate pair. */
async function insert(page: Page, codes: number[]) {
  const box = page.getByRole('textbox', { name: /^Message to/ });
  await box.evaluate((element, codes) => {
    const value = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value');
    value?.set?.call(element, String.fromCharCode(...codes));
    element.dispatchEvent(new Event('input', { bubbles: true }));
  }, codes);
  await box.press('Enter');
}

test('half of an emoji is delivered, with a mark where it was', async () => {
  const ann = await at.visitors.enter(at.cluster.frontend, 'ann', 'halves');
  const bob = await at.visitors.enter(at.cluster.frontend, 'bob', 'halves');
  await insert(ann, [0x61, 0xd83d]);
  await shown(bob, 'a\ufffd');
  await delivered(ann, 'a\ufffd');
});

test('a frame that the server cannot read is given up, and taken back', async () => {
  const ann = await at.visitors.come();
  // What becomes of a message between the page and the server is out of the page's hands.
  await ann.addInitScript(() => {
    const sent: string[] = [];
    Object.assign(window, { sent });
    window.WebSocket = class extends WebSocket {
      override send(data: string) {
        const isBroken = data.includes('break me');
        if (isBroken) sent.push(data);
        super.send(isBroken ? '{"type":"send",' : data);
      }
    };
  });
  await join(ann, at.cluster.frontend, 'ann', 'broken');
  const sent = () => ann.evaluate(() => (window as unknown as { sent: string[] }).sent.length);

  for (const text of ['before', 'break me', 'behind']) await say(ann, text);
  await ann.getByText(/^Not sent:/).waitFor();
  await delivered(ann, 'before');
  await delivered(ann, 'behind');
  const tries = await sent();
  expect(tries).toBeLessThanOrEqual(2);

  await ann.getByRole('button', { name: 'Edit' }).click();
  const box = ann.getByRole('textbox', { name: /^Message to/ });
  expect(await box.inputValue()).toBe('break me');
  await box.fill('mended');
  await box.press('Enter');
  await delivered(ann, 'mended');
  expect(await texts(ann)).toEqual(['before', 'behind', 'mended']);
  expect(await sent()).toBe(tries);
});
