import { type Backoff, fullJitter } from './backoff';
import type { Environment } from './environment';
import { type Flight, heldUntilMs, inFlight } from './inFlight';
import { JOIN_TIMEOUT_MS, type Line } from './line';
import * as outbox from './outbox';
import * as rooms from './room';
import type { State } from './state';

const AFTER_REFUSAL: Backoff = { baseMs: 1_000, capMs: 10_000 };

/** Brings joins and sends to a server until each is answered, or given up. */
export class Deliveries {
  constructor(
    private readonly environment: Environment,
    private readonly state: State,
    /** What we say is known by it at every server, so it is the same as long as the client is there. */
    private readonly nonce: string,
  ) {}

  /** Asks for the rooms that this server has not let us into, again where it does not answer. */
  join(line: Line, now: number) {
    const { welcome } = line.connection;
    if (!welcome) return;
    for (const room of this.state.rooms) {
      const join = line.joins.get(room.name);
      if (room.status === 'refused' || join?.answered) continue;
      if (join && now - join.sentMs < JOIN_TIMEOUT_MS) continue;
      if (join && join.sentMs > -Infinity) line.connection.probe();
      if (line.oneByOne) {
        line.heldUntilMs = heldUntilMs(this.#inFlight(line, now), true);
        if (line.heldUntilMs > now) return;
      }
      const since = rooms.resumePoint(room, welcome.limits.streams);
      line.joins.set(room.name, { sentMs: now, resumed: since !== undefined, answered: false });
      const { name, user } = room;
      line.connection.send({ type: 'join', room: name, user, client: this.nonce, ...(since && { since }) });
    }
  }

  /** Sends what is due, as far as the server's rate allows. */
  flush(line: Line, now: number) {
    const all = this.state.rooms;
    const careful = line.oneByOne || all.some((room) => room.outbox.some(({ suspected }) => suspected));
    for (const { name } of all) {
      if (!line.joins.get(name)?.answered) continue;
      for (;;) {
        const room = this.state.room(name);
        const item = room && outbox.due(room.outbox, now);
        if (!room || !item) break;
        if (careful) {
          line.heldUntilMs = heldUntilMs(this.#inFlight(line, now), item.suspected);
          if (line.heldUntilMs > now) return;
        }
        if (!line.pace?.take(now)) break;
        if (item.dueMs > -Infinity && !item.putOff) line.connection.probe();
        line.connection.send({ type: 'send', room: name, id: item.id, text: item.text });
        this.state.put({ ...room, outbox: outbox.sent(room.outbox, item.id, now) });
      }
    }
  }

  /**
   * The server refused a frame and did not say which. Repeated, it would be refused for ever. If only one is in flight
   * that is it; otherwise each of them goes alone the next time.
   */
  blame(line: Line, failure: outbox.Failure) {
    const now = this.environment.now();
    const flights = this.#inFlight(line, now);
    const [flight] = flights;
    if (flight && flights.length === 1) {
      this.#giveUp(line, flight, failure);
      return;
    }
    for (const { kind, room: name } of flights) {
      if (kind === 'send') this.state.change(name, (room) => ({ ...room, outbox: outbox.suspect(room.outbox, now) }));
      const join = line.joins.get(name);
      if (kind !== 'join' || !join) continue;
      line.oneByOne = true;
      join.sentMs = -Infinity;
    }
  }

  #giveUp(line: Line, flight: Flight, failure: outbox.Failure) {
    if (flight.kind === 'send') {
      const { id } = flight;
      this.state.change(flight.room, (room) => ({ ...room, outbox: outbox.failed(room.outbox, id, failure) }));
    } else {
      line.joins.delete(flight.room);
      this.state.change(flight.room, (room) => rooms.refused(room, failure));
    }
  }

  #inFlight({ joins, oneByOne }: Line, now: number): Flight[] {
    return inFlight(this.state.rooms, joins, oneByOne, now);
  }

  /** The server has no room for it now. */
  putOff(name: string, id: string) {
    const now = this.environment.now();
    const wait = (refusals: number) => fullJitter(AFTER_REFUSAL, refusals, this.environment.random());
    this.state.change(name, (room) => ({ ...room, outbox: outbox.putOff(room.outbox, id, now, wait) }));
  }
}
