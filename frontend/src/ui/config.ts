import type { Environment } from '../client';
import { type Fields, flag, names, parse, WrongField } from '../client/fields';
import { createStore, type Store } from '../client/store';

export type Config = { state: 'loading' } | { state: 'failing' } | ({ state: 'loaded' } & Balancers);

export interface Balancers {
  balancers: readonly string[];
  /** Browsers reach no servers, so a balancer passes on what is said. */
  proxy: boolean;
}

const CONFIG_TIMEOUT_MS = 5_000;
const CONFIG_RETRY_MS = 2_000;

/** Asks the frontend server where the balancers are, until it says so. */
export function loadConfig(environment: Environment): Store<Config> {
  const store = createStore<Config>({ state: 'loading' }, (error) => environment.report(error));
  const ask = () => {
    environment.get('config.json', CONFIG_TIMEOUT_MS, (answer) => {
      const config = answer?.status === 200 ? decodeConfig(answer.body) : null;
      if (config) {
        store.set({ state: 'loaded', ...config });
      } else {
        store.set({ state: 'failing' });
        environment.after(CONFIG_RETRY_MS, ask);
      }
    });
  };
  ask();
  return store;
}

export function decodeConfig(body: string): Balancers | null {
  return parse(body, (config) => ({
    balancers: urls(config).map((url) => url.replace(/\/+$/, '')),
    proxy: config.proxy !== undefined && flag(config, 'proxy'),
  }));
}

function urls(config: Fields): string[] {
  const balancers = names(config, 'balancers');
  if (!balancers) throw new WrongField('balancers');
  return balancers;
}
