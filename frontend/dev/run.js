// Runs a TypeScript file through Vite: `node dev/run.js file.ts arguments…`.
import { runnerImport } from 'vite';

const [file] = process.argv.splice(2, 1);
if (!file) throw new Error('usage: node dev/run.js file.ts arguments…');
await runnerImport(new URL(`../${file}`, import.meta.url).pathname);
