//! Some servers with the limits of production, the way between them, and people. A test says who stands still,
//! dies or has a wrong clock, and which words are lost or late; nothing is left to chance.
//!
//! At every ack is checked that two servers that live hold the message, or that only one lives. Of every person is
//! checked that the numbers of a stream rise.

mod alone;
mod clocks;
mod leaving;
mod person;
mod retention;
mod server;
mod stalls;

use std::ops::RangeInclusive;

use super::*;
use crate::chat::simulation::frame::{self, Place};
use person::Person;
use server::Server;

/// People; each is on a reactor of its own at every server.
const ANN: usize = 0;
const BOB: usize = 1;
const CAT: usize = 2;
const NAMES: [&str; 3] = ["ann", "bob", "cat"];
/// Time between two turns of a server, and of a word on its way, in milliseconds.
const STEP: u64 = 5;

/// What becomes of a word on its way.
#[derive(Clone, Copy)]
enum Fate {
    Comes,
    IsLost,
    /// By so many milliseconds.
    IsLate(u64),
}

use Fate::{Comes, IsLate, IsLost};

/// Says what becomes of a word, by the servers between which it goes.
type Way = Box<dyn Fn(usize, usize, &Word) -> Fate>;

struct Cluster {
    servers: Vec<Server>,
    people: [Person; 3],
    start: Instant,
    /// Milliseconds since the start.
    now: u64,
    way: Way,
    /// Which servers took in the message of a place.
    holders: BTreeMap<Place, BTreeSet<usize>>,
}

impl Cluster {
    /// So many servers, each of which knows the others.
    fn new(count: usize) -> Self {
        let mut cluster = Self {
            servers: Vec::new(),
            people: NAMES.map(Person::new),
            start: Instant::now(),
            now: 0,
            way: Box::new(|_, _, _| Comes),
            holders: BTreeMap::new(),
        };
        (0..count).for_each(|_| _ = cluster.start_server());
        cluster.pass(4000);
        cluster
    }

    fn start_server(&mut self) -> usize {
        let index = self.servers.len();
        self.servers.push(Server::new(index, self.start, self.now));
        index
    }

    fn incarnation(&self, server: usize) -> u64 {
        self.servers[server].incarnation
    }

    fn on_the_way(&mut self, way: impl Fn(usize, usize, &Word) -> Fate + 'static) {
        self.way = Box::new(way);
    }

    fn all_comes(&mut self) {
        self.way = Box::new(|_, _, _| Comes);
    }

    /// A person goes from where it is to a server, and says what it has seen.
    fn come(&mut self, who: usize, server: usize) {
        self.go(who);
        let join = self.people[who].join(server);
        self.servers[server].ask(who, join);
        self.pass(STEP);
    }

    fn go(&mut self, who: usize) {
        if let Some(server) = self.people[who].at.take() {
            self.servers[server].end_connection(who);
        }
    }

    /// A person says something, whose id is its text's number.
    fn say(&mut self, who: usize, text: u64) {
        let send = self.people[who].say(text);
        self.servers[self.people[who].at.expect("who speaks is somewhere")].ask(who, send);
        self.pass(STEP);
    }

    /// All of these in one turn.
    fn say_all(&mut self, who: usize, texts: impl Iterator<Item = u64>) {
        let server = self.people[who].at.expect("who speaks is somewhere");
        texts.for_each(|text| self.servers[server].ask(who, self.people[who].say(text)));
        self.pass(STEP);
    }

    fn kill(&mut self, server: usize) {
        self.servers[server].kill();
        let were_there = self.people.iter_mut().filter(|person| person.at == Some(server));
        were_there.for_each(|person| person.at = None);
    }

    /// A server without clients ends as planned: the shell waits at most 2 s until its rooms are handed over.
    fn end_server(&mut self, server: usize) {
        self.servers[server].drain(self.now);
        for _ in 0..2000 / STEP {
            if self.servers[server].may_end(self.now) {
                break;
            }
            self.pass(STEP);
        }
        self.servers[server].leave(self.now);
        self.pass(STEP);
        self.kill(server);
    }

    fn pass(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds.div_ceil(STEP) {
            self.now += STEP;
            (0..self.servers.len()).for_each(|server| self.turn(server));
        }
    }

    fn turn(&mut self, server: usize) {
        for (stream, seq) in self.servers[server].turn(self.now) {
            self.holders.entry((stream, seq)).or_default().insert(server);
        }
        while let Some(effect) = self.servers[server].poll_effect() {
            match effect {
                Effect::Tell(who, notice) => self.tell(server, who, notice),
                Effect::Publish(envelope) => self.publish(server, &envelope),
                Effect::Subscribe(room) => self.servers[server].receive(self.now, BusEvent::Subscribed(room)),
                Effect::Unsubscribe(_) => {}
            }
        }
    }

    fn publish(&mut self, from: usize, envelope: &Envelope) {
        for to in (0..self.servers.len()).filter(|to| *to != from) {
            let late = match (self.way)(from, to, &envelope.word) {
                Comes => 0,
                IsLost => continue,
                IsLate(late) => late,
            };
            self.servers[to].receive(self.now + late, BusEvent::Received(envelope.clone()));
        }
    }

    fn tell(&mut self, server: usize, who: usize, notice: Notice) {
        let is_here = self.people[who].at == Some(server);
        let (frames, has_entered) = match notice {
            Notice::Entered { frame, .. } => {
                let frame = frame.concat();
                self.servers[server].note_answer(who, frame.len(), self.now);
                (frame.into(), true)
            }
            Notice::Deliver { frames, .. } => (frames, false),
            Notice::RoomMade { .. } => return,
            Notice::Refused { frame, .. } | Notice::Reply { frame, .. } | Notice::Everyone { frame } => {
                (frame, false)
            }
        };
        if has_entered && !self.servers[server].note_entered(who, is_here) || !is_here {
            return;
        }
        for frame in frame::parse(&frames) {
            let ack = self.people[who].take(frame);
            ack.into_iter().for_each(|place| self.check_ack(server, place));
        }
    }

    fn check_ack(&self, by: usize, place: Place) {
        let mut holders = self.holders.get(&place).cloned().unwrap_or_default();
        holders.extend(self.servers.iter().position(|server| server.incarnation == place.0.origin));
        holders.retain(|server| self.servers[*server].is_alive());
        let is_only = self.servers.iter().filter(|server| server.is_alive()).count() == 1;
        assert!(holders.len() >= 2 || is_only, "server {by} acks {place:?}, which {holders:?} hold");
    }

    /// Whether a server has that message of a stream now.
    fn keeps(&self, server: usize, place: Place) -> bool {
        self.servers[server].keeps(place)
    }

    /// They have seen each of these once, and were told of nothing that it is gone.
    fn assert_seen(&self, who: &[usize], texts: RangeInclusive<u64>) {
        let people: Vec<_> = who.iter().map(|who| &self.people[*who]).collect();
        for text in texts {
            for person in &people {
                let places = person.places(text);
                assert_eq!(places.len(), 1, "{} has seen {text} at {places:?}: {person:?}", person.name);
            }
        }
        for person in people {
            assert_eq!(person.gaps, [], "{} was told that these are gone", person.name);
        }
    }
}

/// What of a word a test loses.
fn has_message(word: &Word, seq: u64) -> bool {
    match word {
        Word::Messages { first_seq, messages, .. } => {
            (*first_seq..*first_seq + messages.len() as u64).contains(&seq)
        }
        _ => false,
    }
}
