//! One stream of a room, as one server has it: how far it has come (the cursor), what it holds, and whom to ask for
//! what is missing. docs/replication.md has the rules.
//!
//! The cursor and what is held are two things. A number below the cursor that this server never had is not claimed in a
//! replica's ack ([`Stream::claim`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::answers::Answers;
pub use super::answers::Lack;
use super::branches::{Branch, entered};
use super::limits::{Limits, WANT_MESSAGES_MAX};
use super::mutants::{Mutant, is_on};
use crate::wire::StreamId;
use crate::wire::envelope::{Message, Span};

/// So many servers are asked one after the other as soon as the one before has answered; then the times grow.
const ASKED_AT_ONCE: u32 = 8;

/// A stream as far as it was received.
#[derive(Debug)]
pub struct Stream {
    /// Which.
    pub id: StreamId,
    /// The cursor: every number up to it is dealt with, the next one is the first hole.
    pub last: u64,
    /// From here on the ring has every message up to `last` that anybody keeps.
    pub kept_from: u64,
    /// When it last grew, or was told to have grown.
    pub changed: Instant,
    /// Every number from here to `last` was held here at some time.
    held_from: u64,
    /// The highest number that is known to have been given.
    known: u64,
    beginning: Beginning,
    /// The number of the last question for what is missing.
    question: u64,
    held: BTreeMap<u64, Arc<Message>>,
    /// Boxed, since there is hardly ever one.
    gap: Option<Box<Gap>>,
}

/// The first number that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    /// Nobody has told yet.
    Unknown,
    /// The lowest that was told is behind the cursor; a lower one may come.
    Told,
    /// It is settled, and the cursor moves over what comes.
    Settled,
}

/// A hole behind `last`.
#[derive(Debug)]
struct Gap {
    /// Answers to earlier questions do not count: they may be older than what made the hole, or than an `is_expired`.
    valid_from: u64,
    /// When it is asked for next; `None`: it is parked, since every live server has said that it lacks it.
    due: Option<Instant>,
    tries: u32,
    /// Who told of the missing numbers.
    announcer: u64,
    answers: Answers,
}

/// A NACK: what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Counts those of the stream.
    pub number: u64,
    /// The missing numbers, or the first of them.
    pub spans: SmallVec<[Span; 2]>,
    /// How often was asked before.
    pub attempt: usize,
    /// Who told of the numbers.
    pub announcer: u64,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is the next one; take those that waited for it with [`Stream::take_next`].
    Next,
    /// It waits behind a hole, or for the stream to begin.
    Held,
    /// Its number is behind the cursor, or waits already.
    Known,
}

/// What is to be done about a hole that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Ask for it.
    Ask,
    /// Nobody who lives has it, and nobody who lives ever had it: the cursor stays before it until somebody comes with it.
    Parked,
    /// Retention has taken it everywhere: the cursor goes behind these numbers. `is_told`: members were promised them.
    Expired {
        /// The first that is gone.
        first: u64,
        /// The last.
        last: u64,
        /// Whether the stream had begun, so that members miss something.
        is_told: bool,
    },
}

impl Stream {
    /// A stream of another server, of which nothing is known yet.
    pub fn new(id: StreamId, now: Instant) -> Self {
        Self {
            id,
            last: 0,
            kept_from: 1,
            changed: now,
            held_from: 1,
            known: 0,
            beginning: Beginning::Unknown,
            question: 0,
            held: BTreeMap::new(),
            gap: None,
        }
    }

    /// This server's own stream.
    pub fn own(id: StreamId, now: Instant) -> Self {
        Self { beginning: Beginning::Settled, ..Self::new(id, now) }
    }

    /// A message of the stream, as told by `teller`.
    pub fn offer(
        &mut self,
        seq: u64,
        message: &Arc<Message>,
        teller: u64,
        now: Instant,
        limits: &Limits,
    ) -> Offer {
        if seq <= self.last || self.held.contains_key(&seq) {
            return Offer::Known;
        }
        self.known = self.known.max(seq);
        self.changed = now;
        if seq == self.last + 1 && (self.has_begun() || seq == 1) {
            self.advance(seq, now, limits);
            return Offer::Next;
        }
        let missing = self.first_missing();
        if self.held.len() < limits.held {
            self.held.insert(seq, Arc::clone(message));
        }
        if self.first_missing() != missing {
            self.renew_gap(now, limits);
        }
        self.note_missing(teller, now, limits.gap_patience);
        Offer::Held
    }

    /// The next message that waited for those before it.
    pub fn take_next(&mut self, now: Instant, limits: &Limits) -> Option<(u64, Arc<Message>)> {
        if !self.has_begun() {
            return None;
        }
        let seq = self.last + 1;
        let message = self.held.remove(&seq)?;
        self.advance(seq, now, limits);
        Some((seq, message))
    }

