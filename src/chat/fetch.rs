//! A room that a server has just come to: nobody is let in until it is known what other servers have of it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::branches::{Branch, entered};
use super::limits::Limits;
use super::mutants::{Mutant, is_on};
use super::{Ask, Member};

/// What is still to be learned, and who waits for it.
#[derive(Debug)]
pub struct Fetch {
    /// What clients asked meanwhile, in their order; `None`: they wait no longer, though not all is learned.
    waiting: Option<VecDeque<(Member, Ask)>>,
    /// Until when they wait.
    end: Instant,
    /// The bus offers what is said in the room, so that others can be asked for what was said before.
    is_subscribed: bool,
    /// Servers that have not answered; `None`: they were not asked yet.
    awaited: Option<SmallVec<[u64; 4]>>,
    answered: SmallVec<[u64; 4]>,
    due: Instant,
}

impl Fetch {
    /// Nothing is known.
    pub fn new(now: Instant, limits: &Limits) -> Self {
        let (waiting, answered) = (Some(VecDeque::new()), SmallVec::new());
        let end = now + limits.fetch_unasked;
        Self { waiting, end, is_subscribed: false, awaited: None, answered, due: end }
    }

    /// The bus has confirmed that the room is heard.
    pub fn note_subscribed(&mut self) {
        self.is_subscribed = true;
    }

    /// Whether others can be asked, as far as the bus carries.
    pub fn is_subscribed(&self) -> bool {
        self.is_subscribed
    }

    /// The bus does not carry: nobody can have heard the question, and clients wait for as long as if it had not been asked.
    pub fn pause(&mut self, now: Instant, limits: &Limits) {
        self.awaited = None;
        self.end = now + limits.fetch_unasked;
    }

