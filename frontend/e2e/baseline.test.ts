import { expect, test } from 'vitest';
import { delivered, join, nodeOf, say, shown, texts } from './browser';
import { world } from './world';

/** The oldest browsers that the pages are for, and those that are older. */

const at = world();

/** What came after the baseline, which Chrome 109, Firefox 115 or Safari 15.4 has not. */
const LATER: Record<string, string[]> = {
  'Array.prototype': ['toSpliced', 'toSorted', 'toReversed', 'with'],
  'String.prototype': ['isWellFormed', 'toWellFormed'],
  'Set.prototype': ['union', 'intersection', 'difference', 'isSubsetOf'],
  'Iterator.prototype': ['map', 'filter', 'toArray', 'forEach', 'some', 'find'],
  Object: ['groupBy'],
  Map: ['groupBy'],
  Array: ['fromAsync'],
  Promise: ['withResolvers', 'try'],
  URL: ['canParse', 'parse'],
  AbortSignal: ['any'],
};

test('two people chat without anything that came later', async () => {
  const pages = [];
  for (const user of ['ann', 'bob']) {
    const page = await at.visitors.come();
    await page.addInitScript((later) => {
      for (const [path, names] of Object.entries(later)) {
        const owner = path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], window);
        for (const name of names) {
          if (!(name in (owner as object))) throw new Error(`${path}.${name} is not even here`);
          Reflect.deleteProperty(owner as object, name);
        }
      }
    }, LATER);
    await join(page, at.cluster.frontend, user, 'old');
    pages.push(page);
  }
  const [ann, bob] = pages;
  if (!ann || !bob) throw new Error('two were to come');
  expect(await nodeOf(ann)).not.toBe(await nodeOf(bob));
  await say(ann, 'hello');
  await delivered(ann, 'hello');
  await shown(bob, 'hello');
  await say(bob, 'hello too');
  await shown(ann, 'hello too');
  expect(await texts(ann)).toEqual(['hello', 'hello too']);
});

test('an older browser gets one clear line, on every page', async () => {
  const { frontend, ports } = at.cluster;
  for (const url of [frontend, `http://localhost:${ports.apps[0]}/`, `http://localhost:${ports.balancers[0]}/`]) {
    const page = await at.visitors.come();
    await page.addInitScript(() => Reflect.deleteProperty(Array.prototype, 'findLast'));
    await page.goto(url);
    await page
      .getByRole('alert')
      .getByText(/too old for this page\. It needs Chrome or Edge 109/)
      .waitFor();
    expect(await page.locator('#root').innerHTML()).toBe('');
  }
});
