//! A client that does what docs/protocol.md says: it keeps a position for each stream, drops what is at or below it,
//! forgets streams that `joined` does not name, comes back with `since`, and repeats what has no `ack`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastrand::Rng;

use super::frame::{Frame, Place, Shown};
use super::kinds::Kind;
use super::plan::{Ms, Plan};
use super::story::Check;
use crate::wire::StreamId;

/// What a frame means to whoever watches.
#[derive(Debug)]
pub enum Told {
    Joined {
        is_complete: bool,
        came_back: bool,
        /// How far it had seen.
        before: BTreeMap<StreamId, u64>,
        waited: Ms,
    },
    Saw(Shown),
    Acked {
        text: u64,
        place: Place,
        waited: Ms,
    },
    Gap {
        stream: StreamId,
        first: u64,
        last: u64,
    },
    /// Numbers that were not shown and not spoken of: of messages that it must have seen in another place.
    Hole {
        stream: StreamId,
        first: u64,
        last: u64,
    },
    Broken(Check, String),
}

/// A message without an acknowledgement.
#[derive(Clone, Debug)]
pub struct Unacked {
    pub id: String,
    pub text: u64,
    pub said: Ms,
    /// When it was sent last, and how often before.
    pub sent: Ms,
    pub times: u32,
}

/// A connection to a server.
#[derive(Debug)]
pub struct Line {
    pub connection: u64,
    pub server: usize,
    pub is_in: bool,
    /// It came in before its server had learned the room.
    pub is_in_unlearned: bool,
    pub asked: Ms,
    /// What was not acknowledged before went behind the join.
    pub has_unacked: bool,
    /// The last number that came on it, for each stream.
    told: BTreeMap<StreamId, u64>,
    /// Who is in the room, as its server told on this line.
    pub users: u64,
    pub roster: BTreeSet<String>,
}

#[derive(Debug)]
pub struct Client {
    pub index: usize,
    pub room: usize,
    pub user: Arc<str>,
    pub nonce: u64,
    pub leg: Ms,
    /// How long a server may be silent, and how long an acknowledgement may take.
    pub patience: Ms,
    pub retry_after: Ms,
    pub sends_behind_join: bool,
    forgets: bool,
    /// The one to be used last.
    pub lines: Vec<Line>,
    pub was_in: bool,
    pub positions: BTreeMap<StreamId, u64>,
    pub seen: BTreeSet<u64>,
    /// What was seen while it had two lines: the next server may show it in another place.
    seen_on_two: BTreeSet<u64>,
    pub unacked: Vec<Unacked>,
    /// Of all that it has seen, what stands last.
    pub lowest: Option<(u64, Place)>,
    /// Messages that were told again and dropped.
    pub resent: u64,
    pub is_retrying: bool,
    said: u64,
    /// What `joined` said last.
    pub is_told_all: bool,
}

impl Client {
    pub fn new(index: usize, plan: &Plan) -> Self {
        let mut rng = Rng::with_seed(plan.seed ^ (index as u64 + 1) << 40);
        let has_namesakes = plan.kinds.has(Kind::SameNames) || plan.kinds.has(Kind::SameIds);
        let name = if has_namesakes { index % 3 } else { index };
        Self {
            index,
            room: rng.usize(0..plan.rooms),
            user: format!("user {name}").into(),
            nonce: rng.u64(..),
            leg: rng.u64(0..=plan.client_leg),
            patience: rng.u64(1000..=3000),
            retry_after: rng.u64(2000..=5000),
            sends_behind_join: rng.bool(),
            forgets: plan.kinds.has(Kind::Forgetful),
            lines: Vec::new(),
            is_told_all: false,
            was_in: false,
            positions: BTreeMap::new(),
            seen: BTreeSet::new(),
            seen_on_two: BTreeSet::new(),
            unacked: Vec::new(),
            lowest: None,
            resent: 0,
            is_retrying: false,
            said: 0,
        }
    }

    pub fn open(&mut self, connection: u64, server: usize, now: Ms) {
        self.lines.push(Line {
            connection,
            server,
            is_in: false,
            is_in_unlearned: false,
            asked: now,
            has_unacked: false,
            told: BTreeMap::new(),
            users: 0,
            roster: BTreeSet::new(),
        });
    }

    pub fn close(&mut self, connection: u64) {
        self.lines.retain(|line| line.connection != connection);
    }

    /// What it sends in `since`.
    pub fn since(&self) -> Option<Vec<Place>> {
        self.was_in.then(|| self.positions.iter().map(|(stream, seq)| (*stream, *seq)).collect())
    }