    /// `teller` has dealt with every number up to `last`; what is missing is asked for after `patience`.
    pub fn announce(&mut self, last: u64, teller: u64, now: Instant, patience: Duration) {
        if last > self.known {
            self.known = last;
            self.changed = now;
            if let Some(gap) = &mut self.gap {
                gap.announcer = teller;
            }
        }
        let next = self.last + 1;
        if let Some(gap) = &mut self.gap
            && next <= last
        {
            gap.answers.forget_all_but_expired(teller);
            gap.due.get_or_insert(now + patience);
        }
        self.note_missing(teller, now, patience);
    }

    /// A server that may have what is missing lives (again): a parked hole is asked for.
    pub fn unpark(&mut self, server: u64, now: Instant, patience: Duration) {
        if let Some(gap) = &mut self.gap {
            gap.answers.forget(server);
            if gap.due.is_none() {
                entered(Branch::Unparked);
            }
            gap.due.get_or_insert(now + patience);
        }
    }

    /// A server keeps nothing before `first`. Before the stream has begun here, the lowest of these is where it will.
    pub fn note_first(&mut self, first: u64) {
        let is_lowest = match self.beginning {
            Beginning::Unknown => true,
            Beginning::Told => first <= self.last && !is_on(Mutant::BeginAtFirstAnswer),
            Beginning::Settled => false,
        };
        if is_lowest {
            if self.beginning == Beginning::Told {
                entered(Branch::BeganLower);
            }
            self.beginning = Beginning::Told;
            self.last = first - 1;
            self.kept_from = first;
            self.held_from = first;
            self.known = self.known.max(self.last);
            self.held = self.held.split_off(&first);
        }
    }

    /// Where it begins is settled, if anybody has told.
    pub fn begin(&mut self) {
        if self.beginning == Beginning::Told {
            self.beginning = Beginning::Settled;
        }
    }

    /// All of it was sent while this server was here: what rings have dropped of it is a hole, and members are told.
    pub fn begin_at_one(&mut self) {
        if self.beginning == Beginning::Unknown && !is_on(Mutant::NoGapBeforeBegin) {
            self.beginning = Beginning::Settled;
        }
    }

    /// Whether it waits for a lower beginning, or for its origin to tell one.
    pub fn is_about_to_begin(&self) -> bool {
        self.beginning == Beginning::Told
    }

    /// Whether its beginning is settled: from there on it is shown.
    pub fn has_begun(&self) -> bool {
        self.beginning == Beginning::Settled
    }

    /// What a replica's ack may cover: every number of it was held here. Nothing before the stream has begun.
    pub fn claim(&self) -> Option<Span> {
        if !self.has_begun() {
            return None;
        }
        let first = if is_on(Mutant::CumulativeHave) { 1 } else { self.held_from };
        let last = if is_on(Mutant::HaveCountsHoles) { self.known } else { self.last };
        Some(Span { stream: self.id, first, last })
    }

    /// From here on everything up to the cursor was held here.
    pub fn held_from(&self) -> u64 {
        self.held_from
    }

    /// Those of the numbers that wait behind a hole.
    pub fn held_in(&self, span: Span) -> impl Iterator<Item = (u64, &Arc<Message>)> {
        self.held.range(span.first..=span.last.max(span.first)).map(|(seq, message)| (*seq, message))
    }

    /// The message that waits behind a hole which is still asked for: it will be shown at its place. Behind a parked hole
    /// it may never be.
    pub fn find_held(&self, is_it: impl Fn(&Message) -> bool) -> Option<(u64, &Arc<Message>)> {
        if self.held.is_empty() || !self.has_open_gap() {
            return None;
        }
        self.held.iter().find(|(_, message)| is_it(message)).map(|(seq, message)| (*seq, message))
    }

    /// The highest number that is known to have been given.
    pub fn known(&self) -> u64 {
        self.known.max(self.last)
    }

    /// Messages that wait behind a hole.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether something is known to be missing that is still being asked for.
    pub fn has_open_gap(&self) -> bool {
        self.has_gap() && self.gap.as_ref().is_none_or(|gap| gap.due.is_some())
    }

    /// Whether something is known to be missing.
    pub fn has_gap(&self) -> bool {
        if self.has_begun() { self.known > self.last } else { !self.missing().is_empty() }
    }

    /// When the hole is looked at next.
    pub fn due(&self) -> Option<Instant> {
        self.gap.as_ref().and_then(|gap| gap.due)
    }

    /// What is missing, as a question that goes out now; it goes again when an answer would have come in a `round_trip`.
    pub fn want(&mut self, round_trip: Duration, now: Instant, limits: &Limits) -> Option<Question> {
        let gap = self.gap.as_mut().filter(|gap| gap.due.is_some_and(|due| due <= now))?;
        let wait = limits.want_interval * 2u32.saturating_pow(gap.tries.min(10));
        gap.due = Some(now + wait.max(round_trip).min(limits.want_interval_max));
        gap.tries += 1;
        self.question += 1;
        let (attempt, announcer) = (gap.tries as usize - 1, gap.announcer);
        Some(Question { number: self.question, spans: self.missing(), attempt, announcer })
    }

