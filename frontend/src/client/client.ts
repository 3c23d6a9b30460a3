import { comeback, isLeft } from './comeback';
import { Connection, type Ending, type Spoken } from './connection';
import { Deliveries } from './deliveries';
import type { Entrance } from './entrance';
import type { Cancel, Environment, Sign } from './environment';
import type { Trouble } from './link';
import { JOIN_TIMEOUT_MS, type Line, noProgress } from './line';
import * as outbox from './outbox';
import { Pace } from './pace';
import { byteLength, DEFAULT_LIMITS, type Fault, type Limits, type ServerError, wellFormed } from './protocol';
import * as rooms from './room';
import { type Snapshot, State } from './state';
import type { Store } from './store';
import { TypingHints } from './typingHints';

export interface ClientOptions {
  environment: Environment;
  /** The way into the cluster: `direct` or `proxied`, with addresses of balancers such as `http://localhost:7001`. */
  entrance: Entrance;
  /** A server said something that is not in the protocol. It was ignored. */
  onFault?: (fault: Fault) => void;
}

export type Refusal = 'not_in_room' | 'text_empty' | 'text_too_long' | 'outbox_full';

/** A connection that held for so long was a good one: the next loss starts the waits from the beginning. */
export const STABLE_MS = 5_000;
/** One socket that does not open is a server that has just died, and the next try leads to another one. */
const UNOPENED_TOLD = 3;
/** Who waits for one of these has a time of its own, and none at another. */
const HAS_A_TURN: ReadonlySet<Trouble['kind']> = new Set(['busy', 'no_server']);
/** Sends may use this part of the frames that a server allows; joins, hints and pings have the rest. */
const SHARE_OF_SENDS = 0.5;
/** These pass by themselves, so the send or the join is repeated later. */
const PASSING_ERRORS = new Set(['rate_limited', 'overloaded', 'not_joined', 'already_joined']);
/** Of those, the ones that want a pause before a send is repeated. */
const PAUSING_ERRORS = new Set(['rate_limited', 'overloaded']);

/** A server wants us to go. */
interface Move {
  untilMs: number;
  attempt: number;
}

/**
 * The chat client: rooms that outlive connections. It comes back for ever, at any server, and repeats what was not
 * acknowledged. Each change is a new snapshot in `store`.
 *
 * Every event ends in `#pump`, which brings the connection to where the rooms want it and sleeps until the next thing
 * is due; so no event needs to know what the others have started.
 */
export class Client {
  readonly store: Store<Snapshot>;
  readonly #state: State;
  readonly #environment: Environment;
  readonly #deliveries: Deliveries;
  readonly #idPrefix: string;
  #idCount = 0;
  #current: Line | null = null;
  /** The line to another server that takes over once all rooms are joined there. */
  #successor: Line | null = null;
  #move: Move | null = null;
  #attempt = 0;
  /** The server that went away. */
  #avoid: string | null = null;
  #trouble: Trouble | null = null;
  /** The machine says that it has no network. */
  #offline = false;
  /** How often in a row a socket did not open where a balancer sent us. */
  #unopened = 0;
  readonly #typing = new TypingHints();
  #cancelRetry: Cancel = () => undefined;
  #cancelMove: Cancel = () => undefined;
  #cancelWake: Cancel = () => undefined;
  #cancelSigns: Cancel | null = null;

  constructor(private readonly options: ClientOptions) {
    this.#environment = options.environment;
    this.#state = new State((error) => this.#environment.report(error));
    this.store = this.#state.store;
    this.#deliveries = new Deliveries(this.#environment, this.#state, this.#environment.secret());
    this.#idPrefix = [0, 1].map(() => Math.floor(this.#environment.random() * 2 ** 32).toString(36)).join('');
  }

