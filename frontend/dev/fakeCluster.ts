/**
 * A cluster in one process and in memory: enough of the protocol to look at the pages without the real one.
 * It promises nothing. One stream per server, one history per room, no limits, no faults but those one asks for.
 */
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { extname, join } from 'node:path';
import { type WebSocket, WebSocketServer } from 'ws';
import { type ClientMessage, DEFAULT_LIMITS, type Message } from '../src/client/protocol';

export interface Ports {
  frontend: number;
  apps: readonly number[];
  balancers: readonly number[];
}

export interface FakeCluster {
  /** Ends one server as a crash would; `start` brings it back. */
  kill(port: number): void;
  start(port: number): Promise<void>;
  /** Somebody who has no connection says something. */
  say(room: string, user: string, text: string): void;
  stop(): void;
}

const HISTORY_MAX = 1_000;
const EVENTS_MAX = 100;
const STATUS_EVERY_MS = 250;
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
/** What the real servers send. */
const POLICY = "default-src 'self'; connect-src *; img-src 'self' data:; style-src 'self'; script-src 'self'";

interface Member {
  user: string;
  client: string;
  socket: WebSocket;
  port: number;
}

interface Room {
  members: Set<Member>;
  history: Message[];
}

interface App {
  name: string;
  up: boolean;
  startedMs: number;
  http: Server;
  sockets: Set<WebSocket>;
  /** Those that came through a balancer, and what leads each to another server. */
  relayed: Map<WebSocket, () => void>;
  stream: string;
  seqs: Map<string, number>;
  assigned: number;
  totals: { accepted: number; messages: number; deliveries: number };
}

