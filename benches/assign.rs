//! Answers of `/assign` per CPU second, beside what nginx and HAProxy answer with a fixed body, in one run:
//! `cargo bench --bench assign`. Those that are not installed are left out, and it says so.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to tell")]

#[path = "../tests/support/mod.rs"]
mod fixtures;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use distr_chat::wire::Heartbeat;
use fixtures::running::{BINARY, at, free_ports};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// Connections that ask, each again as soon as it is answered.
const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_millis(500);
const TIME: Duration = Duration::from_secs(4);
/// The kernel's clock ticks, in which it counts the time of processes (`getconf CLK_TCK`).
const TICKS_PER_SECOND: f64 = 100.0;
/// As long as ours, which differs from one to the next.
const BODY: &str = r#"{"url":"ws://localhost:5001/ws?via=lb-1","node":"app-1"}"#;

fn main() {
    println!("{CONNECTIONS} connections, {} s each\n", TIME.as_secs());
    println!("                      answers/s   per CPU second   beside ours");
    let ours = measure(&ours());
    report("distr-chat lb", Some(ours), ours);
    let folder = tempfile::tempdir().unwrap();
    report("nginx", nginx(folder.path()).as_ref().map(measure), ours);
    report("HAProxy", haproxy(folder.path()).as_ref().map(measure), ours);
}

fn report(name: &str, measured: Option<(f64, f64)>, (_, ours): (f64, f64)) {
    match measured {
        Some((rate, per_cpu)) => {
            println!("{name:<20} {rate:>10.0} {per_cpu:>16.0} {:>12.2}×", ours / per_cpu);
        }
        None => println!("{name:<20} is not installed"),
    }
}

/// A process that answers, ended with this value.
struct Answering {
    child: Child,
    address: SocketAddr,
    is_beating: Arc<AtomicBool>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.is_beating.store(false, Ordering::Relaxed);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answering {
    fn start(command: &mut Command, address: SocketAddr) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(address).is_err() {
            assert!(Instant::now() < end, "{command:?} does not listen at {address}");
            thread::yield_now();
        }
        Self { child, address, is_beating: Arc::default() }
    }

    /// CPU seconds used so far, in user and kernel (proc(5), fields 14 and 15).
    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
        ticks / TICKS_PER_SECOND
    }
}

/// One reactor, three servers that are always there, and no line of log for each client.
fn ours() -> Answering {
    let address = at(free_ports(1)[0]);
    let mut command = Command::new(BINARY);
    command.args(["lb", "--reactors", "1", "--log", "warn", "--admit-per-second", "1000000"]);
    let answering = Answering::start(command.args(["--listen", &address.to_string()]), address);
    let (socket, is_beating) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Arc::clone(&answering.is_beating));
    is_beating.store(true, Ordering::Relaxed);
    thread::spawn(move || {
        let mut number = 0;
        while is_beating.load(Ordering::Relaxed) {
            number += 1;
            for server in 1..=3 {
                let _ = socket.send_to(&beat(server, number).encode(None), address);
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    fixtures::eventually("a client can be sent somewhere", || {
        fixtures::http_get(address, "/assign").status == 200
    });
    answering
}

fn beat(server: u32, number: u64) -> Heartbeat {
    Heartbeat {
        name: format!("app-{server}"),
        incarnation: 1,
        number,
        time_ms: 0,
        url: "ws://{host}:5001/ws".into(),
        connections: 0,
        capacity: u32::MAX,
        loop_lag_us: 0,
        // All that were sent have arrived.
        accepted: vec![("lb-1".into(), number << 40)],
        draining: false,
        deaf: false,
        full: false,
    }
}

fn nginx(folder: &Path) -> Option<Answering> {
    let address = at(free_ports(1)[0]);
    let text = format!(
        "daemon off; master_process off; pid {0}/nginx.pid; error_log stderr crit;
         events {{ worker_connections 1024; }}
         http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {0};
           proxy_temp_path {0}; fastcgi_temp_path {0}; uwsgi_temp_path {0}; scgi_temp_path {0};
           server {{ listen {address}; location / {{ default_type application/json; return 200 '{BODY}'; }} }} }}",
        folder.display()
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, text).unwrap();
    program("nginx", |command| command.arg("-c").arg(&file).arg("-p").arg(folder), address)
}

fn haproxy(folder: &Path) -> Option<Answering> {
    let address = at(free_ports(1)[0]);
    let text = format!(
        "global\n  nbthread 1\n  maxconn 1024\ndefaults\n  mode http\n  timeout client 30s\n  timeout connect 1s\n  \
         timeout server 30s\nfrontend f\n  bind {address}\n  http-request return status 200 content-type \
         application/json string '{BODY}'\n"
    );
    let file = folder.join("haproxy.cfg");
    fs::write(&file, text).unwrap();
    program("haproxy", |command| command.args(["-db", "-f"]).arg(&file), address)
}

fn program(
    name: &str,
    with: impl FnOnce(&mut Command) -> &mut Command,
    address: SocketAddr,
) -> Option<Answering> {
    let path = Path::new("/usr/sbin").join(name);
    path.exists().then(|| Answering::start(with(&mut Command::new(path)), address))
}

/// Answers per second, and per CPU second.
fn measure(answering: &Answering) -> (f64, f64) {
    let mut crowd = Crowd::connect(answering.address);
    crowd.ask_for(WARM_UP);
    let (cpu, start) = (answering.cpu(), Instant::now());
    let answers = crowd.ask_for(TIME) as f64;
    (answers / start.elapsed().as_secs_f64(), answers / (answering.cpu() - cpu))
}

/// Connections that ask without end.
struct Crowd {
    poll: Poll,
    streams: Vec<TcpStream>,
    request: String,
}

impl Crowd {
    fn connect(address: SocketAddr) -> Self {
        let poll = Poll::new().unwrap();
        let connect = |index| {
            let stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_nonblocking(true).unwrap();
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(index), Interest::READABLE).unwrap();
            stream
        };
        let streams = (0..CONNECTIONS).map(connect).collect();
        let request = format!("GET /assign HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let mut crowd = Self { poll, streams, request };
        (0..CONNECTIONS).for_each(|index| crowd.ask(index));
        crowd
    }

    fn ask(&mut self, index: usize) {
        self.streams[index].write_all(self.request.as_bytes()).unwrap();
    }

    /// How many were answered. An answer comes whole, since it is small and written at once.
    fn ask_for(&mut self, time: Duration) -> u64 {
        let (end, mut answers, mut events) = (Instant::now() + time, 0, Events::with_capacity(CONNECTIONS));
        let mut buffer = [0; 4096];
        while Instant::now() < end {
            self.poll.poll(&mut events, Some(Duration::from_millis(100))).unwrap();
            for event in &events {
                let Token(index) = event.token();
                match self.streams[index].read(&mut buffer) {
                    Ok(count) => {
                        let answer = &buffer[..count];
                        assert!(
                            answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"}"),
                            "not answered"
                        );
                        answers += 1;
                        self.ask(index);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        answers
    }
}
