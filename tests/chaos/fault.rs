//! What breaks, when, and where.

use std::fmt;
use std::time::Instant;

/// Kinds of faults; a report has a line for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    NodeKilled,
    NodeWiped,
    NodeRestarted,
    NodeFrozen,
    SubscribersClosed,
    LinkCut,
    LinkHeld,
    Split,
    ServerKilled,
    ServerFrozen,
}

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::NodeKilled,
        Self::NodeWiped,
        Self::NodeRestarted,
        Self::NodeFrozen,
        Self::SubscribersClosed,
        Self::LinkCut,
        Self::LinkHeld,
        Self::Split,
        Self::ServerKilled,
        Self::ServerFrozen,
    ];

    pub fn is_of_server(self) -> bool {
        matches!(self, Self::ServerKilled | Self::ServerFrozen)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NodeKilled => "Redis killed",
            Self::NodeWiped => "Redis killed and wiped",
            Self::NodeRestarted => "Redis restarted at once",
            Self::NodeFrozen => "Redis frozen",
            Self::SubscribersClosed => "Redis closes subscribers",
            Self::LinkCut => "server cut from Redis",
            Self::LinkHeld => "server's packets held",
            Self::Split => "servers share no node",
            Self::ServerKilled => "server killed",
            Self::ServerFrozen => "server frozen",
        })
    }
}

/// One fault. It is not over where `to` is missing.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub kind: Kind,
    /// Which server broke, if one did.
    pub server: Option<usize>,
    pub from: Instant,
    pub to: Option<Instant>,
}

/// What ends a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relief {
    Start(usize),
    WipeAndStart(usize),
    Thaw(usize),
    /// A server and a node. What was held arrives late.
    Heal(usize, usize),
    /// What was held is lost.
    CutAndHeal(usize, usize),
    StartServer(usize),
    ThawServer(usize),
    /// A server that clients load is killed now, to be started again later.
    Strike(usize),
    /// Traffic is as usual.
    Calm,
}

impl Relief {
    /// Whether it is about a lane of that server.
    pub fn breaks(self, server: usize, node: usize) -> bool {
        match self {
            Self::Start(broken) | Self::WipeAndStart(broken) | Self::Thaw(broken) => broken == node,
            Self::Heal(cut, broken) | Self::CutAndHeal(cut, broken) => (cut, broken) == (server, node),
            Self::StartServer(_) | Self::ThawServer(_) | Self::Strike(_) | Self::Calm => false,
        }
    }
}
