//! What a received message costs loadgen's event loop, beside a bare epoll loop that reads the same bytes from as many
//! sockets in the same turns of the same server, and drops them: `cargo bench -p loadgen --bench reader`.

#[path = "support/server.rs"]
mod server;

use std::error::Error;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fs, io};

use loadgen::load::plan::Plan;
use loadgen::runner::assigner::Entrance;
use loadgen::runner::run::{self, Options, Phase};
use loadgen::wire::url::Url;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server::Server;

const CLIENTS: u32 = 1000;
/// (messages in one write, messages per second)
const LOADS: [(usize, u32); 3] = [(1, 20), (8, 160), (32, 320)];
const ROUND: Duration = Duration::from_secs(4);
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    println!("one room of {CLIENTS}, CPU per received message in ns (medians of {ROUNDS} rounds)\n");
    println!("messages a write │ bare reader │ loadgen │ loadgen ÷ bare");
    for (batch, rate) in LOADS {
        let mut rounds = (0..ROUNDS).map(|_| round(batch, rate)).collect::<Result<Vec<_>, _>>()?;
        let mut median = |value: &dyn Fn(&(f64, f64)) -> f64| {
            rounds.sort_by(|one, other| value(one).total_cmp(&value(other)));
            value(&rounds[ROUNDS / 2])
        };
        let (bare, ours) = (median(&|round| round.0), median(&|round| round.1));
        let ratio = median(&|round| round.1 / round.0);
        println!("{batch:>16} │ {bare:>11.0} │ {ours:>7.0} │ {ratio:>14.2}");
    }
    Ok(())
}

/// CPU per message of the bare loop and of loadgen's.
fn round(batch: usize, rate: u32) -> Result<(f64, f64), Box<dyn Error>> {
    let server = Server::start(batch)?;
    let (stop, bare) = read_and_drop(server.bare)?;
    let url = Url::parse(&format!("ws://{}/ws", server.address), "ws")?;
    let plan = Plan { clients: CLIENTS, rooms: 1, rate, duration: ROUND, run: 7, ..Plan::default() };
    let (mut first, mut last) = (None, None);
    let report = run::run(
        &Options::new(plan, Entrance::Direct(vec![url])),
        &AtomicBool::new(false),
        &mut |phase, snapshot| {
            if phase == Phase::Sending && snapshot.news.counts.delivered > 0 {
                let at = (server.deliveries.load(Ordering::Relaxed), cpu_ns("bare"), cpu_ns("worker-0"));
                first = first.or(Some(at));
                last = Some(at);
            }
        },
    )?;
    stop.store(true, Ordering::Relaxed);
    bare.join().map_err(|_| "the bare loop panicked")?;
    if !report.faults().is_empty() {
        return Err(format!("{:?}", report.faults()).into());
    }
    let (Some((from, bare_from, ours_from)), Some((to, bare_to, ours_to))) = (first, last) else {
        return Err("nothing was delivered".into());
    };
    let messages = (to - from) as f64;
    let used = |from: Option<u64>, to: Option<u64>| Some((to? - from?) as f64 / messages);
    used(bare_from, bare_to).zip(used(ours_from, ours_to)).ok_or_else(|| "a thread cannot be seen".into())
}

/// As many sockets as loadgen has, read as it reads them: 64 KiB at most, until a read is short.
fn read_and_drop(address: SocketAddr) -> io::Result<(Arc<AtomicBool>, JoinHandle<()>)> {
    let stop = Arc::new(AtomicBool::new(false));
    let is_stopped = Arc::clone(&stop);
    let mut poll = Poll::new()?;
    let mut streams = Vec::new();
    for index in 0..CLIENTS {
        let mut stream = std::net::TcpStream::connect(address)?;
        // One after the other: connections that a full queue turns away come back a second later.
        stream.read_exact(&mut [0; 1])?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(index as usize), Interest::READABLE)?;
        streams.push(stream);
    }
    let bare = thread::Builder::new().name("bare".into()).spawn(move || {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; 64 * 1024];
        while !is_stopped.load(Ordering::Relaxed) {
            if poll.poll(&mut events, Some(Duration::from_millis(100))).is_err() {
                continue;
            }
            for event in &events {
                let stream = &mut streams[event.token().0];
                while stream.read(&mut buffer).is_ok_and(|count| count == buffer.len()) {}
            }
        }
    })?;
    Ok((stop, bare))
}

/// CPU of a thread of this process, from its name.
fn cpu_ns(name: &str) -> Option<u64> {
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    tasks.flatten().find_map(|task| {
        let is_it = fs::read_to_string(task.path().join("comm")).ok()?.trim() == name;
        let times = is_it.then(|| fs::read_to_string(task.path().join("schedstat")).ok())??;
        times.split(' ').next()?.parse().ok()
    })
}
