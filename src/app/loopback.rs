//! The bus between servers of one process: mailboxes, no network. See [`Bus`] for the contract.

use std::sync::Arc;

use foldhash::HashSet;
use mio::Waker;

use crate::chat::bus::{Bus, BusEvent, Envelope};
use crate::net::mailbox::{Mailbox, Post, Undelivered, mailbox};

/// Batches that may wait at one server.
const BATCHES_MAX: usize = 256;
/// Envelopes held for a server whose mailbox is full; beyond it the newest are thrown away and counted.
const HELD_MAX: usize = 65_536;

/// One server's end.
#[derive(Debug)]
pub struct Loopback {
    mailbox: Mailbox<Vec<Envelope>>,
    peers: Vec<Peer>,
    subscribed: HashSet<Arc<str>>,
    dropped: u64,
}

#[derive(Debug)]
struct Peer {
    post: Post<Vec<Envelope>>,
    held: Vec<Envelope>,
}

/// Connects the backplane threads that wait at these wakers, each with each.
pub fn mesh(wakers: &[Arc<Waker>]) -> Vec<Loopback> {
    let ends: Vec<_> = wakers.iter().map(|waker| mailbox(BATCHES_MAX, Arc::clone(waker))).collect();
    let posts: Vec<_> = ends.iter().map(|(post, _)| post.clone()).collect();
    ends.into_iter()
        .enumerate()
        .map(|(own, (_, mailbox))| {
            let others = posts.iter().enumerate().filter(|(index, _)| *index != own);
            let peers = others.map(|(_, post)| Peer { post: post.clone(), held: Vec::new() }).collect();
            Loopback { mailbox, peers, subscribed: HashSet::default(), dropped: 0 }
        })
        .collect()
}

impl Bus for Loopback {
    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn subscribe(&mut self, room: &Arc<str>) {
        self.subscribed.insert(Arc::clone(room));
    }

    fn unsubscribe(&mut self, room: &Arc<str>) {
        self.subscribed.remove(room);
    }

    fn publish(&mut self, envelope: Envelope) {
        for peer in &mut self.peers {
            if peer.held.len() < HELD_MAX {
                peer.held.push(envelope.clone());
            } else {
                self.dropped += 1;
            }
        }
    }

    fn flush(&mut self) -> bool {
        let mut is_full = false;
        for peer in self.peers.iter_mut().filter(|peer| !peer.held.is_empty()) {
            match peer.post.send(std::mem::take(&mut peer.held)) {
                // A server that has stopped hears nothing, as with any bus.
                Ok(()) | Err(Undelivered::Closed) => {}
                Err(Undelivered::Full(held)) => {
                    peer.held = held;
                    is_full = true;
                }
            }
        }
        is_full
    }

    fn poll(&mut self, budget: usize, handle: &mut dyn FnMut(BusEvent)) -> bool {
        if self.dropped > 0 {
            handle(BusEvent::Dropped(std::mem::take(&mut self.dropped)));
        }
        let subscribed = &self.subscribed;
        self.mailbox.drain(budget, |batch| {
            for envelope in batch {
                if envelope.room().is_none_or(|room| subscribed.contains(room)) {
                    handle(BusEvent::Received(envelope));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Poller;

    fn hello(room: &str) -> Envelope {
        Envelope::Hello { room: room.into(), origin: 1 }
    }

    fn received(bus: &mut Loopback) -> Vec<BusEvent> {
        let mut events = Vec::new();
        bus.poll(1000, &mut |event| events.push(event));
        events
    }

    #[test]
    fn envelopes_reach_those_who_subscribed_and_not_oneself() {
        let pollers: Vec<_> = (0..3).map(|_| Poller::new().unwrap()).collect();
        let wakers: Vec<_> = pollers.iter().map(Poller::waker).collect();
        let mut ends = mesh(&wakers);
        ends[0].subscribe(&"r".into());
        ends[1].subscribe(&"r".into());
        let alive = Envelope::Alive { origin: 1, name: "app-1".into() };
        ends[0].publish(hello("r"));
        ends[0].publish(alive.clone());
        assert!(!ends[0].flush());
        assert_eq!(received(&mut ends[0]), []);
        assert_eq!(
            received(&mut ends[1]),
            [BusEvent::Received(hello("r")), BusEvent::Received(alive.clone())]
        );
        assert_eq!(received(&mut ends[2]), [BusEvent::Received(alive)], "it did not subscribe");
    }

    #[test]
    fn a_full_server_loses_nothing_until_the_bound_and_then_it_is_counted() {
        let pollers: Vec<_> = (0..2).map(|_| Poller::new().unwrap()).collect();
        let wakers: Vec<_> = pollers.iter().map(Poller::waker).collect();
        let mut ends = mesh(&wakers);
        ends[1].subscribe(&"r".into());
        for _ in 0..BATCHES_MAX {
            ends[0].publish(hello("r"));
            assert!(!ends[0].flush());
        }
        for _ in 0..HELD_MAX + 3 {
            ends[0].publish(hello("r"));
        }
        assert!(ends[0].flush(), "the mailbox is full");
        assert_eq!(received(&mut ends[0]), [BusEvent::Dropped(3)]);
        assert_eq!(received(&mut ends[1]).len(), BATCHES_MAX);
        assert!(!ends[0].flush());
        assert_eq!(received(&mut ends[1]).len(), HELD_MAX);
    }
}
