import { BalancerPage } from './BalancerPage';
import { show } from './show';
import { type BalancerStatus, decodeBalancer } from './status';

show<BalancerStatus>(BalancerPage, {
  decode: decodeBalancer,
  counters: ({ assignedTotal }) => [assignedTotal],
});
