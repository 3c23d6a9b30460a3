/** The distr-chat client: what an application needs, and nothing of how it works. */
export { browserEnvironment } from './browserEnvironment';
export { Client, type ClientOptions, type Refusal } from './client';
export type { Place } from './connection';
export { direct } from './direct';
export type { Entrance } from './entrance';
export type { Environment } from './environment';
export type { Link, Trouble } from './link';
export type { Outgoing } from './outbox';
export { proxied } from './proxied';
export { byteLength, DEFAULT_LIMITS, type Limits, wellFormed } from './protocol';
export type { Room } from './room';
export type { Snapshot } from './state';
export type { Store } from './store';
export { type Entry, type Gap, messageKey, type Said } from './timeline';
