//! What workers leave behind.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::measure::account::Account;
use crate::measure::clock;
use crate::measure::ledger::Counts;
use crate::measure::stats::Stats;

/// Of one worker, or of several put together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Clients in their rooms at the end.
    pub joined: u32,
    /// What ledgers counted.
    pub counts: Counts,
    /// Who has which message.
    pub account: Account,
    /// Everything else that was counted.
    pub tally: Stats,
    /// When the last message arrived.
    #[serde(with = "clock")]
    pub last_arrival: Instant,
}

impl Outcome {
    /// Adds what another worker left.
    pub fn merge(mut self, other: &Self) -> Self {
        self.joined += other.joined;
        self.counts.merge(&other.counts);
        self.account.merge(&other.account);
        self.tally.merge(&other.tally);
        self.last_arrival = self.last_arrival.max(other.last_arrival);
        self
    }
}