    /// Whether clients wait for it.
    pub fn is_awaited(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether nobody waits for it.
    pub fn is_unwanted(&self) -> bool {
        self.waiting.as_ref().is_none_or(VecDeque::is_empty)
    }

    /// Keeps what a client asks. Given back when too many wait.
    pub fn push(&mut self, member: Member, ask: Ask, limits: &Limits) -> Result<(), Ask> {
        match &mut self.waiting {
            Some(waiting) if waiting.len() < limits.asks_waiting => waiting.push_back((member, ask)),
            _ => return Err(ask),
        }
        Ok(())
    }

    /// A join is wanted no longer, and is forgotten if it waits and nothing was said behind it.
    pub fn withdraw(&mut self, member: Member, visit: u32) {
        let Some(waiting) = &mut self.waiting else { return };
        let is_it = |(by, ask): &(Member, Ask)| {
            *by == member && matches!(ask, Ask::Join { visit: own, .. } if *own == visit)
        };
        let Some(index) = waiting.iter().position(is_it) else { return };
        let mut behind = waiting.range(index + 1..).filter(|(by, _)| *by == member);
        if behind.next().is_none_or(|(_, ask)| matches!(ask, Ask::Join { .. })) {
            waiting.remove(index);
        }
    }

    /// From now on clients do not wait: what they asked so far.
    pub fn release(&mut self) -> Option<VecDeque<(Member, Ask)>> {
        self.waiting.take()
    }

    /// The question goes out to these servers, of which some may have answered before. When it goes out again, those who have come
    /// since are not waited for: what they say is heard.
    /// `patience`: how long clients wait for the answers.
    pub fn ask(
        &mut self,
        peers: impl Iterator<Item = u64>,
        patience: Duration,
        now: Instant,
        limits: &Limits,
    ) {
        let before = self.awaited.take();
        if before.is_none() {
            self.end = now + patience;
        }
        let is_silent = |peer: &u64| match &before {
            Some(awaited) => {
                entered(Branch::FetchAskedAgain);
                awaited.contains(peer)
            }
            None => !self.answered.contains(peer),
        };
        self.awaited = Some(peers.filter(is_silent).collect());
        self.due = now + if self.is_awaited() { limits.fetch_interval } else { limits.fetch_max };
    }

    /// A server has answered.
    pub fn answered(&mut self, peer: u64) {
        if !self.answered.contains(&peer) {
            self.answered.push(peer);
        }
        self.gone(peer);
    }

    /// Whether a server has answered.
    pub fn has_answered(&self, peer: u64) -> bool {
        self.answered.contains(&peer)
    }

    /// A server will not answer.
    pub fn gone(&mut self, peer: u64) {
        if let Some(awaited) = &mut self.awaited {
            awaited.retain(|awaited| *awaited != peer);
        }
    }

    /// Whether everybody has answered.
    pub fn is_answered(&self) -> bool {
        let is_one_enough = is_on(Mutant::OneAnswerIsEnough) && !self.answered.is_empty();
        self.awaited.as_ref().is_some_and(SmallVec::is_empty) || is_one_enough
    }

    /// Whether everybody has answered but one that `is_suspect`: of what was acknowledged, that one has nothing alone.
    pub fn is_answered_but_for(&self, is_suspect: impl Fn(u64) -> bool) -> bool {
        let is_rest =
            self.awaited.as_ref().is_some_and(|awaited| awaited.iter().all(|peer| is_suspect(*peer)));
        self.is_answered() || self.is_sufficient() && is_rest && !is_on(Mutant::AwaitSuspects)
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
        self.is_awaited() && self.end <= now
    }

    /// When to look at it next.
    pub fn due(&self) -> Option<Instant> {
        let end = self.is_awaited().then_some(self.end);
        let due = self.awaited.is_some().then_some(self.due);
        due.into_iter().chain(end).min()
    }

    /// The question is about to go out.
    pub fn wait(&mut self, now: Instant, limits: &Limits) {
        self.due = now + limits.fetch_max;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const FETCH_MAX: Duration = Duration::from_secs(1);
    const FETCH_INTERVAL: Duration = Duration::from_millis(150);
    const FETCH_UNASKED_MAX: Duration = Duration::from_secs(3);

    fn ask(fetch: &mut Fetch, peers: &[u64], now: Instant) {
        fetch.ask(peers.iter().copied(), FETCH_MAX, now, &Limits::default());
    }

    #[test]
    pub fn everybody_answers_or_is_asked_again_until_clients_wait_no_longer() {
        let now = Instant::now();
        let mut fetch = Fetch::new(now, &Limits::default());
        assert!(!fetch.is_answered() && !fetch.is_due(now + FETCH_INTERVAL));
        ask(&mut fetch, &[1, 2], now);
        assert!(!fetch.is_sufficient());
        fetch.answered(1);
        assert!(!fetch.is_answered() && fetch.is_sufficient() && fetch.is_due(now + FETCH_INTERVAL));
        fetch.gone(2);
        assert!(fetch.is_answered());
        assert!(!fetch.is_over(now) && fetch.is_over(now + FETCH_MAX));
        assert!(fetch.release().is_some() && !fetch.is_over(now + FETCH_MAX) && fetch.release().is_none());
    }

    #[test]
    fn a_question_that_nobody_can_have_heard_is_asked_anew_and_has_its_time_again() {
        let now = Instant::now();
        let mut fetch = Fetch::new(now, &Limits::default());
        ask(&mut fetch, &[1, 2], now);
        fetch.answered(1);
        fetch.pause(now, &Limits::default());
        assert!(!fetch.is_over(now + FETCH_MAX) && fetch.is_over(now + FETCH_UNASKED_MAX));
        assert!(!fetch.is_due(now + FETCH_UNASKED_MAX), "the hub asks when the bus carries");
        ask(&mut fetch, &[1, 2], now);
        fetch.answered(2);
        assert!(fetch.is_answered(), "what 1 said still holds");
    }

    #[test]
    fn who_comes_after_the_question_is_not_waited_for() {
        let now = Instant::now();
        let mut fetch = Fetch::new(now, &Limits::default());
        ask(&mut fetch, &[1, 2], now);
        fetch.answered(1);
        ask(&mut fetch, &[1, 2, 3], now + FETCH_INTERVAL);
        assert!(!fetch.is_answered() && fetch.is_sufficient(), "only 2 is silent");
        ask(&mut fetch, &[1, 3], now + FETCH_MAX);
        assert!(fetch.is_answered(), "2 is gone");
    }

    #[test]
    pub fn one_suspect_is_not_waited_for_and_two_are() {
        let now = Instant::now();
        let mut fetch = Fetch::new(now, &Limits::default());
        ask(&mut fetch, &[1, 2, 3], now);
        fetch.answered(1);
        assert!(
            !fetch.is_answered_but_for(|peer| peer > 1),
            "what 2 and 3 held together may be nowhere else"
        );
        fetch.answered(2);
        assert!(fetch.is_answered_but_for(|peer| peer == 3) && !fetch.is_answered_but_for(|_| false));
    }

    #[test]
    fn one_silent_server_alone_leaves_everything_open() {
        let now = Instant::now();
        let mut fetch = Fetch::new(now, &Limits::default());
        assert!(!fetch.is_sufficient(), "nobody was asked");
        ask(&mut fetch, &[1], now);
        assert!(!fetch.is_sufficient(), "nobody has answered");
    }
}
