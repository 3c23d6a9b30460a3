//! `distr-chat lb`

use std::net::SocketAddr;

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
}

/// Runs one balancer until it is told to end.
pub fn run(flags: Flags, signals: &Signals) -> anyhow::Result<()> {
    let Flags { name, listen, cors_origin } = flags;
    let options = Options { name, listen, cors_origin, limits: Limits::default() };
    let _balancer = Balancer::start(options).map_err(|error| shared::explain_bind("lb", listen, &error))?;
    signals.wait();
    log::info!("leaving");
    Ok(())
}
