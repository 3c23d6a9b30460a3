//! What an application server decides, without a socket, a clock, a thread or a random number of its own.
//!
//! A frame goes one way: [`session`] (on the reactor) makes an [`Ask`] of it, [`hub`] (on the backplane thread) gives
//! a message its place in the room's stream and encodes it once, [`members`] (on each reactor) says to whom it goes.
//! Servers speak to each other through a [`bus`].

pub mod answers;
pub mod belief;
pub mod branches;
pub mod bus;
pub mod encoded;
pub mod fetch;
pub mod forerunners;
pub mod hub;
pub mod join_queue;
pub mod limits;
pub mod members;
pub mod mutants;
pub mod peers;
pub mod presence;
pub mod rate;
pub mod ring;
pub mod room;
pub mod session;
#[cfg(test)]
mod simulation;
pub mod stream;
pub mod unconfirmed;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::wire::ClientNonce;
use crate::wire::client_message::Since;
use crate::wire::joined::Parts;

pub use crate::wire::envelope::Message;
pub use bus::{BusEvent, Carrying};
pub use hub::{Effect, Hub};
pub use limits::Limits;
pub use members::Members;
pub use session::Session;

/// Both clocks, read once a turn by the shell.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For intervals.
    pub instant: Instant,
    /// For stamps: milliseconds since the epoch.
    pub unix_ms: u64,
}

/// A client's connection at this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// The reactor that owns it.
    pub reactor: usize,
    /// Its key there.
    pub connection: u64,
}

/// A room at this server: an index into the tables of hub and reactors. The hub gives it out, and uses it again only
/// after every reactor has forgotten it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(pub u32);

/// What a client wants of the hub.
#[derive(Debug)]
pub enum Ask {
    /// Come in.
    Join {
        /// The room.
        room: Arc<str>,
        /// The name to be known by.
        user: Arc<str>,
        /// Its secret name, to be told to it alone.
        client: ClientNonce,
        /// The session's number for this stay, so that a late answer is not taken for a newer one's.
        visit: u32,
        /// What it has seen, if it comes back.
        since: Option<Since>,
    },
    /// Say something.
    Send {
        /// The room.
        room: Arc<str>,
        /// The speaker.
        user: Arc<str>,
        /// Whose message it is: [`ClientNonce::key`] of the join.
        client: u64,
        /// The client's id for it.
        id: Box<str>,
        /// What is said.
        text: Box<str>,
    },
    /// Tell others that the user is writing.
    Typing {
        /// The room.
        room: Arc<str>,
        /// The writer.
        user: Arc<str>,
    },
    /// Go; the reactor has forgotten the member already.
    Leave {
        /// The room.
        room: Arc<str>,
        /// Who goes.
        user: Arc<str>,
    },
    /// Do not come in after all, unless the join was answered: that crosses this ask, and is left with [`Ask::Leave`].
    Withdraw {
        /// The room.
        room: Arc<str>,
        /// The stay that it asked for.
        visit: u32,
    },
    /// The kernel has taken the answer to the connection's last join, or the connection is gone: it may have the next.
    Received,
}

/// What the hub tells a reactor.
#[derive(Debug)]
pub enum Notice {
    /// The connection is a member from here on: all that follows for the room is for it too. If it has left or gone
    /// meanwhile, the reactor answers with [`Ask::Leave`]: a join is left once it has succeeded, and never before.
    Entered {
        /// Whose.
        connection: u64,
        /// The stay that it asked for.
        visit: u32,
        /// The room's index.
        room: RoomId,
        /// The room's name, of which one copy serves all its members.
        name: Arc<str>,
        /// The name that the member is known by.
        user: Arc<str>,
        /// `joined`. The connection gets no other one before [`Ask::Received`].
        frame: Parts,
    },
    /// The stay was refused.
    Refused {
        /// Whose.
        connection: u64,
        /// The stay that it asked for.
        visit: u32,
        /// `error`.
        frame: Bytes,
    },
    /// The room that a connection asked for was new here, which counts against its rate.
    RoomMade {
        /// Whose.
        connection: u64,
    },
    /// Frames for every member of a room.
    Deliver {
        /// The room's index.
        room: RoomId,
        /// Whole frames, joined.
        frames: Bytes,
        /// How many chat messages are among them.
        messages: u32,
    },
    /// A frame for every client of the server.
    Everyone {
        /// The frame.
        frame: Bytes,
    },
    /// A frame for one connection.
    Reply {
        /// Whose.
        connection: u64,
        /// The frame.
        frame: Bytes,
    },
}
