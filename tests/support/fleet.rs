//! A whole cluster of processes whose every part and every connection to Redis can be broken.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;

use super::clock::{Bender, Clock};
use super::process::{Folder, Process};
use super::redis::Nodes;
use super::running::{at, distr_chat};
use super::tap::Tap;
use super::{eventually, http_get};

/// Where balancers and servers listen: ports that the kernel gives to nobody by itself, so that one which was killed
/// finds its own free again.
const PORTS: std::ops::Range<u16> = 31_000..32_768;

/// Balancers, servers, Redis nodes.
pub struct Fleet {
    pub balancers: Vec<Member>,
    pub servers: Vec<Member>,
    pub nodes: Nodes,
    /// By server, then by node.
    taps: Vec<Vec<Tap>>,
    /// By server, where they can be bent.
    clocks: Vec<Clock>,
    folder: Folder,
}

/// What servers are.
pub struct Kind {
    /// Makes a command of the arguments of `distr-chat`.
    pub program: Box<dyn Fn(&str) -> Command>,
    /// What all of them are told besides.
    pub arguments: String,
    /// Whether their clocks can be bent.
    pub has_clocks: bool,
}

impl Default for Kind {
    fn default() -> Self {
        Self { program: Box::new(distr_chat), arguments: String::new(), has_clocks: false }
    }
}

/// A balancer or a server.
pub struct Member {
    pub address: SocketAddr,
    pub process: Process,
}

impl Fleet {
    /// All run and answer. Each server reaches each node through a tap of its own.
    pub fn start(balancers: usize, servers: usize, nodes: usize) -> Self {
        Self::start_as(balancers, servers, nodes, &Kind::default())
    }

    /// The same of servers of that kind.
    pub fn start_as(balancers: usize, servers: usize, nodes: usize, kind: &Kind) -> Self {
        let (folder, nodes) = (Folder::new(), Nodes::start_all(nodes));
        let ports = free_addresses(balancers + servers);
        let (lb_ports, app_ports) = ports.split_at(balancers);
        let taps: Vec<Vec<_>> =
            app_ports.iter().map(|_| nodes.addresses().into_iter().map(Tap::new).collect()).collect();
        let Kind { program, arguments, has_clocks } = kind;
        let bender = has_clocks.then(|| Bender::build(folder.path()));
        let mut clocks = Vec::new();

        let member = |kind: &str, index: usize, address: &SocketAddr, more: &str| {
            let name = format!("{kind}-{}", index + 1);
            let command = program(&format!("{kind} --name {name} --listen {address} {more}"));
            Member { address: *address, process: Process::new(&name, command, folder.path()) }
        };
        let balancers: Vec<_> =
            lb_ports.iter().enumerate().map(|(index, at)| member("lb", index, at, "")).collect();
        let servers = app_ports.iter().zip(&taps).enumerate().map(|(index, (at, taps))| {
            let backplane = list(taps.iter().map(Tap::address));
            let mut more = format!(
                "--reactors 1 --frames-per-second 1000000 --frames-burst 1000000 --backplane {backplane} {arguments}"
            );
            if !lb_ports.is_empty() {
                more.push_str(&format!(" --balancers {}", list(lb_ports.iter().copied())));
            }
            let mut server = member("app", index, at, &more);
            let clock = bender.as_ref().map(|bender| bender.clock(&format!("app-{}", index + 1)));
            clock.iter().for_each(|clock| clock.rule(server.process.command()));
            clocks.extend(clock);
            server
        });
        let servers = servers.collect();
        let mut fleet = Self { balancers, servers, nodes, taps, clocks, folder };
        fleet.balancers.iter_mut().chain(&mut fleet.servers).for_each(Member::start);
        fleet
    }

    /// Where its logs are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The network between a server and a node, both from 0.
    pub fn tap(&mut self, server: usize, node: usize) -> &mut Tap {
        &mut self.taps[server][node]
    }

    /// The clocks of a server, from 0.
    pub fn clock(&mut self, server: usize) -> &mut Clock {
        &mut self.clocks[server]
    }

    /// Every network.
    pub fn taps(&mut self) -> impl Iterator<Item = &mut Tap> {
        self.taps.iter_mut().flatten()
    }
}

impl Member {
    /// Starts it and waits until it answers.
    pub fn start(&mut self) {
        self.process.start();
        eventually("it listens", || {
            self.process.assert_runs();
            TcpStream::connect(self.address).is_ok()
        });
        assert_eq!(http_get(self.address, "/live").status, 200);
    }
}

/// Nobody has them, in TCP and UDP.
pub fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let address = at(fastrand::u16(PORTS));
        if let (Ok(tcp), Ok(udp)) = (TcpListener::bind(address), UdpSocket::bind(address)) {
            taken.push((address, tcp, udp));
        }
    }
    taken.into_iter().map(|(address, ..)| address).collect()
}

fn list(addresses: impl Iterator<Item = SocketAddr>) -> String {
    addresses.map(|address| address.to_string()).collect::<Vec<_>>().join(",")
}
