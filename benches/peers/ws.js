// A chat on ws, which has no rooms.
import { WebSocketServer } from 'ws';

import { acknowledgement, host, joined, message, port } from './chat.js';

const rooms = new Map();

new WebSocketServer({ host, port }).on('connection', (socket) => {
  const member = {};
  socket.on('message', (frame) => {
    const said = JSON.parse(frame);
    if (said.type === 'join') {
      Object.assign(member, { room: said.room, user: said.user });
      if (!rooms.has(said.room)) rooms.set(said.room, new Set());
      rooms.get(said.room).add(socket);
      socket.send(JSON.stringify(joined(said.room)));
    } else {
      socket.send(JSON.stringify(acknowledgement(said)));
      // Bytes, so that they are made once for all.
      const bytes = Buffer.from(JSON.stringify(message(member.room, member.user, said)));
      for (const one of rooms.get(member.room)) one.send(bytes, { binary: false });
    }
  });
  socket.on('close', () => {
    const sockets = rooms.get(member.room);
    sockets?.delete(socket);
    if (sockets?.size === 0) rooms.delete(member.room);
  });
});
