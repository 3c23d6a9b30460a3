//! What a server may keep, wait for and repeat, named with its unit.
//!
//! Everything that a replication rule depends on is a field of [`Limits`], so that the simulation can draw it; the rest
//! are constants.

use std::time::Duration;

/// Rooms that one server holds.
pub const ROOMS_MAX: usize = 100_000;
/// New rooms that are made known to the bus and to other servers, a second. Each costs three subscriptions, a question
/// to each other server and its answer.
pub const ROOMS_MADE_PER_SECOND: u32 = 2000;
/// And at once.
pub const ROOMS_MADE_BURST: u32 = 4000;
/// New rooms that wait for that: some five seconds. Beyond it joins are refused as `overloaded`.
pub const ROOMS_QUEUED_MAX: usize = 10_000;
/// Rooms that a server takes to hold for others, a second. One that leaves has two seconds to hand all of its rooms over.
pub const HOLDS_PER_SECOND: u32 = 10_000;
/// And at once.
pub const HOLDS_BURST: u32 = 50_000;
/// Rooms that are dropped, a second: all other servers that have them are told.
pub const ROOMS_DROPPED_PER_SECOND: u32 = 2000;
/// And at once.
pub const ROOMS_DROPPED_BURST: u32 = 500;
/// Rooms without members that are looked at for one that may go at once, when there are [`ROOMS_MAX`].
pub const EMPTY_ROOMS_LOOKED_AT: usize = 64;
/// New rooms that a client may ask for, a second; beyond it its joins are refused as `rate_limited`.
pub const CLIENT_ROOMS_PER_SECOND: u32 = 1;
/// And at once: as many as it may be in, twice.
pub const CLIENT_ROOMS_BURST: u32 = 64;
/// Rooms in which a turn does what has to be done in all: some milliseconds.
pub const SWEPT_ROOMS_PER_TURN: usize = 1000;
/// Rooms of which a turn does what is due.
pub const ROOMS_DUE_PER_TURN: usize = 2000;
/// New rooms that others are asked for in a turn.
pub const FRESH_ROOMS_PER_TURN: usize = 400;
/// Frames for a room that are joined before they are handed to the reactors, in bytes.
pub const DELIVER_BYTES_MAX: usize = 64 * 1024;
/// What one envelope on the bus carries, in bytes, where it can be split.
pub const ENVELOPE_BYTES_SOFT: usize = 16 * 1024;

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
/// A user's `typing` is relayed at most this often.
pub const TYPING_INTERVAL: Duration = Duration::from_secs(1);

/// A join costs as much as so many frames: its head is encoded for one client alone, and all members are told of it.
pub const JOIN_FRAMES: u32 = 5;
/// Bytes of `joined` that a connection may be sent over time, in KiB a second: a full ring each. Beyond it, its joins are
/// refused as `rate_limited`.
pub const ANSWER_KIB_PER_SECOND: u32 = 256;
/// And at once, in KiB: the full rings of as many rooms as it may be in.
pub const ANSWER_KIB_BURST: u32 = 32 * 256;
/// Bytes of `joined` on their way to one reactor. What it writes in a turn is no more than this and one answer: some
/// milliseconds in which nobody else is served.
pub const ANSWER_BYTES_IN_MAIL: usize = 2 * 1024 * 1024;
/// Joins that the hub answers in a turn: to choose from a full ring what a `since` lacks takes some 100 µs.
pub const JOINS_PER_TURN: usize = 64;
/// Joins, and asks behind them, that wait for their turn; some 10 MB. Beyond it they are refused as `overloaded`.
pub const ASKS_QUEUED_MAX: usize = 32 * 1024;
/// Encoded history is kept in pieces of about so many bytes: what comes later is added without a copy of the rest.
pub const ENCODED_CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of encoded history that all rooms keep together. Beyond it, what was used least lately is encoded anew.
pub const ENCODED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Encoded history is given back when nobody has come to the room for this long.
pub const ENCODED_AGE_MAX: Duration = Duration::from_secs(2);
/// Rooms whose encoded history is looked at in a turn.
pub const ENCODED_LOOKS_PER_TURN: usize = 64;
/// A client that is in no room for this long is closed.
pub const ROOMLESS_MAX: Duration = Duration::from_secs(60);

/// Other servers that are known at a time. One more is not met, unless one that never answered makes place for it.
pub const PEERS_MAX: usize = 1024;
/// Beats that answer other servers' at once, a second and at once, beside those that are due anyway. Each names all servers
/// that are known.
pub const BEAT_ANSWERS_PER_SECOND: u32 = 20;
/// Numbers that a server may give in one stream, in a millisecond: a hub takes in less in all of its rooms.
pub const SEQS_PER_MS_MAX: u64 = 1000;
/// The largest number of a stream that is believed: what 10,000 messages a second reach in three years and a half.
pub const SEQ_MAX_OF_STRANGERS: u64 = 1 << 40;
/// The latest time of a message that the clock of a room follows, in milliseconds since the epoch: half of what JSON
/// numbers hold, so that there is room to count on.
pub const TIME_MAX: u64 = 1 << 52;
/// Holes that are passed over at a time in the streams of a room; the rest is looked at again after the gap patience.
pub const GAPS_PASSED_MAX: usize = 64;
/// Bytes of messages that are sent in a turn to servers that miss them. Beyond it they ask again.
pub const REPAIR_BYTES_PER_TURN: usize = 4 * 1024 * 1024;
/// Spans of one question that are answered: [`ENVELOPE_BYTES_SOFT`] holds no more.
pub const WANT_SPANS_MAX: usize = 512;
/// Messages asked for at a time.
pub const WANT_MESSAGES_MAX: u64 = 1000;
/// Digests go out at multiples of this time, so that one envelope carries those of many rooms.
pub const DIGEST_GRID_MS: u64 = 25;
/// And again, in case that was lost.
pub const DIGEST_REPEATS: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(4)];
/// Rooms asked for in one envelope.
pub const SYNC_ROOMS_MAX: usize = 200;
/// Rooms asked for at a time, when all of them are.
pub const SYNC_ROOMS_PER_STEP: usize = 2000;
/// Time between such steps.
pub const SYNC_STEP: Duration = Duration::from_millis(20);

