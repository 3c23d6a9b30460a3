//! `distr-chat lb`

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;

use super::shared::{self, Signals};
use crate::lb::{Balancer, Options};
use crate::serve::Limits;

/// The flags of `lb`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Name of this balancer, unique in the cluster
    #[arg(long, env = "DISTR_NAME", default_value = "lb-1", value_parser = shared::node_name)]
    name: String,

    /// TCP for clients, and UDP of the same number for the servers' heartbeats
    #[arg(long, env = "DISTR_LISTEN", default_value = "0.0.0.0:7001")]
    listen: SocketAddr,

    /// Which pages may ask this balancer (Access-Control-Allow-Origin)
    #[arg(long, env = "DISTR_CORS_ORIGIN", default_value = "*", value_parser = shared::header_value)]
    cors_origin: String,

    /// Reactors (threads that answer clients) and proxy loops [default: one of each for each core]
    #[arg(long, env = "DISTR_REACTORS")]
    reactors: Option<NonZeroUsize>,

    /// Seconds over which proxied clients are told to move when this balancer leaves
    #[arg(long, env = "DISTR_DRAIN_SECONDS", default_value_t = 10, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=3600))]
    drain_seconds: u64,

    /// Seconds after which those who have not moved are closed
    #[arg(long, env = "DISTR_DRAIN_LIMIT", default_value_t = 30, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=3600))]
    drain_limit: u64,
}

/// Runs one balancer until it is told to end, and its proxied clients have moved.
pub fn run(flags: Flags, signals: &Signals) -> anyhow::Result<()> {
    let listen = flags.listen;
    let options = Options {
        name: flags.name,
        listen,
        cors_origin: flags.cors_origin,
        reactors: shared::reactors(flags.reactors),
        limits: Limits::default(),
        drain: Duration::from_secs(flags.drain_seconds),
        drain_limit: Duration::from_secs(flags.drain_limit),
    };
    let balancer = Balancer::start(options).map_err(|error| shared::explain_bind("lb", listen, &error))?;
    signals.wait();
    log::info!("leaving");
    balancer.drain();
    Ok(())
}
