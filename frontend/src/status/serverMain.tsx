import { ServerPage } from './ServerPage';
import { show } from './show';
import { decodeServer, type ServerStatus } from './status';

show<ServerStatus>(ServerPage, {
  decode: decodeServer,
  counters: ({ totals }) => [totals.messages, totals.deliveries],
});
