// A chat on Socket.IO. Who connects says where to and under which name, which saves a frame.
import { createServer } from 'node:http';

import { Server } from 'socket.io';

import { acknowledgement, host, message, port } from './chat.js';

const server = createServer();
const io = new Server(server, {
  transports: ['websocket'],
  serveClient: false,
  // A ping is a text that loadgen does not know how to answer.
  pingInterval: 3_600_000,
});
// As its documentation advises: the handshake's request is of no use any more.
io.engine.on('connection', (connection) => (connection.request = null));
io.on('connection', (socket) => {
  const { room, user } = socket.handshake.auth;
  socket.join(room);
  socket.on('send', (said, acknowledge) => {
    acknowledge(acknowledgement(said));
    io.to(room).emit('message', message(room, user, said));
  });
});
server.listen(port, host);
