import type { Link } from './link';
import type { Room } from './room';
import { createStore, type Store, type WritableStore } from './store';

export interface Snapshot {
  link: Link;
  rooms: ReadonlyMap<string, Room>;
}

/** What the client shows: each change is a new snapshot. */
export class State {
  readonly store: Store<Snapshot>;
  readonly #store: WritableStore<Snapshot>;

  constructor(report: (error: unknown) => void) {
    this.#store = createStore<Snapshot>({ link: { phase: 'idle' }, rooms: new Map() }, report);
    this.store = this.#store;
  }

  get link(): Link {
    return this.#store.getSnapshot().link;
  }

  setLink(link: Link) {
    this.#store.set({ ...this.#store.getSnapshot(), link });
  }

  get rooms(): Room[] {
    return [...this.#store.getSnapshot().rooms.values()];
  }

  room(name: string): Room | undefined {
    return this.#store.getSnapshot().rooms.get(name);
  }

  change(name: string, change: (room: Room) => Room) {
    const room = this.room(name);
    if (room) this.put(change(room));
  }

  put(room: Room) {
    const { link, rooms } = this.#store.getSnapshot();
    if (rooms.get(room.name) !== room) this.#store.set({ link, rooms: new Map(rooms).set(room.name, room) });
  }

  remove(name: string) {
    const { link, rooms } = this.#store.getSnapshot();
    const rest = new Map(rooms);
    if (rest.delete(name)) this.#store.set({ link, rooms: rest });
  }
}
