//! The messages said at this server of which no other server has confirmed yet that it holds them.
//!
//! A sender is told `ack`, and members here see the message, once a second server holds it: nobody sees what the death
//! of one server could undo.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::limits::{CONFIRM_DOUBLINGS_MAX, CONFIRM_PATIENCE, SHOW_PATIENCE, UNCONFIRMED_MAX};
use super::ring::Stamp;
use super::{Member, Message};

/// In the order of their numbers in the server's own stream of the room.
#[derive(Debug, Default)]
pub struct Unconfirmed {
    waiting: VecDeque<Waiting>,
    /// Of those that wait, how many of the first were shown already.
    shown: usize,
    /// Copies of other servers' messages whose retry waits to be answered.
    retries: Vec<Retry>,
    /// When they were published last.
    published: Option<Instant>,
    /// How often that was in vain.
    tries: usize,
    /// How often the patience is doubled.
    doublings: u32,
}

/// A message and who waits for its acknowledgement.
#[derive(Debug)]
pub struct Waiting {
    /// Its number.
    pub seq: u64,
    /// The message.
    pub message: Arc<Message>,
    /// Those that sent it, or sent it again.
    pub senders: SmallVec<[Member; 1]>,
    /// It is shown at its place in another stream.
    has_given_way: bool,
    said: Instant,
}

/// A client that sent again what it had said at another server.
#[derive(Debug)]
pub struct Retry {
    /// Where the message stands.
    pub stamp: Stamp,
    /// The client's id for it.
    pub id: Box<str>,
    /// Who waits.
    pub sender: Member,
    since: Instant,
}

impl Unconfirmed {
    /// Whether as many wait as may.
    pub fn is_full(&self) -> bool {
        self.waiting.len() + self.retries.len() >= UNCONFIRMED_MAX
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.retries.is_empty()
    }

    /// A message was said.
    pub fn push(&mut self, seq: u64, message: Arc<Message>, sender: Member, now: Instant) {
        let senders = SmallVec::from_elem(sender, 1);
        self.waiting.push_back(Waiting { seq, message, senders, has_given_way: false, said: now });
        self.published.get_or_insert(now);
    }

    /// A client sent a message again. True: it will be answered when the message is confirmed.
    pub fn repeat(&mut self, seq: u64, sender: Member) -> bool {
        let Some(first) = self.waiting.front().map(|waiting| waiting.seq) else { return false };
        let Some(index) = seq.checked_sub(first) else { return false };
        let Some(waiting) = self.waiting.get_mut(index as usize) else { return false };
        if !waiting.senders.contains(&sender) {
            waiting.senders.push(sender);
        }
        true
    }

    /// A client sent again what a server that is gone had said.
    pub fn push_retry(&mut self, stamp: Stamp, id: Box<str>, sender: Member, now: Instant) {
        self.retries.push(Retry { stamp, id, sender, since: now });
        self.published.get_or_insert(now);
    }