  /** Comes into a room, and connects if this is the first one. */
  join(roomName: string, userName: string) {
    const [name, user] = [wellFormed(roomName), wellFormed(userName)];
    const known = this.#state.room(name);
    if (known?.user === user && known.status !== 'refused') return;
    if (known) this.#forget(name);
    this.#state.put(rooms.createRoom(name, user));
    if (this.#state.link.phase === 'idle') this.#dial();
    this.#pump();
  }

  /** Forgets the room, and closes the connection if it was the last one. */
  leave(name: string) {
    this.#forget(wellFormed(name));
    if (this.#state.rooms.length === 0) this.close();
  }

  /** Says something; gives back why not, or `null`. Offline it waits and goes out later. */
  send(roomName: string, written: string): Refusal | null {
    const room = this.#state.room(wellFormed(roomName));
    const text = wellFormed(written);
    if (!room) return 'not_in_room';
    if (text.trim() === '') return 'text_empty';
    if (byteLength(text) > this.limits.text_bytes) return 'text_too_long';
    if (room.outbox.length >= outbox.OUTBOX_MAX) return 'outbox_full';
    this.#idCount += 1;
    this.#typing.send(room.name);
    this.#state.put({ ...room, outbox: outbox.write(room.outbox, `${this.#idPrefix}-${this.#idCount}`, text) });
    this.#pump();
    return null;
  }

  /** Drops a send that a server refused. */
  discard(roomName: string, id: string) {
    this.#state.change(wellFormed(roomName), (room) => ({ ...room, outbox: outbox.remove(room.outbox, id) }));
  }

  /** Tells the others that the user is writing. Call it with each key: it goes out as often as the protocol wants. */
  typing(roomName: string) {
    const room = wellFormed(roomName);
    if (!this.#current?.joins.get(room)?.answered) return;
    if (this.#typing.press(room, this.#environment.now())) this.#current.connection.send({ type: 'typing', room });
    else this.#pump();
  }

  /** Tries again now, since the user asks for it. */
  reconnect() {
    const { phase } = this.#state.link;
    if (phase === 'online' || phase === 'connecting' || this.#state.rooms.length === 0) return;
    this.#cancelRetry();
    this.#attempt = 0;
    this.#dial();
  }

  /** Ends the connection. The rooms stay as they are, and `reconnect` goes on with them. */
  close() {
    this.#cancelRetry();
    this.#endMove();
    this.#cancelWake();
    this.#cancelSigns?.();
    this.#cancelSigns = null;
    for (const line of this.#lines()) line.connection.close();
    this.#current = null;
    this.#successor = null;
    this.#trouble = null;
    this.#attempt = 0;
    this.#state.setLink({ phase: 'idle' });
  }

  get limits(): Limits {
    return this.#state.link.phase === 'online' ? this.#state.link.limits : DEFAULT_LIMITS;
  }

  #lines(): Line[] {
    return [this.#current, this.#successor].filter((line) => line !== null);
  }

  #dial() {
    this.#cancelSigns ??= this.#environment.watch((sign) => this.#sense(sign));
    this.#state.setLink({ phase: 'connecting', trouble: this.#trouble, place: null });
    this.#current = this.#createLine(this.#avoid);
  }

  #createLine(avoid: string | null): Line {
    const connection = new Connection(this.#environment, this.options.entrance, avoid, {
      assigned: (place) => {
        if (line === this.#current) this.#state.setLink({ phase: 'connecting', trouble: this.#trouble, place });
      },
      welcomed: ({ limits }) => {
        const now = this.#environment.now();
        line.onlineMs = now;
        line.pace = new Pace(limits.frames_per_second * SHARE_OF_SENDS, limits.frames_burst * SHARE_OF_SENDS, now);
        if (line === this.#current) this.#takeOver(line);
        this.#pump();
      },
      resumed: () => {
        Object.assign(line, noProgress());
        // Whoever wanted us to go is gone. A successor that is on its way may come, for it may be there first.
        if (line === this.#current) this.#endMove();
      },
      received: (message) => {
        this.#received(line, message);
        this.#pump();
      },
      checking: (doubtful) => {
        line.checking = doubtful;
        if (!doubtful) line.unheard = false;
        if (line === this.#current) this.#tellOnline(line);
      },
      faulty: (fault) => {
        try {
          this.options.onFault?.(fault);
        } catch (error) {
          this.#environment.report(error);
        }
      },
      ended: (ending) => this.#ended(line, ending),
    });
    const line: Line = { connection, onlineMs: null, ...noProgress() };
    return line;
  }

  /** From now on this line is the one that sends. */
  #takeOver(line: Line) {
    this.#current = line;
    if (!line.connection.welcome) return;
    this.#trouble = null;
    this.#unopened = 0;
    this.#avoid = null;
    for (const room of this.#state.rooms) {
      this.#state.put({ ...room, outbox: outbox.restart(room.outbox) });
    }
    this.#tellOnline(line);
  }

  #tellOnline({ connection: { welcome, place }, degraded, checking, unheard }: Line) {
    if (!welcome || !place) return;
    const { session, limits } = welcome;
    const offline = this.#offline && unheard;
    this.#state.setLink({ phase: 'online', place, session, limits, degraded, checking, offline });
  }

  #received(line: Line, message: Spoken) {
    switch (message.type) {
      case 'joined': {
        const join = line.joins.get(message.room);
        if (!join) return;
        join.answered = true;
        this.#state.change(message.room, (room) => rooms.joined(room, message, join.resumed));
        return;
      }
      case 'message':
        this.#state.change(message.room, (room) => rooms.received(room, message));
        return;
      case 'ack':
        this.#state.change(message.room, (room) => rooms.acknowledged(room, message));
        return;
      case 'gap':
        this.#state.change(message.room, (room) => rooms.lost(room, message));
        return;
      case 'degraded':
        line.degraded = message.degraded;
        if (line === this.#current) this.#tellOnline(line);
        return;
      case 'presence':
        this.#state.change(message.room, (room) => rooms.present(room, message));
        return;
      case 'typing':
        this.#state.change(message.room, (room) => rooms.typed(room, message.user, this.#environment.now()));
        return;
      case 'error':
        this.#failed(line, message);
        return;
      case 'move':
        this.#startMove(line, message.within_ms);
        return;
      case 'left':
      case 'pong':
        return;
    }
  }

  #failed(line: Line, { code, message, room, id }: ServerError) {
    const name = room ?? this.#roomOf(id);
    if (name === null) {
      if (!PASSING_ERRORS.has(code)) this.#deliveries.blame(line, { code, message });
      return;
    }
    // It may be about something said before this server had us: then the join that is on its way is the answer.
    if (code === 'not_joined' && line.joins.get(name)?.answered) line.joins.delete(name);
    if (id !== null && PAUSING_ERRORS.has(code)) this.#deliveries.putOff(name, id);
    if (PASSING_ERRORS.has(code)) return;
    if (id !== null) {
      this.#state.change(name, (room) => ({ ...room, outbox: outbox.failed(room.outbox, id, { code, message }) }));
    } else if (line.joins.get(name)?.answered === false) {
      line.joins.delete(name);
      this.#state.change(name, (room) => rooms.refused(room, { code, message }));
    }
  }

  /** Ids are unique to this client, so one is enough to find the room. */
  #roomOf(id: string | null): string | null {
    const all = this.#state.rooms;
    return all.find((room) => room.outbox.some((item) => item.id === id))?.name ?? null;
  }

  /** Make before break: the old line serves until the new one is in every room. */
  #startMove(line: Line, withinMs: number) {
    if (line !== this.#current) return;
    const untilMs = this.#environment.now() + withinMs;
    if (this.#move) {
      this.#move.untilMs = untilMs;
      return;
    }
    this.#move = { untilMs, attempt: 0 };
    // Others are told at the same moment, so they spread over half of the time they have.
    this.#seekSuccessor((this.#environment.random() * withinMs) / 2);
  }

  #seekSuccessor(delayMs: number) {
    this.#cancelMove = this.#environment.after(delayMs, () => {
      if (!this.#successor) this.#successor = this.#createLine(this.#current?.connection.place?.node ?? null);
    });
  }

  /** Tries again while there is time. After that the old line ends when its server leaves: an ordinary loss. */
  #lostSuccessor(ending: Ending) {
    this.#successor = null;
    if (!this.#move) return;
    const { untilMs, attempt } = this.#move;
    const next = comeback(ending, attempt, this.#environment.random());
    if (next.kind === 'stop' || this.#environment.now() + next.delayMs >= untilMs) {
      this.#endMove();
      return;
    }
    this.#move = { untilMs, attempt: next.attempt };
    this.#seekSuccessor(next.delayMs);
  }

  #endMove() {
    this.#cancelMove();
    this.#move = null;
  }

  #ended(line: Line, ending: Ending) {
    if (line === this.#successor) {
      this.#lostSuccessor(ending);
      return;
    }
    this.#endMove();
    if (isLeft(ending)) this.#avoid = line.connection.place?.node ?? this.#avoid;
    const heir = this.#successor;
    this.#successor = null;
    this.#current = null;
    if (heir) this.#inherit(heir);
    else this.#retry(line, ending);
    this.#pump();
  }

