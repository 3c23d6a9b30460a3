//! The membership as one server sees it: who lives, who is suspect, who leaves.
//!
//! A server lives as long as it answers: its `Alive` echoes the number of a beat of ours, and that beat was sent less
//! than a lease ago by our own running time. So an `Alive` that a frozen Redis node hands out late proves nothing,
//! however late it is, and no clock of another server is believed. A server that does not receive us does not live here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::limits::{Limits, PEERS_MAX};
use super::mutants::{Mutant, is_on};
use crate::wire::envelope::Echo;

#[derive(Debug)]
struct Peer {
    name: Arc<str>,
    /// The highest number of its beats.
    beat: u64,
    state: State,
    /// When it last answered, or was met.
    heard: Instant,
    /// By how much its beats were late lately: the longest, which decays by an eighth with each beat.
    late: Duration,
    is_suspect: bool,
    /// Between a beat of ours and its last echo.
    round_trip: Duration,
    /// How many clients it has; `None`: it takes no more, since it leaves.
    load: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It was received, and has not answered us yet.
    Met,
    Live,
    /// Its lease is over.
    Gone,
    /// It said that it ends.
    Left,
}

/// By incarnation.
#[derive(Debug, Default)]
pub struct Peers {
    peers: BTreeMap<u64, Peer>,
    /// The last number given to a beat of ours.
    beat: u64,
    /// When our beats of the last lease were sent.
    sent: VecDeque<(u64, Instant)>,
    /// All are wanted until then.
    full_until: Option<Instant>,
}

/// A sign of life.
#[derive(Clone, Copy, Debug)]
pub struct Beat<'a> {
    /// The server's incarnation.
    pub origin: u64,
    /// Its name.
    pub name: &'a Arc<str>,
    /// Its number.
    pub beat: u64,
    /// For how long it has run.
    pub age: Duration,
    /// The number of our beat that it had received last; 0: none.
    pub echo: u64,
    /// It is about to end.
    pub is_leaving: bool,
    /// How many clients it has; `None`: it takes no more.
    pub load: Option<u32>,
}

/// What a server's sign of life means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It lives on, and nothing has changed.
    Renewed,
    /// It was not known; it has to receive us before it counts.
    Met,
    /// It answers for the first time.
    New,
    /// It had been given up, and answers.
    Returned,
    /// It lives on, and takes no more clients from now on.
    Drains,
    /// It ends.
    Left,
    /// A copy from another lane, or one that a newer sign has overtaken.
    Old,
    /// It is not known, and more than [`PEERS_MAX`] are not met.
    Refused,
    /// It was under way for long: it answers nothing that was sent lately, or comes after the server left.
    Stale,
}

impl Peers {
    /// A beat of ours goes out now: its number.
    pub fn next_beat(&mut self, now: Instant, limits: &Limits) -> u64 {
        self.beat += 1;
        self.sent.push_back((self.beat, now));
        while self.sent.front().is_some_and(|(_, sent)| *sent + limits.lease <= now) {
            self.sent.pop_front();
        }
        self.beat
    }

    /// What we have received of each other server.
    pub fn echoes(&self) -> Vec<Echo> {
        self.peers.iter().map(|(&to, peer)| Echo { to, beat: peer.beat }).collect()
    }

    /// A sign of life of another server.
    pub fn hear(&mut self, sign: Beat<'_>, now: Instant, limits: &Limits) -> News {
        let sent = self.sent(sign.echo);
        let age = sent.map_or(Duration::MAX, |sent| now.saturating_duration_since(sent));
        let is_proof = age < limits.lease || is_on(Mutant::LeaseWithoutEcho);
        let Some(peer) = self.peers.get_mut(&sign.origin) else {
            return self.meet(&sign, is_proof, now, limits);
        };
        if sign.beat <= peer.beat {
            return News::Old;
        }
        if peer.state == State::Left {
            return News::Stale;
        }
        peer.beat = sign.beat;
        if sign.is_leaving {
            let was_live = std::mem::replace(&mut peer.state, State::Left) == State::Live;
            return if was_live { News::Left } else { News::Stale };
        }
        if !is_proof {
            return News::Stale;
        }
        let late = now.saturating_duration_since(peer.heard).saturating_sub(limits.alive_interval);
        peer.late = if peer.state == State::Live { late.max(peer.late * 7 / 8) } else { Duration::ZERO };
        peer.heard = now;
        peer.is_suspect = false;
        peer.round_trip = age.min(limits.lease);
        let drains = peer.load.is_some() && sign.load.is_none();
        peer.load = sign.load;
        match std::mem::replace(&mut peer.state, State::Live) {
            State::Live if drains => News::Drains,
            State::Live => News::Renewed,
            State::Met => News::New,
            State::Gone | State::Left => News::Returned,
        }
    }

