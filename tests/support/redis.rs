//! Redis nodes of our own as processes, and what a client asks them.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;

use redis::{Client, Connection, RedisResult, Value, cmd};

use distr_chat::backplane::BUS_OFFSET;
use distr_chat::wire::slot;

use super::process::{Folder, Process};
use super::running::{at, distr_chat};
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
    processes: Vec<Process>,
    folder: Folder,
}

impl Nodes {
    /// None of them runs yet.
    pub fn new(count: usize) -> Self {
        let (ports, folder) = (free_redis_ports(count), Folder::new());
        let list = ports.iter().map(|port| at(*port).to_string()).collect::<Vec<_>>().join(",");
        let processes = (1..=count).map(|number| {
            let name = format!("redis-{number}");
            let mut command = distr_chat(&format!("backplane --node {number} --nodes {list}"));
            command.arg("--dir").arg(folder.path().join(&name));
            Process::new(&name, command, folder.path())
        });
        Self { processes: processes.collect(), ports, folder }
    }

    /// All of them run and answer.
    pub fn start_all(count: usize) -> Self {
        let mut nodes = Self::new(count);
        (0..count).for_each(|index| nodes.start(index));
        nodes
    }

    /// As `--nodes` and `--backplane` have them.
    pub fn list(&self) -> String {
        self.addresses().iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.ports.iter().map(|port| at(*port)).collect()
    }

    /// Node `index` (from 0), to be killed, frozen or thawed.
    pub fn process(&mut self, index: usize) -> &mut Process {
        &mut self.processes[index]
    }

    /// Starts node `index` and waits until it answers, if only that it wants a password.
    pub fn start(&mut self, index: usize) {
        let (node, address) = (&mut self.processes[index], at(self.ports[index]));
        node.start();
        eventually("the node answers", || {
            node.assert_runs();
            answers(address)
        });
    }

    /// Where node `index` has its files.
    pub fn folder(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("redis-{}", index + 1))
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
        let (mut node, owned) = (self.connect(index), slot::owned(index, self.ports.len()));
        let mut names = (0..).map(|number| format!("room-{number}"));
        let is_owned = |name: &String| {
            let slot: u16 = cmd("CLUSTER").arg("KEYSLOT").arg(name).query(&mut node).unwrap();
            owned.contains(&slot)
        };
        names.find(is_owned).unwrap()
    }
}

/// Whether what listens there answers; a node that is just starting may reset a connection.
fn answers(address: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"PING\r\n")?;
        stream.read_exact(&mut [0])
    };
    ask().is_ok()
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
