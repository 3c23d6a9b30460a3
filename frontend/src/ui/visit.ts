/** Who is where, kept so that a reload goes on and a link shares a room. */

import { wellFormed } from '../client';

export interface Visit {
  room: string;
  user: string;
}

const NAME = 'distr-chat.name';
const VISIT = 'distr-chat.visit';

export function rememberedName(): string {
  return localStorage.getItem(NAME) ?? '';
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
  const user = sessionStorage.getItem(VISIT);
  const room = addressedRoom();
  return user !== null && room !== '' ? { room, user: wellFormed(user) } : null;
}

export function begin({ room, user }: Visit) {
  localStorage.setItem(NAME, user);
  sessionStorage.setItem(VISIT, user);
  if (addressedRoom() !== room) history.pushState(null, '', roomAddress(room));
}

export function end() {
  sessionStorage.removeItem(VISIT);
  history.replaceState(null, '', location.pathname);
}
