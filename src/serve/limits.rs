//! The limits of a connection, named with their units.

use std::time::Duration;

use crate::wire::limits::{FRAME_BYTES_MAX, FRAMES_BURST, FRAMES_PER_SECOND};

use super::work::WorkRate;

/// Each has a reason in docs/operations.md.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that this process holds, over all its reactors; more are answered 503 or 1013.
    pub connections_max: u32,
    /// Connections of all kinds that fit into the descriptors of the process. When so many are open, one that has no
    /// WebSocket is closed for each newcomer.
    pub sockets_max: u32,
    /// Largest message from a client, in bytes.
    pub message_bytes_max: usize,
    /// What a connection may have its reactor do beside that.
    pub work: WorkRate,
    /// Bytes that may wait for one WebSocket client before it is closed as slow.
    pub queue_bytes_max: usize,
    /// Bytes of answers that may wait for one client, besides: an HTTP answer, or what a WebSocket client asked for.
    pub answer_bytes_max: usize,
    /// Bytes that may wait for one client while more is read from it.
    pub read_ahead_bytes_max: usize,
    /// From accept to the first byte of a request, and from the first byte of any to its whole
    /// head.
    pub head_timeout: Duration,
    /// From one answer to the first byte of the next request. Longer than load balancers keep idle
    /// connections, 60 s, or they write requests into connections that are being closed.
    pub keep_alive_timeout: Duration,
    /// From a request to its answer, where that comes from another thread.
    pub answer_timeout: Duration,
    /// From a request to the last byte of its answer being taken by the client's socket.
    pub send_timeout: Duration,
    /// Silence of a client after which it is pinged.
    pub ping_after: Duration,
    /// Silence of a client after which it is closed.
    pub silence_max: Duration,
    /// A turn of one of the node's threads that lasts so long: it is not ready.
    pub stall_max: Duration,
    /// And so long: it should be ended and started again.
    pub stall_fatal: Duration,
    /// From our close frame, or the end of an answer, to the peer's end of the connection.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 100_000,
            sockets_max: u32::MAX,
            message_bytes_max: FRAME_BYTES_MAX,
            work: WorkRate::beside_messages(FRAMES_PER_SECOND, FRAMES_BURST),
            queue_bytes_max: 256 * 1024,
            answer_bytes_max: 8 * 1024 * 1024,
            read_ahead_bytes_max: 64 * 1024,
            head_timeout: Duration::from_secs(5),
            keep_alive_timeout: Duration::from_secs(75),
            answer_timeout: Duration::from_secs(5),
            send_timeout: Duration::from_secs(60),
            ping_after: Duration::from_secs(25),
            silence_max: Duration::from_secs(60),
            stall_max: Duration::from_secs(1),
            stall_fatal: Duration::from_secs(10),
            linger: Duration::from_secs(2),
        }
    }
}

/// Connections that one reactor accepts in one turn, so that a storm does not starve those it has.
pub const ACCEPTS_PER_TURN: usize = 256;
/// Newcomers that each reactor may have though the descriptors are in use; they are kept for them, and for health checks.
pub const NEWCOMERS_KEPT: usize = 8;
/// How often it is told that newcomers were closed.
pub const EVICTIONS_LOGGED_EVERY: Duration = Duration::from_secs(10);
/// Smallest read buffer of a reactor.
pub const READ_BUFFER_BYTES_MIN: usize = 64 * 1024;
/// Resolution of all deadlines, and how soon accepting is tried again when descriptors ran out.
pub const TICK: Duration = Duration::from_millis(100);
/// How soon a turn follows one that could not hand on its work.
pub const RETRY: Duration = Duration::from_millis(2);
