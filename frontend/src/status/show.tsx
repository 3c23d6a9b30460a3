import '../styles/base.css';
import '../styles/status.css';
import { type ComponentType, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { browserEnvironment, type Environment, type Store } from '../client';
import { useStore } from '../ui/useStore';
import { type Reading, Watch, type Watched } from './watch';

/** Puts a page on the screen that shows its own node, as `follow` hears it from `/status` of the same origin. */
export function show<Status>(
  Page: ComponentType<{ watched: Watched<Status> }>,
  reading: Reading<Status>,
  follow: (environment: Environment, url: string, watch: Watch<Status>) => void,
) {
  const root = document.getElementById('root');
  if (!root) throw new Error('the page has no root');
  // baseline.js has told an old browser what it needs.
  if ('tooOld' in document.documentElement.dataset) return;
  const watch = new Watch(browserEnvironment, reading);
  follow(browserEnvironment, new URL('status', document.baseURI).href, watch);
  createRoot(root).render(
    <StrictMode>
      <Live store={watch.store} Page={Page} />
    </StrictMode>,
  );
}

function Live<Status>({
  store,
  Page,
}: {
  store: Store<Watched<Status>>;
  Page: ComponentType<{ watched: Watched<Status> }>;
}) {
  return <Page watched={useStore(store)} />;
}
