//! What servers reach through Redis, beside what `redis-benchmark` reaches on the same nodes in the same run:
//! `cargo bench --bench backplane`. Needs `redis-server` and `redis-benchmark`.
//!
//! First lanes alone: envelopes of so many messages, from one bus to another, as many as get through. Then all of it: two servers (hub and lanes, each in a thread as in production) share twenty rooms on a cluster of three nodes. One
//! says, with so many messages under way; a message counts when it was acknowledged, so when the other server keeps it.
//! `redis-benchmark` publishes the same text, one message a command, to as many subscribers, at all three nodes at once.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to tell")]

#[path = "support/end.rs"]
mod end;
#[path = "../tests/support/mod.rs"]
mod fixtures;
#[path = "support/server.rs"]
mod server;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use distr_chat::chat::Message;
use distr_chat::wire::slot;
use end::End;
use fixtures::redis::Nodes;
use server::{Heard, Server, process_cpu, thread_cpu};

const ROOMS: usize = 20;
const TEXT_BYTES: usize = 128;
/// Messages under way in each room, and how long they may wait for each other.
const WINDOWS: [(usize, Duration); 4] =
    [(1, Duration::ZERO), (16, Duration::ZERO), (64, Duration::ZERO), (256, Duration::from_millis(2))];
/// Messages in an envelope; the last is what fits into the 16 KB at which rooms are split.
const PACKED: [usize; 3] = [1, 16, 96];
/// Messages per second to a whole server.
const ROUTED_RATE: f64 = 100_000.0;
/// Envelopes under way.
const ENVELOPES: u64 = 256;
const TIME: Duration = Duration::from_secs(4);
const UNPACKED: u64 = 400_000;
const SAMPLES: usize = 1000;
/// Between two messages at low load.
const PAUSE: Duration = Duration::from_millis(2);

/// Three nodes, and what they cost.
struct Cluster {
    nodes: Nodes,
    pids: Vec<u32>,
}

impl Cluster {
    fn start() -> Self {
        let mut nodes = Nodes::start_all(3);
        let pids = (0..3).map(|index| nodes.process(index).pid()).collect();
        Self { nodes, pids }
    }

    fn cpu(&self) -> Duration {
        self.pids.iter().map(process_cpu).sum()
    }
}

fn main() {
    let cluster = Cluster::start();
    println!(
        "\n{TEXT_BYTES} bytes a message, {ROOMS} rooms, three Redis nodes, two servers or subscribers\n"
    );
    println!("{:<34}{:>14}{:>18}{:>22}", "", "messages/s", "Redis CPU µs/msg", "server CPU µs/msg");
    let (base_rate, base_cpu) = unpacked(&cluster);
    println!("{:<34}{base_rate:>14.0}{base_cpu:>18.2}{:>22}", "redis-benchmark -P 32 SPUBLISH", "");
    for count in PACKED {
        let (rate, redis, hearing) = carried(&cluster, count);
        let name = format!("lanes alone, {count} in an envelope");
        println!("{name:<34}{rate:>14.0}{redis:>18.2}{hearing:>22.2}");
        println!("{:<34}{:>13.2}×{:>17.2}×", "", rate / base_rate, redis / base_cpu);
    }
    for count in PACKED {
        let (rate, hearing) = routed(&cluster, count);
        println!(
            "{:<34}{rate:>14.0}{:>18}{hearing:>22.2}",
            format!("to a server, {count} in an envelope"),
            ""
        );
    }
    for (window, delay) in WINDOWS {
        let (rate, redis, hearing) = packed(&cluster, window, delay);
        let name = format!("servers, {window} a room, wait {delay:?}");
        println!("{name:<34}{rate:>14.0}{redis:>18.2}{hearing:>22.2}");
        println!("{:<34}{:>13.2}×{:>17.2}×", "", rate / base_rate, redis / base_cpu);
    }
    println!("\nlatency at low load, µs          p50     p99");
    let reply = bare_reply(&cluster);
    println!("SPUBLISH and its reply       {:>7.0} {:>7.0}", reply.0, reply.1);
    let push = bare_push(&cluster);
    println!("SPUBLISH to another thread   {:>7.0} {:>7.0}   {:.2}×", push.0, push.1, push.0 / reply.0);
    let chat = server_to_server(&cluster);
    println!("server to server             {:>7.0} {:>7.0}   {:.2}×", chat.0, chat.1, chat.0 / reply.0);
}