/// Bytes that all rings of a server hold together by default (`--history-memory`).
pub const HISTORY_BYTES: usize = 512 * 1024 * 1024;

/// What the rules of replication depend on. [`Limits::default`] is what production runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages that a room's ring holds.
    pub ring_messages: usize,
    /// Bytes that a room's ring holds.
    pub ring_bytes: usize,
    /// Bytes that all rings of a server hold together; beyond it a room that speaks keeps only `ring_bytes_short`.
    pub rings_bytes: usize,
    /// Bytes that a room's ring holds when memory is short.
    pub ring_bytes_short: usize,
    /// Messages of history on joining.
    pub history_messages: usize,
    /// Streams that a room remembers; beyond it, those of servers that are gone are forgotten, the oldest first.
    pub streams: usize,
    /// Messages whose identity a room remembers beyond those in its ring, so that a late retry is not appended anew.
    pub ids: usize,
    /// Messages of a room that wait for a replica's ack; beyond it a `send` is refused.
    pub unconfirmed: usize,
    /// Their bytes.
    pub unconfirmed_bytes: usize,
    /// Messages of a stream that wait behind a hole; what comes beyond it is asked for again.
    pub held: usize,
    /// Joins and what follows them, of a room that is being fetched from other servers; beyond it they are refused.
    pub asks_waiting: usize,
    /// Joins and what follows them, of members that have seen more of a room than is known here; beyond it refused.
    pub forerunners: usize,
    /// A room without members keeps its ring and its subscription for this long.
    pub room_linger: Duration,

    /// How often a server tells the others that it lives.
    pub alive_interval: Duration,
    /// A server whose beat is later than 1.5 intervals and what it was late before is suspect, and at the latest then.
    pub suspect_max: Duration,
    /// A server that has not answered a beat of ours for this long is gone, and its users with it.
    pub lease: Duration,
    /// A server that is gone is shown and remembered for this long.
    pub shown_when_gone: Duration,
    /// A server that has run for this long and was not known has been out of reach: it is asked for all rooms.
    pub newcomer_age: Duration,

    /// A hole is given this long to be filled by what was overtaken, before it is asked for.
    pub gap_patience: Duration,
    /// Time between the first NACK for a hole and the second; each next one waits twice as long.
    pub want_interval: Duration,
    /// Longest time between two NACKs.
    pub want_interval_max: Duration,
    /// What retention took at every server that lives is waited for so long after the lease of one has ended that may have it.
    pub expiry_patience: Duration,
    /// What changed in a room is told to other servers after this time, so that the last message before a fault is missed.
    pub digest_delay: Duration,
    /// A stream that has changed within this time is told.
    pub digest_stream_age: Duration,

    /// A message that no replica has acked within this time is published again, for another witness.
    pub confirm_patience: Duration,
    /// The patience doubles with each time that this was in vain, so often at most, and is halved by each ack that came
    /// in time: where all are late, since there is too much to do, repeats must not add to it.
    pub confirm_doublings: u32,
    /// A retry that nobody confirms for this long is given up: its client sends it again.
    pub retry_max: Duration,
    /// A server that was asked to hold a room does so for this long. It is asked again every [`PRESENCE_REFRESH`].
    pub hold_time: Duration,
    /// A server that leaves asks again after this time for others to hold what it holds.
    pub handover_interval: Duration,

    /// A server's bus may take so long until it carries for the first time; after that the server is by itself.
    pub bus_start: Duration,
    /// It may pause for so long, as when this server stood still and every lane is connected anew.
    pub bus_pause: Duration,
    /// A room that is fetched from other servers is opened after this time with what there is; after that, servers that
    /// have not answered are asked again each time it has passed.
    pub fetch_max: Duration,
    /// Before that, they are asked again after this time.
    pub fetch_interval: Duration,
    /// As long as they cannot be asked, since the bus does not carry, clients wait for this long: more than a bus may take.
    pub fetch_unasked: Duration,
    /// All rooms are asked for at most this often.
    pub sync_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let ms = Duration::from_millis;
        let s = Duration::from_secs;
        Self {
            ring_messages: 1000,
            ring_bytes: 256 * 1024,
            rings_bytes: HISTORY_BYTES,
            ring_bytes_short: 8 * 1024,
            history_messages: 50,
            streams: 64,
            ids: 4096,
            unconfirmed: 1000,
            unconfirmed_bytes: 1024 * 1024,
            held: 1000,
            asks_waiting: 1024,
            forerunners: 1024,
            room_linger: s(60),
            alive_interval: ms(100),
            suspect_max: ms(375),
            lease: s(3),
            shown_when_gone: s(60),
            newcomer_age: s(2),
            gap_patience: ms(30),
            want_interval: ms(60),
            want_interval_max: s(1),
            expiry_patience: s(2),
            digest_delay: ms(50),
            digest_stream_age: s(10),
            confirm_patience: ms(300),
            confirm_doublings: 3,
            retry_max: s(6),
            hold_time: s(75),
            handover_interval: ms(300),
            bus_start: s(2),
            bus_pause: s(1),
            fetch_max: s(1),
            fetch_interval: ms(150),
            fetch_unasked: s(3),
            sync_interval: s(1),
        }
    }
}