    /// A server's answer to a question.
    pub fn lack(&mut self, lack: Lack, now: Instant) {
        let next = self.first_missing();
        let Some(gap) = self.gap.as_mut().filter(|gap| lack.question >= gap.valid_from) else { return };
        let is_answered = (lack.first..=lack.last).contains(&next);
        // Those whose earlier answers do not count any more are asked at once, and so is the next one in turn.
        if gap.answers.add(lack, next) || is_answered && gap.due.is_some() && gap.tries < ASKED_AT_ONCE {
            gap.due = Some(now);
        }
    }

    /// Whether this server has said that it lacks the first missing number.
    pub fn is_lacked_by(&self, server: u64) -> bool {
        let next = self.first_missing();
        self.gap.as_ref().is_some_and(|gap| gap.answers.lacks(server, next))
    }

    /// Decides about a hole: `live` are all that live. `may_come`: a server is away that may come back with it.
    pub fn judge(&mut self, live: &[u64], may_come: bool, now: Instant, limits: &Limits) -> Verdict {
        let first = self.first_missing();
        let Some(gap) = self.gap.as_mut() else { return Verdict::Ask };
        let has_lacked = |server: &u64| gap.answers.lacks(*server, first);
        if !live.iter().all(has_lacked) && !is_on(Mutant::ParkWhenOneLacks) {
            return Verdict::Ask;
        }
        if !gap.answers.is_expired(first) && !is_on(Mutant::PassOverWhatIsLacked) {
            entered(Branch::Parked);
            gap.due = None;
            return Verdict::Parked;
        }
        if may_come && !is_on(Mutant::PassOverWhatIsLacked) {
            entered(Branch::ExpiryAwaited);
            return Verdict::Ask;
        }
        let lacked_to = gap.answers.reach(first, live);
        let before_held = self.held.range(first..).next().map_or(self.known, |(&seq, _)| seq - 1);
        let last = lacked_to.clamp(first, before_held.max(first));
        let is_told = self.has_begun();
        entered(if is_told { Branch::ExpiredTold } else { Branch::ExpiredUntold });
        if self.kept_from > self.last || !is_told {
            self.kept_from = last + 1;
        }
        self.held_from = last + 1;
        if is_told {
            self.advance(last, now, limits);
        } else {
            // What had been found of it before the hole goes with it: history has no holes.
            self.held = self.held.split_off(&(last + 1));
            self.last = last;
            self.beginning = Beginning::Told;
            self.renew_gap(now, limits);
        }
        Verdict::Expired { first, last, is_told }
    }

    fn first_missing(&self) -> u64 {
        if self.has_begun() {
            return self.last + 1;
        }
        let mut next = self.last + 1;
        for &seq in self.held.keys() {
            if seq != next {
                break;
            }
            next += 1;
        }
        next
    }

    fn missing(&self) -> SmallVec<[Span; 2]> {
        let mut spans = SmallVec::new();
        let (id, end) = (self.id, self.known.min(self.last + WANT_MESSAGES_MAX));
        let mut first = self.last + 1;
        for &seq in self.held.keys().take_while(|&&seq| seq <= end) {
            if first < seq {
                spans.push(Span { stream: id, first, last: seq - 1 });
            }
            first = seq + 1;
        }
        if first <= end {
            spans.push(Span { stream: id, first, last: end });
        }
        spans
    }

    fn advance(&mut self, seq: u64, now: Instant, limits: &Limits) {
        self.beginning = Beginning::Settled;
        self.last = seq;
        self.changed = now;
        self.renew_gap(now, limits);
    }

    /// What is still missing is another hole: asked for at once as far as it was asked for before.
    fn renew_gap(&mut self, now: Instant, limits: &Limits) {
        let next = self.first_missing();
        let has_gap = self.has_gap();
        let Some(gap) = self.gap.as_mut().filter(|_| has_gap) else {
            self.gap = None;
            return;
        };
        gap.answers.forget_before(next);
        gap.tries = 0;
        gap.due = Some(now + limits.gap_patience);
    }

    fn note_missing(&mut self, announcer: u64, now: Instant, patience: Duration) {
        if self.gap.is_none() && self.has_gap() {
            let due = Some(now + patience);
            let (valid_from, answers) = (self.question + 1, Answers::default());
            let gap = Gap { valid_from, due, tries: 0, announcer, answers };
            self.gap = Some(Box::new(gap));
        }
    }
}
#[cfg(test)]
#[path = "stream_tests.rs"]
pub(super) mod tests;
