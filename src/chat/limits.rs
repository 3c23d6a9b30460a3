//! The limits of rooms and hubs, named with their units.

use std::time::Duration;

/// Rooms that one server holds.
pub const ROOMS_MAX: usize = 100_000;
/// Messages that a room's ring holds.
pub const RING_MESSAGES_MAX: usize = 1000;
/// Bytes that a room's ring holds.
pub const RING_BYTES_MAX: usize = 256 * 1024;
/// Bytes that all rings of a server hold together; beyond it a room that speaks keeps only [`RING_BYTES_MIN`].
pub const RINGS_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Bytes that a room's ring holds when memory is short.
pub const RING_BYTES_MIN: usize = 8 * 1024;
/// Messages of history on joining.
pub const HISTORY_MESSAGES: usize = 50;
/// Streams that a room remembers; the one that was silent the longest is forgotten first.
pub const STREAMS_PER_ROOM_MAX: usize = 64;
/// A room without members keeps its ring and its subscription for this long.
pub const ROOM_LINGER: Duration = Duration::from_secs(60);
/// Frames for a room that are joined before they are handed to the reactors, in bytes.
pub const DELIVER_BYTES_MAX: usize = 64 * 1024;
/// What one envelope on the bus carries, in bytes, where it can be split.
pub const ENVELOPE_BYTES_SOFT: usize = 16 * 1024;
/// Ids of messages that a room remembers beyond those in its ring, so that a late retry is not said anew.
pub const IDS_MAX: usize = 4096;
/// Messages of a room that wait to be confirmed by a second holder; beyond it a `send` is refused.
pub const UNCONFIRMED_MAX: usize = 1000;
/// Joins and what follows them, of a room that is being fetched from other servers; beyond it they are refused.
pub const ASKS_WAITING_MAX: usize = 1024;
/// Joins and what follows them, of members that have seen more of a room than is known here; beyond it they are refused.
pub const FORERUNNERS_MAX: usize = 1024;
/// Messages of a stream that wait behind a hole; what comes beyond it is asked for again.
pub const HELD_MAX: usize = 1000;

/// Largest room whose roster is told, in names.
pub const ROSTER_MAX: usize = 100;
/// A roster's changes are told at once, and then not again for at least this long.
pub const PRESENCE_INTERVAL: Duration = Duration::from_millis(250);
/// Presence frames that a room's members may cost a second; in larger rooms changes are gathered for longer.
pub const PRESENCE_DELIVERIES_PER_SECOND: u32 = 2000;
/// Longest time that changes of a roster are gathered.
pub const PRESENCE_INTERVAL_MAX: Duration = Duration::from_secs(10);
/// Who is in a room is told to other servers at least this often, which mends what was lost.
pub const PRESENCE_REFRESH: Duration = Duration::from_secs(30);
/// How often a server tells the others that it lives.
pub const ALIVE_INTERVAL: Duration = Duration::from_millis(250);
/// A server's word that is later than the quickest by this was under way for too long to be believed.
pub const ALIVE_DELAY_MAX: Duration = Duration::from_secs(10);
/// A server not heard of for this long is gone, and its users with it.
pub const LEASE: Duration = Duration::from_secs(3);
/// A server that is gone is shown for this long.
pub const SHOWN_WHEN_GONE: Duration = Duration::from_secs(60);
/// A server not heard of for this long is not waited for where another one can do the same: somebody else is asked to hold what only
/// it holds. Half a beat more than it takes between two signs of life.
pub const QUIET: Duration = Duration::from_millis(375);
/// A user's `typing` is relayed at most this often.
pub const TYPING_INTERVAL: Duration = Duration::from_secs(1);

/// A join costs as much as so many frames: its history is encoded for one client alone.
pub const JOIN_FRAMES: u32 = 5;
/// A client that is in no room for this long is closed.
pub const ROOMLESS_MAX: Duration = Duration::from_secs(60);

/// A hole is given this long to be filled by what was overtaken, before it is asked for.
pub const GAP_PATIENCE: Duration = Duration::from_millis(30);
/// Time between the first question for a hole and the second; each next one waits twice as long.
pub const WANT_INTERVAL: Duration = Duration::from_millis(60);
/// Longest time between two questions.
pub const WANT_INTERVAL_MAX: Duration = Duration::from_secs(1);
/// Messages asked for at a time.
pub const WANT_MESSAGES_MAX: u64 = 1000;
/// A hole that nobody filled for this long is marked and passed over, even if somebody who may have it is silent.
pub const GAP_MAX: Duration = Duration::from_secs(10);
/// What changed in a room is told to other servers after this time, so that the last message before a fault is missed.
pub const DIGEST_DELAY: Duration = Duration::from_millis(50);
/// Digests go out at multiples of this time, so that one envelope carries those of many rooms.
pub const DIGEST_GRID_MS: u64 = 25;
/// And again, in case that was lost.
pub const DIGEST_REPEATS: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(4)];
/// A stream that has changed within this time is told.
pub const DIGEST_STREAM_AGE: Duration = Duration::from_secs(10);

/// A message that no second holder has confirmed within this time is published again, for another witness.
pub const CONFIRM_PATIENCE: Duration = Duration::from_millis(300);
/// The patience doubles with each time that this was in vain, so often at most, and is halved by each confirmation that came
/// in time: where all are late, since there is too much to do, repeats must not add to it.
pub const CONFIRM_DOUBLINGS_MAX: u32 = 3;
/// A message is shown to members here once a second server holds it, or after this time.
pub const SHOW_PATIENCE: Duration = Duration::from_secs(1);
/// A server that was asked to hold a room does so for this long. It is asked again every [`PRESENCE_REFRESH`].
pub const HOLD_TIME: Duration = Duration::from_secs(75);

/// A server's bus may take so long until it carries for the first time; after that the server is by itself.
pub const BUS_START_MAX: Duration = Duration::from_secs(2);
/// It may pause for so long, as when this server stood still and every lane is connected anew.
pub const BUS_PAUSE_MAX: Duration = Duration::from_secs(1);
/// A room that is fetched from other servers is opened after this time with what there is; after that, servers that have
/// not answered are asked again each time it has passed.
pub const FETCH_MAX: Duration = Duration::from_secs(1);
/// Before that, they are asked again after this time.
pub const FETCH_INTERVAL: Duration = Duration::from_millis(150);
/// As long as they cannot be asked, since the bus does not carry, clients wait for this long: more than a bus may take.
pub const FETCH_UNASKED_MAX: Duration = Duration::from_secs(3);
/// Rooms asked for in one envelope.
pub const SYNC_ROOMS_MAX: usize = 200;
/// Rooms asked for at a time, when all of them are.
pub const SYNC_ROOMS_PER_STEP: usize = 2000;
/// Time between such steps.
pub const SYNC_STEP: Duration = Duration::from_millis(20);
/// All rooms are asked for at most this often.
pub const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// A server that has run for this long and was not known has been out of reach: it is asked for all rooms.
pub const NEWCOMER_AGE_MAX: Duration = Duration::from_secs(10);
