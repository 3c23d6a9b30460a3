//! The other servers, as far as they are heard.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::limits::{ALIVE_INTERVAL, LEASE, SHOWN_WHEN_GONE};

#[derive(Debug)]
struct Peer {
    name: Option<Arc<str>>,
    heard: Instant,
    /// Its lease is over, and that was told.
    has_ended: bool,
}

/// By incarnation.
#[derive(Debug, Default)]
pub struct Peers {
    peers: BTreeMap<u64, Peer>,
}

impl Peers {
    /// A word of a server renews its lease. True: it had been given up.
    pub fn hear(&mut self, origin: u64, name: Option<&Arc<str>>, now: Instant) -> bool {
        let peer = self.peers.entry(origin).or_insert(Peer { name: None, heard: now, has_ended: false });
        peer.heard = now;
        if let Some(name) = name {
            peer.name = Some(Arc::clone(name));
        }
        std::mem::take(&mut peer.has_ended)
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
            if is_over(peer, now) && !std::mem::replace(&mut peer.has_ended, true) {
                ended.push(origin);
            }
            now.saturating_duration_since(peer.heard) < SHOWN_WHEN_GONE
        });
        ended
    }

    /// By name, with whether each is alive.
    pub fn by_name(&self, now: Instant) -> Vec<(Arc<str>, bool)> {
        let named = |peer: &Peer| Some((Arc::clone(peer.name.as_ref()?), !is_over(peer, now)));
        let mut peers: Vec<_> = self.peers.values().filter_map(named).collect();
        peers.sort_unstable();
        peers
    }
}

fn is_over(peer: &Peer, now: Instant) -> bool {
    now.saturating_duration_since(peer.heard) >= LEASE
}
