//! Whether a server lives, by the time since it was last heard.
//!
//! Heartbeats come every 200 ms. One or two may be lost or late on a busy network without meaning anything; with the
//! third missing no new client is sent there, and with the fifth the server counts as gone, since a false alarm costs
//! little: its clients are not touched, and the next heartbeat brings it back.

use std::time::{Duration, Instant};

use crate::wire::heartbeat::INTERVAL;

/// Silence after which no client is sent there.
pub const SUSPECT_AFTER: Duration = INTERVAL.saturating_mul(3);
/// Silence after which it is gone.
pub const GONE_AFTER: Duration = INTERVAL.saturating_mul(5);

/// A server's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Heard of lately.
    Up,
    /// Late.
    Suspect,
    /// Silent for too long.
    Gone,
}

impl Health {
    /// The state of a server that was last heard at `heard`.
    pub fn judge(heard: Instant, now: Instant) -> Self {
        match now.saturating_duration_since(heard) {
            silence if silence < SUSPECT_AFTER => Self::Up,
            silence if silence < GONE_AFTER => Self::Suspect,
            _ => Self::Gone,
        }
    }

    /// When the state changes if nothing is heard; `None`: never.
    pub fn changes_at(self, heard: Instant) -> Option<Instant> {
        match self {
            Self::Up => Some(heard + SUSPECT_AFTER),
            Self::Suspect => Some(heard + GONE_AFTER),
            Self::Gone => None,
        }
    }

    /// Its name on pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Gone => "gone",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_missing_are_suspect_and_five_are_gone() {
        let heard = Instant::now();
        for (intervals, health) in
            [(0, Health::Up), (2, Health::Up), (3, Health::Suspect), (4, Health::Suspect), (5, Health::Gone)]
        {
            assert_eq!(Health::judge(heard, heard + INTERVAL * intervals), health, "{intervals}");
        }
        let suspect_at = Health::Up.changes_at(heard).unwrap();
        assert_eq!(Health::judge(heard, suspect_at), Health::Suspect);
        let gone_at = Health::Suspect.changes_at(heard).unwrap();
        assert_eq!(Health::judge(heard, gone_at), Health::Gone);
    }
}
