//! How a node speaks HTTP.

use std::time::Duration;

use clap::Args;

use super::shared;
use crate::serve::Limits;

/// Longer than what stands in front keeps an idle connection: 60 s at nginx and at the load
/// balancers of the clouds.
const KEEP_ALIVE: &str = "75s";
/// Below that nobody gains, and above it the descriptors are missed.
const KEEP_ALIVE_SECONDS: std::ops::RangeInclusive<u64> = 1..=3600;

/// What a node is told of it.
#[derive(Clone, Copy, Debug, Args)]
pub struct HttpFlags {
    /// How long an HTTP connection may be idle after an answer; longer than the proxies in front
    /// keep it
    #[arg(long, env = "DISTR_KEEP_ALIVE", default_value = KEEP_ALIVE, value_parser = keep_alive)]
    keep_alive: Duration,
}

impl HttpFlags {
    /// The limits of connections, of which so many fit into the process.
    pub fn limits(self, sockets_max: u32) -> Limits {
        Limits { sockets_max, keep_alive_timeout: self.keep_alive, ..Limits::default() }
    }

    /// The same flags for a process of its own.
    pub fn arguments(self) -> Vec<String> {
        let mut arguments = Vec::new();
        let text = humantime::format_duration(self.keep_alive).to_string().replace(' ', "");
        let default = keep_alive(KEEP_ALIVE);
        shared::push(&mut arguments, "--keep-alive", Some(text).filter(|_| default != Ok(self.keep_alive)));
        arguments
    }
}

fn keep_alive(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match KEEP_ALIVE_SECONDS.contains(&duration.as_secs()) {
        true => Ok(duration),
        false => Err("not between 1s and 1h".into()),
    }
}