  /** The old line ended before its time. */
  #inherit(heir: Line) {
    if (!heir.connection.welcome) {
      this.#trouble = { kind: this.#offline ? 'offline' : 'lost' };
      this.#state.setLink({ phase: 'connecting', trouble: this.#trouble, place: heir.connection.place });
    }
    this.#takeOver(heir);
  }

  /** What the machine goes through: whether the connection still holds is asked, and not waited for. */
  #sense(sign: Sign) {
    if (sign !== 'awake') this.#offline = sign === 'offline';
    const line = this.#current;
    if (line && this.#state.link.phase === 'online') {
      line.unheard = this.#offline;
      this.#tellOnline(line);
      for (const { connection } of this.#lines()) connection.probe();
      return;
    }
    const { phase } = this.#state.link;
    if (phase !== 'waiting' && phase !== 'connecting') return;
    if (this.#offline) {
      this.#trouble = { kind: 'offline' };
      this.#state.setLink({ ...this.#state.link, trouble: this.#trouble });
    } else if (phase === 'waiting' ? !HAS_A_TURN.has(this.#state.link.trouble.kind) : sign === 'online') {
      // What was begun without a network hangs.
      line?.connection.close();
      this.#cancelRetry();
      this.#attempt = 0;
      this.#dial();
    }
  }

  #retry(line: Line, ending: Ending) {
    const now = this.#environment.now();
    const unopened = ending.kind === 'closed' || ending.kind === 'dead' ? ending.unopened : null;
    this.#unopened = unopened === null ? 0 : this.#unopened + 1;
    if (line.onlineMs !== null && now - line.onlineMs >= STABLE_MS) this.#attempt = 0;
    const next = comeback(ending, this.#attempt, this.#environment.random());
    if (next.kind === 'stop') {
      this.#state.setLink({ phase: 'stopped', code: next.code, meaning: next.meaning });
      return;
    }
    const { delayMs, attempt } = next;
    const trouble = this.#troubleOf(next.trouble, unopened);
    this.#attempt = attempt;
    this.#trouble = trouble;
    this.#state.setLink({ phase: 'waiting', trouble, retryMs: now + delayMs });
    this.#cancelRetry = this.#environment.after(delayMs, () => this.#dial());
  }

  /** What the user is told: the cause, as far as it is known, and not what follows from it. */
  #troubleOf(trouble: Trouble, unopened: string | null): Trouble {
    if (this.#offline) return { kind: 'offline' };
    return unopened !== null && this.#unopened >= UNOPENED_TOLD ? { kind: 'no_socket', url: unopened } : trouble;
  }

  #pump() {
    const now = this.#environment.now();
    for (const line of this.#lines()) {
      line.heldUntilMs = -Infinity;
      this.#deliveries.join(line, now);
    }
    if (this.#successor && this.#joinedAll(this.#successor)) {
      const old = this.#current;
      const heir = this.#successor;
      this.#successor = null;
      this.#endMove();
      this.#takeOver(heir);
      old?.connection.close();
    }
    if (this.#current) this.#deliveries.flush(this.#current, now);
    for (const room of this.#state.rooms) this.#state.put(rooms.forgetTyping(room, now));
    for (const room of this.#typing.due(now)) {
      this.#typing.press(room, now);
      if (this.#current?.joins.get(room)?.answered) this.#current.connection.send({ type: 'typing', room });
    }
    this.#cancelWake();
    const wakeMs = this.#nextDueMs();
    if (wakeMs < Infinity) this.#cancelWake = this.#environment.after(Math.max(0, wakeMs - now), () => this.#pump());
  }

  #joinedAll(line: Line): boolean {
    return this.#state.rooms.every((room) => room.status === 'refused' || line.joins.get(room.name)?.answered);
  }

  #nextDueMs(): number {
    const all = this.#state.rooms;
    const joins = this.#lines().flatMap(({ joins, heldUntilMs }) =>
      [...joins.values()]
        .filter(({ answered }) => !answered)
        .map(({ sentMs }) => Math.max(heldUntilMs, sentMs + JOIN_TIMEOUT_MS)),
    );
    const sends = all.filter((room) => this.#current?.joins.get(room.name)?.answered);
    // A send that is due already was held back.
    const paceMs = this.#environment.now() + (this.#current?.pace?.waitMs ?? 0);
    const heldMs = Math.max(paceMs, this.#current?.heldUntilMs ?? 0);
    return Math.min(
      Infinity,
      ...joins,
      this.#typing.nextDueMs,
      ...sends.map((room) => Math.max(heldMs, outbox.nextDueMs(room.outbox))),
      ...all.flatMap((room) => room.typing.map((typing) => typing.untilMs)),
    );
  }

  #forget(name: string) {
    this.#state.remove(name);
    for (const line of this.#lines()) {
      if (line.joins.delete(name)) line.connection.send({ type: 'leave', room: name });
    }
  }
}
