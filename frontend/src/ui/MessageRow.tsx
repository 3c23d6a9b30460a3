import { memo } from 'react';
import { Avatar, hue } from './Avatar';
import { fullTime, shortTime } from './format';
import { Icon, type IconName } from './Icon';
import { isolated } from './names';
import type { Mark, MessageLine } from './rows';

type MessageRowProps = MessageLine & {
  onDiscard: (id: string) => void;
  /** Takes it back into the composer. */
  onEdit: (id: string, text: string) => void;
};

const MARKS: Record<Exclude<Mark, 'none'>, { icon: IconName; label: string }> = {
  waiting: { icon: 'clock', label: 'Sending' },
  delivered: { icon: 'checks', label: 'Delivered' },
  failed: { icon: 'alert', label: 'Not sent' },
};

/** Every property is a plain value, so a list of a thousand draws only the rows that changed. */
export const MessageRow = memo(function MessageRow({
  id,
  from,
  text,
  time,
  own,
  mark,
  reason,
  starts,
  ends,
  onDiscard,
  onEdit,
}: MessageRowProps) {
  return (
    <article
      className="message"
      aria-label={`${isolated(from)}${own ? ', you' : ''}, ${time === null ? 'not sent yet' : shortTime(time)}`}
      data-own={own}
      data-mark={mark}
      data-starts={starts}
      data-ends={ends}
    >
      {!own && starts && <Avatar name={from} />}
      {starts && (
        <p className={own ? 'message-from visually-hidden' : 'message-from'} style={{ '--hue': hue(from) }}>
          <bdi>{from}</bdi>
        </p>
      )}
      {/* The first letter decides at which side a text begins. */}
      <div className="bubble" dir="auto">
        <p className="message-text">{text}</p>
        <p className="message-meta">
          {time !== null && (
            <time dateTime={new Date(time).toISOString()} title={fullTime(time)}>
              {shortTime(time)}
            </time>
          )}
          {mark !== 'none' && <Icon name={MARKS[mark].icon} label={MARKS[mark].label} />}
        </p>
      </div>
      {mark === 'failed' && (
        <p className="message-failure">
          Not sent: {reason}
          <button type="button" className="button link" onClick={() => onEdit(id, text)}>
            Edit
          </button>
          <button type="button" className="button link" onClick={() => onDiscard(id)}>
            Remove
          </button>
        </p>
      )}
    </article>
  );
});
