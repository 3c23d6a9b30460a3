import type { Environment } from '../client';
import { json, names, WrongField } from '../client/fields';
import { createStore, type Store } from '../client/store';

export type Config = { state: 'loading' } | { state: 'failing' } | { state: 'loaded'; balancers: readonly string[] };

const CONFIG_TIMEOUT_MS = 5_000;
const CONFIG_RETRY_MS = 2_000;

/** Asks the frontend server where the balancers are, until it says so. */
export function loadConfig(environment: Environment): Store<Config> {
  const store = createStore<Config>({ state: 'loading' });
  const ask = () => {
    environment.get('/config.json', CONFIG_TIMEOUT_MS, (answer) => {
      const balancers = answer?.status === 200 ? decodeBalancers(answer.body) : null;
      if (balancers) {
        store.set({ state: 'loaded', balancers });
      } else {
        store.set({ state: 'failing' });
        environment.after(CONFIG_RETRY_MS, ask);
      }
    });
  };
  ask();
  return store;
}

export function decodeBalancers(body: string): string[] | null {
  try {
    const balancers = names(json(body) ?? {}, 'balancers');
    return balancers?.map((balancer) => balancer.replace(/\/+$/, '')) ?? null;
  } catch (error) {
    if (error instanceof WrongField) return null;
    throw error;
  }
}
