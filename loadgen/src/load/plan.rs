//! What is to be done: how many clients in how many rooms say how much, and what else they do.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::wire::protocol::Protocol;

/// How large rooms are, beside each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Sizes {
    /// All the same.
    #[default]
    Even,
    /// Each client goes to a random one.
    Uniform,
    /// The second is half as large as the first, the third a third, and so on.
    Zipf,
}

/// What a server allows a client by default (docs/protocol.md, section 5).
const FRAMES_PER_SECOND_MAX: u32 = 50;
/// Bytes of text that a server takes.
const TEXT_BYTES_MAX: usize = 4096;

/// The whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Clients, all in all.
    pub clients: u32,
    /// Rooms.
    pub rooms: u32,
    /// How large they are beside each other.
    pub sizes: Sizes,
    /// Clients per second that begin; all as soon as they can if there is none.
    pub ramp: Option<u32>,
    /// Messages per second of all clients together.
    pub rate: u32,
    /// How many of them are due at the same time.
    pub burst: NonZeroU32,
    /// For how long they are said.
    pub duration: Duration,
    /// Bytes of text of a message.
    pub payload_bytes: usize,
    /// What clients do to make it hard for servers.
    pub mischief: Faults,
    /// How clients speak.
    pub dialect: Protocol,
    /// Decides who speaks when, and every random delay.
    pub seed: u64,
    /// Names this run, in rooms, users and texts, so that no other is mistaken for it. Not from the seed: a server
    /// remembers the rooms of the last run.
    pub run: u32,
}

/// What clients do, while messages are said, beside saying them. Shares are parts of 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Faults {
    /// The share of all clients that drops its connection and comes back, in each second.
    pub churn: f64,
    /// The share of all clients that reads little and late.
    pub slow: f64,
    /// The share of all clients that drops its connection at one moment, to come back together.
    pub storm: f64,
    /// That moment, from the first message.
    pub storm_at: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            clients: 1000,
            rooms: 100,
            sizes: Sizes::Even,
            ramp: None,
            rate: 1000,
            burst: NonZeroU32::MIN,
            duration: Duration::from_secs(10),
            payload_bytes: 32,
            mischief: Faults::default(),
            dialect: Protocol::DistrChat,
            seed: 0,
            run: 0,
        }
    }
}

/// The plan cannot be carried out.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// No clients or no rooms.
    #[error("there must be at least one client and one room")]
    Nobody,
    /// Rooms would be empty.
    #[error("{rooms} rooms for {clients} clients leave rooms empty: ask for at most {clients} rooms")]
    EmptyRooms {
        /// Asked for.
        rooms: u32,
        /// Asked for.
        clients: u32,
    },
    /// Servers would refuse the frames.
    #[error(
        "{rate} messages/s of {clients} clients are more than the {FRAMES_PER_SECOND_MAX} per second and client that \
         servers allow: ask for at least {needed} clients"
    )]
    TooFast {
        /// Asked for.
        rate: u32,
        /// Asked for.
        clients: u32,
        /// As many could do it.
        needed: u32,
    },
    /// Servers would refuse the texts.
    #[error("a text of {0} bytes is longer than the {TEXT_BYTES_MAX} that servers allow")]
    TooLong(usize),
    /// Nobody would ever begin.
    #[error("a ramp of 0 clients per second never ends")]
    NoRamp,
    /// Not a part of all.
    #[error("{0} is not a share: it must be between 0 and 1")]
    NotAShare(f64),
}

impl Plan {
    /// Whether servers would take part.
    pub fn check(&self) -> Result<(), PlanError> {
        let Self { clients, rooms, rate, payload_bytes, .. } = *self;
        if clients == 0 || rooms == 0 {
            return Err(PlanError::Nobody);
        }
        if rooms > clients {
            return Err(PlanError::EmptyRooms { rooms, clients });
        }
        if self.dialect == Protocol::DistrChat {
            let needed = rate.div_ceil(FRAMES_PER_SECOND_MAX);
            if clients < needed {
                return Err(PlanError::TooFast { rate, clients, needed });
            }
            if payload_bytes > TEXT_BYTES_MAX {
                return Err(PlanError::TooLong(payload_bytes));
            }
        }
        if self.ramp == Some(0) {
            return Err(PlanError::NoRamp);
        }
        let Faults { churn, slow, storm, .. } = self.mischief;
        if let Some(wrong) = [churn, slow, storm].into_iter().find(|share| !(0.0..=1.0).contains(share)) {
            return Err(PlanError::NotAShare(wrong));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(clients: u32, rooms: u32, rate: u32) -> Plan {
        Plan { clients, rooms, rate, ..Plan::default() }
    }

    #[test]
    fn a_plan_that_servers_would_refuse_is_refused() {
        assert_eq!(plan(2, 1, 100).check(), Ok(()));
        assert_eq!(plan(2, 1, 101).check(), Err(PlanError::TooFast { rate: 101, clients: 2, needed: 3 }));
        assert_eq!(plan(2, 3, 1).check(), Err(PlanError::EmptyRooms { rooms: 3, clients: 2 }));
        assert_eq!(plan(0, 0, 0).check(), Err(PlanError::Nobody));
        assert_eq!(Plan { payload_bytes: 4097, ..plan(2, 1, 1) }.check(), Err(PlanError::TooLong(4097)));
    }

    #[test]
    fn a_plan_without_sense_is_refused() {
        assert_eq!(Plan { ramp: Some(0), ..plan(2, 1, 1) }.check(), Err(PlanError::NoRamp));
        for share in [-0.1, 1.5] {
            let mischief = Faults { churn: share, ..Faults::default() };
            assert_eq!(Plan { mischief, ..plan(2, 1, 1) }.check(), Err(PlanError::NotAShare(share)));
        }
    }
}
