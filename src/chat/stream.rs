//! One stream of a room, as one server has it: what came without a hole, what waits behind one, and whom to ask for
//! what is missing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::limits::{GAP_MAX, GAP_PATIENCE, HELD_MAX, WANT_INTERVAL, WANT_INTERVAL_MAX, WANT_MESSAGES_MAX};
use crate::wire::StreamId;
use crate::wire::envelope::{Message, Span};

/// A stream as far as it was heard.
#[derive(Debug)]
pub struct Stream {
    /// Which.
    pub id: StreamId,
    /// The last number before the first hole.
    pub last: u64,
    /// From here on the ring has every message up to `last`.
    pub kept_from: u64,
    /// When it last grew, or was heard to have grown.
    pub changed: Instant,
    /// The highest number that is known to have been given.
    known: u64,
    /// Where it begins was told, or something of it was kept.
    has_begun: bool,
    held: BTreeMap<u64, Arc<Message>>,
    /// Boxed, since there is hardly ever one.
    gap: Option<Box<Gap>>,
}

/// A hole behind `last`.
#[derive(Debug)]
struct Gap {
    since: Instant,
    /// When it is asked for next.
    due: Instant,
    tries: u32,
    /// Who spoke of the missing numbers.
    announcer: u64,
    /// Who has said that it has nothing up to `lacked_to` either.
    lacked_by: SmallVec<[u64; 4]>,
    lacked_to: u64,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is the next one; take those that waited for it with [`Stream::take_next`].
    Next,
    /// It waits behind a hole.
    Held,
    /// Its number was heard before.
    Known,
}

impl Stream {
    /// A stream of which everything up to `baseline` is of no interest.
    pub fn new(id: StreamId, baseline: u64, now: Instant) -> Self {
        Self {
            id,
            last: baseline,
            kept_from: baseline + 1,
            changed: now,
            known: baseline,
            has_begun: false,
            held: BTreeMap::new(),
            gap: None,
        }
    }

    /// A message of the stream, as told by `teller`.
    pub fn offer(&mut self, seq: u64, message: &Arc<Message>, teller: u64, now: Instant) -> Offer {
        if seq <= self.last || self.held.contains_key(&seq) {
            return Offer::Known;
        }
        self.known = self.known.max(seq);
        self.changed = now;
        if seq == self.last + 1 {
            self.advance(seq, now);
            return Offer::Next;
        }
        if self.held.len() < HELD_MAX {
            self.held.insert(seq, Arc::clone(message));
        }
        self.mind(teller, now, GAP_PATIENCE);
        Offer::Held
    }

    /// The next message that waited for those before it.
    pub fn take_next(&mut self, now: Instant) -> Option<(u64, Arc<Message>)> {
        let seq = self.last + 1;
        let message = self.held.remove(&seq)?;
        self.advance(seq, now);
        Some((seq, message))
    }

    /// `teller` says that there are numbers up to `last`; what is missing is asked for after `patience`.
    pub fn announce(&mut self, last: u64, teller: u64, now: Instant, patience: Duration) {
        if last > self.known {
            self.known = last;
            self.changed = now;
            if let Some(gap) = &mut self.gap {
                gap.announcer = teller;
            }
        }
        self.mind(teller, now, patience);
    }

    /// Nobody has anything before `first`, as far as one server says: what lies before is not missed, unless another says
    /// that it has more.
    pub fn begin_at(&mut self, first: u64) {
        let is_untouched = self.last + 1 == self.kept_from;
        if is_untouched && (!self.has_begun || first < self.kept_from) {
            self.has_begun = true;
            self.last = first - 1;
            self.kept_from = first;
            self.known = self.known.max(self.last);
            self.held = self.held.split_off(&first);
        }
    }

    /// Those of the numbers that wait behind a hole.
    pub fn held_in(&self, span: Span) -> impl Iterator<Item = (u64, &Arc<Message>)> {
        self.held.range(span.first..=span.last.max(span.first)).map(|(seq, message)| (*seq, message))
    }

