import '../styles/base.css';
import '../styles/chat.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { browserEnvironment } from '../client';
import { App } from './App';
import { loadConfig } from './config';

const root = document.getElementById('root');
if (!root) throw new Error('the page has no root');
// baseline.js has told an old browser what it needs.
if (!('tooOld' in document.documentElement.dataset)) {
  createRoot(root).render(
    <StrictMode>
      <App environment={browserEnvironment} config={loadConfig(browserEnvironment)} />
    </StrictMode>,
  );
}
