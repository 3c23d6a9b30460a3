//! `distr-chat app`

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::slice;
use std::time::Duration;

use clap::Args;

use super::shared::{self, Signals};
use crate::app::{App, Options, loopback};
use crate::chat::rate::Rate;
use crate::net::Poller;
use crate::serve::Limits;
use crate::wire::limits::{FRAMES_BURST, FRAMES_PER_SECOND};

/// What a server may be told, alone or as one of several.
#[derive(Clone, Debug, Args)]
pub struct ServerFlags {
    /// Reactors (threads that hold clients) of a server [default: one for each core]
    #[arg(long, env = "DISTR_REACTORS")]
    pub reactors: Option<NonZeroUsize>,

    /// Most clients of a server [default: what the descriptors of the process allow]
    #[arg(long, env = "DISTR_MAX_CONNECTIONS")]
    pub max_connections: Option<u32>,

    /// Frames per second that a client may send on average
    #[arg(long, env = "DISTR_FRAMES_PER_SECOND", default_value_t = FRAMES_PER_SECOND,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub frames_per_second: u32,

    /// Frames that a client may send at once after a rest
    #[arg(long, env = "DISTR_FRAMES_BURST", default_value_t = FRAMES_BURST,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub frames_burst: u32,
}

/// The flags of `app`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Name of this server, unique in the cluster
    #[arg(long, env = "DISTR_NAME", default_value = "app-1", value_parser = shared::node_name)]
    name: String,

    /// Where clients connect
    #[arg(long, env = "DISTR_LISTEN", default_value = "0.0.0.0:5001")]
    listen: SocketAddr,

    /// What balancers tell clients; {host} stands for the host that the client used
    /// [default: ws://{host}:PORT/ws]
    #[arg(long, env = "DISTR_PUBLIC_URL", default_value = "", hide_default_value = true)]
    public_url: String,

    /// Balancers to tell, as HOST:PORT,…
    #[arg(
        long,
        env = "DISTR_BALANCERS",
        value_delimiter = ',',
        default_value = "127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003"
    )]
    balancers: Vec<String>,

    #[command(flatten)]
    server: ServerFlags,
}

/// Runs one server until it is told to end.
pub fn run(flags: Flags, descriptors: u64, signals: &Signals) -> anyhow::Result<()> {
    let listen = flags.listen;
    let options = Options {
        name: flags.name,
        listen,
        public_url: flags.public_url,
        balancers: flags.balancers,
        ..flags.server.options(descriptors, 1)
    };
    let poller = Poller::new()?;
    let bus = loopback::mesh(slice::from_ref(&poller.waker())).remove(0);
    log::warn!("no backplane: rooms do not span servers; `distr-chat up` runs several in one process");
    let _app =
        App::start(options, poller, bus).map_err(|error| shared::explain_bind("app", listen, &error))?;
    signals.wait();
    log::info!("leaving");
    Ok(())
}

impl ServerFlags {
    /// The options of one of so many servers in this process; the caller fills in who and where it is.
    pub fn options(&self, descriptors: u64, servers: u64) -> Options {
        let reactors = shared::reactors(self.reactors);
        let connections_max = shared::connections_max(self.max_connections, descriptors, servers, reactors);
        Options {
            name: String::new(),
            listen: SocketAddr::from(([0, 0, 0, 0], 0)),
            public_url: String::new(),
            balancers: Vec::new(),
            reactors,
            incarnation: shared::incarnation(),
            seed: fastrand::u64(..),
            settle: Duration::ZERO,
            flush_delay: Duration::ZERO,
            rate: Rate { per_second: self.frames_per_second, burst: self.frames_burst },
            limits: Limits { connections_max, ..Limits::default() },
        }
    }
}
