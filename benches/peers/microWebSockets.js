// A chat on µWebSockets.js, by its own publish and subscribe.
import uws from '@trufflesuite/uws-js-unofficial';

import { acknowledgement, host, joined, message, port } from './chat.js';

// Where its binary does not load, the package replaces it by JavaScript, which has less in it and is not µWebSockets.
if (!uws.SSLApp) throw new Error(`no binary of µWebSockets.js for Node.js ${process.version} on this machine`);

const app = uws.App();
app.ws('/*', {
  message(socket, frame) {
    const said = JSON.parse(Buffer.from(frame).toString());
    const member = socket.getUserData();
    if (said.type === 'join') {
      Object.assign(member, { room: said.room, user: said.user });
      socket.subscribe(said.room);
      socket.send(JSON.stringify(joined(said.room)));
    } else {
      socket.send(JSON.stringify(acknowledgement(said)));
      app.publish(member.room, JSON.stringify(message(member.room, member.user, said)));
    }
  },
});
app.listen(host, port, (socket) => {
  if (!socket) throw new Error(`cannot listen at ${host}:${port}`);
});
