//! What lanes and their shell say to each other.

use std::sync::Arc;

use crate::wire::{Envelope, EnvelopeError};

use super::status::State;
use super::timings::Timings;

/// Who a server is, and where its nodes are.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its incarnation.
    pub incarnation: u64,
    /// The nodes, at least one and at most [`super::set::LANES_MAX`], in an order that is the same at all servers.
    pub nodes: Vec<String>,
    /// The user and the password, if the nodes ask for any.
    pub credentials: Option<(String, String)>,
    /// How long things may take.
    pub timings: Timings,
    /// For the times between attempts, which should differ between servers.
    pub seed: u64,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It publishes.
    Publisher,
    /// It hears.
    Subscriber,
}

/// Both.
pub const ROLES: [Role; 2] = [Role::Publisher, Role::Subscriber];

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a connection, and say [`Lanes::handle_connected`] or [`Lanes::handle_closed`].
    Connect {
        /// To the node of this lane.
        lane: usize,
        /// For this.
        role: Role,
        /// `host:port` that is to be tried instead of the node's.
        hint: Option<String>,
    },
    /// End the connection, or the attempt, and say nothing.
    Close {
        /// To the node of this lane.
        lane: usize,
        /// For this.
        role: Role,
    },
}

/// What the hub is to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody else said this.
    Received(Envelope),
    /// The room is heard: every lane of it that is up has confirmed that.
    Subscribed(Arc<str>),
    /// Something that was published lately, in any room, may have been missed.
    Lost,
    /// So many envelopes were thrown away.
    Dropped(u64),
}

/// What a person may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A lane has changed.
    State {
        /// Which.
        lane: usize,
        /// What it is now.
        state: State,
        /// What went wrong last.
        reason: Option<String>,
    },
    /// Two lanes lead to one node: when it dies, both do.
    SameNode {
        /// The one.
        lane: usize,
        /// The other.
        other: usize,
        /// The node's address.
        address: String,
    },
    /// A server says that it is on a lane where nothing is heard of it: its list of nodes may have another order.
    Unheard {
        /// Which lane.
        lane: usize,
        /// The server's name.
        peer: Arc<str>,
    },
    /// Something came that is no envelope.
    Refused(EnvelopeError),
}
