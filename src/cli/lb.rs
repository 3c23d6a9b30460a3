//! `distr-chat lb`

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use clap::Args;

use super::drain_flags::DrainFlags;
use super::http_flags::HttpFlags;
use super::key_flags::KeyFlags;
use super::shared;
use super::signals::{End, Signals};
use crate::balance::table::Weights;
use crate::lb::{Balancer, Options};
use crate::serve::Limits;
use crate::wire::ClusterKey;

/// With three balancers and as many servers, what a core can take in while it serves others; see docs/operations.md.
const ADMITTED_PER_SECOND: u32 = 2000;

/// The flags of `lb`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Name of this balancer, unique in the cluster [default: lb-HOST-PORT]
    #[arg(long, env = "DISTR_NAME", value_parser = shared::node_name)]
    name: Option<String>,

    /// TCP for clients, and UDP of the same number for the servers' heartbeats
    #[arg(long, env = "DISTR_LISTEN", default_value = "0.0.0.0:7001")]
    listen: SocketAddr,

    /// Which pages may ask this balancer (Access-Control-Allow-Origin)
    #[arg(long, env = "DISTR_CORS_ORIGIN", default_value = "*", value_parser = shared::header_value)]
    cors_origin: String,

    /// Reactors (threads that answer clients) and proxy loops [default: one of each for each core]
    #[arg(long, env = "DISTR_REACTORS")]
    reactors: Option<NonZeroUsize>,

    /// Most clients that are proxied at a time [default: what the descriptors of the process allow, two for each]
    #[arg(long, env = "DISTR_MAX_CONNECTIONS")]
    max_connections: Option<u32>,

    #[command(flatten)]
    balancer: BalancerFlags,

    #[command(flatten)]
    drain: DrainFlags,

    #[command(flatten)]
    http: HttpFlags,

    #[command(flatten)]
    key: KeyFlags,
}

/// What a balancer may be told, alone or as one of several.
#[derive(Clone, Debug, Args)]
pub struct BalancerFlags {
    /// Clients that a balancer lets in per second; those beyond are told when to come
    #[arg(long, env = "DISTR_ADMIT_PER_SECOND", default_value_t = ADMITTED_PER_SECOND, value_name = "CLIENTS",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub admit_per_second: u32,

    /// Fill servers to the same part of their --max-connections, rather than with the same number of clients
    #[arg(long, env = "DISTR_WEIGH_BY_CAPACITY")]
    pub weigh_by_capacity: bool,
}

impl BalancerFlags {
    /// The options of one; the caller fills in who and where it is.
    pub fn options(
        &self,
        reactors: Option<NonZeroUsize>,
        proxied_max: u32,
        drain: DrainFlags,
        limits: Limits,
        cluster_key: Option<ClusterKey>,
    ) -> Options {
        Options {
            name: String::new(),
            listen: SocketAddr::from(([0, 0, 0, 0], 0)),
            cors_origin: "*".into(),
            reactors: shared::reactors(reactors),
            limits,
            proxied_max,
            drain: drain.over(),
            drain_limit: drain.limit(),
            cluster_key,
            weights: if self.weigh_by_capacity { Weights::Capacity } else { Weights::Equal },
            admitted_per_second: self.admit_per_second,
        }
    }

    /// The same flags for a process of its own.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let admitted = Some(self.admit_per_second).filter(|admitted| *admitted != ADMITTED_PER_SECOND);
        shared::push(&mut arguments, "--admit-per-second", admitted);
        arguments.extend(self.weigh_by_capacity.then(|| "--weigh-by-capacity".to_owned()));
        arguments
    }
}

/// How many clients each of the balancers of a process may proxy.
pub fn proxied_max(
    asked: Option<u32>,
    descriptors: u64,
    balancers: u64,
    reactors: Option<NonZeroUsize>,
) -> u32 {
    /// Its own, and its server's.
    const DESCRIPTORS_EACH: u64 = 2;
    shared::connections_max(asked, descriptors, balancers, loops(reactors), DESCRIPTORS_EACH)
}

/// Threads with what a reactor has: a proxy loop for each of them.
pub fn loops(reactors: Option<NonZeroUsize>) -> usize {
    2 * shared::reactors(reactors)
}

/// Runs one balancer until it is told to end, and its proxied clients have moved.
pub fn run(flags: Flags, descriptors: u64, signals: &Signals) -> anyhow::Result<()> {
    let Flags { name, listen, cors_origin, reactors, max_connections, balancer, drain, http, key } = flags;
    // The port may be chosen by the kernel, and the default name tells it.
    let listen = Balancer::reserve(listen).map_err(|error| shared::explain_bind("lb", listen, &error))?;
    let name = name.unwrap_or_else(|| shared::default_name("lb", listen));
    let proxied_max = proxied_max(max_connections, descriptors, 1, reactors);
    let limits = http.limits(shared::sockets_max(descriptors, 1, loops(reactors)));
    let options = balancer.options(reactors, proxied_max, drain, limits, key.key()?);
    let options = Options { name, listen, cors_origin, ..options };
    let mut balancer =
        Balancer::start(options).map_err(|error| shared::explain_bind("lb", listen, &error))?;
    if signals.wait() == End::Drain {
        balancer.drain();
    }
    log::info!("leaving");
    Ok(())
}