    /// Whether something is known to be missing.
    pub fn has_gap(&self) -> bool {
        self.known > self.last
    }

    /// When [`Stream::want`] has something to ask.
    pub fn due(&self) -> Option<Instant> {
        self.gap.as_ref().map(|gap| gap.due)
    }

    /// What is missing, if it is time to ask, and which of the askable is to be asked: the try's number and who spoke of
    /// it.
    pub fn want(&mut self, now: Instant) -> Option<(SmallVec<[Span; 2]>, usize, u64)> {
        let gap = self.gap.as_mut().filter(|gap| gap.due <= now)?;
        let wait = WANT_INTERVAL * 2u32.saturating_pow(gap.tries.min(10));
        gap.due = now + wait.min(WANT_INTERVAL_MAX);
        gap.tries += 1;
        let (attempt, announcer) = (gap.tries as usize - 1, gap.announcer);
        Some((self.missing(), attempt, announcer))
    }

    /// `teller` does not have these numbers.
    pub fn lack(&mut self, span: Span, teller: u64) {
        let next = self.last + 1;
        let Some(gap) = self.gap.as_mut().filter(|_| (span.first..=span.last).contains(&next)) else {
            return;
        };
        gap.lacked_to = if gap.lacked_by.is_empty() { span.last } else { gap.lacked_to.min(span.last) };
        if !gap.lacked_by.contains(&teller) {
            gap.lacked_by.push(teller);
        }
    }

