import type { Link } from '../client';
import { linkWords } from './linkWords';
import { useNow } from './useNow';

/** Between the head and the messages while something is wrong; nothing otherwise. */
export function ConnectionNotice({ link, onReconnect }: { link: Link; onReconnect: () => void }) {
  const { tone, label, detail, action } = linkWords(link, useNow(link.phase === 'waiting'));
  const shown = detail !== '';
  return (
    <div className="notice" data-tone={tone} data-shown={shown} role="status" aria-live="polite">
      {shown && (
        <>
          <p>
            <strong>{label}.</strong> <span aria-live="off">{detail}</span>
          </p>
          {action && (
            <button type="button" className="button small" onClick={onReconnect}>
              {action}
            </button>
          )}
        </>
      )}
    </div>
  );
}
