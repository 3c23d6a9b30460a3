//! The other servers, as far as they say that they live. Nothing else counts: a word that was under way for minutes must
//! not bring the dead back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Now;
use super::limits::{ALIVE_DELAY_MAX, ALIVE_INTERVAL, LEASE, QUIET, SHOWN_WHEN_GONE};

#[derive(Debug)]
struct Peer {
    name: Arc<str>,
    heard: Instant,
    /// The smallest difference between our clock and its stamps: how far the clocks are apart, and the quickest way.
    quickest_ms: i128,
    is_live: bool,
    /// It is late with its next sign of life.
    is_quiet: bool,
    /// How many clients it has; `None`: it takes no more.
    load: Option<u32>,
}

/// By incarnation.
#[derive(Debug, Default)]
pub struct Peers {
    peers: BTreeMap<u64, Peer>,
}

/// What a server's sign of life means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It lives on.
    Renewed,
    /// It was not known.
    New,
    /// It had been given up.
    Returned,
    /// It ends.
    Left,
    /// The sign is an old one.
    Stale,
}

impl Peers {
    /// A sign of life, stamped `sent_ms` by the peer's clock.
    pub fn hear(&mut self, origin: u64, name: &Arc<str>, sent_ms: u64, is_leaving: bool, now: Now) -> News {
        let difference = i128::from(now.unix_ms) - i128::from(sent_ms);
        let Some(peer) = self.peers.get_mut(&origin) else {
            let peer = Peer {
                name: Arc::clone(name),
                heard: now.instant,
                quickest_ms: difference,
                is_live: !is_leaving,
                is_quiet: false,
                load: None,
            };
            self.peers.insert(origin, peer);
            return if is_leaving { News::Left } else { News::New };
        };
        peer.quickest_ms = peer.quickest_ms.min(difference);
        if difference - peer.quickest_ms > ALIVE_DELAY_MAX.as_millis() as i128 {
            return News::Stale;
        }
        if is_leaving {
            return if std::mem::replace(&mut peer.is_live, false) { News::Left } else { News::Stale };
        }
        peer.heard = now.instant;
        peer.is_quiet = false;
        if std::mem::replace(&mut peer.is_live, true) { News::Renewed } else { News::Returned }
    }

    /// What its last sign of life said of its clients.
    pub fn note_load(&mut self, origin: u64, load: Option<u32>) {
        if let Some(peer) = self.peers.get_mut(&origin) {
            peer.load = load;
        }
    }

    /// How many clients those have who live and take more.
    pub fn loads(&self) -> impl Iterator<Item = u32> {
        self.peers.values().filter(|peer| peer.is_live).filter_map(|peer| peer.load)
    }

    /// This server itself is so late. When it stood still, the others' silence means nothing: what they said meanwhile
    /// is still in the mailbox.
    pub fn forgive(&mut self, late: Duration) {
        if late >= ALIVE_INTERVAL {
            self.peers.values_mut().for_each(|peer| peer.heard += late);
        }
    }

    /// Servers whose lease is over, each told once.
    pub fn take_ended(&mut self, now: Instant) -> Vec<u64> {
        let mut ended = Vec::new();
        self.peers.retain(|&origin, peer| {
            let silence = now.saturating_duration_since(peer.heard);
            if silence >= LEASE && std::mem::replace(&mut peer.is_live, false) {
                ended.push(origin);
            }
            silence < SHOWN_WHEN_GONE
        });
        ended
    }

    /// Whether servers fell quiet since the last call.
    pub fn take_quiet(&mut self, now: Instant) -> bool {
        let late = |peer: &&mut Peer| peer.is_live && now.saturating_duration_since(peer.heard) >= QUIET;
        let fell_quiet = |peer: &mut Peer| !std::mem::replace(&mut peer.is_quiet, true);
        self.peers.values_mut().filter(late).map(fell_quiet).fold(false, |any, new| any | new)
    }

    /// When the next one does, unless it is heard of.
    pub fn quiet_due(&self) -> Option<Instant> {
        let talks = |peer: &&Peer| peer.is_live && !peer.is_quiet;
        self.peers.values().filter(talks).map(|peer| peer.heard + QUIET).min()
    }

    /// Those that live and are not quiet; all that live where nobody talks, since then it may be this server that does not hear.
    pub fn talking(&self) -> impl Iterator<Item = u64> {
        let all_are_quiet = self.peers.values().all(|peer| !peer.is_live || peer.is_quiet);
        let talks = move |peer: &Peer| peer.is_live && (all_are_quiet || !peer.is_quiet);
        self.peers.iter().filter(move |(_, peer)| talks(peer)).map(|(origin, _)| *origin)
    }

