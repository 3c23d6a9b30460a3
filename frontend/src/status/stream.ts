import type { Environment } from '../client';
import { CLOSE_NORMAL } from '../client/closeCodes';
import type { Cancel } from '../client/environment';
import { poll } from './poll';
import type { Watch } from './watch';

/** The node speaks at least every second. */
export const STREAM_SILENCE_MS = 3_000;
export const REOPEN_MS = 5_000;

/** Hears a status through a WebSocket at its URL, and reads it every second while there is none. */
export function stream<Status>(environment: Environment, url: string, watch: Watch<Status>) {
  let cancelPoll: Cancel | null = null;

  const open = () => {
    let over = false;
    const received = (data: unknown) => {
      if (over) return;
      if (!watch.heard(data, true)) {
        end();
        return;
      }
      cancelPoll?.();
      cancelPoll = null;
      cancelSilence();
      cancelSilence = environment.after(STREAM_SILENCE_MS, end);
    };
    const end = () => {
      if (over) return;
      over = true;
      cancelSilence();
      socket.close(CLOSE_NORMAL);
      cancelPoll ??= poll(environment, url, watch);
      environment.after(REOPEN_MS, open);
    };
    let cancelSilence = environment.after(STREAM_SILENCE_MS, end);
    const socket = environment.open(url.replace(/^http/, 'ws'), null, {
      opened: () => undefined,
      received,
      closed: end,
    });
  };

  open();
}
