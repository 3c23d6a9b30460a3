//! Attacks by somebody who reaches Redis, or by another server that is broken.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use distr_chat::wire::envelope::{RoomDigest, Span, Word};
use distr_chat::wire::{Envelope, StreamId, slot};
use redis::{Connection, Pipeline, cmd};

use super::bystanders::ROOM;
use super::frames::Seen;
use super::scene::Scene;

/// Publishes that are sent together.
const AT_ONCE: usize = 500;
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
        liar.publish((first..last).map(|number| alive(origin + number, 1)));
        if scene.is_over() {
            break;
        }
    }
    wait_until_over(scene);
    liar.into_seen()
}

/// A server says of streams in the bystanders' room that it has messages up to the largest number.
pub fn far_digest(scene: &mut Scene<'_>) -> Seen {
    let mut liar = Liar::connect(scene);
    scene.begin();
    let theirs = scene.streams.iter().map(|stream| stream.parse().expect("a stream that our server told"));
    let streams = theirs.chain([StreamId { origin: liar.origin, generation: 0 }]);
    let spans: Vec<_> = streams.map(|stream| Span { stream, first: 1, last: SEQ_MAX }).collect();
    let mut beat = 0;
    while !scene.is_over() {
        beat += 1;
        let digest = RoomDigest { room: ROOM.into(), is_held: true, time: unix_ms(), spans: spans.clone() };
        let word = Word::Digest { to: 0, rooms: Arc::from([digest]) };
        liar.publish([alive(liar.origin, beat), Envelope { origin: liar.origin, word }].into_iter());
        thread::sleep(Duration::from_millis(100));
    }
    liar.into_seen()
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

    fn into_seen(self) -> Seen {
        self.seen
    }
}

fn alive(origin: u64, beat: u64) -> Envelope {
    let word = Word::Alive {
        name: format!("liar-{origin:x}").into(),
        beat,
        age_ms: 60_000,
        lanes: 0b111,
        is_leaving: false,
        load: Some(0),
        echoes: Arc::from([]),
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
