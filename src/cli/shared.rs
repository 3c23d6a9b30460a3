//! What several subcommands need.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};
use signal_hook::iterator;

use crate::serve::clock;
use crate::wire::name::is_node_name;

/// Descriptors kept for things that are not clients: pollers, UDP, logs, HTTP; for each server.
const DESCRIPTORS_RESERVED: u64 = 64;
/// And for each of its reactors: listener, spare, poller, waker.
const DESCRIPTORS_PER_REACTOR: u64 = 4;
/// Below this a server is of little use.
const DESCRIPTORS_LOW: u64 = 4096;

/// How a node is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Ctrl-C: at once, with a goodbye.
    Now,
    /// SIGTERM: when its clients have gone elsewhere.
    Drain,
}

/// Ctrl-C and SIGTERM, caught from the beginning. A second one ends the process at once.
pub struct Signals(Receiver<End>);

impl Signals {
    /// From now on they no longer end the process by themselves.
    pub fn catch() -> io::Result<Self> {
        let mut signals = iterator::Signals::new([SIGINT, SIGTERM])?;
        let (caught, wait) = bounded(1);
        thread::Builder::new().name("signals".into()).spawn(move || {
            let mut signals = signals.forever();
            let end = if signals.next() == Some(SIGTERM) { End::Drain } else { End::Now };
            // It fails only when the process is ending already.
            let _ = caught.send(end);
            if let Some(signal) = signals.next() {
                std::process::exit(128 + signal);
            }
        })?;
        Ok(Self(wait))
    }

    /// Waits for one of them.
    pub fn wait(&self) -> End {
        // The thread that sends never ends, so this returns for a signal only.
        self.0.recv().unwrap_or(End::Now)
    }

    /// Where the first of them arrives.
    pub fn caught(&self) -> &Receiver<End> {
        &self.0
    }
}

/// Tells when processes that this one started have ended.
pub struct Children(Receiver<()>);

impl Children {
    /// From now on none is missed.
    pub fn watch() -> io::Result<Self> {
        let mut signals = iterator::Signals::new([SIGCHLD])?;
        let (ended, watch) = bounded(1);
        thread::Builder::new().name("children".into()).spawn(move || {
            for _ in signals.forever() {
                // One that was not taken yet tells of this one too.
                let _ = ended.try_send(());
            }
        })?;
        Ok(Self(watch))
    }

    /// Where it is told that one or more have ended.
    pub fn ended(&self) -> &Receiver<()> {
        &self.0
    }
}

/// A flag that is left out where it is not needed, so that a command is as short as can be.
pub fn push(arguments: &mut Vec<String>, flag: &str, value: Option<impl ToString>) {
    arguments.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value.to_string()]));
}

/// A node's name, as it stands in URLs, logs and heartbeats.
pub fn node_name(text: &str) -> Result<String, String> {
    match is_node_name(text) {
        true => Ok(text.to_owned()),
        false => Err("a name has 1 to 64 of the characters A-Z a-z 0-9 - . _".into()),
    }
}

/// Something that may stand in an HTTP header.
pub fn header_value(text: &str) -> Result<String, String> {
    match text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        true => Ok(text.to_owned()),
        false => Err("only visible ASCII characters may stand in a header".into()),
    }
}

/// How many clients each of the nodes of a process may hold that takes `each` descriptors for one, or fewer if it was told
/// so.
pub fn connections_max(asked: Option<u32>, descriptors: u64, nodes: u64, reactors: usize, each: u64) -> u32 {
    let reserved = DESCRIPTORS_RESERVED + DESCRIPTORS_PER_REACTOR * reactors as u64;
    let share = descriptors.saturating_sub(reserved * nodes) / nodes / each;
    let possible = u32::try_from(share).unwrap_or(u32::MAX);
    match asked {
        Some(asked) if asked > possible => {
            log::warn!(
                "--max-connections {asked} is more than the {descriptors} descriptors of this process allow: \
                 taking {possible}; raise the hard limit (ulimit -Hn) for more"
            );
            possible
        }
        Some(asked) => asked,
        None => {
            if descriptors < DESCRIPTORS_LOW {
                log::warn!(
                    "this process may have only {descriptors} descriptors open, so {possible} clients a node; \
                     raise the hard limit (ulimit -Hn)"
                );
            }
            possible
        }
    }
}

/// Reactors to start: as asked, or one for each core.
pub fn reactors(asked: Option<NonZeroUsize>) -> usize {
    asked.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
}

/// Orders the runs of a process and differs between processes; see [`crate::wire::heartbeat`].
pub fn incarnation() -> u64 {
    clock::unix_ms() << 22 | fastrand::u64(..1 << 22)
}

/// Says which address could not be had, and why, in words.
pub fn explain_bind(what: &str, address: SocketAddr, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "{what}: port {} is taken; end the program that listens there (`ss -lntup 'sport = :{}'` names it) \
             or choose another port",
            address.port(),
            address.port()
        ),
        io::ErrorKind::PermissionDenied => {
            anyhow::anyhow!("{what}: not allowed to listen at {address}; ports below 1024 need privileges")
        }
        io::ErrorKind::AddrNotAvailable => {
            anyhow::anyhow!("{what}: {} is no address of this machine", address.ip())
        }
        _ => anyhow::anyhow!("{what}: cannot listen at {address}: {error}"),
    }
}
