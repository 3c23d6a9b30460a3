import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { variants } from './precompress';

describe('variants', () => {
  it('are the same file, smaller', () => {
    const content = Buffer.from('let x = 1;\n'.repeat(1000));
    const [brotli, gzip] = [variants(content).get('.br'), variants(content).get('.gz')];
    expect(brotliDecompressSync(brotli ?? '').equals(content)).toBe(true);
    expect(gunzipSync(gzip ?? '').equals(content)).toBe(true);
    expect(brotli?.length).toBeLessThan(content.length);
  });

  it('are left out where they gain nothing', () => {
    expect([...variants(Buffer.from('short')).keys()]).toEqual([]);
    const noise = crypto.getRandomValues(new Uint8Array(4096));
    expect([...variants(noise).keys()]).toEqual([]);
  });
});