    /// A message that was not shown yet is shown at its place in another stream.
    pub fn give_way(&mut self, seq: u64) {
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.seq == seq) {
            waiting.has_given_way = true;
        }
    }

    /// Those not shown yet, up to a number; they count as shown.
    pub fn show(&mut self, last: u64) -> impl Iterator<Item = (u64, Arc<Message>)> {
        let from = self.shown;
        let count = self.waiting.iter().skip(from).take_while(|waiting| waiting.seq <= last).count();
        self.shown += count;
        let shown = self.waiting.iter().skip(from).take(count).filter(|waiting| !waiting.has_given_way);
        shown.map(|waiting| (waiting.seq, Arc::clone(&waiting.message)))
    }

    /// How many were not shown yet.
    pub fn hidden(&self) -> u64 {
        (self.waiting.len() - self.shown) as u64
    }

    /// Another server holds all up to `last`: those are to be acknowledged.
    pub fn confirm(&mut self, last: u64) -> Vec<Waiting> {
        let count = self.waiting.iter().take_while(|waiting| waiting.seq <= last).count();
        let confirmed: Vec<_> = self.waiting.drain(..count).collect();
        if count > 0 {
            debug_assert!(self.shown >= count, "what is confirmed was shown");
            self.shown -= count;
            self.note_progress();
        }
        confirmed
    }

    /// Another server holds these of a stream that is not ours.
    pub fn confirm_retries(&mut self, holds: impl Fn(&Stamp) -> bool) -> Vec<Retry> {
        let confirmed: Vec<_> = self.retries.extract_if(.., |retry| holds(&retry.stamp)).collect();
        if !confirmed.is_empty() {
            self.note_progress();
        }
        confirmed
    }

    /// When they are to be published again.
    pub fn publish_due(&self) -> Option<Instant> {
        let patience = CONFIRM_PATIENCE * 2u32.pow(self.doublings);
        self.published.filter(|_| !self.is_empty()).map(|at| at + patience)
    }

    /// They are published again: says how often that was in vain, so that another witness may be asked.
    pub fn publish_again(&mut self, now: Instant) -> usize {
        self.published = Some(now);
        self.tries += 1;
        self.doublings = CONFIRM_DOUBLINGS_MAX.min(self.doublings + 1);
        self.tries
    }

    /// The number of the first that waits.
    pub fn first(&self) -> Option<u64> {
        self.waiting.front().map(|waiting| waiting.seq)
    }

    /// All that wait.
    pub fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.waiting.iter().map(|waiting| &waiting.message)
    }

    /// All retries that wait.
    pub fn retries(&self) -> impl Iterator<Item = &Retry> {
        self.retries.iter()
    }

    /// When the oldest that was not shown is shown without confirmation.
    pub fn show_due(&self) -> Option<Instant> {
        self.waiting.get(self.shown).map(|waiting| waiting.said + SHOW_PATIENCE)
    }

    /// Retries that have waited for too long are given up: the client sends once more.
    pub fn forget_retries(&mut self, now: Instant) {
        self.retries.retain(|retry| now.saturating_duration_since(retry.since) < CONFIRM_PATIENCE * 20);
    }

    fn note_progress(&mut self) {
        // A late answer to the first publication looks like an early one to the last: only what was published once says that
        // others are quick (RFC 6298, section 3).
        if std::mem::take(&mut self.tries) == 0 {
            self.doublings = self.doublings.saturating_sub(1);
        }
        // What follows was published later than what was confirmed.
        let next = self.waiting.front().map(|waiting| waiting.said);
        self.published = next.or_else(|| self.retries.first().map(|retry| retry.since));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ANN: Member = Member { reactor: 0, connection: 1 };

    fn push(unconfirmed: &mut Unconfirmed, seq: u64, now: Instant) {
        let message =
            Message { from: "ann".into(), client: 1, id: seq.to_string().into(), text: "x".into(), time: 1 };
        unconfirmed.push(seq, Arc::new(message), ANN, now);
    }

    fn confirm(unconfirmed: &mut Unconfirmed, last: u64) -> usize {
        unconfirmed.show(last).for_each(drop);
        unconfirmed.confirm(last).len()
    }

    #[test]
    fn each_is_published_again_only_after_its_own_patience() {
        let start = Instant::now();
        let later = start + Duration::from_millis(200);
        let mut unconfirmed = Unconfirmed::default();
        push(&mut unconfirmed, 1, start);
        push(&mut unconfirmed, 2, later);
        assert_eq!(unconfirmed.publish_due(), Some(start + CONFIRM_PATIENCE));
        assert_eq!(confirm(&mut unconfirmed, 1), 1);
        assert_eq!(unconfirmed.publish_due(), Some(later + CONFIRM_PATIENCE), "the first is not waited for");
        assert_eq!(confirm(&mut unconfirmed, 2), 1);
        assert_eq!(unconfirmed.publish_due(), None);
        push(&mut unconfirmed, 3, later);
        assert_eq!(unconfirmed.publish_due(), Some(later + CONFIRM_PATIENCE));
    }

    #[test]
    fn the_later_others_are_the_longer_they_are_waited_for() {
        let start = Instant::now();
        let mut unconfirmed = Unconfirmed::default();
        let wait = |unconfirmed: &Unconfirmed, from| unconfirmed.publish_due().map(|due| due - from);
        let times = |factor| Some(CONFIRM_PATIENCE * factor);
        push(&mut unconfirmed, 1, start);
        for factor in [1, 2, 4, 8, 8] {
            assert_eq!(wait(&unconfirmed, start), times(factor));
            unconfirmed.publish_again(start);
        }
        confirm(&mut unconfirmed, 1);
        for (seq, factor) in [(2, 8), (3, 4), (4, 2), (5, 1), (6, 1)] {
            push(&mut unconfirmed, seq, start);
            assert_eq!(wait(&unconfirmed, start), times(factor), "{seq}");
            confirm(&mut unconfirmed, seq);
        }
    }

    #[test]
    fn who_sends_again_is_told_once_and_with_the_others() {
        let now = Instant::now();
        let mut unconfirmed = Unconfirmed::default();
        push(&mut unconfirmed, 7, now);
        let bob = Member { reactor: 1, connection: 2 };
        assert!(unconfirmed.repeat(7, ANN) && unconfirmed.repeat(7, bob) && unconfirmed.repeat(7, bob));
        assert!(!unconfirmed.repeat(6, ANN) && !unconfirmed.repeat(8, ANN), "those are not waited for");
        unconfirmed.show(7).for_each(drop);
        assert_eq!(unconfirmed.confirm(7)[0].senders[..], [ANN, bob]);
    }

    #[test]
    fn what_is_shown_in_another_place_is_confirmed_and_not_shown() {
        let now = Instant::now();
        let mut unconfirmed = Unconfirmed::default();
        (1..=3).for_each(|seq| push(&mut unconfirmed, seq, now));
        unconfirmed.give_way(2);
        assert_eq!(unconfirmed.hidden(), 3, "no number after it was shown");
        assert_eq!(unconfirmed.show(3).map(|(seq, _)| seq).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(unconfirmed.confirm(3).len(), 3);
    }

    #[test]
    fn what_was_shown_in_time_is_not_shown_again() {
        let now = Instant::now();
        let mut unconfirmed = Unconfirmed::default();
        (1..=3).for_each(|seq| push(&mut unconfirmed, seq, now));
        assert_eq!(unconfirmed.show(2).map(|(seq, _)| seq).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(unconfirmed.hidden(), 1);
        assert_eq!(confirm(&mut unconfirmed, 1), 1);
        assert_eq!(unconfirmed.show(3).map(|(seq, _)| seq).collect::<Vec<_>>(), [3]);
        assert_eq!(unconfirmed.show_due(), None);
    }
}
