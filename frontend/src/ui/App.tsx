import { useEffect, useMemo, useState } from 'react';
import { Client, direct, type Environment, proxied, type Store } from '../client';
import { Chat } from './Chat';
import type { Config } from './config';
import { JoinForm } from './JoinForm';
import { useStore } from './useStore';
import { addressedRoom, begin, end, interruptedVisit, rememberedName, type Visit } from './visit';

const CONFIG_WORDS = {
  loading: null,
  failing: 'The frontend server does not answer. Trying again…',
  loaded: null,
};

export function App({ environment, config: source }: { environment: Environment; config: Store<Config> }) {
  const config = useStore(source);
  const [visit, setVisit] = useState(interruptedVisit);
  const client = useMemo(() => {
    if (config.state !== 'loaded') return null;
    const entrance = config.proxy ? proxied(config.balancers) : direct(config.balancers);
    return new Client({ environment, entrance });
  }, [environment, config]);

  useEffect(() => {
    if (!client) return;
    return () => client.close();
  }, [client]);

  useEffect(() => {
    if (!client || !visit) return;
    client.join(visit.room, visit.user);
    return () => client.leave(visit.room);
  }, [client, visit]);

  useEffect(() => {
    // Back, forward, or a shared link in a page that is open already.
    const follow = () => {
      const room = addressedRoom();
      if (room === '') end();
      setVisit((now) => (now && room !== '' ? { ...now, room } : null));
    };
    window.addEventListener('hashchange', follow);
    return () => window.removeEventListener('hashchange', follow);
  }, []);

  const come = (next: Visit) => {
    begin(next);
    setVisit(next);
  };
  const leave = () => {
    end();
    setVisit(null);
  };

  if (client && visit)
    return <Chat key={`${visit.room}\n${visit.user}`} client={client} visit={visit} onLeave={leave} onRetry={come} />;
  return (
    <JoinForm
      initial={{ room: addressedRoom(), user: rememberedName() }}
      trouble={CONFIG_WORDS[config.state]}
      ready={client !== null}
      onJoin={come}
    />
  );
}
