//! Members that come from another server and have seen more of a room than this one knows. They are let in once it is
//! known, or nobody who could know it is silent: whatever a member has seen must be recognised here, since a message that
//! was repeated may have a second place, and would be shown to it again.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::branches::{Branch, entered};
use super::limits::Limits;
use super::{Ask, Member};
use crate::wire::client_message::Since;

/// Those of one room, in the order in which they came.
#[derive(Debug, Default)]
pub struct Forerunners {
    waiting: Vec<Forerunner>,
    question: Option<Question>,
}

/// One that waits.
#[derive(Debug)]
pub struct Forerunner {
    /// Who.
    pub member: Member,
    /// Its join, and what it asked after that.
    pub asks: Vec<Ask>,
    /// The question went out after it came, so that the answers hold what it can have seen.
    was_asked_for: bool,
}

/// Other servers are asked what they have.
#[derive(Debug)]
struct Question {
    /// Those that have not answered.
    awaited: SmallVec<[u64; 4]>,
    /// When they are asked again.
    due: Instant,
    /// Until when they are waited for.
    end: Instant,
}

impl Forerunners {
    /// Whether so many asks wait that no more may.
    pub fn are_too_many(&self, limits: &Limits) -> bool {
        self.waiting.iter().map(|forerunner| forerunner.asks.len()).sum::<usize>() >= limits.forerunners
    }

    /// One more, with its join.
    pub fn push(&mut self, member: Member, join: Ask) {
        self.waiting.push(Forerunner { member, asks: vec![join], was_asked_for: false });
    }

    /// The one that waits, if that member does.
    pub fn find(&mut self, member: Member) -> Option<&mut Forerunner> {
        self.waiting.iter_mut().find(|forerunner| forerunner.member == member)
    }

    /// A join is wanted no longer, and is forgotten if it waits and nothing was said behind it.
    pub fn withdraw(&mut self, member: Member, visit: u32) {
        self.waiting.retain(|forerunner| {
            let is_it = matches!(forerunner.asks[..], [Ask::Join { visit: own, .. }] if own == visit);
            forerunner.member != member || !is_it
        });
    }

    /// Whether the question has to go out, for the first time for some, or once more.
    pub fn have_to_ask(&self, now: Instant) -> bool {
        match &self.question {
            Some(question) => question.due <= now,
            None => self.waiting.iter().any(|forerunner| !forerunner.was_asked_for),
        }
    }

    /// The question goes out: to these servers, or once more to those of them that are silent. `patience`: how long they
    /// are waited for.
    pub fn ask(
        &mut self,
        peers: impl Iterator<Item = u64>,
        patience: Duration,
        now: Instant,
        limits: &Limits,
    ) {
        let due = now + limits.fetch_interval;
        if let Some(question) = &mut self.question {
            question.due = due;
            return;
        }
        self.waiting.iter_mut().for_each(|forerunner| forerunner.was_asked_for = true);
        self.question = Some(Question { awaited: peers.collect(), due, end: now + patience });
    }

    /// A server has answered, or is gone.
    pub fn strike_off(&mut self, peer: u64) {
        if let Some(question) = &mut self.question {
            question.awaited.retain(|awaited| *awaited != peer);
        }
    }

