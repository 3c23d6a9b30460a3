import { BalancerPage } from './BalancerPage';
import { show } from './show';
import { type BalancerStatus, decodeBalancer } from './status';
import { stream } from './stream';

const reading = { decode: decodeBalancer, counters: ({ assignedTotal }: BalancerStatus) => [assignedTotal] };
show(BalancerPage, reading, stream);
