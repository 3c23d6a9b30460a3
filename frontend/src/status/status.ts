/** What `/status` of a server and of a balancer says. docs/status.json has an example of each. */
import { count, type Fields, flag, list, measure, object, optional, parse, text } from '../client/fields';

export interface ServerStatus {
  node: string;
  version: string;
  uptimeSeconds: number;
  connections: number;
  connectionsMax: number;
  ready: boolean;
  draining: boolean;
  backplane: BackplaneStatus;
  roomsTotal: number;
  rooms: readonly RoomStatus[];
  totals: Readonly<Record<(typeof TOTALS)[number], number>>;
  reactors: readonly { connections: number }[];
}

export interface BackplaneStatus {
  kind: string;
  ready: boolean;
  /** The ways to other servers; none where all servers are one process. */
  lanes: readonly LaneStatus[];
  peers: readonly { name: string; up: boolean }[];
}

export interface LaneStatus {
  node: string;
  state: string;
  /** Why it is not up, where that is known. */
  reason: string | null;
  forSeconds: number;
}

export interface RoomStatus {
  room: string;
  users: number;
  membersHere: number;
  messages: number;
}

const TOTALS = ['accepted', 'messages', 'deliveries', 'writes', 'turns', 'errors', 'closed_slow'] as const;

export interface BalancerStatus {
  node: string;
  version: string;
  uptimeSeconds: number;
  ready: boolean;
  draining: boolean;
  assignedTotal: number;
  unavailableTotal: number;
  /** Clients that were told to come back at their turn. */
  delayedTotal: number;
  /** Connections that pass through the balancer. */
  proxied: number;
  /** How often one of those was given to another server. */
  movedTotal: number;
  servers: readonly ServerRow[];
  heartbeats: Readonly<Record<(typeof HEARTBEATS)[number], number>>;
  events: readonly BalancerEvent[];
}

export interface ServerRow {
  name: string;
  url: string;
  state: string;
  connections: number;
  /** How many it takes. */
  capacity: number;
  /** How late its event loops are. */
  loopLagMs: number;
  /** Connections that pass through this balancer. */
  proxied: number;
  inFlight: number;
  assigned: number;
  lastHeartbeatMs: number;
  draining: boolean;
  deaf: boolean;
  full: boolean;
}

const HEARTBEATS = ['accepted', 'malformed', 'version', 'forged', 'stale', 'namesake', 'table_full'] as const;

export interface BalancerEvent {
  time: number;
  kind: string;
  text: string;
}

export function decodeServer(body: unknown): ServerStatus | null {
  return parse(body, (status) => ({
    node: text(status, 'node'),
    version: text(status, 'version'),
    uptimeSeconds: count(status, 'uptime_seconds'),
    connections: count(status, 'connections'),
    connectionsMax: count(status, 'connections_max'),
    ready: flag(status, 'ready'),
    draining: flag(status, 'draining'),
    backplane: object(status, 'backplane', (backplane) => ({
      kind: text(backplane, 'kind'),
      ready: flag(backplane, 'ready'),
      lanes: list(backplane, 'lanes', (lane) => ({
        node: text(lane, 'node'),
        state: text(lane, 'state'),
        reason: optional(lane, 'reason'),
        forSeconds: count(lane, 'for_seconds'),
      })),
      peers: list(backplane, 'peers', (peer) => ({ name: text(peer, 'name'), up: flag(peer, 'up') })),
    })),
    roomsTotal: count(status, 'rooms_total'),
    rooms: list(status, 'rooms', (room) => ({
      room: text(room, 'room'),
      users: count(room, 'users'),
      membersHere: count(room, 'members_here'),
      messages: count(room, 'messages'),
    })),
    totals: object(status, 'totals', counts(TOTALS)),
    reactors: list(status, 'reactors', (reactor) => ({ connections: count(reactor, 'connections') })),
  }));
}

export function decodeBalancer(body: unknown): BalancerStatus | null {
  return parse(body, (status) => ({
    node: text(status, 'node'),
    version: text(status, 'version'),
    uptimeSeconds: count(status, 'uptime_seconds'),
    ready: flag(status, 'ready'),
    draining: flag(status, 'draining'),
    assignedTotal: count(status, 'assigned_total'),
    unavailableTotal: count(status, 'unavailable_total'),
    delayedTotal: count(status, 'delayed_total'),
    proxied: count(status, 'proxied'),
    movedTotal: count(status, 'moved_total'),
    servers: list(status, 'servers', (server) => ({
      name: text(server, 'name'),
      url: text(server, 'url'),
      state: text(server, 'state'),
      connections: count(server, 'connections'),
      capacity: count(server, 'capacity'),
      loopLagMs: measure(server, 'loop_lag_ms'),
      proxied: count(server, 'proxied'),
      inFlight: count(server, 'in_flight'),
      assigned: count(server, 'assigned'),
      lastHeartbeatMs: count(server, 'last_heartbeat_ms'),
      draining: flag(server, 'draining'),
      deaf: flag(server, 'deaf'),
      full: flag(server, 'full'),
    })),
    heartbeats: object(status, 'heartbeats', counts(HEARTBEATS)),
    events: list(status, 'events', (event) => ({
      time: count(event, 'time'),
      kind: text(event, 'kind'),
      text: text(event, 'text'),
    })),
  }));
}

function counts<Name extends string>(names: readonly Name[]) {
  return (fields: Fields) =>
    Object.fromEntries(names.map((name) => [name, count(fields, name)])) as Record<Name, number>;
}
