//! `distr-chat app`

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::slice;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use crossbeam_channel::select;
use ipnet::IpNet;

use super::backplane_choice::BackplaneChoice;
use super::drain_flags::DrainFlags;
use super::http_flags::HttpFlags;
use super::key_flags::KeyFlags;
use super::shared;
use super::signals::{End, Signals};
use crate::app::bus::Bus;
use crate::app::redis::{Options as RedisOptions, RedisBus};
use crate::app::redis_preflight::preflight;
use crate::app::{App, Options, loopback};
use crate::chat::limits::HISTORY_BYTES;
use crate::chat::rate::Rate;
use crate::net::Poller;
use crate::serve::{Limits, Server};
use crate::wire::limits::{FRAMES_BURST, FRAMES_PER_SECOND};

/// Silence on Redis means that there is no other server when the lanes have carried for so long: two of their signs of
/// life.
const SETTLE: Duration = Duration::from_millis(500);

/// How often a server that drains looks whether it is empty.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

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

    /// Bytes of messages that all rooms keep together; beyond it a room that speaks keeps only 8 KiB
    #[arg(long, env = "DISTR_HISTORY_MEMORY", default_value_t = HISTORY_BYTES, value_name = "BYTES")]
    pub history_memory: usize,

    /// Leave clients where they are when other servers have fewer
    #[arg(long, env = "DISTR_NO_REBALANCE")]
    pub no_rebalance: bool,

    /// Let in only clients with a ticket from a balancer that has the same --cluster-key
    #[arg(long, env = "DISTR_REQUIRE_TICKET")]
    pub require_ticket: bool,

    /// Proxies (ADDRESS or NETWORK/BITS, …) whose X-Forwarded-For is believed when a client's address is logged (at debug)
    #[arg(long, env = "DISTR_TRUSTED_PROXIES", value_delimiter = ',', value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,

    #[command(flatten)]
    pub drain: DrainFlags,

    #[command(flatten)]
    pub http: HttpFlags,

    #[command(flatten)]
    pub key: KeyFlags,
}

/// How servers speak to Redis nodes.
#[derive(Clone, Debug, Args)]
pub struct RedisFlags {
    /// User at the Redis nodes [default: their default user]
    #[arg(long, env = "DISTR_BACKPLANE_USER")]
    pub backplane_user: Option<String>,

    /// Password at the Redis nodes; better given by the variable, which `ps` does not show
    #[arg(long, env = "DISTR_BACKPLANE_PASSWORD", hide_env_values = true)]
    pub backplane_password: Option<String>,

    /// Milliseconds that a message may wait for others that go the same way: later, but fewer publishes
    #[arg(long, env = "DISTR_FLUSH_DELAY", default_value_t = 0, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(0..=1000))]
    pub flush_delay: u64,
}

/// The flags of `app`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Name of this server, unique in the cluster [default: app-HOST-PORT]
    #[arg(long, env = "DISTR_NAME", value_parser = shared::node_name)]
    name: Option<String>,

    /// Where clients connect
    #[arg(long, env = "DISTR_LISTEN", default_value = "0.0.0.0:5001")]
    listen: SocketAddr,

    /// What balancers tell clients; {host} stands for the host that the client used
    /// [default: ws://{host}:PORT/ws]
    #[arg(long, env = "DISTR_PUBLIC_URL", value_parser = public_url)]
    public_url: Option<String>,

    /// Balancers to tell, as HOST:PORT,…
    #[arg(
        long,
        env = "DISTR_BALANCERS",
        value_delimiter = ',',
        value_parser = shared::host_port,
        default_value = "127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003"
    )]
    balancers: Vec<String>,

    /// What joins the rooms of several servers: `embedded` (nothing beyond this process), or Redis nodes, HOST:PORT,…, in
    /// the same order at all servers
    #[arg(long, env = "DISTR_BACKPLANE", default_value = "embedded")]
    backplane: BackplaneChoice,

    #[command(flatten)]
    redis: RedisFlags,

    #[command(flatten)]
    server: ServerFlags,
}

/// Runs one server until it is told to end. Redis is spoken to through what `wrap` makes of the bus.
pub fn run<B: Bus + Send + 'static>(
    flags: Flags,
    descriptors: u64,
    signals: &Signals,
    wrap: impl FnOnce(RedisBus) -> B,
) -> anyhow::Result<()> {
    // The port may be chosen by the kernel, and the default name tells it.
    let listen =
        Server::reserve(flags.listen).map_err(|error| shared::explain_bind("app", flags.listen, &error))?;
    let options = Options {
        name: flags.name.unwrap_or_else(|| shared::default_name("app", listen)),
        listen,
        public_url: flags.public_url.unwrap_or_default(),
        balancers: flags.balancers,
        flush_delay: Duration::from_millis(flags.redis.flush_delay),
        ..flags.server.options(descriptors, 1)?
    };
    let poller = Poller::new()?;
    let started = match flags.redis.options(&flags.backplane) {
        Some(redis) => {
            preflight(&redis).map_err(anyhow::Error::msg)?;
            let options = Options { settle: SETTLE, ..options };
            let (name, now) = (options.name.clone(), Instant::now());
            let bus = RedisBus::new(&name, options.incarnation, redis, options.seed, &poller, now);
            App::start(options, poller, wrap(bus))
        }
        None => {
            log::warn!(
                "no backplane: rooms do not span servers; --backplane HOST:PORT,… joins them by Redis"
            );
            let bus = loopback::mesh(slice::from_ref(&poller.waker())).remove(0);
            App::start(options, poller, bus)
        }
    };
    let app = started.map_err(|error| shared::explain_bind("app", listen, &error))?;
    let end = select! {
        recv(signals.caught()) -> end => end.unwrap_or(End::Now),
        recv(app.drain_asked()) -> _ => End::Drain,
    };
    if end == End::Drain {
        drain(&app, flags.server.drain.limit());
    }
    log::info!("leaving");
    Ok(())
}

