import { ServerPage } from './ServerPage';
import { poll } from './poll';
import { show } from './show';
import { decodeServer, type ServerStatus } from './status';

const reading = {
  decode: decodeServer,
  counters: ({ totals }: ServerStatus) => [totals.messages, totals.deliveries],
};
show(ServerPage, reading, poll);
