//! How servers hear each other: a written contract with several makers.
//!
//! **What a bus promises.** An envelope for a room is offered to every server whose subscription to the room was
//! confirmed before ([`BusEvent::Subscribed`]), one for a server to that server, one for all to all.
//!
//! **What it does not.** An envelope may be lost, whole, at any receiver, without a word. It may arrive twice, late, or
//! before one that was published earlier; after an unsubscribe; at its own publisher. The hub numbers, dedupes, asks
//! again and remembers; a maker needs to be no better than this.
//!
//! Makers: loopback (`app::loopback`, servers in one process), Redis lanes (`app::redis`), and the seeded, faulty one of
//! the simulation.

use std::sync::Arc;

use crate::wire::Envelope;

/// How many of a server's lanes are proven to carry: what it published on them came back lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carrying {
    /// Those that do.
    pub lanes: usize,
    /// All that there are.
    pub of: usize,
}

impl Carrying {
    /// Whether envelopes get through at all.
    pub fn is_any(self) -> bool {
        self.lanes > 0
    }

    /// Whether more than half do. Any two servers of which that is true share a lane.
    pub fn is_majority(self) -> bool {
        2 * self.lanes > self.of
    }
}

/// What a bus tells the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusEvent {
    /// An envelope arrived.
    Received(Envelope),
    /// Envelopes for the room are offered from here on.
    Subscribed(Arc<str>),
    /// Something broke: what was published lately may have been missed.
    Lost,
    /// So many envelopes could not be sent.
    Dropped(u64),
}
