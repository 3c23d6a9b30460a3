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

const peers = [
  {
    name: 'µWebSockets.js',
    script: 'microWebSockets.js',
    package: '@trufflesuite/uws-js-unofficial',
    port: 5401,
    place: '/',
    chat: JSON_CHAT,
    gathers: true,
  },
  { name: 'ws', script: 'ws.js', package: 'ws', port: 5402, place: '/', chat: JSON_CHAT, gathers: false },
  {
    name: 'Socket.IO',
    script: 'socketIo.js',
    package: 'socket.io',
    port: 5403,
    place: '/socket.io/?EIO=4&transport=websocket',
    chat: SOCKET_IO_CHAT,
    gathers: false,
  },
];

/** `gathers`: messages of one turn go to a client in one write. */
export const servers = () => [
  {
    name: 'distr-chat',
    version: manifest.match(/^version = "(.*)"$/m)[1],
    port: 5400,
    // One reactor, since the others have one thread; nobody hears its heartbeats.
    command: [OURS, 'app', '--listen', '127.0.0.1:5400', '--reactors', '1', '--balancers', '127.0.0.1:5499'],
    target: ['--target', 'ws://127.0.0.1:5400/ws'],
    collectsGarbage: false,
    gathers: true,
  },
  ...peers.map(({ name, script, package: module, port, place, chat, gathers }) => ({
    name,
    version: require(`${module}/package.json`).version,
    port,
    command: [process.execPath, '--expose-gc', path(script), `${port}`],
    target: ['--target', `ws://127.0.0.1:${port}${place}`, ...chat],
    collectsGarbage: true,
    gathers,
  })),
];
