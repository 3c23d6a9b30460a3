//! How a node leaves that is told to drain.

use std::time::Duration;

use clap::Args;

use super::shared;

/// Slow enough for those who take the clients in, and quick enough for somebody who waits.
const SECONDS: u64 = 10;
/// Clients have moved by then.
const LIMIT: u64 = 30;

/// What a node is told of it.
#[derive(Clone, Copy, Debug, Args)]
pub struct DrainFlags {
    /// Seconds over which the clients of a node that drains (SIGTERM) are told to move
    #[arg(long, env = "DISTR_DRAIN_SECONDS", default_value_t = SECONDS, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=3600))]
    drain_seconds: u64,

    /// Seconds after which a node that drains ends, and closes those who have not moved
    #[arg(long, env = "DISTR_DRAIN_LIMIT", default_value_t = LIMIT, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=3600))]
    drain_limit: u64,
}

impl DrainFlags {
    /// Over so long clients are told.
    pub fn over(self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// After so long the node ends.
    pub fn limit(self) -> Duration {
        Duration::from_secs(self.drain_limit)
    }

    /// The same flags for a process of its own.
    pub fn arguments(self) -> Vec<String> {
        let unless = |value: u64, default: u64| Some(value).filter(|value| *value != default);
        let mut arguments = Vec::new();
        shared::push(&mut arguments, "--drain-seconds", unless(self.drain_seconds, SECONDS));
        shared::push(&mut arguments, "--drain-limit", unless(self.drain_limit, LIMIT));
        arguments
    }
}
