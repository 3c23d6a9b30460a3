import { once } from 'node:events';
import { WebSocket } from 'ws';
import { SUBPROTOCOL } from '../src/client/protocol';
import type { Cluster } from './cluster';

/** Fewer than a server takes from one client at once, with the join. */
const EACH = 150;

let crowds = 0;

/** People without a page come, say so much together as fast as servers let them, and leave. */
export async function crowd(cluster: Cluster, room: string, count: number) {
  const shares = Array.from({ length: Math.ceil(count / EACH) }, (_, index) => Math.min(EACH, count - index * EACH));
  crowds += 1;
  await Promise.all(shares.map((share, index) => speak(cluster, room, `crowd ${crowds}-${index}`, share)));
}

async function speak(cluster: Cluster, room: string, user: string, count: number) {
  const answer = await fetch(`http://localhost:${cluster.ports.balancers[0]}/assign`);
  const { url } = (await answer.json()) as { url: string };
  const socket = new WebSocket(url, SUBPROTOCOL);
  await once(socket, 'open');
  let left = count;
  const done = new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as { type: string };
      if (frame.type === 'joined') {
        for (let id = 0; id < count; id += 1) {
          socket.send(JSON.stringify({ type: 'send', room, id: `${id}`, text: `${user} says ${id}` }));
        }
      } else if (frame.type === 'error') reject(new Error(data.toString()));
      else if (frame.type === 'ack') {
        left -= 1;
        if (left === 0) resolve();
      }
    });
  });
  socket.send(JSON.stringify({ type: 'join', room, user }));
  await done;
  socket.close();
}
