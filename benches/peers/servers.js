// Who is compared, how each is started, and what is said to it.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const path = (name) => fileURLToPath(new URL(name, import.meta.url));

const manifest = readFileSync(path('../../Cargo.toml'), 'utf8');

export const OURS = path('../../target/release/distr-chat');
export const LOADGEN = path('../../target/release/loadgen');
export const MODULES = path('node_modules');

const JSON_CHAT = [
  ...['--join', '{"type":"join","room":"{room}","user":"{user}"}'],
  ...['--send', '{"type":"send","room":"{room}","id":"{id}","text":"{text}"}'],
];
// Engine.IO's 4 (message), and Socket.IO's 0 (connect) or 2 (event); the answer wanted has the number 0.
const SOCKET_IO_CHAT = [
  ...['--join', '40{"room":"{room}","user":"{user}"}'],
  ...['--send', '420["send",{"id":"{id}","text":"{text}"}]'],
];

const peer = (name, script, packageName, port, url, words) => ({
  name,
  version: require(`${packageName}/package.json`).version,
  port,
  command: [process.execPath, '--expose-gc', path(script), `${port}`],
  target: ['--target', `ws://127.0.0.1:${port}${url}`, ...words],
  collectsGarbage: true,
});

export const servers = () => [
  {
    name: 'distr-chat',
    version: manifest.match(/^version = "(.*)"$/m)[1],
    port: 5400,
    // One reactor, since the others have one thread; nobody hears its heartbeats.
    command: [OURS, 'app', '--listen', '127.0.0.1:5400', '--reactors', '1', '--balancers', '127.0.0.1:5499'],
    target: ['--target', 'ws://127.0.0.1:5400/ws'],
    collectsGarbage: false,
  },
  peer('µWebSockets.js', 'microWebSockets.js', '@trufflesuite/uws-js-unofficial', 5401, '/', JSON_CHAT),
  peer('ws', 'ws.js', 'ws', 5402, '/', JSON_CHAT),
  peer('Socket.IO', 'socketIo.js', 'socket.io', 5403, '/socket.io/?EIO=4&transport=websocket', SOCKET_IO_CHAT),
];
