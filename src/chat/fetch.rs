//! A room that a server has just come to: nobody is let in until it is known what other servers have of it.

use std::collections::VecDeque;
use std::time::Instant;

use smallvec::SmallVec;

use super::limits::{ASKS_WAITING_MAX, FETCH_INTERVAL, FETCH_MAX};
use super::{Ask, Member};

/// What is still to be learned, and who waits for it.
#[derive(Debug)]
pub struct Fetch {
    /// What clients asked meanwhile, in their order.
    pub asks: VecDeque<(Member, Ask)>,
    since: Instant,
    /// Servers that have not answered; `None`: they were not asked yet, since the bus has not confirmed.
    awaited: Option<SmallVec<[u64; 4]>>,
    due: Instant,
}

impl Fetch {
    /// Nothing is known.
    pub fn new(now: Instant) -> Self {
        Self { asks: VecDeque::new(), since: now, awaited: None, due: now + FETCH_MAX }
    }

    /// Keeps what a client asks. Given back when too many wait.
    pub fn push(&mut self, member: Member, ask: Ask) -> Result<(), Ask> {
        if self.asks.len() >= ASKS_WAITING_MAX {
            return Err(ask);
        }
        self.asks.push_back((member, ask));
        Ok(())
    }

    /// The question goes out to these servers.
    pub fn ask(&mut self, peers: impl Iterator<Item = u64>, now: Instant) {
        self.awaited = Some(peers.collect());
        self.due = (now + FETCH_INTERVAL).min(self.since + FETCH_MAX);
    }

    /// A server has answered, or is gone.
    pub fn answered(&mut self, peer: u64) {
        if let Some(awaited) = &mut self.awaited {
            awaited.retain(|awaited| *awaited != peer);
        }
    }

    /// Whether everybody has answered.
    pub fn is_answered(&self) -> bool {
        self.awaited.as_ref().is_some_and(|awaited| awaited.is_empty())
    }

    /// Whether the question has to go out again.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due <= now && self.awaited.is_some()
    }

    /// Whether it has taken as long as it may.
    pub fn is_over(&self, now: Instant) -> bool {
        self.since + FETCH_MAX <= now
    }

    /// When to look at it next.
    pub fn due(&self) -> Instant {
        self.due.min(self.since + FETCH_MAX)
    }

    /// It waits for what was found out, and not for an answer.
    pub fn wait(&mut self) {
        self.due = self.since + FETCH_MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_answers_or_is_asked_again_until_it_is_over() {
        let now = Instant::now();
        let mut fetch = Fetch::new(now);
        assert!(!fetch.is_answered() && !fetch.is_due(now + FETCH_INTERVAL));
        fetch.ask([1, 2].into_iter(), now);
        fetch.answered(1);
        assert!(!fetch.is_answered() && fetch.is_due(now + FETCH_INTERVAL));
        fetch.answered(2);
        assert!(fetch.is_answered());
        assert!(!fetch.is_over(now) && fetch.is_over(now + FETCH_MAX));
    }
}
