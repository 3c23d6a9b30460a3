//! What it costs to pass on a frame, beside HAProxy, in one run: `cargo bench --bench proxy`. Without HAProxy (at
//! /usr/sbin/haproxy) it says so, and measures only ours.
//!
//! Each has one thread that relays, the same server behind it and the same clients before it, all of them in this process.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to tell")]

#[path = "../tests/support/mod.rs"]
mod fixtures;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use distr_chat::net::descriptors;
use distr_chat::wire::upgrade::Upgrade;
use distr_chat::wire::{Heartbeat, Request};
use fixtures::beating::{Beating, heartbeat};
use fixtures::running::{BINARY, at, free_ports};

/// Clients, with a server's socket each.
const CLIENTS: usize = 5000;
/// Those that come and go first, so that what a proxy allocates once is not counted.
const WARM_UP: usize = 500;
/// Frames that are under way at a time, each to another client.
const AT_ONCE: usize = 250;
/// Frames that are passed on in each direction.
const FRAMES: usize = 250_000;
/// Frames that are sent alone, to see how long one takes.
const ALONE: usize = 20_000;
/// A frame with its header: a chat message.
const FRAME_BYTES: usize = 200;
/// The kernel's clock ticks, in which it counts the time of processes (`getconf CLK_TCK`).
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: usize = 4096;
const HAPROXY: &str = "/usr/sbin/haproxy";

fn main() {
    let possible = descriptors::raise_limit();
    let needed = 2 * CLIENTS as u64 + 500;
    assert!(possible >= needed, "{needed} descriptors are needed, and this process may have {possible}");
    println!("{CLIENTS} clients, frames of {FRAME_BYTES} bytes, {FRAMES} each way, {AT_ONCE} under way\n");
    println!("                    CPU, µs a frame            one alone, µs     idle client,");
    println!("                    down      up   of it user    p50     p99     bytes of user space");
    let server = Server::start();
    report("no proxy", &measure(None, &server, server.address));
    let (ours, _beating) = ours(&server);
    report("distr-chat lb", &measure(Some(&ours), &server, ours.address));
    drop(ours);
    if !Path::new(HAPROXY).exists() {
        println!("HAProxy is not installed, so there is nothing to compare with");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for mode in ["tcp", "http"] {
        let haproxy = haproxy(&server, mode, folder.path());
        report(&format!("HAProxy, mode {mode}"), &measure(Some(&haproxy), &server, haproxy.address));
    }
}

struct Measured {
    down: Cpu,
    up: Cpu,
    latencies: Vec<Duration>,
    idle_bytes: usize,
}

fn report(name: &str, measured: &Measured) {
    let Measured { down, up, latencies, idle_bytes } = measured;
    let per_frame = |seconds: f64| seconds * 1e6 / FRAMES as f64;
    let quantile = |part: f64| latencies[(latencies.len() as f64 * part) as usize].as_secs_f64() * 1e6;
    let is_user = (down.user + up.user) / (down.total() + up.total()).max(f64::MIN_POSITIVE);
    println!(
        "{name:<18} {:>6.2} {:>7.2} {:>9.0} % {:>10.1} {:>7.1} {idle_bytes:>12}",
        per_frame(down.total()),
        per_frame(up.total()),
        is_user * 100.0,
        quantile(0.5),
        quantile(0.99),
    );
}

fn measure(proxy: Option<&Proxy>, server: &Server, address: SocketAddr) -> Measured {
    let cpu = || proxy.map_or_else(Cpu::default, Proxy::cpu);
    let resident = || proxy.map_or(0, Proxy::resident_bytes);
    drop(Line::open_many(server, address, WARM_UP));
    thread::sleep(Duration::from_millis(500));
    let before = resident();
    let mut lines = Line::open_many(server, address, CLIENTS);
    let idle_bytes = resident().saturating_sub(before) / CLIENTS;

    let (down, up) = (frame(0), frame(0x80));
    let mut start = cpu();
    relay(&mut lines, &down, |line| (&mut line.server, &mut line.client));
    let down_cpu = cpu().since(start);
    start = cpu();
    relay(&mut lines, &up, |line| (&mut line.client, &mut line.server));
    let up_cpu = cpu().since(start);

    let mut latencies: Vec<_> = (0..ALONE)
        .map(|index| {
            let line = &mut lines[index % CLIENTS];
            let sent = Instant::now();
            line.server.write_all(&down).unwrap();
            line.client.read_exact(&mut [0; FRAME_BYTES]).unwrap();
            sent.elapsed()
        })
        .collect();
    latencies.sort_unstable();
    Measured { down: down_cpu, up: up_cpu, latencies, idle_bytes }
}

/// Passes on all frames, in bursts to as many clients.
fn relay(lines: &mut [Line], frame: &[u8], ends: impl Fn(&mut Line) -> (&mut TcpStream, &mut TcpStream)) {
    for burst in 0..FRAMES / AT_ONCE {
        let from = burst * AT_ONCE % CLIENTS;
        let lines = &mut lines[from..from + AT_ONCE];
        lines.iter_mut().for_each(|line| ends(line).0.write_all(frame).unwrap());
        lines.iter_mut().for_each(|line| ends(line).1.read_exact(&mut [0; FRAME_BYTES]).unwrap());
    }
}

/// A binary frame, masked with zeros or not.
fn frame(mask: u8) -> Vec<u8> {
    let header = if mask == 0 { 4 } else { 8 };
    let mut frame = vec![0x82, mask | 126];
    frame.extend(((FRAME_BYTES - header) as u16).to_be_bytes());
    frame.resize(FRAME_BYTES, 0);
    frame
}

/// Both ends of what is relayed.
struct Line {
    client: TcpStream,
    server: TcpStream,
}

impl Line {
    fn open_many(server: &Server, address: SocketAddr, count: usize) -> Vec<Self> {
        (0..count).map(|_| Self::open(server, address)).collect()
    }

    fn open(server: &Server, address: SocketAddr) -> Self {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_nodelay(true).unwrap();
        client.set_read_timeout(Some(fixtures::PATIENCE)).unwrap();
        // As a browser asks.
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
             Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like \
             Gecko) Chrome/140.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: http://{address}\r\n\
             Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; \
             client_max_window_bits\r\n\r\n"
        );
        client.write_all(request.as_bytes()).unwrap();
        let head = fixtures::http::read_head(&mut client);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Self { client, server: server.accepted.recv().unwrap() }
    }
}