    /// Takes those that need not wait any longer: what they have seen `is_known`, or those who could know it have spoken
    /// and everything they spoke of `is_here`, or have been silent for too long. What `is_hidden` here will be shown soon.
    pub fn take_ready(
        &mut self,
        is_known: impl Fn(&Since) -> bool,
        is_hidden: impl Fn(&Since) -> bool,
        is_here: bool,
        now: Instant,
    ) -> Vec<Forerunner> {
        let is_answered = |question: &mut Question| {
            let is_answered = is_here && question.awaited.is_empty();
            if question.end <= now && !is_answered {
                entered(Branch::ForerunnerTimedOut);
            }
            question.end <= now || is_answered
        };
        let is_answered = self.question.take_if(is_answered).is_some() || self.question.is_none();
        let is_ready = |forerunner: &mut Forerunner| {
            let since = forerunner.since();
            !is_hidden(since) && (is_known(since) || is_answered && forerunner.was_asked_for)
        };
        self.waiting.extract_if(.., is_ready).collect()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When to look at them next.
    pub fn due(&self) -> Option<Instant> {
        self.question.as_ref().map(|question| question.due.min(question.end))
    }
}

impl Forerunner {
    fn since(&self) -> &Since {
        match self.asks.first() {
            Some(Ask::Join { since: Some(since), .. }) => since,
            other => unreachable!("a forerunner has seen something: {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::StreamId;

    const ANN: Member = Member { reactor: 0, connection: 1 };
    const BOB: Member = Member { reactor: 0, connection: 2 };
    const FETCH_MAX: Duration = Duration::from_secs(1);
    const FETCH_INTERVAL: Duration = Duration::from_millis(150);

    fn ask(forerunners: &mut Forerunners, peers: &[u64], now: Instant) {
        forerunners.ask(peers.iter().copied(), FETCH_MAX, now, &Limits::default());
    }

    fn join(seq: u64) -> Ask {
        let streams = vec![(StreamId { origin: 1, generation: 0 }, seq)];
        let since = Some(Since { streams, names_strangers: false });
        let client = crate::wire::ClientNonce::from_seed(1);
        Ask::Join { room: "r".into(), user: "ann".into(), client, visit: 0, since }
    }

    fn ready(forerunners: &mut Forerunners, known: u64, is_here: bool, now: Instant) -> Vec<Member> {
        let is_known = |since: &Since| since.streams[0].1 <= known;
        let ready = forerunners.take_ready(is_known, |_| false, is_here, now);
        ready.into_iter().map(|forerunner| forerunner.member).collect()
    }

    #[test]
    fn who_has_seen_what_becomes_known_is_let_in_at_once() {
        let now = Instant::now();
        let mut forerunners = Forerunners::default();
        forerunners.push(ANN, join(7));
        forerunners.push(BOB, join(9));
        assert!(forerunners.have_to_ask(now));
        ask(&mut forerunners, &[1, 2], now);
        assert!(!forerunners.have_to_ask(now) && ready(&mut forerunners, 6, true, now).is_empty());
        assert_eq!(ready(&mut forerunners, 8, true, now), [ANN]);
        assert_eq!(ready(&mut forerunners, 9, true, now), [BOB]);
        assert!(forerunners.is_empty());
    }

    #[test]
    fn what_nobody_knows_is_not_waited_for_once_all_have_said_so() {
        let now = Instant::now();
        let mut forerunners = Forerunners::default();
        forerunners.push(ANN, join(7));
        ask(&mut forerunners, &[1, 2], now);
        forerunners.push(BOB, join(9));
        forerunners.strike_off(1);
        assert!(ready(&mut forerunners, 0, true, now).is_empty(), "2 may know");
        forerunners.strike_off(2);
        assert!(ready(&mut forerunners, 0, false, now).is_empty(), "what they spoke of is not here");
        assert_eq!(
            ready(&mut forerunners, 0, true, now),
            [ANN],
            "the answers may be older than what bob has seen"
        );
        assert!(forerunners.have_to_ask(now));
        ask(&mut forerunners, &[1], now);
        assert_eq!(forerunners.due(), Some(now + FETCH_INTERVAL));
        assert!(forerunners.have_to_ask(now + FETCH_INTERVAL));
        assert_eq!(
            ready(&mut forerunners, 0, true, now + FETCH_MAX),
            [BOB],
            "who is silent is not waited for"
        );
    }

    #[test]
    fn what_is_hidden_here_is_waited_for() {
        let now = Instant::now();
        let mut forerunners = Forerunners::default();
        forerunners.push(ANN, join(7));
        assert!(forerunners.take_ready(|_| true, |_| true, true, now).is_empty());
        assert_eq!(forerunners.take_ready(|_| true, |_| false, true, now).len(), 1);
    }
}