/// Messages per second of all three, and microseconds of Redis's CPU for each.
fn unpacked(cluster: &Cluster) -> (f64, f64) {
    let channels: Vec<_> = (0..3).map(|lane| format!("distr:{{{}}}bench", slot::tag(lane, 3))).collect();
    let subscribers: Vec<_> = cluster
        .nodes
        .ports
        .iter()
        .zip(&channels)
        .flat_map(|(&port, channel)| [port, port].map(|port| subscribe(port, channel)))
        .collect();
    let (cpu, start) = (cluster.cpu(), Instant::now());
    let running: Vec<_> = cluster
        .nodes
        .ports
        .iter()
        .zip(&channels)
        .map(|(port, channel)| {
            let (port, count) = (port.to_string(), UNPACKED.to_string());
            Command::new("redis-benchmark")
                .args(["-p", &port, "-P", "32", "-n", &count, "-c", "8", "-q", "SPUBLISH", channel])
                .arg("x".repeat(TEXT_BYTES))
                .stdout(std::process::Stdio::null())
                .spawn()
                .expect("redis-benchmark is needed: apt-get install redis-tools")
        })
        .collect();
    running.into_iter().for_each(|mut child| assert!(child.wait().unwrap().success()));
    let (elapsed, cpu) = (start.elapsed(), cluster.cpu() - cpu);
    subscribers.iter().for_each(|stream| stream.shutdown(Shutdown::Both).unwrap());
    let messages = 3.0 * UNPACKED as f64;
    (messages / elapsed.as_secs_f64(), cpu.as_secs_f64() * 1e6 / messages)
}

/// A connection that hears a channel and throws away what it hears, until it is shut.
fn subscribe(port: u16, channel: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "SSUBSCRIBE {channel}\r\n").unwrap();
    let mut reader = stream.try_clone().unwrap();
    let mut buffer = vec![0; 64 * 1024];
    assert!(reader.read(&mut buffer).unwrap() > 0, "the subscription is confirmed");
    thread::spawn(move || while reader.read(&mut buffer).is_ok_and(|count| count > 0) {});
    stream
}

/// Messages per second from one bus to another, microseconds of Redis's CPU for each, and of the hearing thread's.
fn carried(cluster: &Cluster, count: usize) -> (f64, f64, f64) {
    let heard = Arc::new(AtomicU64::new(0));
    let (list, counted) = (cluster.nodes.list(), Arc::clone(&heard));
    let (stop, stopped) = channel::<()>();
    let (ready, is_ready) = channel();
    let hearing = thread::spawn(move || {
        let mut end = End::start("app-2", fixtures::incarnation(), &list);
        (0..ROOMS).for_each(|room| end.subscribe(&format!("room {room}").into()));
        end.until(|end| end.subscribed == ROOMS);
        ready.send(()).unwrap();
        let cpu = thread_cpu();
        while stopped.try_recv().is_err() {
            end.turn();
            counted.store(end.heard, Ordering::Relaxed);
        }
        (end.heard, thread_cpu() - cpu)
    });
    is_ready.recv().unwrap();
    let mut end = End::start("app-1", fixtures::incarnation(), &cluster.nodes.list());
    end.until(|end| end.peers.contains("app-2"));
    let rooms: Vec<Arc<str>> = (0..ROOMS).map(|room| format!("room {room}").into()).collect();
    let messages = messages(1, count);
    let (mut published, start, cpu) = (0, Instant::now(), cluster.cpu());
    while start.elapsed() < TIME {
        while published - heard.load(Ordering::Relaxed) / (count as u64) < ENVELOPES {
            end.say(&rooms[published as usize % ROOMS], 1, &messages);
            published += 1;
        }
        end.turn();
    }
    let (elapsed, redis) = (start.elapsed(), cluster.cpu() - cpu);
    let messages = heard.load(Ordering::Relaxed) as f64;
    stop.send(()).unwrap();
    let (total, server) = hearing.join().unwrap();
    (
        messages / elapsed.as_secs_f64(),
        redis.as_secs_f64() * 1e6 / messages,
        server.as_secs_f64() * 1e6 / total as f64,
    )
}

