//! Flags → options → run. One file per subcommand; every flag is an environment variable too.

mod app;
mod backplane;
mod backplane_choice;
mod drain_flags;
mod health;
mod host_port;
mod http_flags;
mod key_flags;
mod lb;
mod logging;
mod outlet;
mod redis_server;
mod shared;
mod signals;
mod token;
mod up;
mod up_flags;
mod up_processes;
mod up_screen;
mod web;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::app::bus::Bus;
use crate::app::redis::RedisBus;
use crate::net::descriptors;
use crate::up::lifeline;

/// A real-time chat backend that scales out and stays up.
#[derive(Debug, Parser)]
#[command(name = "distr-chat", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// How much to log: error, warn, info, debug; also per module, as in `warn,distr_chat::lb=info`.
    #[arg(long, env = "DISTR_LOG", default_value = "info", global = true, value_parser = logging::filters)]
    log: String,

    /// The supervisor that this node must not outlive
    #[arg(long, env = up_processes::PARENT_VARIABLE, hide = true, global = true)]
    with_parent: Option<u32>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// An application server: holds clients and rooms.
    App(app::Flags),
    /// A balancer: sends each client to the least loaded server.
    Lb(lb::Flags),
    /// The frontend server: the chat in the browser.
    Web(web::Flags),
    /// One Redis node of the backplane: writes its files and becomes `redis-server`.
    Backplane(backplane::Flags),
    /// Cluster keys, and tickets signed with them.
    Token(token::Flags),
    /// Whether nodes are well: for the health checks of containers, and to wait for a cluster.
    Health(health::Flags),
    /// Everything on this machine: three servers, three balancers, the frontend, three Redis nodes.
    Up(up_flags::Flags),
}

/// Reads the arguments and runs until it is told to end.
pub fn main() -> ExitCode {
    main_with_bus(|bus| bus)
}

/// The same program, but `app` speaks to Redis through what `wrap` makes of its bus.
pub fn main_with_bus<B: Bus + Send + 'static>(wrap: impl FnOnce(RedisBus) -> B) -> ExitCode {
    match run(Cli::parse(), wrap) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: what happened, to which thing, what to do. Where nobody reads it there is
            // nothing to do.
            let _ = writeln!(io::stderr(), "distr-chat: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run<B: Bus + Send + 'static>(
    Cli { command, log: filters, with_parent }: Cli,
    wrap: impl FnOnce(RedisBus) -> B,
) -> anyhow::Result<()> {
    if let Some(parent) = with_parent {
        lifeline::tie_to(parent)?;
    }
    let log = logging::Log::start(&filters).context("cannot start logging")?;
    let descriptors = descriptors::raise_limit();
    let signals = || signals::Signals::catch().context("cannot catch Ctrl-C");
    match command {
        Command::App(flags) => app::run(flags, descriptors, &signals()?, wrap),
        Command::Lb(flags) => lb::run(flags, descriptors, &signals()?),
        Command::Web(flags) => web::run(flags, descriptors, &signals()?),
        Command::Token(flags) => token::run(flags),
        Command::Health(flags) => health::run(&flags),
        Command::Backplane(flags) => backplane::run(&flags, log),
        Command::Up(flags) => up::run(&flags, &filters, descriptors, &signals()?),
    }
}
