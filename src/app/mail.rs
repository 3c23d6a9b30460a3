//! What reactors and backplane thread send each other, in batches: one a turn.

use crate::chat::{Ask, Member, Notice};
use crate::wire::Response;

/// Batches that may wait for the backplane thread. When it is full, reactors read no more from their clients.
pub const ASK_BATCHES_MAX: usize = 256;
/// Batches that may wait for a reactor. When it is full, the backplane thread takes no more in.
pub const NOTICE_BATCHES_MAX: usize = 256;
/// Asks that a reactor gathers while the mailbox is full, before it stops reading.
pub const ASKS_HELD_MAX: usize = 4096;
/// Notices that the backplane thread gathers while a mailbox is full, before it stops taking in.
pub const NOTICES_HELD_MAX: usize = 65_536;

/// To the backplane thread.
#[derive(Debug)]
pub enum ToHub {
    /// A client wants something.
    Ask(Member, Ask),
    /// A reactor has taken answers to joins from its mailbox, of so many bytes.
    AnswersTaken {
        /// Which.
        reactor: usize,
        /// Their bytes together.
        bytes: usize,
    },
    /// A request for `/status` waits for its answer.
    Status(Member),
}

/// To a reactor.
#[derive(Debug)]
pub enum ToReactor {
    /// The hub has something for clients.
    Notice(Notice),
    /// So many of its clients are to move to servers that have fewer.
    Shed(u32),
    /// The answer to a request for `/status`.
    Status {
        /// The connection that asked.
        connection: u64,
        /// The answer.
        response: Response,
    },
}
