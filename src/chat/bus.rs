//! How servers hear each other: a written contract with several makers.
//!
//! **What a bus promises.** An envelope published for a room is offered to every server that had subscribed to the
//! room before, at most once per publish. Envelopes of one publisher for one room arrive in their order.
//!
//! **What it does not.** An envelope may be lost, whole, at any receiver, without a word; two publishers' envelopes
//! may arrive in any order; a publisher may or may not hear itself; a late envelope may arrive after an unsubscribe.
//! The hub numbers, dedupes and counts; a maker needs to be no better than this.
//!
//! Makers: loopback (`app::loopback`, servers in one process) and the seeded, faulty one of the simulation. Redis
//! lanes will be the third.

use std::sync::Arc;

use super::Message;
use crate::wire::StreamId;

/// What one server tells others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// Consecutive messages of one stream: `first_seq`, `first_seq + 1`, ….
    Messages {
        /// Their room.
        room: Arc<str>,
        /// Their stream.
        stream: StreamId,
        /// The number of the first.
        first_seq: u64,
        /// At most [`super::limits::ENVELOPE_MESSAGES_MAX`].
        messages: Arc<[Arc<Message>]>,
    },
    /// All of a server's users in a room, each time anew: the next one mends what was lost.
    Presence {
        /// The room.
        room: Arc<str>,
        /// The server's incarnation.
        origin: u64,
        /// Counts this server's presence envelopes, so that an older one does not undo a newer.
        version: u64,
        /// How many names.
        users: usize,
        /// The names, where there are few.
        names: Option<Arc<[Arc<str>]>>,
    },
    /// A server has come to a room and asks the others for their [`Envelope::Presence`].
    Hello {
        /// The room.
        room: Arc<str>,
        /// The newcomer's incarnation.
        origin: u64,
    },
    /// A user is writing.
    Typing {
        /// The room.
        room: Arc<str>,
        /// The server's incarnation.
        origin: u64,
        /// The writer.
        user: Arc<str>,
    },
    /// The server lives; for every server, in whatever room.
    Alive {
        /// Its incarnation.
        origin: u64,
        /// Its name.
        name: Arc<str>,
    },
}

impl Envelope {
    /// The room that it is for; `None`: for every server.
    pub fn room(&self) -> Option<&Arc<str>> {
        match self {
            Self::Messages { room, .. }
            | Self::Presence { room, .. }
            | Self::Hello { room, .. }
            | Self::Typing { room, .. } => Some(room),
            Self::Alive { .. } => None,
        }
    }

    /// The incarnation of the server that it is from.
    pub fn origin(&self) -> u64 {
        match self {
            Self::Messages { stream, .. } => stream.origin,
            Self::Presence { origin, .. }
            | Self::Hello { origin, .. }
            | Self::Typing { origin, .. }
            | Self::Alive { origin, .. } => *origin,
        }
    }
}

/// What a bus tells the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusEvent {
    /// An envelope arrived.
    Received(Envelope),
    /// So many envelopes were thrown away because a queue was full.
    Dropped(u64),
}

/// One server's end of a bus. Nothing here waits.
pub trait Bus {
    /// A word for logs and status pages.
    fn kind(&self) -> &'static str;

    /// Whether envelopes get through, as far as can be told.
    fn is_ready(&self) -> bool;

    /// From now on envelopes for the room are offered.
    fn subscribe(&mut self, room: &Arc<str>);

    /// No longer.
    fn unsubscribe(&mut self, room: &Arc<str>);

    /// Queues an envelope for every other server that subscribed.
    fn publish(&mut self, envelope: Envelope);

    /// Sends what was queued. True: some of it must wait, so call again in a while.
    fn flush(&mut self) -> bool;

    /// Hands out what arrived, at most `budget` batches of it. True: more waits, so call again without sleeping.
    fn poll(&mut self, budget: usize, handle: &mut dyn FnMut(BusEvent)) -> bool;
}
