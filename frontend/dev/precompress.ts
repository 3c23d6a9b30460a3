import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';

/** Kinds of files that are not compressed already. */
const COMPRESSIBLE = /\.(html|js|css|svg|json)$/;
/** Below it a file takes as many packets compressed as it is. */
const BYTES_MIN = 1024;

/** The variants of a file that are smaller than it, by what is added to its name. */
export function variants(content: Uint8Array): Map<string, Uint8Array> {
  const smaller = new Map<string, Uint8Array>();
  if (content.length < BYTES_MIN) {
    return smaller;
  }
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
  };
  const all = { '.br': brotliCompressSync(content, { params }), '.gz': gzipSync(content, { level: 9 }) };
  for (const [extension, bytes] of Object.entries(all)) {
    if (bytes.length < content.length) {
      smaller.set(extension, bytes);
    }
  }
  return smaller;
}

/** Puts `.br` and `.gz` beside each file of the build. The servers embed all of them, and compress nothing at run time. */
export function precompress(): Plugin {
  return {
    name: 'precompress',
    apply: 'build',
    enforce: 'post',
    generateBundle: {
      order: 'post',
      handler(_options, bundle) {
        for (const file of Object.values(bundle)) {
          if (!COMPRESSIBLE.test(file.fileName)) {
            continue;
          }
          const content = file.type === 'chunk' ? file.code : file.source;
          const bytes = typeof content === 'string' ? Buffer.from(content) : content;
          for (const [extension, source] of variants(bytes)) {
            this.emitFile({ type: 'asset', fileName: file.fileName + extension, source });
          }
        }
      },
    },
  };
}