    /// The line that it speaks on: the newest that is in, or else the only one.
    pub fn speaks_on(&self) -> Option<&Line> {
        self.lines.iter().rev().find(|line| line.is_in).or(self.lines.last())
    }

    /// A new message's id.
    pub fn next_id(&mut self, text: u64, kinds: super::kinds::Kinds) -> String {
        self.said += 1;
        if kinds.has(Kind::SameIds) { format!("c-{}", self.said) } else { format!("m{text}") }
    }

    /// Takes a frame that came on one of its lines.
    pub fn receive(&mut self, connection: u64, frame: &Frame, now: Ms) -> Vec<Told> {
        let mut told = Vec::new();
        let Some(line) = self.lines.iter().position(|line| line.connection == connection) else {
            return told;
        };
        match frame {
            Frame::Joined { users, roster, history, is_complete, streams } => {
                let before = self.positions.clone();
                self.is_told_all = *is_complete;
                self.lines[line].users = *users;
                self.lines[line].roster = roster.iter().cloned().collect();
                let goes_on = self.was_in && *is_complete;
                for shown in history {
                    self.see(line, shown, goes_on, &mut told);
                }
                if self.forgets && self.lines.len() == 1 {
                    self.positions.retain(|stream, _| streams.iter().any(|(named, _)| named == stream));
                }
                for (stream, last) in streams {
                    // Where it has seen as far elsewhere, what it has seen may come here again.
                    let is_echo = before.get(stream).is_some_and(|seen| seen >= last);
                    let position = self.positions.entry(*stream).or_default();
                    *position = (*position).max(*last);
                    let told = self.lines[line].told.entry(*stream).or_default();
                    *told = (*told).max(if is_echo { 0 } else { *last });
                }
                let line = &mut self.lines[line];
                line.is_in = true;
                let came_back = std::mem::replace(&mut self.was_in, true);
                let waited = now - line.asked;
                told.push(Told::Joined { is_complete: *is_complete, came_back, before, waited });
            }
            Frame::Message(shown) => self.see(line, shown, true, &mut told),
            Frame::Gap { stream, first, last } => {
                self.advance(line, *stream, *first, *last, &mut told);
                let position = self.positions.entry(*stream).or_default();
                if *last > *position {
                    let next = *position + 1;
                    if *first > next {
                        told.push(Told::Hole { stream: *stream, first: next, last: *first - 1 });
                    }
                    let first = next.max(*first);
                    *position = *last;
                    told.push(Told::Gap { stream: *stream, first, last: *last });
                }
            }
            Frame::Ack { id, place } => {
                if let Some(index) = self.unacked.iter().position(|unacked| unacked.id == *id) {
                    let unacked = self.unacked.remove(index);
                    let waited = now - unacked.said;
                    told.push(Told::Acked { text: unacked.text, place: *place, waited });
                }
            }
            Frame::Presence { users, joined, left } => {
                let line = &mut self.lines[line];
                line.users = *users;
                line.roster.extend(joined.iter().cloned());
                line.roster.retain(|name| !left.contains(name));
            }
            Frame::Other => {}
            // The client says it again, as all that it has no acknowledgement for.
            Frame::Error(error) if error.starts_with("overloaded") => {}
            Frame::Error(error) => told.push(Told::Broken(Check::NoError, error.clone())),
        }
        told
    }

    /// On one connection the numbers of a stream rise.
    fn advance(&mut self, line: usize, stream: StreamId, first: u64, last: u64, told: &mut Vec<Told>) {
        let Line { told: before, connection, .. } = &mut self.lines[line];
        let before = before.entry(stream).or_default();
        if first <= *before {
            let what = format!("{stream} {first} after {before} on connection {connection}");
            told.push(Told::Broken(Check::Order, what));
        }
        *before = last.max(*before);
    }

    fn see(&mut self, line: usize, shown: &Shown, goes_on: bool, told: &mut Vec<Told>) {
        let (stream, seq) = shown.place;
        self.advance(line, stream, seq, seq, told);
        let position = self.positions.entry(stream).or_default();
        if seq <= *position {
            self.resent += 1;
            return;
        }
        if goes_on && seq > *position + 1 {
            told.push(Told::Hole { stream, first: *position + 1, last: seq - 1 });
        }
        *position = seq;
        let has_two = self.lines.len() > 1;
        if has_two {
            self.seen_on_two.insert(shown.text);
        }
        if self.seen.insert(shown.text) {
            self.lowest = self.lowest.max(Some((shown.time, shown.place)));
            told.push(Told::Saw(shown.clone()));
        } else if !self.seen_on_two.contains(&shown.text) {
            told.push(Told::Broken(Check::Once, format!("{} again, at {stream} {seq}", shown.text)));
        }
    }
}
