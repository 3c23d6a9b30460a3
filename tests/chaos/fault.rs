//! What breaks, when, and where.

use std::fmt;
use std::time::Instant;

use crate::support::clock::Bend;

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
    ServerStalled,
    ClockAhead,
    ClockFarAhead,
    ClockBehind,
    ClockSlow,
}

impl Kind {
    pub const ALL: [Self; 15] = [
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
        Self::ServerStalled,
        Self::ClockAhead,
        Self::ClockFarAhead,
        Self::ClockBehind,
        Self::ClockSlow,
    ];

    pub fn is_of_server(self) -> bool {
        matches!(self, Self::ServerKilled | Self::ServerFrozen | Self::ServerStalled)
    }

    /// Whether nothing but a clock is wrong.
    pub fn is_of_clock(self) -> bool {
        matches!(self, Self::ClockAhead | Self::ClockFarAhead | Self::ClockBehind | Self::ClockSlow)
    }
}

impl From<Bend> for Kind {
    fn from(bend: Bend) -> Self {
        match bend {
            Bend::Ahead(step) if step.as_secs() > 60 => Self::ClockFarAhead,
            Bend::Ahead(_) => Self::ClockAhead,
            Bend::Behind(_) => Self::ClockBehind,
            Bend::Rate(_) => Self::ClockSlow,
        }
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
            Self::ServerStalled => "server stalled for long",
            Self::ClockAhead => "clock ahead by 20 s",
            Self::ClockFarAhead => "clock ahead by 600 s",
            Self::ClockBehind => "clock behind by 20 s",
            Self::ClockSlow => "clocks at 0.6",
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
    /// That server's clocks are right again.
    SetClock(usize),
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
            Self::StartServer(_) | Self::ThawServer(_) | Self::SetClock(_) | Self::Strike(_) | Self::Calm => {
                false
            }
        }
    }
}
