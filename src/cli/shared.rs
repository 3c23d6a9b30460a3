//! What several subcommands need.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::SIGCHLD;
use signal_hook::iterator;

use super::host_port::HostPort;
use crate::net::host;
use crate::serve::clock;
use crate::serve::limits::NEWCOMERS_KEPT;
use crate::wire::name::is_node_name;

/// Descriptors kept for things that are not clients: pollers, UDP, logs, HTTP; for each server.
const DESCRIPTORS_RESERVED: u64 = 64;
/// And for each of its reactors: listener, spare, poller, waker, and newcomers.
const DESCRIPTORS_PER_REACTOR: u64 = 4 + NEWCOMERS_KEPT as u64;
/// What a default name has of a host's name, in letters.
const HOST_LETTERS_MAX: usize = 40;
/// Below this a server is of little use.
const DESCRIPTORS_LOW: u64 = 4096;

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

/// A name for a node that was given none, that no node elsewhere has by default.
pub fn default_name(kind: &str, listen: SocketAddr) -> String {
    name_at(kind, &host::name(), listen.port())
}

fn name_at(kind: &str, host: &str, port: u16) -> String {
    let label = host.split('.').next().unwrap_or_default();
    let is_allowed = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '-';
    let label: String = label.chars().filter(is_allowed).take(HOST_LETTERS_MAX).collect();
    match label.is_empty() {
        true => format!("{kind}-{port}"),
        false => format!("{kind}-{label}-{port}"),
    }
}

/// A list of HOST:PORT, of which each item is one.
pub fn host_port(text: &str) -> Result<String, String> {
    text.parse::<HostPort>().map(|at| at.to_string())
}

/// A URL of one of these kinds.
pub fn url_of(text: &str, schemes: [&str; 2]) -> Result<String, String> {
    let is_one = schemes.iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    match is_one && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err(format!("not a URL that begins with {} or {}", schemes[0], schemes[1])),
    }
}

/// Something that may stand in an HTTP header.
pub fn header_value(text: &str) -> Result<String, String> {
    match text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        true => Ok(text.to_owned()),
        false => Err("only visible ASCII characters may stand in a header".into()),
    }
}

/// How many connections all nodes of a process may hold together.
pub fn sockets_max(descriptors: u64, nodes: u64, reactors: usize) -> u32 {
    let reserved = DESCRIPTORS_RESERVED + DESCRIPTORS_PER_REACTOR * reactors as u64;
    u32::try_from(descriptors.saturating_sub(reserved * nodes)).unwrap_or(u32::MAX)
}

/// How many clients each of the nodes of a process may hold that takes `each` descriptors for one, or fewer if it was told
/// so.
pub fn connections_max(asked: Option<u32>, descriptors: u64, nodes: u64, reactors: usize, each: u64) -> u32 {
    let share = u64::from(sockets_max(descriptors, nodes, reactors)) / nodes / each;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_names_are_names_whatever_the_host_is_called() {
        for (host, name) in [
            ("web-7.internal", "app-web-7-5001"),
            ("", "app-5001"),
            ("m\u{fc}ller_2", "app-mller2-5001"),
            (&"x".repeat(100), &*format!("app-{}-5001", "x".repeat(40))),
        ] {
            assert_eq!(name_at("app", host, 5001), name);
            assert!(is_node_name(name));
        }
    }

    #[test]
    fn urls_have_a_scheme_and_a_host() {
        let balancer = |text: &str| url_of(text, ["http://", "https://"]);
        assert!(balancer("http://{host}:7001").is_ok() && balancer("https://lb.example").is_ok());
        for wrong in ["lb-1:7001", "ws://lb-1", "http://", "http://a b"] {
            assert!(balancer(wrong).is_err(), "{wrong}");
        }
    }
}
