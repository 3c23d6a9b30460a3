//! What is counted while a run lasts: pure.

pub mod account;
pub mod clock;
pub mod latency;
pub mod ledger;
pub mod outcome;
pub mod progress;
pub mod stats;
pub mod storm;
pub mod timeline;
