import { startFakeCluster } from './fakeCluster';

const dist = new URL('../dist/', import.meta.url).pathname;
await startFakeCluster({ frontend: 3001, apps: [5001, 5002, 5003], balancers: [7001, 7002, 7003] }, dist);
console.log('chat http://localhost:3001, servers 5001 to 5003, balancers 7001 to 7003');
