import '../styles/base.css';
import '../styles/status.css';
import { type ComponentType, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { browserEnvironment, type Store } from '../client';
import { useStore } from '../ui/useStore';
import { poll, type Polled, type Reading } from './poll';

/** Puts a page on the screen that shows its own node, read from `/status` of the same origin. */
export function show<Status>(Page: ComponentType<{ polled: Polled<Status> }>, reading: Reading<Status>) {
  const root = document.getElementById('root');
  if (!root) throw new Error('the page has no root');
  const store = poll(browserEnvironment, '/status', reading);
  createRoot(root).render(
    <StrictMode>
      <Live store={store} Page={Page} />
    </StrictMode>,
  );
}

function Live<Status>({
  store,
  Page,
}: {
  store: Store<Polled<Status>>;
  Page: ComponentType<{ polled: Polled<Status> }>;
}) {
  return <Page polled={useStore(store)} />;
}
