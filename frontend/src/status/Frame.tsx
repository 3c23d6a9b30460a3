import { type ReactNode, useEffect } from 'react';
import { Brand } from '../ui/Brand';
import { duration, exactTime } from '../ui/format';
import type { State } from './tone';
import { Pill } from './parts';
import { useNow } from '../ui/useNow';
import type { Watched } from './watch';

interface FrameProps {
  /** What kind of node this is. */
  role: string;
  watched: Watched<{ node: string; version: string; uptimeSeconds: number }>;
  state: State;
  children: ReactNode;
}

/** What both status pages have in common: who the node is, how it is, and whether it still answers. */
export function Frame({ role, watched: { status: node, live, unreachable }, state, children }: FrameProps) {
  const silent = unreachable !== null;
  const now = useNow(silent);
  const name = node?.node ?? role;

  useEffect(() => {
    document.title = `${silent ? '✕ ' : ''}${name} · Distr Chat`;
  }, [name, silent]);

  return (
    <div className="status" data-silent={silent}>
      <header className="status-head">
        <Brand />
        <div className="status-name">
          <p className="eyebrow">{role}</p>
          <h1>
            {node?.node ?? '…'} <Pill {...(silent ? { tone: 'bad', label: 'unreachable' } : state)} />
          </h1>
        </div>
        {node && (
          <dl className="status-facts">
            <div>
              <dt>Uptime</dt>
              <dd>{duration(node.uptimeSeconds)}</dd>
            </div>
            <div>
              <dt>Version</dt>
              <dd>{node.version}</dd>
            </div>
          </dl>
        )}
      </header>
      <p className="status-notice" role="status">
        {silent && (
          <>
            <strong>Unreachable since {exactTime(unreachable.wallTime)}</strong>
            <span aria-live="off"> ({duration((now - unreachable.sinceMs) / 1_000)}).</span>{' '}
            {node ? 'The numbers are the last ones it told. ' : ''}This page goes on by itself when the node is back.
          </>
        )}
      </p>
      <main className="status-main">{children}</main>
      <footer className="status-foot">
        <a href="status">JSON</a>
        <a href="metrics">Metrics</a>
        <span>{live ? 'Live' : 'Read every second'}</span>
      </footer>
    </div>
  );
}
