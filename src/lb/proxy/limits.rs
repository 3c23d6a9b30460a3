//! The limits of proxied clients, named with their units. docs/operations.md lists them.

use std::ops::Range;
use std::time::Duration;

use crate::serve::work::WorkRate;

/// What one read brings at most, with what is held of a frame: the size of a loop's one buffer, in bytes. A server's frame
/// that is larger is passed on in parts. As much may wait for a side that does not take it.
pub const BUFFER_BYTES: usize = 64 * 1024;
/// From beginning to connect to a server to being connected.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// From there to the end of its 101.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);
/// Servers tried for a new client before it is refused.
pub const FIRST_TRIES_MAX: u32 = 2;
/// How long a client without a server keeps its connection, and how long a server that wants it to move is left.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts for a client that is connected, in milliseconds: another time for each, so that they do not come
/// together.
pub const PAUSE_MS: Range<u64> = 50..350;
/// A side that takes nothing for so long, while bytes wait for it, is given up.
pub const STALL_MAX: Duration = Duration::from_secs(30);
/// Reads of a client, and 4 KiB of them, a second: beyond it the next read waits for a [`TICK`], in which small segments
/// come together. What the client's messages and other frames may be is for its server to say.
pub const CLIENT_WORK: WorkRate = WorkRate { per_second: 1000, burst: 4000 };
/// From one side's end to the other's.
pub const HALF_CLOSED_MAX: Duration = Duration::from_secs(30);
/// From our last byte to the client's end of the connection.
pub const LINGER: Duration = Duration::from_secs(2);
/// What a client is told when the balancer leaves: to move within this.
pub const MOVE_WITHIN: Duration = Duration::from_secs(5);
/// Resolution of all deadlines.
pub const TICK: Duration = Duration::from_millis(20);
/// Letters that may wait for a loop: clients that a reactor hands over, and news of servers. Beyond it a client is
/// dropped and counted.
pub const LETTERS_MAX: usize = 4096;
/// Letters taken in a turn, so that a storm does not keep those who are connected waiting.
pub const LETTERS_PER_TURN: usize = 256;