export async function startFakeCluster(ports: Ports, dist: string): Promise<FakeCluster> {
  const startedMs = Date.now();
  const rooms = new Map<string, Room>();
  const apps = new Map<number, App>();
  /** Whose nonce a message has; nobody is told. */
  const clients = new WeakMap<Message, string>();
  const events: { time: number; kind: string; text: string }[] = [];
  let unavailable = 0;
  let moved = 0;

  const log = (kind: string, text: string) => {
    events.push({ time: Date.now(), kind, text });
    events.splice(0, events.length - EVENTS_MAX);
  };

  const roomOf = (name: string): Room => {
    const room = rooms.get(name) ?? { members: new Set(), history: [] };
    rooms.set(name, room);
    return room;
  };
  const usersOf = (room: Room) => [...new Set([...room.members].map(({ user }) => user))].sort();

  const tell = (room: Room, frame: object, except?: WebSocket) => {
    for (const { socket, port } of room.members) {
      if (socket === except) continue;
      socket.send(JSON.stringify(frame));
      const app = apps.get(port);
      if (app) app.totals.deliveries += 1;
    }
  };

  const joinRoom = (name: string, member: Member, since: Readonly<Record<string, number>> | undefined) => {
    const room = roomOf(name);
    const known = usersOf(room);
    room.members.add(member);
    const history = since
      ? room.history.filter(({ stream, seq }) => seq > (since[stream] ?? 0))
      : room.history.slice(-50);
    const roster = usersOf(room);
    const streams = Object.fromEntries(room.history.map(({ stream, seq }) => [stream, seq]));
    member.socket.send(
      JSON.stringify({
        ...{ type: 'joined', room: name, client: member.client, users: roster.length, roster },
        ...{ history, complete: true, streams },
      }),
    );
    const joined = known.includes(member.user) ? [] : [member.user];
    tell(room, { type: 'presence', room: name, users: roster.length, joined, left: [] }, member.socket);
  };

  const leaveRoom = (name: string, socket: WebSocket) => {
    const room = roomOf(name);
    const member = [...room.members].find((other) => other.socket === socket);
    if (!member) return;
    room.members.delete(member);
    const users = usersOf(room);
    const left = users.includes(member.user) ? [] : [member.user];
    tell(room, { type: 'presence', room: name, users: users.length, joined: [], left });
  };

  const append = (app: App, name: string, from: string, id: string, text: string): Message => {
    const room = roomOf(name);
    const seq = (app.seqs.get(name) ?? 0) + 1;
    app.seqs.set(name, seq);
    const message: Message = {
      ...{ type: 'message', room: name, from, text, time: Date.now(), stream: app.stream, seq, id },
    };
    room.history.push(message);
    room.history.splice(0, room.history.length - HISTORY_MAX);
    app.totals.messages += 1;
    tell(room, message);
    return message;
  };

  const say = (app: App, { room: name, id, text }: Extract<ClientMessage, { type: 'send' }>, socket: WebSocket) => {
    const room = roomOf(name);
    const member = [...room.members].find((other) => other.socket === socket);
    if (!member) {
      socket.send(JSON.stringify({ type: 'error', code: 'not_joined', message: 'join first', room: name, id }));
      return;
    }
    let message = room.history.find(
      (other) => other.id === id && other.text === text && clients.get(other) === member.client,
    );
    if (!message) {
      message = append(app, name, member.user, id, text);
      clients.set(message, member.client);
    }
    const { stream, seq, time } = message;
    socket.send(JSON.stringify({ type: 'ack', room: name, id, stream, seq, time }));
  };

  const converse = (app: App, port: number, socket: WebSocket) => {
    app.sockets.add(socket);
    app.totals.accepted += 1;
    const session = `${app.stream}-${app.totals.accepted}`;
    socket.send(JSON.stringify({ type: 'welcome', node: app.name, session, limits: DEFAULT_LIMITS }));
    const hear = (data: Buffer) => {
      const message = read(data.toString());
      if (!message) {
        socket.send('{"type":"error","code":"not_json","message":"the frame is not a JSON object"}');
        return;
      }
      switch (message.type) {
        case 'join':
          joinRoom(
            message.room,
            { user: message.user, client: message.client ?? session, socket, port },
            message.since,
          );
          return;
        case 'send':
          say(app, message, socket);
          return;
        case 'typing': {
          const room = roomOf(message.room);
          const user = [...room.members].find((other) => other.socket === socket)?.user;
          if (user !== undefined) tell(room, { type: 'typing', room: message.room, user }, socket);
          return;
        }
        case 'leave':
          leaveRoom(message.room, socket);
          socket.send(JSON.stringify({ type: 'left', room: message.room }));
          return;
        case 'ping':
          socket.send('{"type":"pong"}');
      }
    };
    const part = () => {
      socket.off('message', hear).off('close', part);
      app.sockets.delete(socket);
      app.relayed.delete(socket);
      for (const name of rooms.keys()) leaveRoom(name, socket);
    };
    socket.on('message', hear).on('close', part);
    return part;
  };

  const leastLoaded = () =>
    [...apps].filter(([, { up }]) => up).sort(([, a], [, b]) => a.sockets.size - b.sockets.size)[0];

  /** A balancer's proxy: when the server dies another one takes over, and the client is told. */
  const relay = (socket: WebSocket) => {
    const least = leastLoaded();
    if (!least) {
      socket.close(1013);
      return;
    }
    const [port, app] = least;
    const part = converse(app, port, socket);
    app.relayed.set(socket, () => {
      part();
      moved += 1;
      socket.send('{"type":"resume"}');
      relay(socket);
    });
  };

  const appStatus = (app: App, port: number) => ({
    ...{ role: 'app', node: app.name, version: '0.1.0', url: `ws://localhost:${port}/ws` },
    ...{ uptime_seconds: Math.floor((Date.now() - app.startedMs) / 1_000), ready: true, draining: false },
    ...{ connections: app.sockets.size, connections_max: 18_000 },
    backplane: {
      kind: 'embedded',
      ready: true,
      lanes: [],
      peers: [...apps.values()].filter((other) => other !== app).map(({ name, up }) => ({ name, up })),
    },
    rooms_total: rooms.size,
    rooms: [...rooms].map(([room, { members, history }]) => ({
      room,
      users: new Set([...members].map(({ user }) => user)).size,
      members_here: [...members].filter((member) => member.port === port).length,
      messages: history.length,
    })),
    totals: { ...app.totals, writes: app.totals.deliveries, turns: app.totals.deliveries, errors: 0, closed_slow: 0 },
    reactors: [0, 1].map((index) => ({ connections: Math.floor((app.sockets.size + index) / 2) })),
  });

  const balancerStatus = (index: number) => {
    const all = [...apps];
    return {
      ...{
        role: 'lb',
        node: `lb-${index + 1}`,
        version: '0.1.0',
        ready: all.some(([, { up }]) => up),
        draining: false,
      },
      uptime_seconds: Math.floor((Date.now() - startedMs) / 1_000),
      assigned_total: all.reduce((sum, [, { assigned }]) => sum + assigned, 0),
      ...{ unavailable_total: unavailable, delayed_total: 0, moved_total: moved },
      proxied: all.reduce((sum, [, { relayed }]) => sum + relayed.size, 0),
      servers: all.map(([port, { name, up, sockets, relayed, assigned }]) => ({
        ...{ name, url: `ws://localhost:${port}/ws`, state: up ? 'up' : 'gone', connections: sockets.size, assigned },
        ...{
          capacity: 18_000,
          loop_lag_ms: 0.2,
          proxied: relayed.size,
          in_flight: 0,
          last_heartbeat_ms: up ? 120 : 5_200,
          draining: false,
          deaf: false,
          full: false,
        },
      })),
      heartbeats: { accepted: 900, malformed: 0, version: 0, forged: 0, stale: 2, namesake: 0, table_full: 0 },
      events,
    };
  };

  const tellStatus = (socket: WebSocket, index: number) => {
    const tell = () => socket.send(JSON.stringify(balancerStatus(index)));
    const timer = setInterval(tell, STATUS_EVERY_MS);
    socket.on('close', () => clearInterval(timer));
    tell();
  };

  const assign = (index: number, response: ServerResponse) => {
    const least = leastLoaded();
    if (!least) {
      unavailable += 1;
      log('unavailable', 'Client attempted to connect while all app servers were unavailable');
      response.setHeader('Retry-After', '1');
      answer(response, 503, { error: 'unavailable', message: 'no server is alive', retry_after_ms: 1_000 });
      return;
    }
    const [port, app] = least;
    app.assigned += 1;
    log('assigned', `Client sent to ${app.name} (${app.sockets.size} connections)`);
    answer(response, 200, { url: `ws://localhost:${port}/ws?via=lb-${index + 1}`, node: app.name });
  };

  const startApp = async (port: number) => {
    const before = apps.get(port);
    const name = before?.name ?? `app-${apps.size + 1}`;
    const http = createServer((request, response) => {
      if (pathOf(request) === '/status') answer(response, 200, appStatus(app, port));
      else if (pathOf(request) === '/ready') answer(response, 200, {});
      else void serve(response, dist, pathOf(request), 'server.html');
    });
    const app: App = {
      ...{ name, up: true, startedMs: Date.now(), http, sockets: new Set(), relayed: new Map() },
      assigned: before?.assigned ?? 0,
      ...{ stream: `${Date.now().toString(16)}${port.toString(16)}.0`, seqs: new Map() },
      totals: { accepted: 0, messages: 0, deliveries: 0 },
    };
    new WebSocketServer({ server: http, path: '/ws' }).on('connection', (socket) => converse(app, port, socket));
    await listen(http, port);
    apps.set(port, app);
    log('server', `${name} is up`);
  };

  const kill = (port: number) => {
    const app = apps.get(port);
    if (!app?.up) return;
    app.up = false;
    for (const lead of [...app.relayed.values()]) lead();
    for (const socket of app.sockets) socket.terminate();
    app.http.close();
    app.http.closeAllConnections();
    log('server', `${app.name} is gone`);
  };

  for (const port of ports.apps) await startApp(port);
  const others = [
    ...ports.balancers.map((port, index) => {
      const http = createServer((request, response) => {
        response.setHeader('Access-Control-Allow-Origin', '*');
        if (pathOf(request) === '/assign') assign(index, response);
        else if (pathOf(request) === '/status') answer(response, 200, balancerStatus(index));
        else if (pathOf(request) === '/ready') answer(response, 200, {});
        else void serve(response, dist, pathOf(request), 'balancer.html');
      });
      new WebSocketServer({ server: http }).on('connection', (socket, request) => {
        if (pathOf(request) === '/status') tellStatus(socket, index);
        else relay(socket);
      });
      return { http, port };
    }),
    {
      http: createServer((request, response) => {
        if (pathOf(request) === '/config.json') {
          answer(response, 200, { balancers: ports.balancers.map((port) => `http://localhost:${port}`) });
        } else void serve(response, dist, pathOf(request), 'index.html');
      }),
      port: ports.frontend,
    },
  ];
  for (const { http, port } of others) await listen(http, port);

  return {
    kill,
    start: startApp,
    say(room, user, text) {
      const [app] = apps.values();
      if (app) append(app, room, user, `fake-${app.totals.messages}`, text);
    },
    stop() {
      for (const port of apps.keys()) kill(port);
      for (const { http } of others) {
        http.close();
        http.closeAllConnections();
      }
    },
  };
}

function read(frame: string): ClientMessage | null {
  try {
    return JSON.parse(frame) as ClientMessage;
  } catch {
    return null;
  }
}

function pathOf(request: IncomingMessage): string {
  return new URL(request.url ?? '/', 'http://localhost').pathname;
}

function answer(response: ServerResponse, status: number, body: object) {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

async function serve(response: ServerResponse, dist: string, path: string, index: string) {
  try {
    const file = await readFile(join(dist, path === '/' ? index : path));
    const type = TYPES[extname(path === '/' ? index : path)] ?? 'application/octet-stream';
    response.writeHead(200, { 'Content-Type': type, 'Content-Security-Policy': POLICY }).end(file);
  } catch {
    answer(response, 404, { error: 'not_found', message: 'no such path' });
  }
}

function listen(http: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once('error', reject).listen(port, resolve);
  });
}