/// So many messages, with their numbers as ids.
fn messages(first: u64, count: usize) -> Arc<[Arc<Message>]> {
    let message = |number: u64| Message {
        from: "ann".into(),
        client: 1,
        id: number.to_string().into(),
        text: "x".repeat(TEXT_BYTES).into(),
        time: 1_700_000_000_000,
    };
    (first..).take(count).map(|number| Arc::new(message(number))).collect()
}

/// The same to a whole server with a member in each room, at [`ROUTED_RATE`]: microseconds of its backplane thread for each
/// message.
fn routed(cluster: &Cluster, count: usize) -> (f64, f64) {
    let (hearing, heard) = listen(cluster);
    let mut end = End::start("app-1", fixtures::incarnation(), &cluster.nodes.list());
    end.until(|end| end.peers.contains("app-2"));
    let rooms: Vec<Arc<str>> = (0..ROOMS).map(|room| format!("room {room}").into()).collect();
    let (mut next, mut published, start) = ([1u64; ROOMS], 0u64, Instant::now());
    let mut signed = 0;
    // The first second warms up: rings fill.
    for until in [Duration::from_secs(1), TIME] {
        while start.elapsed() < until {
            while published < (start.elapsed().as_secs_f64() * ROUTED_RATE) as u64 {
                let room = (published / count as u64) as usize % ROOMS;
                end.say(&rooms[room], next[room], &messages(next[room], count));
                next[room] += count as u64;
                published += count as u64;
            }
            end.turn();
        }
        hearing.send(()).unwrap();
        signed = published - signed;
    }
    let (messages, cpu) = heard.recv().unwrap();
    assert!(messages as f64 > 0.9 * signed as f64, "it keeps up");
    let seconds = (TIME - Duration::from_secs(1)).as_secs_f64();
    (messages as f64 / seconds, cpu.as_secs_f64() * 1e6 / messages as f64)
}

/// Acknowledged messages per second, microseconds of Redis's CPU for each, and of the hearing server's.
fn packed(cluster: &Cluster, window: usize, delay: Duration) -> (f64, f64, f64) {
    let (hearing, heard) = listen(cluster);
    let mut speaking = Server::start("app-1", fixtures::incarnation(), &cluster.nodes.list(), delay);
    let rooms: Vec<Arc<str>> = (0..ROOMS).map(|room| format!("room {room}").into()).collect();
    rooms.iter().for_each(|room| speaking.join(room));
    speaking.until(|server| server.joined == ROOMS && server.peers() == 1);
    let text: Box<str> = "x".repeat(TEXT_BYTES).into();
    let (mut said, mut start, mut cpu, mut counted) = (0u64, Instant::now(), cluster.cpu(), 0);
    // The first second warms up: rings fill, and the second holder is found.
    let mut is_warm = false;
    while !is_warm || start.elapsed() < TIME {
        while (said - speaking.acked) < (window * ROOMS) as u64 {
            speaking.say(&rooms[said as usize % ROOMS], said, &text);
            said += 1;
        }
        speaking.turn();
        if !is_warm && start.elapsed() > Duration::from_secs(1) {
            is_warm = true;
            (start, cpu, counted) = (Instant::now(), cluster.cpu(), speaking.acked);
            hearing.send(()).unwrap();
        }
    }
    let (elapsed, redis) = (start.elapsed(), cluster.cpu() - cpu);
    let acked = (speaking.acked - counted) as f64;
    hearing.send(()).unwrap();
    let (messages, server) = heard.recv().unwrap();
    (
        acked / elapsed.as_secs_f64(),
        redis.as_secs_f64() * 1e6 / acked,
        server.as_secs_f64() * 1e6 / messages as f64,
    )
}

