//! The command line, and the scenario file.

use std::ffi::OsString;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::{env, fs};

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser};

use crate::cli::scenario;
use crate::load::plan::Sizes;
use crate::load::plan::{Faults, Plan};
use crate::load::sources::Sources;
use crate::runner::assigner::Entrance;
use crate::runner::run::{Options, Patience, Processes};
use crate::wire::protocol::{Protocol, Template};
use crate::wire::url::Url;

/// Thousands of clients for Distr Chat, and an account of every message.
///
/// All clients connect and join; then messages are sent at a fixed rate, whether the servers keep up or not, and every
/// latency is counted from the time at which the message should have been sent.
///
/// Exit status: 0 if every message was acknowledged or refused within 10 seconds of the last one, everything that was
/// acknowledged arrived at every member of its room, once and in order, and all clients are in their rooms at the end; 1 if
/// not; 2 if it could not begin. After Ctrl-C what is not acknowledged yet is told, and does not count as a failure.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, max_term_width = 110, args_override_self = true)]
pub struct Flags {
    /// A TOML file of these flags: `clients = 50000`. What stands on the command line counts more
    #[arg(long, env = "LOADGEN_SCENARIO", value_name = "FILE")]
    scenario: Option<PathBuf>,

    /// Balancers that are asked for servers, as URL,…
    #[arg(
        long,
        env = "LOADGEN_BALANCERS",
        action = ArgAction::Set,
        value_delimiter = ',',
        value_parser = |text: &str| Url::parse(text, "http"),
        default_value = "http://localhost:7001,http://localhost:7002,http://localhost:7003"
    )]
    balancers: Vec<Url>,

    /// A server to go to without asking a balancer, as ws://HOST:PORT/ws
    #[arg(long, env = "LOADGEN_TARGET", value_parser = |text: &str| Url::parse(text, "ws"))]
    target: Option<Url>,

    /// Connect to the balancers themselves, at /ws, instead of asking them for servers
    #[arg(long, env = "LOADGEN_PROXY", conflicts_with = "target")]
    proxy: bool,

    /// For a target that is not Distr Chat: the first frame, in which {room} and {user} are replaced
    #[arg(long, env = "LOADGEN_JOIN", requires = "send", value_name = "TEMPLATE")]
    join: Option<Template>,

    /// For a target that is not Distr Chat: the frame that says {text} in {room}, with {user} and {id}. The target
    /// must send it to all members, the speaker too
    #[arg(long, env = "LOADGEN_SEND", requires = "target", value_name = "TEMPLATE")]
    send: Option<Template>,

    /// Clients
    #[arg(long, env = "LOADGEN_CLIENTS", default_value_t = 1000)]
    clients: u32,

    /// Clients that begin per second [default: as many as can]
    #[arg(long, env = "LOADGEN_RAMP")]
    ramp: Option<u32>,

    /// Rooms; 1 is one for all
    #[arg(long, env = "LOADGEN_ROOMS", default_value_t = 100)]
    rooms: u32,

    /// How large rooms are, beside each other
    #[arg(long, env = "LOADGEN_ROOM_SIZES", value_enum, default_value_t)]
    room_sizes: Sizes,

    /// Messages per second, of all clients together
    #[arg(long, env = "LOADGEN_RATE", default_value_t = 1000)]
    rate: u32,

    /// How many of them are sent at the same time, by different clients; the rate stays
    #[arg(long, env = "LOADGEN_BURST", default_value_t = NonZeroU32::MIN)]
    burst: NonZeroU32,

    /// For how long they are sent
    #[arg(long, env = "LOADGEN_DURATION", default_value = "10s")]
    duration: humantime::Duration,

    /// Bytes of text of a message; at least as many as its mark needs
    #[arg(long, env = "LOADGEN_PAYLOAD", default_value_t = 32)]
    payload: usize,

    /// The share of all clients that drops its connection in each second, and comes back: 0.01 is one of a hundred
    #[arg(long, env = "LOADGEN_CHURN", default_value_t = 0.0, value_name = "SHARE")]
    churn: f64,

    /// The share of all clients that reads little and late
    #[arg(long, env = "LOADGEN_SLOW", default_value_t = 0.0, value_name = "SHARE")]
    slow: f64,

    /// The share of all clients that drops its connection at one moment, and comes back
    #[arg(long, env = "LOADGEN_STORM", default_value_t = 0.0, value_name = "SHARE")]
    storm: f64,

    /// That moment, from the first message
    #[arg(long, env = "LOADGEN_STORM_AT", default_value = "5s")]
    storm_at: humantime::Duration,

    /// Decides who speaks when [default: random]
    #[arg(long, env = "LOADGEN_SEED")]
    seed: Option<u64>,

    /// Event loops of each process
    #[arg(long, env = "LOADGEN_THREADS", default_value_t = 1)]
    threads: u32,

    /// Processes [default: as many as descriptors ask for]
    #[arg(long, env = "LOADGEN_PROCESSES")]
    processes: Option<u32>,

    /// Addresses to connect from, as ADDRESS,… [default: for many clients of this machine 127.0.0.2 and on]
    #[arg(long, env = "LOADGEN_SOURCES", action = ArgAction::Set, value_delimiter = ',')]
    sources: Option<Vec<IpAddr>>,

    /// Whose counters are read each second beside those of the servers that clients are at, as URL,…: the `/metrics` of
    /// anything that tells what Prometheus reads
    #[arg(
        long,
        env = "LOADGEN_METRICS",
        action = ArgAction::Set,
        value_delimiter = ',',
        value_parser = |text: &str| Url::parse(text, "http")
    )]
    metrics: Option<Vec<Url>>,

    /// Where to write the report as JSON
    #[arg(long, env = "LOADGEN_JSON", value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Where to write the report as a page with plots
    #[arg(long, env = "LOADGEN_REPORT", value_name = "FILE.html")]
    pub report: Option<PathBuf>,
}

