//! What the other servers say about themselves: which lanes they hear.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::set::LaneSet;

/// Most servers that are remembered; one more is not considered when lanes are chosen.
const PEERS_MAX: usize = 1024;

/// What an `Alive` says.
#[derive(Clone, Debug)]
pub struct Sign {
    pub origin: u64,
    pub name: Arc<str>,
    pub beat: u64,
    pub lanes: LaneSet,
    pub is_leaving: bool,
}

/// The servers that live, as far as is known.
#[derive(Debug)]
pub struct Peers {
    count: usize,
    peers: HashMap<u64, Peer, FixedState>,
    /// The lanes that all of them hear.
    common: LaneSet,
    /// Two of them share no lane.
    is_split: bool,
    next_expiry: Option<Instant>,
}

#[derive(Debug)]
struct Peer {
    name: Arc<str>,
    lanes: LaneSet,
    beat: u64,
    heard: Instant,
    /// For each lane that it says it is on: since when nothing was heard of it there.
    silent_since: Vec<Option<Instant>>,
}

impl Peers {
    /// Nobody yet; there are so many lanes.
    pub fn new(count: usize) -> Self {
        let common = LaneSet::all(count);
        Self { count, peers: HashMap::default(), common, is_split: false, next_expiry: None }
    }

    /// An `Alive` came on that lane.
    pub fn hear(&mut self, lane: usize, sign: &Sign, silence_max: Duration, now: Instant) {
        if sign.is_leaving {
            self.peers.remove(&sign.origin);
            return self.compare();
        }
        if !self.peers.contains_key(&sign.origin) && self.peers.len() >= PEERS_MAX {
            return;
        }
        let peer = self.peers.entry(sign.origin).or_insert_with(|| Peer {
            name: Arc::clone(&sign.name),
            lanes: LaneSet::EMPTY,
            beat: 0,
            heard: now,
            silent_since: vec![None; self.count],
        });
        // An older word, of a node that was frozen, must not undo a newer.
        if sign.beat < peer.beat {
            return;
        }
        (peer.beat, peer.heard) = (sign.beat, now);
        let lanes = sign.lanes.and(LaneSet::all(self.count));
        for (other, since) in peer.silent_since.iter_mut().enumerate() {
            *since = match *since {
                _ if !lanes.contains(other) => None,
                Some(since) if other != lane => Some(since),
                _ => Some(now),
            };
        }
        let is_news = std::mem::replace(&mut peer.lanes, lanes) != lanes;
        self.next_expiry.get_or_insert(now + silence_max);
        if is_news {
            self.compare();
        }
    }

    /// Forgets those who are silent.
    pub fn expire(&mut self, silence_max: Duration, now: Instant) {
        if self.next_expiry.is_none_or(|expiry| expiry > now) {
            return;
        }
        self.peers.retain(|_, peer| peer.heard + silence_max > now);
        self.next_expiry = self.peers.values().map(|peer| peer.heard + silence_max).min();
        self.compare();
    }

    pub fn next_expiry(&self) -> Option<Instant> {
        self.next_expiry
    }

    fn compare(&mut self) {
        let masks: Vec<_> = self.peers.values().map(|peer| peer.lanes).collect();
        self.common = masks.iter().fold(LaneSet::all(self.count), |common, lanes| common.and(*lanes));
        self.is_split = masks.iter().any(|one| masks.iter().any(|other| one.is_disjoint(*other)));
    }

    /// The lanes that all of them hear; all, if there is nobody.
    pub fn common(&self) -> LaneSet {
        self.common
    }

    /// Whether two of them share no lane, so that somebody has to pass on what they say.
    pub fn is_split(&self) -> bool {
        self.is_split
    }

    /// The lanes that a server hears; `None`: not known.
    pub fn lanes_of(&self, origin: u64) -> Option<LaneSet> {
        self.peers.get(&origin).map(|peer| peer.lanes)
    }

    /// Each with the lanes that it hears.
    pub fn iter(&self) -> impl Iterator<Item = (u64, LaneSet)> {
        self.peers.iter().map(|(origin, peer)| (*origin, peer.lanes))
    }

    /// A server that says it is on one of these lanes, of which nothing was heard there for `silence_max`. Told once,
    /// and again after as long.
    pub fn unheard(
        &mut self,
        origin: u64,
        lanes: LaneSet,
        silence_max: Duration,
        now: Instant,
    ) -> Option<(usize, Arc<str>)> {
        let peer = self.peers.get_mut(&origin)?;
        let is_silent = |since: &Option<Instant>| since.is_some_and(|since| since + silence_max <= now);
        let lane = lanes.iter().find(|lane| peer.silent_since.get(*lane).is_some_and(is_silent))?;
        peer.silent_since[lane] = Some(now);
        Some((lane, Arc::clone(&peer.name)))
    }

    /// What was not heard while this lane was away says nothing.
    pub fn forgive(&mut self, lane: usize, now: Instant) {
        for peer in self.peers.values_mut() {
            if let Some(since) = &mut peer.silent_since[lane] {
                *since = now;
            }
        }
    }
}
