//! Those who have nothing to do with the attack: quiet clients in a room of their own, at both servers.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::frames::{Inbound, Seen, UPGRADE, join, send, value};
use super::world::World;

/// The room that nobody else is in.
pub const ROOM: &str = "bystanders";
const CLIENTS: usize = 50;
/// Between two messages; the speakers, one at each server, take turns.
const INTERVAL: Duration = Duration::from_millis(50);
/// Their room is open, and all of them are in it.
const JOINED_WITHIN: Duration = Duration::from_secs(20);

/// They speak until [`Bystanders::end`].
pub struct Bystanders {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Heard>,
    streams: Receiver<[String; 2]>,
}

/// What they heard of each other.
pub struct Heard {
    said: Vec<Said>,
    /// Connections that were ended.
    pub lost: usize,
    /// Gaps that they were told of, and errors, by kind.
    pub complaints: Seen,
    end: Instant,
}

struct Said {
    at: Instant,
    latencies: Vec<Duration>,
}

/// Latencies of the messages of one act.
pub struct Latencies {
    pub p99: Duration,
    /// Deliveries that have not come at all.
    pub missing: usize,
}

impl Bystanders {
    /// All are in the room.
    pub fn start(world: &World) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, (joined, all_joined), (known, streams)) = (Arc::clone(&is_over), channel(), channel());
        let addresses = [world.servers[0].address, world.servers[1].address];
        let thread = thread::spawn(move || {
            let mut room = Room::join(addresses);
            let mut speaker = 0;
            let mut next = Instant::now();
            let mut known = Some(known);
            // The bench waits for it.
            let _ = joined.send(());
            while !over.load(Ordering::Relaxed) {
                if Instant::now() >= next {
                    room.say(speaker);
                    speaker = 1 - speaker;
                    next += INTERVAL;
                }
                room.turn(next.saturating_duration_since(Instant::now()));
                if let [Some(first), Some(second)] = &room.streams
                    && let Some(known) = known.take()
                {
                    let _ = known.send([first.clone(), second.clone()]);
                }
            }
            room.into_heard()
        });
        all_joined.recv().expect("the bystanders have joined");
        Self { is_over, thread, streams }
    }

    /// The streams of their room, of both servers; waits until both have spoken.
    pub fn streams(&self) -> [String; 2] {
        self.streams.recv_timeout(JOINED_WITHIN).expect("both speakers are acknowledged")
    }

    /// What they have heard.
    pub fn end(self) -> Heard {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the bystanders have not failed")
    }
}

impl Heard {
    /// Of what was said in that time. What has not come is as late as it is by now.
    pub fn latencies(&self, from: Instant, to: Instant) -> Latencies {
        let (mut all, mut missing) = (Vec::new(), 0);
        for said in self.said.iter().filter(|said| (from..to).contains(&said.at)) {
            all.extend_from_slice(&said.latencies);
            let absent = CLIENTS.saturating_sub(said.latencies.len());
            all.extend(std::iter::repeat_n(self.end - said.at, absent));
            missing += absent;
        }
        all.sort_unstable();
        let p99 = all.get(all.len() * 99 / 100).copied().unwrap_or_default();
        Latencies { p99, missing }
    }
}

struct Room {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    said: Vec<Said>,
    /// Of each speaker.
    streams: [Option<String>; 2],
    seen: Seen,
}

struct Client {
    stream: TcpStream,
    inbound: Inbound,
    is_lost: bool,
}

impl Room {
    fn join(addresses: [std::net::SocketAddr; 2]) -> Self {
        let poll = Poll::new().unwrap();
        let clients = (0..CLIENTS)
            .map(|index| {
                let mut stream = std::net::TcpStream::connect(addresses[index % 2]).unwrap();
                stream.set_nodelay(true).unwrap();
                stream.write_all(UPGRADE).unwrap();
                stream.write_all(&join(ROOM, &format!("quiet-{index}"))).unwrap();
                stream.set_nonblocking(true).unwrap();
                let mut stream = TcpStream::from_std(stream);
                poll.registry().register(&mut stream, Token(index), Interest::READABLE).unwrap();
                Client { stream, inbound: Inbound::default(), is_lost: false }
            })
            .collect();
        let mut room = Self {
            poll,
            events: Events::with_capacity(CLIENTS),
            clients,
            said: Vec::new(),
            streams: [None, None],
            seen: Seen::new(),
        };
        let end = Instant::now() + JOINED_WITHIN;
        while room.seen.get("joined").is_none_or(|joined| *joined < CLIENTS as u64) {
            assert!(Instant::now() < end, "the bystanders did not come in: {:?}", room.seen);
            room.turn(Duration::from_millis(50));
        }
        room
    }

    fn say(&mut self, speaker: usize) {
        let frame = send(ROOM, self.said.len() as u64, "all is quiet here");
        self.said.push(Said { at: Instant::now(), latencies: Vec::with_capacity(CLIENTS) });
        // A frame is far smaller than what a socket holds. Where it is not taken nobody hears it, and that is counted.
        let _ = self.clients[speaker].stream.write(&frame);
    }

    fn turn(&mut self, patience: Duration) {
        let _ = self.poll.poll(&mut self.events, Some(patience));
        let mut buffer = [0; 64 * 1024];
        let Self { events, clients, said, streams, seen, .. } = self;
        for event in &*events {
            let index = event.token().0;
            let Client { stream, inbound, is_lost } = &mut clients[index];
            let mut hear = |frame: &[u8]| match value(frame, "type") {
                Some("message") => {
                    let id = value(frame, "id").and_then(|id| id.parse::<usize>().ok());
                    if let Some(said) = id.and_then(|id| said.get_mut(id)) {
                        said.latencies.push(said.at.elapsed());
                    }
                }
                Some("ack") if index < 2 && streams[index].is_none() => {
                    streams[index] = value(frame, "stream").map(str::to_owned);
                }
                _ => {}
            };
            while !*is_lost {
                match stream.read(&mut buffer) {
                    Ok(0) => *is_lost = true,
                    Ok(count) => inbound.handle(&buffer[..count], seen, &mut hear),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => *is_lost = true,
                }
            }
        }
    }

    fn into_heard(self) -> Heard {
        let is_complaint = |kind: &String| {
            ["gap", "degraded", "error", "close"].iter().any(|complaint| kind.starts_with(complaint))
        };
        let complaints = self.seen.into_iter().filter(|(kind, _)| is_complaint(kind)).collect();
        let lost = self.clients.iter().filter(|client| client.is_lost).count();
        Heard { said: self.said, lost, complaints, end: Instant::now() }
    }
}
