//! Flags → options → run → report.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::{fs, io};

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::assigner::Entrance;
use crate::plan::Plan;
use crate::report::Report;
use crate::run::{self, Options, Patience};
use crate::screen::Screen;
use crate::url::Url;

/// Exit status for what went wrong.
const FAILED: u8 = 1;
/// Exit status for what could not even begin.
const UNUSABLE: u8 = 2;
/// Exit status after a second Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Thousands of clients for Distr Chat, and an account of every message.
///
/// All clients connect and join; then messages are sent at a fixed rate, whether the servers keep up or not, and every
/// latency is counted from the time at which the message should have been sent. Exit status: 0 if everything that was
/// acknowledged arrived at every member of its room, once and in order; 1 if not; 2 if it could not begin.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, max_term_width = 110)]
pub struct Flags {
    /// Balancers that are asked for servers, as URL,…
    #[arg(
        long,
        env = "LOADGEN_BALANCERS",
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

    /// Clients
    #[arg(long, env = "LOADGEN_CLIENTS", default_value_t = 1000)]
    clients: u32,

    /// Rooms; client i joins room i mod ROOMS
    #[arg(long, env = "LOADGEN_ROOMS", default_value_t = 100)]
    rooms: u32,

    /// Messages per second, of all clients together
    #[arg(long, env = "LOADGEN_RATE", default_value_t = 1000)]
    rate: u32,

    /// For how long they are sent
    #[arg(long, env = "LOADGEN_DURATION", default_value = "10s")]
    duration: humantime::Duration,

    /// Bytes of text of a message; at least as many as its mark needs
    #[arg(long, env = "LOADGEN_PAYLOAD", default_value_t = 32)]
    payload: usize,

    /// Decides who speaks when [default: random]
    #[arg(long, env = "LOADGEN_SEED")]
    seed: Option<u64>,

    /// Event loops, each with its own rooms
    #[arg(long, env = "LOADGEN_THREADS", default_value_t = 1)]
    threads: u32,

    /// Where to write the report as JSON
    #[arg(long, env = "LOADGEN_JSON")]
    json: Option<PathBuf>,
}

/// Reads the arguments, runs, and prints the report.
pub fn main() -> ExitCode {
    let flags = Flags::parse();
    let json = flags.json.clone();
    let options = flags.lower();
    let stop = match catch_signals() {
        Ok(stop) => stop,
        Err(error) => return complain(&format!("cannot catch Ctrl-C: {error}"), UNUSABLE),
    };
    let Plan { clients, rate, duration, seed, run, .. } = options.plan;
    eprintln!("loadgen: run {run:08x}, seed {seed}");
    let mut screen = Screen::new(clients, (f64::from(rate) * duration.as_secs_f64()).ceil() as u64);
    let result = run::run(&options, &stop, &mut |phase, snapshot| screen.show(phase, snapshot));
    screen.clear();
    let report = match result {
        Ok(report) => report,
        Err(failure) => return complain(&failure.to_string(), failure.exit_code()),
    };
    print!("{report}");
    if let Some(path) = json
        && let Err(error) = write_json(&report, &path)
    {
        return complain(&format!("{}: {error}", path.display()), FAILED);
    }
    match report.faults().is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILED),
    }
}

impl Flags {
    fn lower(self) -> Options {
        let plan = Plan {
            clients: self.clients,
            rooms: self.rooms,
            rate: self.rate,
            duration: self.duration.into(),
            payload_bytes: self.payload,
            // Short enough to be typed again.
            seed: self.seed.unwrap_or_else(|| fastrand::u32(..).into()),
            run: fastrand::u32(..),
        };
        let entrance = match self.target {
            Some(target) => Entrance::Direct(vec![target]),
            None if self.proxy => Entrance::Direct(self.balancers.iter().map(Url::websocket).collect()),
            None => Entrance::Balancers(self.balancers),
        };
        Options { plan, entrance, threads: self.threads, patience: Patience::default() }
    }
}

/// The first Ctrl-C sets the flag, the second ends the process at once.
fn catch_signals() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

fn write_json(report: &Report, path: &PathBuf) -> io::Result<()> {
    let mut json = serde_json::to_string_pretty(report)?;
    json.push('\n');
    fs::write(path, json)
}

fn complain(what: &str, status: u8) -> ExitCode {
    eprintln!("loadgen: {what}");
    ExitCode::from(status)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_are_consistent() {
        Flags::command().debug_assert();
    }

    #[test]
    fn flags_become_options() {
        let flags = Flags::try_parse_from(["loadgen", "--duration", "1m 30s", "--seed", "7"]).unwrap();
        let options = flags.lower();
        assert_eq!(
            (options.plan.duration.as_secs(), options.plan.seed, options.plan.check()),
            (90, 7, Ok(()))
        );
        assert!(matches!(options.entrance, Entrance::Balancers(balancers) if balancers.len() == 3));
        let direct = |args: &[&str]| match Flags::try_parse_from(args).unwrap().lower().entrance {
            Entrance::Direct(urls) => urls.into_iter().map(|url| url.text).collect(),
            Entrance::Balancers(_) => Vec::new(),
        };
        assert_eq!(direct(&["loadgen", "--target", "ws://a:5001/ws"]), ["ws://a:5001/ws"]);
        let balancers = ["loadgen", "--proxy", "--balancers", "http://a:7001,http://b:7002"];
        assert_eq!(direct(&balancers), ["ws://a:7001/ws", "ws://b:7002/ws"]);
        for wrong in [["--target", "http://x"], ["--balancers", "x"], ["--duration", "20"]] {
            assert!(Flags::try_parse_from(["loadgen"].into_iter().chain(wrong)).is_err(), "{wrong:?}");
        }
    }
}
