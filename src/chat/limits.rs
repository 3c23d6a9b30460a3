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
/// Messages of a room in one envelope on the bus.
pub const ENVELOPE_MESSAGES_MAX: usize = 256;

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
pub const ALIVE_INTERVAL: Duration = Duration::from_millis(500);
/// A server not heard of for this long is gone, and its users with it.
pub const LEASE: Duration = Duration::from_secs(3);
/// A server that is gone is shown for this long.
pub const SHOWN_WHEN_GONE: Duration = Duration::from_secs(60);
/// A user's `typing` is relayed at most this often.
pub const TYPING_INTERVAL: Duration = Duration::from_secs(1);

/// A join costs as much as so many frames: its history is encoded for one client alone.
pub const JOIN_FRAMES: u32 = 5;
/// A client that is in no room for this long is closed.
pub const ROOMLESS_MAX: Duration = Duration::from_secs(60);
