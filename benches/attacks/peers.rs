//! Attacks by somebody who reaches Redis, or by another server that is broken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use distr_chat::wire::envelope::{Echo, RoomDigest, Span, Word};
use distr_chat::wire::{Envelope, StreamId, slot};
use redis::{Connection, Pipeline, Value, cmd};

use super::bystanders::ROOM;
use super::frames::Seen;
use super::scene::Scene;

/// Publishes that are sent together.
const AT_ONCE: usize = 500;
/// Between two lies.
const BEAT: Duration = Duration::from_millis(100);
/// The largest number that a message may have.
const SEQ_MAX: u64 = 1 << 53;

/// Signs of life of servers that nobody knows.
pub fn unknown_servers(scene: &mut Scene<'_>) -> Seen {
    const SERVERS: u64 = 84_600;
    let mut liar = Liar::connect(scene);
    let origin = liar.origin;
    scene.begin();
    for first in (0..SERVERS).step_by(AT_ONCE) {
        let last = SERVERS.min(first + AT_ONCE as u64);
        liar.publish((first..last).map(|number| alive(origin + number, 1, Arc::from([]))));
        if scene.is_over() {
            break;
        }
    }
    wait_until_over(scene);
    liar.into_seen()
}

/// A server that lives says of streams in the bystanders' room that it has messages up to the largest number: by turns all
/// of them and only the last ones.
pub fn far_digest(scene: &mut Scene<'_>) -> Seen {
    const LAST_ONES: u64 = 1000;
    let mut liar = Liar::connect(scene);
    let _guest = Guest::start(scene, liar.origin);
    scene.begin();
    let theirs = scene.streams.iter().map(|stream| stream.parse().expect("a stream that our server told"));
    let streams: Vec<_> = theirs.chain([StreamId { origin: liar.origin, generation: 0 }]).collect();
    for first in [1, SEQ_MAX - LAST_ONES].into_iter().cycle() {
        if scene.is_over() {
            break;
        }
        let spans = streams.iter().map(|&stream| Span { stream, first, last: SEQ_MAX }).collect();
        let digest = RoomDigest { room: ROOM.into(), is_held: true, time: unix_ms(), spans };
        let word = Word::Digest { to: 0, rooms: Arc::from([digest]) };
        liar.publish([Envelope { origin: liar.origin, word }].into_iter());
        thread::sleep(BEAT);
    }
    liar.into_seen()
}

/// Answers the beats of others, so that they take it for a server that lives, and says of all that it is asked for that it
/// had it and keeps it no longer. It ends when it is dropped.
struct Guest {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Guest {
    /// All servers know it.
    fn start(scene: &Scene<'_>, origin: u64) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let (mut liar, mut ear) = (Liar::connect(scene), scene.world.nodes.connect(0));
        liar.origin = origin;
        let inbox = liar.inbox(origin);
        for channel in [&liar.lanes[0].1, &inbox] {
            ear.send_packed_command(&cmd("SSUBSCRIBE").arg(channel).get_packed_command()).unwrap();
        }
        let (known, is_known) = mpsc::channel();
        let thread = thread::spawn(move || {
            let (mut heard, mut beat) = (BTreeMap::new(), 0);
            // Servers beat ten times a second, so there is always something to read.
            while let (false, Ok(reply)) = (over.load(Ordering::Relaxed), ear.recv_response()) {
                match envelope(&reply) {
                    Some(Envelope { origin: to, word: Word::Alive { beat: theirs, echoes, .. } })
                        if to != origin =>
                    {
                        heard.insert(to, theirs);
                        beat += 1;
                        let answers = heard.iter().map(|(&to, &beat)| Echo { to, beat }).collect();
                        liar.publish([alive(origin, beat, answers)].into_iter());
                        if echoes.iter().any(|echo| echo.to == origin) {
                            // Whoever waits for it waits for the first.
                            let _ = known.send(to);
                        }
                    }
                    Some(Envelope { origin: to, word: Word::Want { room, question, spans, .. } }) => {
                        let (entries, places, lacks) = ([].into(), [].into(), [].into());
                        let word =
                            Word::Repair { to, room, question, entries, places, lacks, expired: spans };
                        liar.write(to, &Envelope { origin, word });
                    }
                    _ => {}
                }
            }
        });
        let mut servers = BTreeSet::new();
        while servers.len() < scene.world.servers.len() {
            servers.insert(is_known.recv().expect("servers answer the guest"));
        }
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say, and what it failed with is told by then.
            let _ = thread.join();
        }
    }
}

/// What a subscriber was told.
fn envelope(reply: &Value) -> Option<Envelope> {
    let Value::Array(parts) = reply else { return None };
    match &parts[..] {
        [_, _, Value::BulkString(bytes)] => Envelope::parse(bytes).ok(),
        _ => None,
    }
}

struct Liar {
    origin: u64,
    /// One for each Redis node.
    lanes: Vec<(Connection, String)>,
    seen: Seen,
}

impl Liar {
    fn connect(scene: &Scene<'_>) -> Self {
        let count = scene.world.nodes.ports.len();
        let lane = |index| {
            let channel = format!("distr:all:{{{}}}", slot::tag(index, count));
            (scene.world.nodes.connect(index), channel)
        };
        // Later than any of the servers, as one that has just been started is.
        Self { origin: (unix_ms() + 1000) << 22, lanes: (0..count).map(lane).collect(), seen: Seen::new() }
    }

    fn publish(&mut self, envelopes: impl Iterator<Item = Envelope>) {
        let envelopes: Vec<_> = envelopes
            .map(|envelope| {
                let mut bytes = Vec::new();
                envelope.encode(&mut bytes);
                bytes
            })
            .collect();
        for (connection, channel) in &mut self.lanes {
            let mut pipeline = Pipeline::with_capacity(envelopes.len());
            for bytes in &envelopes {
                pipeline.add_command(cmd("SPUBLISH").arg(&*channel).arg(bytes).clone()).ignore();
            }
            let outcome = pipeline.query::<()>(connection).map_or("Redis failed", |()| "published");
            *self.seen.entry(outcome.into()).or_default() += envelopes.len() as u64;
        }
    }

    /// The channel of one server, at the first node.
    fn inbox(&self, server: u64) -> String {
        format!("distr:in:{server:016x}:{{{}}}", slot::tag(0, self.lanes.len()))
    }

    /// To one server.
    fn write(&mut self, server: u64, envelope: &Envelope) {
        let (mut bytes, inbox) = (Vec::new(), self.inbox(server));
        envelope.encode(&mut bytes);
        // One that is not heard is asked for again.
        let _ = cmd("SPUBLISH").arg(inbox).arg(bytes).query::<()>(&mut self.lanes[0].0);
    }

    fn into_seen(self) -> Seen {
        self.seen
    }
}

fn alive(origin: u64, beat: u64, echoes: Arc<[Echo]>) -> Envelope {
    let word = Word::Alive {
        name: format!("liar-{origin:x}").into(),
        beat,
        age_ms: 60_000,
        // Only the first one is listened to.
        lanes: 0b1,
        is_leaving: false,
        load: Some(0),
        echoes,
    };
    Envelope { origin, word }
}

fn wait_until_over(scene: &Scene<'_>) {
    while !scene.is_over() {
        thread::sleep(Duration::from_millis(20));
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
