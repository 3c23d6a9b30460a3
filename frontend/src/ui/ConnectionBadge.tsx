import { type KeyboardEvent, useRef } from 'react';
import type { Link, Place } from '../client';
import { hostOf, pageOf } from './format';
import { linkWords } from './linkWords';
import { useNow } from './useNow';

/** The state of the connection in one line; opened, the whole route with the pages of its nodes. */
export function ConnectionBadge({ link }: { link: Link }) {
  const details = useRef<HTMLDetailsElement>(null);
  const words = linkWords(link, useNow(link.phase === 'waiting'));
  const place = link.phase === 'online' || link.phase === 'connecting' ? link.place : null;

  /** While all is well the name of the server is enough to see. */
  const short = words.tone === 'good' && place ? place.node : null;

  const close = (event: KeyboardEvent) => {
    if (event.key === 'Escape') details.current?.removeAttribute('open');
  };

  return (
    <details
      ref={details}
      className="badge"
      data-phase={link.phase}
      data-tone={words.tone}
      data-node={link.phase === 'online' ? link.place.node : undefined}
      onKeyDown={close}
      onBlur={({ currentTarget, relatedTarget }) => {
        if (!currentTarget.contains(relatedTarget)) currentTarget.removeAttribute('open');
      }}
    >
      <summary>
        <span className="dot" />
        <span className="badge-label">{short ?? words.label}</span>
        {short !== null && place && (
          <>
            {' '}
            <span className="badge-route">via {hostOf(place.balancer)}</span>
            <span className="visually-hidden"> {words.label}</span>
          </>
        )}
      </summary>
      <div className="badge-panel">
        <p className="badge-title">{words.label}</p>
        {place ? (
          <dl className="facts">
            <dt>Server</dt>
            <dd>
              <ServerName place={place} />
            </dd>
            <dt>{place.url === null ? 'Through' : 'Assigned by'}</dt>
            <dd>
              <a href={`${place.balancer}/`} target="_blank" rel="noreferrer">
                {hostOf(place.balancer)}
              </a>
            </dd>
            {link.phase === 'online' && (
              <>
                <dt>Session</dt>
                <dd className="mono">{link.session}</dd>
              </>
            )}
          </dl>
        ) : (
          <p className="faint">{words.detail || 'Asking the balancers for a server.'}</p>
        )}
      </div>
    </details>
  );
}

/** Behind a balancer's proxy nobody here can open its page. */
function ServerName({ place: { node, url } }: { place: Place }) {
  if (url === null) return node;
  return (
    <>
      <a href={pageOf(url)} target="_blank" rel="noreferrer">
        {node}
      </a>
      <span className="faint"> {hostOf(pageOf(url))}</span>
    </>
  );
}