/// Answers each request with 101, and hands out the sockets.
struct Server {
    address: SocketAddr,
    accepted: Receiver<TcpStream>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, accepted) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(fixtures::PATIENCE)).unwrap();
                let head = fixtures::http::read_head(&mut stream);
                let upgrade = Upgrade::parse(&Request::parse(head.as_bytes()).unwrap()).unwrap();
                stream.write_all(&upgrade.response()).unwrap();
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { address, accepted }
    }
}

/// CPU seconds.
#[derive(Clone, Copy, Default)]
struct Cpu {
    user: f64,
    kernel: f64,
}

impl Cpu {
    fn since(self, start: Self) -> Self {
        Self { user: self.user - start.user, kernel: self.kernel - start.kernel }
    }

    fn total(self) -> f64 {
        self.user + self.kernel
    }
}

/// A process that relays, ended with this value.
struct Proxy {
    child: Child,
    address: SocketAddr,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    fn start(command: &mut Command, address: SocketAddr) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, address }
    }

    /// Used so far (proc(5), fields 14 and 15).
    fn cpu(&self) -> Cpu {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let seconds = |field: usize| fields[field].parse::<f64>().unwrap() / TICKS_PER_SECOND;
        Cpu { user: seconds(11), kernel: seconds(12) }
    }

    fn resident_bytes(&self) -> usize {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * PAGE_BYTES
    }
}

fn ours(server: &Server) -> (Proxy, Beating) {
    let address = at(free_ports(1)[0]);
    let mut command = Command::new(BINARY);
    command.args(["lb", "--reactors", "1", "--log", "warn", "--admit-per-second", "1000000"]);
    let proxy = Proxy::start(command.args(["--listen", &address.to_string()]), address);
    let url = format!("ws://{}/ws", server.address);
    let beating = Beating::start(address, vec![Heartbeat { url, ..heartbeat("app-1", 0) }]);
    fixtures::eventually("it listens", || TcpStream::connect(address).is_ok());
    fixtures::eventually("the server is known", || fixtures::http_get(address, "/ready").status == 200);
    (proxy, beating)
}

fn haproxy(server: &Server, mode: &str, folder: &Path) -> Proxy {
    let address = at(free_ports(1)[0]);
    let text = format!(
        "global\n  nbthread 1\n  maxconn 6000\ndefaults\n  mode {mode}\n  timeout client 1h\n  timeout connect 1s\n  \
         timeout server 1h\n  timeout tunnel 1h\nfrontend f\n  bind {address}\n  default_backend b\nbackend b\n  \
         server s {}\n",
        server.address
    );
    let file = folder.join(format!("{mode}.cfg"));
    fs::write(&file, text).unwrap();
    let proxy = Proxy::start(Command::new(HAPROXY).args(["-db", "-f"]).arg(&file), address);
    // Asked of the kernel, since whoever connects has a connection at the server too.
    fixtures::eventually("it listens", || {
        let port = format!(":{:04X} 00000000:0000 0A", address.port());
        fs::read_to_string("/proc/net/tcp").unwrap().contains(&port)
    });
    proxy
}