/// Waits until all clients have moved, or for so long.
fn drain(app: &App, limit: Duration) {
    let until = Instant::now() + limit;
    app.drain();
    log::info!("draining: {} clients are told to move", app.clients());
    while app.clients() > 0 && Instant::now() < until {
        thread::sleep(DRAIN_LOOK);
    }
    if app.clients() > 0 {
        log::warn!("{} clients have not moved within {} s", app.clients(), limit.as_secs());
    }
}

impl RedisFlags {
    /// How Redis is reached, if it is.
    fn options(&self, choice: &BackplaneChoice) -> Option<RedisOptions> {
        let BackplaneChoice::Nodes(nodes) = choice else { return None };
        let user = self.backplane_user.clone().unwrap_or_else(|| "default".to_owned());
        Some(RedisOptions {
            nodes: nodes.iter().map(ToString::to_string).collect(),
            credentials: self.backplane_password.clone().map(|password| (user, password)),
        })
    }

    /// The same flags for a process of its own, but for the password.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        shared::push(&mut arguments, "--backplane-user", self.backplane_user.as_ref());
        shared::push(&mut arguments, "--flush-delay", Some(self.flush_delay).filter(|delay| *delay != 0));
        arguments
    }
}

/// What a browser opens a WebSocket by; a variable that is set to nothing tells nothing.
fn public_url(text: &str) -> Result<String, String> {
    match text {
        "" => Ok(String::new()),
        url => shared::url_of(url, ["ws://", "wss://"]),
    }
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address
        .or_else(|_| text.parse())
        .map_err(|_| "neither an address nor a network such as 10.0.0.0/8".into())
}

impl ServerFlags {
    /// The same flags for a process of its own.
    pub fn arguments(&self) -> Vec<String> {
        let unless = |value: u32, default: u32| Some(value).filter(|value| *value != default);
        let mut arguments = Vec::new();
        shared::push(&mut arguments, "--reactors", self.reactors);
        shared::push(&mut arguments, "--max-connections", self.max_connections);
        shared::push(
            &mut arguments,
            "--frames-per-second",
            unless(self.frames_per_second, FRAMES_PER_SECOND),
        );
        shared::push(&mut arguments, "--frames-burst", unless(self.frames_burst, FRAMES_BURST));
        let memory = Some(self.history_memory).filter(|bytes| *bytes != HISTORY_BYTES);
        shared::push(&mut arguments, "--history-memory", memory);
        arguments.extend(self.drain.arguments());
        arguments.extend(self.http.arguments());
        let proxies: Vec<_> = self.trusted_proxies.iter().map(ToString::to_string).collect();
        let proxies = (!proxies.is_empty()).then(|| proxies.join(","));
        shared::push(&mut arguments, "--trusted-proxies", proxies);
        arguments.extend(self.no_rebalance.then(|| "--no-rebalance".to_owned()));
        arguments.extend(self.require_ticket.then(|| "--require-ticket".to_owned()));
        arguments
    }

    /// The options of one of so many servers in this process; the caller fills in who and where it is.
    pub fn options(&self, descriptors: u64, servers: u64) -> anyhow::Result<Options> {
        let cluster_key = self.key.key()?;
        ensure!(
            cluster_key.is_some() || !self.require_ticket,
            "--require-ticket: without a --cluster-key no ticket can be checked"
        );
        let reactors = shared::reactors(self.reactors);
        let sockets_max = shared::sockets_max(descriptors, servers, reactors);
        let connections_max =
            shared::connections_max(self.max_connections, descriptors, servers, reactors, 1);
        Ok(Options {
            name: String::new(),
            listen: SocketAddr::from(([0, 0, 0, 0], 0)),
            public_url: String::new(),
            balancers: Vec::new(),
            reactors,
            incarnation: shared::incarnation(),
            seed: fastrand::u64(..),
            settle: Duration::ZERO,
            flush_delay: Duration::ZERO,
            history_memory: self.history_memory,
            rate: Rate { per_second: self.frames_per_second, burst: self.frames_burst },
            limits: Limits { connections_max, ..self.http.limits(sockets_max) },
            cluster_key,
            is_ticket_required: self.require_ticket,
            drain_over: self.drain.over(),
            trusted_proxies: self.trusted_proxies.clone(),
            rebalances: !self.no_rebalance,
        })
    }
}
