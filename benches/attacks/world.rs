//! What is attacked: two servers, a balancer and three Redis nodes, with the limits that they have by default. Servers do
//! not even out their clients, or bystanders would be told to move.

use std::net::SocketAddr;

use super::fixtures::process::{Folder, Process};
use super::fixtures::redis::Nodes;
use super::fixtures::running::{BINARY, distr_chat, program};
use super::fixtures::{eventually, fleet, http_get};

/// As many as `distr-chat up` starts.
const REDIS_NODES: usize = 3;

/// What an attack needs to be otherwise.
#[derive(Clone, Copy, Default)]
pub struct Setting {
    /// Descriptors that the first server may have; `None`: as many as this process.
    pub descriptors: Option<u32>,
}

/// Ends with the attack.
pub struct World {
    /// The first one is attacked.
    pub servers: [Member; 2],
    pub balancer: Member,
    pub nodes: Nodes,
    node_pids: Vec<u32>,
    _folder: Folder,
}

/// A process of ours.
pub struct Member {
    pub address: SocketAddr,
    process: Process,
}

impl World {
    /// All of them are ready.
    pub fn start(setting: Setting) -> Self {
        let (folder, mut nodes) = (Folder::new(), Nodes::start_all(REDIS_NODES));
        let node_pids = (0..REDIS_NODES).map(|index| nodes.process(index).pid()).collect();
        let ports = fleet::free_addresses(3);
        let member = |name: &str, address: SocketAddr, command| Member {
            address,
            process: Process::new(name, command, folder.path()),
        };
        let balancer = distr_chat(&format!("lb --name lb-1 --listen {}", ports[0]));
        let mut balancer = member("lb-1", ports[0], balancer);
        let server = |index: usize, descriptors: Option<u32>| {
            let (name, address) = (format!("app-{index}"), ports[index]);
            let arguments = format!(
                "app --name {name} --listen {address} --balancers {} --backplane {} --no-rebalance",
                ports[0],
                nodes.list()
            );
            let command = match descriptors {
                Some(limit) => program("prlimit", &format!("--nofile={limit} {BINARY} {arguments}")),
                None => distr_chat(&arguments),
            };
            member(&name, address, command)
        };
        let mut servers = [server(1, setting.descriptors), server(2, None)];
        balancer.start();
        servers.iter_mut().for_each(Member::start);
        for member in servers.iter().chain([&balancer]) {
            eventually("it is ready", || http_get(member.address, "/ready").status == 200);
        }
        Self { servers, balancer, nodes, node_pids, _folder: folder }
    }

    /// All processes that are there for this attack, with this one.
    pub fn all_pids(&self) -> Vec<u32> {
        let parts = [self.pids(), self.node_pids.clone(), vec![std::process::id()]];
        parts.concat()
    }

    /// The servers' and the balancer's.
    pub fn pids(&self) -> Vec<u32> {
        self.servers.iter().chain([&self.balancer]).map(|member| member.process.pid()).collect()
    }
}

impl Member {
    fn start(&mut self) {
        self.process.start();
        eventually("it listens", || {
            self.process.assert_runs();
            std::net::TcpStream::connect(self.address).is_ok()
        });
    }
}