    /// Passes over a hole that none of those who live can fill: returns the numbers that are lost.
    pub fn give_up(&mut self, can_be_asked: &[u64], now: Instant) -> Option<(u64, u64)> {
        let gap = self.gap.as_ref()?;
        let all_lack = !gap.lacked_by.is_empty() && can_be_asked.iter().all(|id| gap.lacked_by.contains(id));
        let is_too_old = now.saturating_duration_since(gap.since) >= GAP_MAX;
        let is_nobody_left = can_be_asked.is_empty() && gap.tries > 1;
        if !(all_lack || is_too_old || is_nobody_left) {
            return None;
        }
        let first = self.last + 1;
        let before_held = self.held.keys().next().map_or(self.known, |&seq| seq - 1);
        let last = if all_lack { gap.lacked_to.min(before_held) } else { before_held };
        self.kept_from = last + 1;
        self.advance(last, now);
        Some((first, last))
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

    fn advance(&mut self, seq: u64, now: Instant) {
        self.has_begun = true;
        self.last = seq;
        self.changed = now;
        // What is still missing is another hole, for which everybody may be asked anew.
        if let Some(gap) = self.gap.take()
            && self.known > seq
        {
            self.mind(gap.announcer, now, GAP_PATIENCE);
        }
    }

    fn mind(&mut self, announcer: u64, now: Instant, patience: Duration) {
        if self.has_gap() && self.gap.is_none() {
            let due = now + patience;
            let lacked_by = SmallVec::new();
            let gap = Gap { since: now, due, tries: 0, announcer, lacked_by, lacked_to: 0 };
            self.gap = Some(Box::new(gap));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: StreamId = StreamId { origin: 1, generation: 0 };

    fn message() -> Arc<Message> {
        Arc::new(Message { from: "ann".into(), client: 1, id: "1".into(), text: "hi".into(), time: 1 })
    }

    fn stream(now: Instant) -> Stream {
        Stream::new(ID, 0, now)
    }

    fn offer(stream: &mut Stream, seq: u64, now: Instant) -> Offer {
        stream.offer(seq, &message(), 1, now)
    }

    fn rest(stream: &mut Stream, now: Instant) -> Vec<u64> {
        std::iter::from_fn(|| stream.take_next(now).map(|(seq, _)| seq)).collect()
    }

    #[test]
    fn what_comes_early_waits_and_what_comes_twice_is_known() {
        let now = Instant::now();
        let mut stream = stream(now);
        assert_eq!(offer(&mut stream, 1, now), Offer::Next);
        assert_eq!(offer(&mut stream, 1, now), Offer::Known);
        assert_eq!(offer(&mut stream, 4, now), Offer::Held);
        assert_eq!(offer(&mut stream, 3, now), Offer::Held);
        assert_eq!(offer(&mut stream, 4, now), Offer::Known);
        assert_eq!(offer(&mut stream, 2, now), Offer::Next);
        assert_eq!(rest(&mut stream, now), [3, 4]);
        assert!(!stream.has_gap() && stream.due().is_none());
    }

    #[test]
    fn a_hole_is_asked_for_after_a_while_and_ever_more_seldom() {
        let now = Instant::now();
        let mut stream = stream(now);
        offer(&mut stream, 3, now);
        offer(&mut stream, 6, now);
        assert!(stream.want(now).is_none(), "it may only have been overtaken");
        let first = stream.due().unwrap();
        assert_eq!(first, now + GAP_PATIENCE);
        let (spans, attempt, announcer) = stream.want(first).unwrap();
        let span = |first, last| Span { stream: ID, first, last };
        assert_eq!((&spans[..], attempt, announcer), (&[span(1, 2), span(4, 5)][..], 0, 1));
        assert_eq!(stream.due().unwrap(), first + WANT_INTERVAL);
        let second = stream.due().unwrap();
        assert_eq!(stream.want(second).unwrap().1, 1);
        assert_eq!(stream.due().unwrap(), second + 2 * WANT_INTERVAL);
    }

    #[test]
    fn a_tail_that_was_only_heard_of_is_a_hole_too() {
        let now = Instant::now();
        let mut stream = stream(now);
        offer(&mut stream, 1, now);
        stream.announce(1, 9, now, GAP_PATIENCE);
        assert!(stream.due().is_none());
        stream.announce(3, 9, now, GAP_PATIENCE);
        let (spans, _, announcer) = stream.want(now + GAP_PATIENCE).unwrap();
        assert_eq!((&spans[..], announcer), (&[Span { stream: ID, first: 2, last: 3 }][..], 9));
    }

    #[test]
    fn a_hole_that_nobody_can_fill_is_passed_over() {
        let now = Instant::now();
        let mut stream = stream(now);
        offer(&mut stream, 5, now);
        assert_eq!(stream.give_up(&[1, 2], now), None);
        stream.lack(Span { stream: ID, first: 1, last: 4 }, 1);
        assert_eq!(stream.give_up(&[1, 2], now), None, "2 may have it");
        stream.lack(Span { stream: ID, first: 1, last: 2 }, 2);
        assert_eq!(stream.give_up(&[1, 2], now), Some((1, 2)), "2 may have 3 and 4");
        assert_eq!((stream.last, stream.kept_from), (2, 3));
        assert_eq!(stream.give_up(&[1, 2], now), None);
        assert_eq!(stream.give_up(&[1, 2], now + GAP_MAX), Some((3, 4)), "who is silent is not waited for");
        assert_eq!(rest(&mut stream, now), [5]);
    }

    #[test]
    fn a_newcomer_begins_where_others_keep() {
        let now = Instant::now();
        let mut stream = stream(now);
        offer(&mut stream, 90, now);
        offer(&mut stream, 95, now);
        stream.begin_at(93);
        stream.begin_at(94);
        stream.begin_at(92);
        stream.announce(95, 2, now, Duration::ZERO);
        let (spans, ..) = stream.want(now + GAP_PATIENCE).unwrap();
        assert_eq!(&spans[..], &[Span { stream: ID, first: 92, last: 94 }][..], "the earliest counts");
        offer(&mut stream, 92, now);
        stream.begin_at(1);
        assert_eq!(stream.last, 92, "nothing goes back once something is kept");
    }
}
