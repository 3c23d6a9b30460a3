//! The bus between servers of one process: mailboxes, no network. See [`crate::chat::bus`] for the contract.

use std::sync::Arc;
use std::time::Instant;

use foldhash::HashSet;
use mio::Waker;

use crate::chat::{BusEvent, Carrying};
use crate::lanes::{LaneStatus, Totals};
use crate::net::Poller;
use crate::net::mailbox::{Mailbox, Post, Undelivered, mailbox};
use crate::wire::Envelope;
use crate::wire::envelope::Target;

use super::bus::Bus;

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
    /// Subscriptions that were not told to be in force yet.
    confirmed: Vec<Arc<str>>,
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
            let (subscribed, confirmed) = Default::default();
            Loopback { mailbox, peers, subscribed, confirmed, dropped: 0 }
        })
        .collect()
}

impl Bus for Loopback {
    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn carrying(&self) -> Carrying {
        Carrying { lanes: 1, of: 1 }
    }

    fn lanes(&self) -> Vec<LaneStatus> {
        Vec::new()
    }

    fn totals(&self) -> Totals {
        Totals::default()
    }

    fn subscribe(&mut self, room: &Arc<str>) {
        self.subscribed.insert(Arc::clone(room));
        self.confirmed.push(Arc::clone(room));
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

    fn flush(&mut self, _: &Poller, _: Instant) -> bool {
        // Subscriptions are in force at once, but are told with the next poll.
        let mut is_full = !self.confirmed.is_empty();
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

    fn poll(&mut self, _: &Poller, _: Instant, budget: usize, handle: &mut dyn FnMut(BusEvent)) -> bool {
        self.confirmed.drain(..).for_each(|room| handle(BusEvent::Subscribed(room)));
        if self.dropped > 0 {
            handle(BusEvent::Dropped(std::mem::take(&mut self.dropped)));
        }
        let subscribed = &self.subscribed;
        self.mailbox.drain(budget, |batch| {
            for envelope in batch {
                let is_offered = match envelope.target() {
                    Target::Room(room) => subscribed.contains(room),
                    // The hub knows its own name.
                    Target::All | Target::Server(_) => true,
                };
                if is_offered {
                    handle(BusEvent::Received(envelope));
                }
            }
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::envelope::Word;

    fn typing(room: &str) -> Envelope {
        Envelope { origin: 1, word: Word::Typing { room: room.into(), user: "ann".into() } }
    }

    struct World {
        pollers: Vec<Poller>,
        ends: Vec<Loopback>,
    }

    impl World {
        fn new(servers: usize) -> Self {
            let pollers: Vec<_> = (0..servers).map(|_| Poller::new().unwrap()).collect();
            let wakers: Vec<_> = pollers.iter().map(Poller::waker).collect();
            Self { pollers, ends: mesh(&wakers) }
        }

        fn flush(&mut self, server: usize) -> bool {
            self.ends[server].flush(&self.pollers[server], Instant::now())
        }

        fn received(&mut self, server: usize) -> Vec<BusEvent> {
            let mut events = Vec::new();
            let now = Instant::now();
            self.ends[server].poll(&self.pollers[server], now, 1000, &mut |event| events.push(event));
            events
        }
    }

    #[test]
    fn envelopes_reach_those_who_subscribed_and_not_oneself() {
        let mut world = World::new(3);
        for server in [0, 1] {
            world.ends[server].subscribe(&"r".into());
            assert!(world.flush(server), "the confirmation waits for the next poll");
            assert_eq!(world.received(server), [BusEvent::Subscribed("r".into())]);
        }
        let hold = Envelope { origin: 1, word: Word::Hold { to: 3, room: "r".into() } };
        world.ends[0].publish(typing("r"));
        world.ends[0].publish(hold.clone());
        assert!(!world.flush(0));
        assert_eq!(world.received(0), []);
        assert_eq!(world.received(1), [BusEvent::Received(typing("r")), BusEvent::Received(hold.clone())]);
        assert_eq!(world.received(2), [BusEvent::Received(hold)], "it did not subscribe");
    }

    #[test]
    fn a_full_server_loses_nothing_until_the_bound_and_then_it_is_counted() {
        let mut world = World::new(2);
        world.ends[1].subscribe(&"r".into());
        for _ in 0..BATCHES_MAX {
            world.ends[0].publish(typing("r"));
            assert!(!world.flush(0));
        }
        for _ in 0..HELD_MAX + 3 {
            world.ends[0].publish(typing("r"));
        }
        assert!(world.flush(0), "the mailbox is full");
        assert_eq!(world.received(0), [BusEvent::Dropped(3)]);
        assert_eq!(world.received(1).len(), 1 + BATCHES_MAX);
        assert!(!world.flush(0));
        assert_eq!(world.received(1).len(), HELD_MAX);
    }
}
