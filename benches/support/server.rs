//! A server without clients: hub and lanes as on its backplane thread, and what they cost.

use std::fs;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use distr_chat::app::bus::Bus;
use distr_chat::app::clock;
use distr_chat::app::redis::{Options, RedisBus};
use distr_chat::chat::hub::{Effect, Settings};
use distr_chat::chat::{Ask, Hub, Member, Notice, Now};
use distr_chat::net::Poller;
use distr_chat::wire::ClientNonce;

const MEMBER: Member = Member { reactor: 0, connection: 1 };
/// Reads of the bus in one turn, as in production.
const BATCHES_PER_TURN: usize = 64;
/// The kernel's clock ticks, in which it counts the time of other processes (`getconf CLK_TCK`).
const TICKS_PER_SECOND: u64 = 100;

/// A message that reached the members here.
pub struct Heard {
    /// Its number.
    pub id: u64,
    /// When it was handed to their reactor.
    pub at: Instant,
}

/// Turns only when it is told.
pub struct Server {
    hub: Hub,
    bus: RedisBus,
    poller: Poller,
    more: bool,
    heard_by: Option<Sender<Heard>>,
    /// Joins that were answered.
    pub joined: usize,
    /// Messages that were acknowledged.
    pub acked: u64,
    /// Messages that members here were handed.
    pub heard: u64,
}

impl Server {
    /// Nothing happens yet. What is said waits for more for `flush_delay`.
    pub fn start(name: &str, incarnation: u64, nodes: &str, flush_delay: Duration) -> Self {
        let now = Instant::now();
        let poller = Poller::new().unwrap();
        let settings = Settings {
            name: name.into(),
            incarnation,
            reactors: 1,
            seed: incarnation,
            settle: Duration::from_millis(500),
            flush_delay,
            limits: std::sync::Arc::default(),
        };
        let options = Options { nodes: nodes.split(',').map(str::to_owned).collect(), credentials: None };
        let bus = RedisBus::new(name, incarnation, options, incarnation, &poller, now);
        let hub = Hub::new(settings, now);
        Self { hub, bus, poller, more: true, heard_by: None, joined: 0, acked: 0, heard: 0 }
    }

    /// A member comes.
    pub fn join(&mut self, room: &Arc<str>) {
        let (room, user) = (Arc::clone(room), "ann".into());
        self.hub.handle_ask(
            MEMBER,
            Ask::Join { room, user, client: ClientNonce::from_seed(1), visit: 0, since: None },
            clock::now(),
        );
    }

    /// It says something.
    pub fn say(&mut self, room: &Arc<str>, id: u64, text: &str) {
        let (room, user, id) = (Arc::clone(room), "ann".into(), id.to_string().into());
        // In production the mailbox wakes the thread.
        self.more = true;
        self.hub.handle_ask(MEMBER, Ask::Send { room, user, client: 1, id, text: text.into() }, clock::now());
    }

    /// Each message is told from now on.
    pub fn tell(&mut self, heard_by: Sender<Heard>) {
        self.heard_by = Some(heard_by);
    }

    /// Other servers that live.
    pub fn peers(&self) -> usize {
        self.hub.peers().live().count()
    }

    /// Turns until something is so.
    pub fn until(&mut self, mut is_so: impl FnMut(&Self) -> bool) {
        while !is_so(self) {
            self.turn();
        }
    }

    /// As the backplane thread's.
    pub fn turn(&mut self) {
        let due = self.bus.poll_timeout().into_iter().fold(self.hub.poll_timeout(), Instant::min);
        let wait = if self.more { Duration::ZERO } else { due.saturating_duration_since(Instant::now()) };
        self.poller.wait(Some(wait.min(Duration::from_millis(1)))).unwrap();
        let now = clock::now();
        let Self { hub, bus, poller, .. } = self;
        hub.handle_bus_state(bus.carrying(), now);
        let mut handle = |event| hub.handle_bus(event, now);
        self.more = bus.poll(poller, now.instant, BATCHES_PER_TURN, &mut handle);
        hub.handle_timeout(now);
        hub.finish_turn(now);
        while let Some(effect) = self.hub.poll_effect() {
            match effect {
                Effect::Publish(envelope) => self.bus.publish(envelope),
                Effect::Subscribe(room) => self.bus.subscribe(&room),
                Effect::Unsubscribe(room) => self.bus.unsubscribe(&room),
                Effect::Tell(_, notice) => self.take(&notice, now),
            }
        }
        self.more |= self.bus.flush(&self.poller, now.instant);
    }

    fn take(&mut self, notice: &Notice, now: Now) {
        match notice {
            Notice::Entered { frame, .. } => {
                self.joined += 1;
                self.hub.handle_answers_taken(0, frame.iter().map(bytes::Bytes::len).sum());
                self.hub.handle_ask(MEMBER, Ask::Received, now);
            }
            Notice::Reply { frame, .. } => {
                assert!(
                    frame[..].windows(5).any(|word| word == b"\"ack\""),
                    "only what is wanted is answered"
                );
                self.acked += 1;
            }
            Notice::Deliver { frames, messages, .. } => {
                self.heard += u64::from(*messages);
                if let Some(heard_by) = self.heard_by.as_ref().filter(|_| *messages > 0) {
                    let id = text_after(frames, "\"id\":\"").parse().unwrap();
                    heard_by.send(Heard { id, at: Instant::now() }).unwrap();
                }
            }
            Notice::Refused { .. } | Notice::RoomMade { .. } | Notice::Everyone { .. } => {}
        }
    }
}

/// What stands between a mark and the next quote.
fn text_after<'a>(frames: &'a [u8], mark: &str) -> &'a str {
    let start = frames.windows(mark.len()).position(|word| word == mark.as_bytes()).unwrap() + mark.len();
    let length = frames[start..].iter().position(|byte| *byte == b'"').unwrap();
    std::str::from_utf8(&frames[start..start + length]).unwrap()
}

/// What this thread has cost so far (`/proc/thread-self/schedstat`, nanoseconds).
pub fn thread_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// What a process has cost so far (`/proc/PID/stat`, fields 14 and 15).
pub fn process_cpu(pid: impl std::fmt::Display) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}