/// A server with a member in each room, in a thread of its own. It counts between two signs what it heard and what that
/// cost.
fn listen(cluster: &Cluster) -> (Sender<()>, Receiver<(u64, Duration)>) {
    let (signs, signed) = channel::<()>();
    let (results, result) = channel();
    let list = cluster.nodes.list();
    let (ready, is_ready) = channel();
    thread::spawn(move || {
        let mut server = Server::start("app-2", fixtures::incarnation(), &list, Duration::ZERO);
        (0..ROOMS).for_each(|room| server.join(&format!("room {room}").into()));
        server.until(|server| server.joined == ROOMS);
        ready.send(()).unwrap();
        let mut from = None;
        loop {
            server.turn();
            if signed.try_recv().is_err() {
                continue;
            }
            match from.take() {
                None => from = Some((server.heard, thread_cpu())),
                Some((heard, cpu)) => {
                    results.send((server.heard - heard, thread_cpu() - cpu)).unwrap();
                    return;
                }
            }
        }
    });
    is_ready.recv().unwrap();
    (signs, result)
}

/// A publish until its reply is here.
fn bare_reply(cluster: &Cluster) -> (f64, f64) {
    bare(cluster, Instant::now)
}

/// A publish until a subscriber in another thread has it, which is as idle as a server's.
fn bare_push(cluster: &Cluster) -> (f64, f64) {
    let mut subscriber = TcpStream::connect(("127.0.0.1", cluster.nodes.ports[0])).unwrap();
    write!(subscriber, "SSUBSCRIBE {}\r\n", bare_channel()).unwrap();
    let mut buffer = [0; 1024];
    assert!(subscriber.read(&mut buffer).unwrap() > 0, "the subscription is confirmed");
    let (heard, hears) = channel();
    thread::spawn(move || {
        while subscriber.read(&mut buffer).is_ok_and(|count| count > 0) {
            heard.send(Instant::now()).unwrap();
        }
    });
    bare(cluster, || hears.recv().unwrap())
}

/// Median and 99th percentile, in microseconds, of publishes: `arrival` tells when one has arrived, after its reply.
fn bare(cluster: &Cluster, arrival: impl Fn() -> Instant) -> (f64, f64) {
    let mut stream = TcpStream::connect(("127.0.0.1", cluster.nodes.ports[0])).unwrap();
    stream.set_nodelay(true).unwrap();
    let command = format!("SPUBLISH {} {}\r\n", bare_channel(), "x".repeat(TEXT_BYTES));
    let mut reply = [0; 64];
    let samples = (0..SAMPLES).map(|_| {
        thread::sleep(PAUSE);
        let start = Instant::now();
        stream.write_all(command.as_bytes()).unwrap();
        assert!(stream.read(&mut reply).unwrap() > 0);
        arrival().saturating_duration_since(start)
    });
    percentiles(samples.collect())
}

fn bare_channel() -> String {
    format!("distr:{{{}}}bare", slot::tag(0, 3))
}

/// The same from a member of one server to a member of another.
fn server_to_server(cluster: &Cluster) -> (f64, f64) {
    let list = cluster.nodes.list();
    let (heard, hears) = channel::<Heard>();
    let (stop, stopped) = channel::<()>();
    let listening = thread::spawn(move || {
        let mut server = Server::start("app-2", fixtures::incarnation(), &list, Duration::ZERO);
        server.join(&"quiet".into());
        server.until(|server| server.joined == 1);
        server.tell(heard);
        while stopped.try_recv().is_err() {
            server.turn();
        }
    });
    let (incarnation, list) = (fixtures::incarnation(), cluster.nodes.list());
    let mut server = Server::start("app-1", incarnation, &list, Duration::ZERO);
    server.join(&"quiet".into());
    server.until(|server| server.joined == 1 && server.peers() == 1);
    let text: Box<str> = "x".repeat(TEXT_BYTES).into();
    let mut said = HashMap::new();
    for id in 0..SAMPLES as u64 {
        let pause = Instant::now() + PAUSE;
        server.until(|_| Instant::now() >= pause);
        said.insert(id, Instant::now());
        server.say(&"quiet".into(), id, &text);
        server.turn();
        server.until(|server| server.acked > id);
    }
    stop.send(()).unwrap();
    listening.join().unwrap();
    let chat = hears.iter().map(|Heard { id, at }| at.duration_since(said[&id])).collect();
    percentiles(chat)
}

fn percentiles(mut samples: Vec<Duration>) -> (f64, f64) {
    assert_eq!(samples.len(), SAMPLES, "each arrived once");
    samples.sort_unstable();
    let at = |part: f64| samples[((samples.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e6;
    (at(0.5), at(0.99))
}
