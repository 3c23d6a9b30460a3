//! Redis nodes of our own as processes, and what a client asks them.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use redis::{Client, Connection, RedisResult, Value, cmd};
use rustix::process::Signal;
use tempfile::TempDir;

use distr_chat::backplane::{BUS_OFFSET, slots};

use super::running::{Running, at, distr_chat};
use super::{PATIENCE, eventually};

/// Ports that the kernel gives to nobody by itself (its own begin at 32768), also with the bus above them.
const PORTS: std::ops::Range<u16> = 11_000..21_000;

/// Ports for nodes, free now together with those of their buses.
pub fn free_redis_ports(count: usize) -> Vec<u16> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let port = fastrand::u16(PORTS);
        let bind = |port| TcpListener::bind(at(port));
        if let (Ok(listener), Ok(bus)) = (bind(port), bind(port + BUS_OFFSET)) {
            taken.push((listener, bus, port));
        }
    }
    taken.into_iter().map(|(_, _, port)| port).collect()
}

/// The nodes of one cluster, each running or not.
pub struct Nodes {
    pub ports: Vec<u16>,
    running: Vec<Option<Running>>,
    folder: TempDir,
}

impl Nodes {
    /// None of them runs yet.
    pub fn new(count: usize) -> Self {
        let running = (0..count).map(|_| None).collect();
        Self { ports: free_redis_ports(count), running, folder: TempDir::new().unwrap() }
    }

    /// All of them run and answer.
    pub fn start_all(count: usize) -> Self {
        let mut nodes = Self::new(count);
        (0..count).for_each(|index| nodes.start(index));
        nodes
    }

    /// As `--nodes` and `--backplane` have them.
    pub fn list(&self) -> String {
        self.ports.iter().map(|port| at(*port).to_string()).collect::<Vec<_>>().join(",")
    }

    /// Where node `index` has its files.
    pub fn folder(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("redis-{}", index + 1))
    }

    /// What starts node `index` (from 0).
    pub fn command(&self, index: usize) -> Command {
        let mut command = distr_chat(&format!("backplane --node {} --nodes {}", index + 1, self.list()));
        command.arg("--dir").arg(self.folder(index));
        command
    }

    /// Starts node `index` and waits until it answers.
    pub fn start(&mut self, index: usize) {
        self.start_with(index, &mut self.command(index));
    }

    /// The same, by another command.
    pub fn start_with(&mut self, index: usize, command: &mut Command) {
        let mut node = Running::start(command);
        eventually("the node listens", || {
            node.assert_runs();
            TcpStream::connect(at(self.ports[index])).is_ok()
        });
        self.running[index] = Some(node);
    }

    /// Sends node `index` a signal.
    pub fn signal(&self, index: usize, signal: Signal) {
        self.running[index].as_ref().expect("it runs").signal(signal);
    }

    /// The process of node `index`.
    pub fn pid(&self, index: usize) -> u32 {
        self.running[index].as_ref().expect("it runs").pid()
    }

    /// Ends node `index` without a warning.
    pub fn kill(&mut self, index: usize) {
        drop(self.running[index].take());
    }

    /// Takes away everything that node `index` has written.
    pub fn wipe(&self, index: usize) {
        fs::remove_dir_all(self.folder(index)).unwrap();
    }

    /// A new connection to node `index`.
    pub fn connect(&self, index: usize) -> Connection {
        connect(&format!("redis://{}", at(self.ports[index])))
    }

    /// Whether node `index` says that it is in a cluster that is well.
    pub fn is_cluster_ok(&self, index: usize) -> bool {
        let info: RedisResult<String> = cmd("CLUSTER").arg("INFO").query(&mut self.connect(index));
        info.is_ok_and(|info| info.contains("cluster_state:ok"))
    }

    /// A channel in the slots of node `index`.
    pub fn channel(&self, index: usize) -> String {
        let (mut node, owned) = (self.connect(index), slots::owned(index, self.ports.len()));
        let mut names = (0..).map(|number| format!("room-{number}"));
        let is_owned = |name: &String| {
            let slot: u16 = cmd("CLUSTER").arg("KEYSLOT").arg(name).query(&mut node).unwrap();
            owned.contains(&slot)
        };
        names.find(is_owned).unwrap()
    }
}

/// Connects; nothing that is asked there is waited for without end.
pub fn connect(url: &str) -> Connection {
    let connection = Client::open(url).unwrap().get_connection_with_timeout(PATIENCE).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection
}

/// Says something on a channel and hears it on another connection.
#[track_caller]
pub fn assert_carries(subscriber: &mut Connection, publisher: &mut Connection, channel: &str) {
    subscriber.send_packed_command(&cmd("SSUBSCRIBE").arg(channel).get_packed_command()).unwrap();
    let words = |kind: &str, last: Value| {
        Value::Array(vec![Value::BulkString(kind.into()), Value::BulkString(channel.into()), last])
    };
    assert_eq!(subscriber.recv_response().unwrap(), words("ssubscribe", Value::Int(1)));
    let receivers: u32 = cmd("SPUBLISH").arg(channel).arg("hi").query(publisher).unwrap();
    assert_eq!(receivers, 1);
    assert_eq!(subscriber.recv_response().unwrap(), words("smessage", Value::BulkString("hi".into())));
}