    /// A server that was not known.
    fn meet(&mut self, sign: &Beat<'_>, is_proof: bool, now: Instant, limits: &Limits) -> News {
        if sign.is_leaving {
            return News::Met;
        }
        if self.peers.len() >= PEERS_MAX && !self.make_place(now, limits) {
            return News::Refused;
        }
        let state = if is_proof { State::Live } else { State::Met };
        self.peers.insert(sign.origin, Peer::new(sign, state, now));
        if is_proof { News::New } else { News::Met }
    }

    /// Forgets one that has not answered within a lease. Looked for now and then: there may be very many newcomers.
    fn make_place(&mut self, now: Instant, limits: &Limits) -> bool {
        if self.full_until.is_some_and(|until| now < until) {
            return false;
        }
        let is_silent = |peer: &Peer| {
            peer.state == State::Met && now.saturating_duration_since(peer.heard) >= limits.lease
        };
        let silent = self.peers.iter().find(|(_, peer)| is_silent(peer)).map(|(origin, _)| *origin);
        self.full_until = silent.is_none().then(|| now + limits.alive_interval);
        silent.and_then(|origin| self.peers.remove(&origin)).is_some()
    }

    /// When that beat of ours was sent, if it was lately.
    fn sent(&self, beat: u64) -> Option<Instant> {
        let &(first, _) = self.sent.front()?;
        let index = usize::try_from(beat.checked_sub(first)?).ok()?;
        self.sent.get(index).map(|(_, sent)| *sent)
    }

    /// How many clients those have who live and take more.
    pub fn loads(&self) -> impl Iterator<Item = u32> {
        self.peers.values().filter(|peer| peer.state == State::Live).filter_map(|peer| peer.load)
    }

    /// This server itself stood still for so long, which is no silence of others: what they sent meanwhile is still in
    /// the mailbox.
    pub fn forgive(&mut self, stall: Duration) {
        if is_on(Mutant::StallCounts) {
            return;
        }
        self.peers.values_mut().for_each(|peer| peer.heard += stall);
        self.sent.iter_mut().for_each(|(_, sent)| *sent += stall);
    }

    /// Servers whose lease is over, each told once; and those that are forgotten.
    pub fn take_ended(&mut self, now: Instant, limits: &Limits) -> Vec<u64> {
        let mut ended = Vec::new();
        self.peers.retain(|&origin, peer| {
            let silence = now.saturating_duration_since(peer.heard);
            if silence >= limits.lease && peer.state == State::Live {
                peer.state = State::Gone;
                ended.push(origin);
            }
            silence < limits.shown_when_gone
        });
        ended
    }

    /// Whether servers became suspect since the last call.
    pub fn take_suspects(&mut self, now: Instant, limits: &Limits) -> bool {
        let is_late = |peer: &&mut Peer| peer.state == State::Live && peer.suspect_at(limits) <= now;
        let is_new = |peer: &mut Peer| !std::mem::replace(&mut peer.is_suspect, true);
        self.peers.values_mut().filter(is_late).map(is_new).fold(false, |any, new| any | new)
    }

    /// When the next one does, unless it is heard of.
    pub fn suspect_due(&self, limits: &Limits) -> Option<Instant> {
        let answers = |peer: &&Peer| peer.state == State::Live && !peer.is_suspect;
        self.peers.values().filter(answers).map(|peer| peer.suspect_at(limits)).min()
    }