    /// Whether its lease runs.
    pub fn is_live(&self, origin: u64) -> bool {
        self.peers.get(&origin).is_some_and(|peer| peer.is_live)
    }

    /// Whether it was heard of, and is not gone for long.
    pub fn is_known(&self, origin: u64) -> bool {
        self.peers.contains_key(&origin)
    }

    /// Those whose lease runs.
    pub fn live(&self) -> impl Iterator<Item = u64> {
        self.peers.iter().filter(|(_, peer)| peer.is_live).map(|(origin, _)| *origin)
    }

    /// By name, with whether each is alive.
    pub fn by_name(&self) -> Vec<(Arc<str>, bool)> {
        let mut peers: Vec<_> =
            self.peers.values().map(|peer| (Arc::clone(&peer.name), peer.is_live)).collect();
        peers.sort_unstable();
        peers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(peers: &mut Peers, sent_ms: u64, is_leaving: bool, now: Now) -> News {
        peers.hear(7, &"app-7".into(), sent_ms, is_leaving, now)
    }

    fn later(now: Now, time: Duration) -> Now {
        Now { instant: now.instant + time, unix_ms: now.unix_ms + time.as_millis() as u64 }
    }

    #[test]
    fn a_lease_runs_ends_and_may_run_again() {
        let now = Now { instant: Instant::now(), unix_ms: 1_000_000 };
        let mut peers = Peers::default();
        assert_eq!(hear(&mut peers, 1_000_000, false, now), News::New);
        assert!(peers.take_ended(now.instant).is_empty() && peers.is_live(7));
        let over = later(now, LEASE);
        assert_eq!(peers.take_ended(over.instant), [7]);
        assert!(peers.take_ended(over.instant).is_empty() && !peers.is_live(7));
        assert_eq!(peers.by_name(), [("app-7".into(), false)]);
        assert_eq!(hear(&mut peers, over.unix_ms, false, over), News::Returned);
        assert_eq!(hear(&mut peers, over.unix_ms, true, over), News::Left);
        assert!(!peers.is_live(7) && peers.take_ended(later(over, LEASE).instant).is_empty());
        peers.take_ended(later(over, SHOWN_WHEN_GONE).instant);
        assert!(peers.by_name().is_empty());
    }

    #[test]
    fn who_is_late_is_quiet_until_it_is_heard_and_counts_only_where_nobody_talks() {
        let now = Now { instant: Instant::now(), unix_ms: 1_000_000 };
        let mut peers = Peers::default();
        let beat = |peers: &mut Peers, origin, now: Now| {
            peers.hear(origin, &"app".into(), now.unix_ms, false, now);
        };
        beat(&mut peers, 1, now);
        let half = later(now, QUIET / 2);
        beat(&mut peers, 2, half);
        assert_eq!(peers.quiet_due(), Some(now.instant + QUIET));
        assert!(!peers.take_quiet(half.instant));
        let one_late = later(now, QUIET);
        assert!(peers.take_quiet(one_late.instant) && !peers.take_quiet(one_late.instant), "told once");
        assert_eq!((peers.talking().collect::<Vec<_>>(), peers.live().count()), (vec![2], 2));
        let both_late = later(half, QUIET);
        assert!(peers.take_quiet(both_late.instant) && peers.quiet_due().is_none());
        assert_eq!(peers.talking().count(), 2, "it may be this server that does not hear");
        beat(&mut peers, 1, both_late);
        assert_eq!(peers.talking().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn the_loads_are_of_those_who_live_and_take_more() {
        let now = Now { instant: Instant::now(), unix_ms: 1_000_000 };
        let mut peers = Peers::default();
        for (origin, load) in [(1, Some(10)), (2, None), (3, Some(30))] {
            peers.hear(origin, &"app".into(), now.unix_ms, false, now);
            peers.note_load(origin, load);
        }
        peers.hear(3, &"app".into(), now.unix_ms, true, now);
        assert_eq!(peers.loads().collect::<Vec<_>>(), [10]);
    }

    #[test]
    fn an_old_sign_of_life_brings_nobody_back_whatever_the_clocks_say() {
        let hour = 3_600_000;
        let now = Now { instant: Instant::now(), unix_ms: 10 * hour };
        for clock in [9 * hour, 11 * hour] {
            let mut peers = Peers::default();
            assert_eq!(hear(&mut peers, clock, false, now), News::New);
            let over = later(now, LEASE + ALIVE_DELAY_MAX);
            assert_eq!(peers.take_ended(over.instant), [7]);
            assert_eq!(hear(&mut peers, clock + 500, false, over), News::Stale);
            assert!(!peers.is_live(7));
        }
    }
}
