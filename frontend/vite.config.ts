import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';
import { precompress } from './dev/precompress.ts';

const page = (name: string) => new URL(name, import.meta.url).pathname;

export default defineConfig({
  plugins: [react(), precompress()],
  // Pages stand below whatever path a proxy has them at, so they name their files from where they are.
  base: './',
  build: {
    // README.md says which browsers these are. A lint keeps methods out that they have not.
    target: ['chrome109', 'edge109', 'firefox115', 'safari15.4'],
    // The pages are served under a policy that forbids inline scripts, so nothing may be inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: [page('index.html'), page('server.html'), page('balancer.html')] },
  },
  test: {
    projects: [
      { extends: true, test: { name: 'unit', include: ['src/**/*.test.ts', 'src/**/*.test.tsx', 'dev/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['e2e/**/*.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