impl Flags {
    /// Reads arguments, the first of which is the program's name, and the scenario that they name.
    pub fn read(arguments: &[OsString]) -> Result<Self, clap::Error> {
        let flags = Self::try_parse_from(arguments)?;
        let Some(path) = &flags.scenario else { return flags.check() };
        let wrong =
            |error: String| Self::command().error(ErrorKind::Io, format!("{}: {error}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let scenario = scenario::arguments(&text).map_err(wrong)?;
        let (program, rest) = arguments.split_at(arguments.len().min(1));
        // Of two flags of a name the second counts.
        let all = program.iter().cloned().chain(scenario).chain(rest.iter().cloned());
        Self::try_parse_from(all)?.check()
    }

    fn check(self) -> Result<Self, clap::Error> {
        match &self.send {
            Some(send) if !send.has("text") => {
                let error = "--send must have {text} in it: messages are known by it";
                Err(Self::command().error(ErrorKind::ValueValidation, error))
            }
            _ => Ok(self),
        }
    }

    /// What is to be done.
    pub fn lower(self) -> Options {
        let mischief =
            Faults { churn: self.churn, slow: self.slow, storm: self.storm, storm_at: self.storm_at.into() };
        let plan = Plan {
            clients: self.clients,
            rooms: self.rooms,
            sizes: self.room_sizes,
            ramp: self.ramp,
            rate: self.rate,
            burst: self.burst,
            duration: self.duration.into(),
            payload_bytes: self.payload,
            mischief,
            dialect: match self.send {
                Some(send) => Protocol::Foreign { join: self.join, send },
                None => Protocol::DistrChat,
            },
            // Short enough to be typed again.
            seed: self.seed.unwrap_or_else(|| fastrand::u32(..).into()),
            run: fastrand::u32(..),
        };
        let entrance = match self.target {
            Some(target) => Entrance::Direct(vec![target]),
            None if self.proxy => Entrance::Direct(self.balancers.iter().map(Url::websocket).collect()),
            None => Entrance::Balancers(self.balancers),
        };
        let sources = self.sources.map_or_else(|| Sources::for_clients(plan.clients), Sources::Given);
        let processes = match (env::current_exe(), self.processes) {
            (Ok(program), None) => Processes::AsNeeded { program },
            (Ok(program), Some(count)) => Processes::Of { program, count },
            // Nobody knows what to start.
            (Err(_), _) => Processes::This,
        };
        Options {
            plan,
            entrance,
            sources,
            metrics: self.metrics.unwrap_or_default().iter().map(Url::metrics).collect(),
            threads: self.threads,
            processes,
            patience: Patience::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Flags, clap::Error> {
        let all = ["loadgen"].iter().chain(arguments);
        Flags::read(&all.map(OsString::from).collect::<Vec<_>>())
    }

    fn options(arguments: &[&str]) -> Options {
        read(arguments).unwrap().lower()
    }

    #[test]
    fn flags_are_consistent() {
        Flags::command().debug_assert();
    }

    #[test]
    fn flags_become_options() {
        let Options { plan, entrance, .. } = options(&["--duration", "1m 30s", "--seed", "7"]);
        assert_eq!((plan.duration.as_secs(), plan.seed, plan.check()), (90, 7, Ok(())));
        assert!(matches!(entrance, Entrance::Balancers(balancers) if balancers.len() == 3));
        let direct = |arguments| match options(arguments).entrance {
            Entrance::Direct(urls) => urls.into_iter().map(|url| url.text).collect(),
            Entrance::Balancers(_) => Vec::new(),
        };
        assert_eq!(direct(&["--target", "ws://a:5001/ws"]), ["ws://a:5001/ws"]);
        let balancers = ["--proxy", "--balancers", "http://a:7001,http://b:7002"];
        assert_eq!(direct(&balancers), ["ws://a:7001/ws", "ws://b:7002/ws"]);
        let metrics = options(&["--metrics", "http://a:9121/other,http://b:5001"]).metrics;
        let metrics: Vec<_> = metrics.into_iter().map(|url| url.text).collect();
        assert_eq!(metrics, ["http://a:9121/other", "http://b:5001/metrics"]);
        for wrong in [["--target", "http://x"], ["--balancers", "x"], ["--duration", "20"], ["--churn", "x"]]
        {
            assert!(read(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_foreign_server_is_spoken_to_in_templates() {
        let target = ["--target", "ws://a:1/", "--send", "say {text}"];
        let Options { plan, .. } = options(&target);
        assert!(matches!(plan.dialect, Protocol::Foreign { join: None, .. }));
        assert!(read(&["--send", "say {text}"]).is_err(), "to whom?");
        assert!(read(&["--target", "ws://a:1/", "--send", "say"]).is_err(), "no text");
    }

    #[test]
    fn the_command_line_counts_more_than_the_scenario() {
        let dir = env::temp_dir().join(format!("loadgen-scenario-{}", std::process::id()));
        fs::write(&dir, "clients = 7\nrooms = 3\nroom-sizes = \"zipf\"\nbalancers = [\"http://a:1\"]\n")
            .unwrap();
        let path = dir.to_str().unwrap();
        let Options { plan, entrance, .. } = options(&["--scenario", path, "--clients", "9"]);
        assert_eq!((plan.clients, plan.rooms, plan.sizes), (9, 3, Sizes::Zipf));
        assert!(matches!(entrance, Entrance::Balancers(balancers) if balancers.len() == 1));
        fs::write(&dir, "client = 7").unwrap();
        assert!(read(&["--scenario", path]).unwrap_err().to_string().contains("--client"));
        fs::remove_file(&dir).unwrap();
        assert!(read(&["--scenario", path]).unwrap_err().to_string().contains(path));
    }
}