    /// Those that live and answer in time; all that live where nobody does, since then it may be this server that
    /// receives nothing.
    pub fn responsive(&self) -> impl Iterator<Item = u64> {
        let is_any = self.peers.values().any(|peer| peer.state == State::Live && !peer.is_suspect);
        let answers = move |peer: &Peer| peer.state == State::Live && !(is_any && peer.is_suspect);
        self.peers.iter().filter(move |(_, peer)| answers(peer)).map(|(origin, _)| *origin)
    }

    /// Whether it is one of those.
    pub fn is_responsive(&self, origin: u64) -> bool {
        self.responsive().any(|responsive| responsive == origin)
    }

    /// Whether it leaves soon, so that nothing is to be left to it.
    pub fn is_draining(&self, origin: u64) -> bool {
        self.peers.get(&origin).is_some_and(|peer| peer.load.is_none())
    }

    /// Whether its lease runs.
    pub fn is_live(&self, origin: u64) -> bool {
        self.peers.get(&origin).is_some_and(|peer| peer.state == State::Live)
    }

    /// Whether it was heard of, and is not gone for long.
    pub fn is_known(&self, origin: u64) -> bool {
        self.peers.contains_key(&origin)
    }

    /// Those whose lease runs.
    pub fn live(&self) -> impl Iterator<Item = u64> {
        let live = self.peers.iter().filter(|(_, peer)| peer.state == State::Live);
        live.map(|(origin, _)| *origin)
    }

    /// Whether a server was met less than a lease ago that has not answered yet.
    pub fn is_any_new(&self, now: Instant, limits: &Limits) -> bool {
        let is_new = |peer: &Peer| peer.state == State::Met && peer.heard + limits.lease > now;
        self.peers.values().any(is_new)
    }

    /// When [`Peers::is_any_new`] ends, if none of those answers.
    pub fn new_until(&self, limits: &Limits) -> Option<Instant> {
        let met = self.peers.values().filter(|peer| peer.state == State::Met);
        met.map(|peer| peer.heard + limits.lease).max()
    }

    /// The longest time between a beat of ours and its echo among those that live.
    pub fn round_trip(&self) -> Duration {
        let live = self.peers.values().filter(|peer| peer.state == State::Live);
        live.map(|peer| peer.round_trip).max().unwrap_or_default()
    }

    /// The shortest such time, without the wait for the beat that carries the echo: no answer comes sooner.
    pub fn shortest_round_trip(&self, limits: &Limits) -> Duration {
        let live = self.peers.values().filter(|peer| peer.state == State::Live);
        let shortest = live.map(|peer| peer.round_trip).min().unwrap_or_default();
        shortest.saturating_sub(limits.alive_interval)
    }

    /// Whether a server that did not say it ends is missing: it was heard of, and does not live.
    pub fn is_any_missing(&self) -> bool {
        self.peers.values().any(|peer| matches!(peer.state, State::Met | State::Gone))
    }

    /// Whether one of those is missing for so short a time that what only it keeps is waited for.
    pub fn may_come_back(&self, now: Instant, limits: &Limits) -> bool {
        let patience = limits.lease + limits.expiry_patience;
        let may_come =
            |peer: &Peer| matches!(peer.state, State::Met | State::Gone) && peer.heard + patience > now;
        self.peers.values().any(may_come)
    }

    /// By name, with whether each is alive.
    pub fn by_name(&self) -> Vec<(Arc<str>, bool)> {
        let is_live = |peer: &Peer| peer.state == State::Live;
        let mut peers: Vec<_> =
            self.peers.values().map(|peer| (Arc::clone(&peer.name), is_live(peer))).collect();
        peers.sort_unstable();
        peers
    }
}

impl Peer {
    fn new(sign: &Beat<'_>, state: State, now: Instant) -> Self {
        Self {
            name: Arc::clone(sign.name),
            beat: sign.beat,
            state,
            heard: now,
            late: Duration::ZERO,
            is_suspect: false,
            round_trip: Duration::ZERO,
            load: sign.load,
        }
    }

    /// 1.5 intervals and what it was late before, but not longer than a bound.
    fn suspect_at(&self, limits: &Limits) -> Instant {
        self.heard + (limits.alive_interval * 3 / 2 + self.late).min(limits.suspect_max)
    }
}

#[cfg(test)]
#[path = "peers_tests.rs"]
pub(super) mod tests;
