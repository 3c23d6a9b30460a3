/** Who is where, kept so that a reload goes on and a link shares a room. */

import { wellFormed } from '../client';
import { attempt, memory } from './memory';

export interface Visit {
  room: string;
  user: string;
}

const NAME = 'distr-chat.name';
const VISIT = 'distr-chat.visit';
/** Of the browser, and of this tab. */
const browser = memory(() => localStorage);
const tab = memory(() => sessionStorage);

export function rememberedName(): string {
  return browser.get(NAME) ?? '';
}

/** The room that the address names; a shared link is `…/#room`. */
export function addressedRoom(): string {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return '';
  }
}

export function roomAddress(room: string): string {
  return `#${encodeURIComponent(room)}`;
}

/** The visit that a reload interrupted. The address has the last word about the room. */
export function interruptedVisit(): Visit | null {
  const user = tab.get(VISIT);
  const room = addressedRoom();
  return user !== null && room !== '' ? { room, user: wellFormed(user) } : null;
}

export function begin({ room, user }: Visit) {
  browser.set(NAME, user);
  tab.set(VISIT, user);
  // A browser allows so many changes of the address, and a sandbox none; the room is as good without.
  if (addressedRoom() !== room) attempt(() => history.pushState(null, '', roomAddress(room)));
}

export function end() {
  tab.remove(VISIT);
  attempt(() => history.replaceState(null, '', location.pathname));
}
