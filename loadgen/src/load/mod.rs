//! What is to be done, fixed before the run from its seed: pure.

pub mod faults;
pub mod layout;
pub mod plan;
pub mod schedule;
pub mod shard;
pub mod sources;
pub mod workload;
