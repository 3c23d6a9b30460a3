//! One end of the bus by itself: lanes without a hub.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use distr_chat::app::bus::Bus;
use distr_chat::app::clock;
use distr_chat::app::redis::{Options, RedisBus};
use distr_chat::chat::{BusEvent, Message};
use distr_chat::net::Poller;
use distr_chat::wire::envelope::Word;
use distr_chat::wire::{Envelope, StreamId};

/// Reads in one turn, as in production.
const READS_PER_TURN: usize = 64;
/// As the hub does.
const ALIVE_INTERVAL: Duration = Duration::from_millis(250);

/// Says and counts.
pub struct End {
    name: Arc<str>,
    incarnation: u64,
    bus: RedisBus,
    poller: Poller,
    more: bool,
    next_alive: Instant,
    beat: u64,
    /// Rooms that are heard.
    pub subscribed: usize,
    /// Messages that came.
    pub heard: u64,
    /// Servers that were heard.
    pub peers: BTreeSet<String>,
}

impl End {
    /// Nothing happens yet.
    pub fn start(name: &str, incarnation: u64, nodes: &str) -> Self {
        let (poller, now) = (Poller::new().unwrap(), Instant::now());
        let options = Options { nodes: nodes.split(',').map(str::to_owned).collect(), credentials: None };
        Self {
            name: name.into(),
            incarnation,
            bus: RedisBus::new(name, incarnation, options, incarnation, &poller, now),
            poller,
            more: true,
            next_alive: now,
            beat: 0,
            subscribed: 0,
            heard: 0,
            peers: BTreeSet::new(),
        }
    }

    /// Hears a room.
    pub fn subscribe(&mut self, room: &Arc<str>) {
        self.bus.subscribe(room);
    }

    /// An envelope of these messages, of which the first has this number in the room.
    pub fn say(&mut self, room: &Arc<str>, first_seq: u64, messages: &Arc<[Arc<Message>]>) {
        let word = Word::Messages {
            room: Arc::clone(room),
            stream: StreamId { origin: self.incarnation, generation: 0 },
            first_seq,
            witness: 0,
            messages: Arc::clone(messages),
        };
        self.more = true;
        self.bus.publish(Envelope { origin: self.incarnation, word });
    }

    /// Turns until something is so.
    pub fn until(&mut self, mut is_so: impl FnMut(&Self) -> bool) {
        while !is_so(self) {
            self.turn();
        }
    }

    /// Waits, hears, says that it lives, sends.
    pub fn turn(&mut self) {
        let wait = if self.more { Duration::ZERO } else { Duration::from_millis(1) };
        self.poller.wait(Some(wait)).unwrap();
        let now = clock::now();
        let Self { bus, poller, heard, subscribed, peers, .. } = self;
        self.more = bus.poll(poller, now.instant, READS_PER_TURN, &mut |event| match event {
            BusEvent::Received(Envelope { word: Word::Messages { messages, .. }, .. }) => {
                *heard += messages.len() as u64;
            }
            BusEvent::Received(Envelope { word: Word::Alive { name, .. }, .. }) => {
                peers.insert(name.to_string());
            }
            BusEvent::Subscribed(_) => *subscribed += 1,
            _ => {}
        });
        if now.instant >= self.next_alive {
            self.next_alive = now.instant + ALIVE_INTERVAL;
            let name = Arc::clone(&self.name);
            self.beat += 1;
            let (beat, echoes) = (self.beat, [].into());
            let word = Word::Alive { name, beat, age_ms: 0, lanes: 0, is_leaving: false, load: None, echoes };
            self.bus.publish(Envelope { origin: self.incarnation, word });
        }
        self.more |= self.bus.flush(&self.poller, now.instant);
    }
}
