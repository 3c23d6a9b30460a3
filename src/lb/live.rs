//! The status page that moves: whoever opens a WebSocket at `/status` gets the status at once, whenever something has
//! changed, and now and then if nothing has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::net::Key;
use crate::serve::Clients;
use crate::serve::service::Pace;
use crate::wire::frame;

use super::node::Node;
use super::status;

/// Most pages that may watch a balancer at a time.
pub const WATCHERS_MAX: u32 = 256;
/// Shortest time between two of what is sent.
const INTERVAL: Duration = Duration::from_millis(250);
/// Longest: ages of heartbeats grow also when nothing happens.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// One page that watches.
#[derive(Debug)]
pub struct Watcher;

/// The pages of one reactor.
#[derive(Debug)]
pub struct Live {
    node: Arc<Node>,
    watchers: usize,
    version: u64,
    sent: Instant,
    next_look: Instant,
}

impl Live {
    /// Nobody watches.
    pub fn new(node: Arc<Node>) -> Self {
        let now = node.started;
        Self { node, watchers: 0, version: 0, sent: now, next_look: now }
    }

    /// Somebody watches from now on.
    pub fn add(&mut self, id: Key, clients: &mut Clients<Watcher>, now: Instant) {
        self.watchers += 1;
        clients.send_answer(id, &[self.frame(now)]);
    }

    /// Somebody watches no more.
    pub fn remove(&mut self) {
        self.watchers -= 1;
    }

    /// Sends what is news, encoded once for all.
    pub fn handle_turn(&mut self, clients: &mut Clients<Watcher>, now: Instant) -> Pace {
        if self.watchers == 0 {
            return Pace::Wait;
        }
        if now >= self.next_look {
            self.next_look = now + INTERVAL;
            let version = self.node.board().version();
            if version != self.version || now >= self.sent + SILENCE_MAX {
                (self.version, self.sent) = (version, now);
                let frame = self.frame(now);
                clients.open().into_iter().for_each(|id| clients.send(id, &frame));
            }
        }
        Pace::Until(self.next_look)
    }

    fn frame(&self, now: Instant) -> Bytes {
        let mut frame = Vec::new();
        frame::encode_text(&status::respond(&self.node, now).body, &mut frame);
        frame.into()
    }
}
