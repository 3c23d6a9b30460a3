//! A room that a server has just come to: nobody is let in until it is known what other servers have of it.

use std::collections::VecDeque;
use std::time::Instant;

use smallvec::SmallVec;

use super::limits::{ASKS_WAITING_MAX, FETCH_INTERVAL, FETCH_MAX};
use super::{Ask, Member};

/// What is still to be learned, and who waits for it.
#[derive(Debug)]
pub struct Fetch {
    /// What clients asked meanwhile, in their order; `None`: they wait no longer, though not all is learned.
    waiting: Option<VecDeque<(Member, Ask)>>,
    since: Instant,
    /// Servers that have not answered; `None`: they were not asked yet, since the bus has not confirmed.
    awaited: Option<SmallVec<[u64; 4]>>,
    answered: SmallVec<[u64; 4]>,
    due: Instant,
}

impl Fetch {
    /// Nothing is known.
    pub fn new(now: Instant) -> Self {
        let waiting = Some(VecDeque::new());
        Self { waiting, since: now, awaited: None, answered: SmallVec::new(), due: now + FETCH_MAX }
    }

    /// Whether clients wait for it.
    pub fn is_awaited(&self) -> bool {
        self.waiting.is_some()
    }

    /// Keeps what a client asks. Given back when too many wait.
    pub fn push(&mut self, member: Member, ask: Ask) -> Result<(), Ask> {
        match &mut self.waiting {
            Some(waiting) if waiting.len() < ASKS_WAITING_MAX => waiting.push_back((member, ask)),
            _ => return Err(ask),
        }
        Ok(())
    }

    /// From now on clients do not wait: what they asked so far.
    pub fn release(&mut self) -> Option<VecDeque<(Member, Ask)>> {
        self.waiting.take()
    }

    /// The question goes out to these servers, of which some may have answered before.
    pub fn ask(&mut self, peers: impl Iterator<Item = u64>, now: Instant) {
        self.awaited = Some(peers.filter(|peer| !self.answered.contains(peer)).collect());
        self.due = match self.is_awaited() {
            true => (now + FETCH_INTERVAL).min(self.since + FETCH_MAX),
            false => now + FETCH_MAX,
        };
    }

    /// A server has answered.
    pub fn answered(&mut self, peer: u64) {
        if !self.answered.contains(&peer) {
            self.answered.push(peer);
        }
        self.gone(peer);
    }

    /// A server will not answer.
    pub fn gone(&mut self, peer: u64) {
        if let Some(awaited) = &mut self.awaited {
            awaited.retain(|awaited| *awaited != peer);
        }
    }

    /// Whether everybody has answered.
    pub fn is_answered(&self) -> bool {
        self.awaited.as_ref().is_some_and(SmallVec::is_empty)
    }

    /// Whether so many have answered that everything that was acknowledged is known: of that two servers have each, so
    /// one that is silent has nothing alone.
    pub fn is_sufficient(&self) -> bool {
        let is_silent = |awaited: &SmallVec<[u64; 4]>| awaited.len() <= 1 && !self.answered.is_empty();
        self.is_answered() || self.awaited.as_ref().is_some_and(is_silent)
    }

    /// Whether the question has to go out again.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due <= now && self.awaited.is_some()
    }

    /// Whether clients have waited as long as they may.
    pub fn is_over(&self, now: Instant) -> bool {
        self.is_awaited() && self.since + FETCH_MAX <= now
    }

    /// When to look at it next.
    pub fn due(&self) -> Option<Instant> {
        let end = self.is_awaited().then_some(self.since + FETCH_MAX);
        let due = self.awaited.is_some().then_some(self.due);
        due.into_iter().chain(end).min()
    }

    /// The question is about to go out.
    pub fn wait(&mut self, now: Instant) {
        self.due = now + FETCH_MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_answers_or_is_asked_again_until_clients_wait_no_longer() {
        let now = Instant::now();
        let mut fetch = Fetch::new(now);
        assert!(!fetch.is_answered() && !fetch.is_due(now + FETCH_INTERVAL));
        fetch.ask([1, 2].into_iter(), now);
        assert!(!fetch.is_sufficient());
        fetch.answered(1);
        assert!(!fetch.is_answered() && fetch.is_sufficient() && fetch.is_due(now + FETCH_INTERVAL));
        fetch.gone(2);
        assert!(fetch.is_answered());
        assert!(!fetch.is_over(now) && fetch.is_over(now + FETCH_MAX));
        assert!(fetch.release().is_some() && !fetch.is_over(now + FETCH_MAX) && fetch.release().is_none());
    }

    #[test]
    fn one_silent_server_alone_leaves_everything_open() {
        let now = Instant::now();
        let mut fetch = Fetch::new(now);
        assert!(!fetch.is_sufficient(), "nobody was asked");
        fetch.ask([1].into_iter(), now);
        assert!(!fetch.is_sufficient(), "nobody has answered");
    }
}
