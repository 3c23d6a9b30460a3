//! The supervisor: a whole cluster on one machine, in one process ([`Cluster`]) or in many ([`Processes`]).

pub mod cluster;
pub mod lifeline;
pub mod processes;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::backplane::BUS_OFFSET;
use crate::lb::Balancer;
use crate::serve::Server;

pub use cluster::{Cluster, Layout};
pub use processes::{Plan, Processes};

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Serves the chat's files.
    Frontend,
    /// Holds clients and rooms.
    App,
    /// Sends clients to servers.
    Balancer,
    /// Carries rooms between servers.
    Redis,
}

/// Every address that could not be had, with the node that wanted it.
#[derive(Debug)]
pub struct StartError {
    /// Name, address, reason.
    pub faults: Vec<(String, SocketAddr, io::Error)>,
}

/// All addresses are tried before anything is started, so that one message can name all that are taken. Returns them,
/// with the ports that 0 became.
pub fn reserve(nodes: &[(String, Role, SocketAddr)]) -> Result<Vec<SocketAddr>, StartError> {
    let (mut reserved, mut faults) = (Vec::new(), Vec::new());
    for (name, role, address) in nodes {
        let mut wanted = *address;
        let outcome = match role {
            Role::Frontend | Role::App => Server::reserve(wanted),
            Role::Balancer => Balancer::reserve(wanted),
            Role::Redis => Server::reserve(wanted).and_then(|address| {
                wanted.set_port(address.port() + BUS_OFFSET);
                Server::reserve(wanted).map(|_| address)
            }),
        };
        match outcome {
            Ok(address) => reserved.push(address),
            Err(error) => faults.push((name.clone(), wanted, error)),
        }
    }
    if faults.is_empty() { Ok(reserved) } else { Err(StartError { faults }) }
}

/// Names of equal nodes: the kind and a number, from 1.
pub fn named<'a>(
    kind: &'a str,
    addresses: &'a [SocketAddr],
) -> impl Iterator<Item = (String, &'a SocketAddr)> {
    addresses.iter().enumerate().map(move |(index, address)| (format!("{kind}-{}", index + 1), address))
}

/// Where this machine reaches a socket that listens at every address.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
