//! Our own Redis nodes: the texts that a `redis-server` starts from. Nothing here runs anything.
//!
//! The nodes form a cluster, so that each knows its share of the slots, but nothing that we rely on crosses the bus
//! between them: a server speaks to every node itself. Hence every file is written anew at every start, from the list
//! of nodes alone: a node that lost its disk or its address is back at once, and one node starts without the others.

pub mod nodes_conf;
pub mod redis_conf;

use core::net::{IpAddr, Ipv4Addr};

/// Most nodes of one cluster.
pub const NODES_MAX: usize = 16;
/// The cluster bus of a node listens this far above its port, by Redis's own convention.
pub const BUS_OFFSET: u16 = 10_000;
/// Highest port of a node, so that its bus has one too.
pub const PORT_MAX: u16 = u16::MAX - BUS_OFFSET;
/// Stands for a peer whose name is not known. Nobody has it (RFC 5737); the peer tells its own address when it comes.
pub const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A node as it is written down for itself and its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it is, or [`NOWHERE`].
    pub ip: IpAddr,
    /// For clients; at most [`PORT_MAX`].
    pub port: u16,
    /// Its name, if it has one that Redis accepts: letters, digits, hyphens and dots.
    pub hostname: Option<String>,
}

impl Node {
    /// Where its cluster bus listens.
    pub fn bus_port(&self) -> u16 {
        self.port + BUS_OFFSET
    }
}
