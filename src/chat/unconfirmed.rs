//! The messages appended at this server that no replica has acked yet.
//!
//! A sender is told `ack`, and members here see the message, once a second server holds it: nobody sees what the death
//! of one server could undo. Until then the message is kept here, whatever the ring does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::branches::{Branch, entered};
use super::limits::Limits;
use super::mutants::{Mutant, is_on};
use super::ring::Stamp;
use super::{Member, Message};
use crate::wire::StreamId;
use crate::wire::envelope::Span;

/// In the order of their numbers in the server's own stream of the room.
#[derive(Debug, Default)]
pub struct Unconfirmed {
    waiting: VecDeque<Waiting>,
    /// Their bytes.
    bytes: usize,
    /// Of those that wait, how many of the first were shown already.
    shown: usize,
    /// Other servers' messages whose retry waits to be answered.
    retries: Vec<Retry>,
    /// When they were published last.
    published: Option<Instant>,
    /// How often that was in vain.
    tries: usize,
    /// How often the patience is doubled.
    doublings: u32,
    /// Servers whose copy of a stream begins behind what waits.
    rejections: SmallVec<[Rejection; 2]>,
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
    /// Members here have seen it at its place in another stream.
    pub is_superseded: bool,
    appended: Instant,
}

/// A client that sent again what it had sent at another server.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Where the message stands.
    pub stamp: Stamp,
    /// The message.
    pub message: Arc<Message>,
    /// Who waits.
    pub sender: Member,
    since: Instant,
}

/// A server cannot hold what stands before a number of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rejection {
    server: u64,
    stream: StreamId,
    first: u64,
}

impl Rejection {
    fn rejects(&self, Stamp { stream, seq, .. }: &Stamp) -> bool {
        self.stream == *stream && *seq < self.first
    }
}

impl Unconfirmed {
    /// Whether as many wait as may.
    pub fn is_full(&self, limits: &Limits) -> bool {
        self.waiting.len() + self.retries.len() >= limits.unconfirmed
            || self.bytes >= limits.unconfirmed_bytes
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.retries.is_empty()
    }

    /// Messages that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// A message was appended for these senders.
    pub fn push(&mut self, seq: u64, message: Arc<Message>, senders: SmallVec<[Member; 1]>, now: Instant) {
        self.bytes += message.weight();
        self.waiting.push_back(Waiting { seq, message, senders, is_superseded: false, appended: now });
        self.published.get_or_insert(now);
    }

    /// A client sent a message again. True: it will be answered when the message is confirmed.
    pub fn repeat(&mut self, seq: u64, sender: Member) -> bool {
        let Some(waiting) = self.find(seq) else { return false };
        if !waiting.senders.contains(&sender) {
            waiting.senders.push(sender);
        }
        true
    }

    /// A client sent again what another server had appended.
    pub fn push_retry(&mut self, stamp: Stamp, message: Arc<Message>, sender: Member, now: Instant) {
        let is_same = |retry: &Retry| retry.stamp == stamp && retry.sender == sender;
        if !self.retries.iter().any(is_same) {
            self.retries.push(Retry { stamp, message, sender, since: now });
            self.published.get_or_insert(now);
        }
    }

    /// A message that was not shown yet is shown at its place in another stream.
    pub fn supersede(&mut self, seq: u64) {
        if let Some(waiting) = self.find(seq) {
            waiting.is_superseded = true;
        }
    }

    /// Those not shown yet, up to a number; they count as shown.
    pub fn show(&mut self, last: u64) -> impl Iterator<Item = (u64, Arc<Message>)> {
        let from = self.shown;
        let count = self.waiting.iter().skip(from).take_while(|waiting| waiting.seq <= last).count();
        self.shown += count;
        let shown = self.waiting.iter().skip(from).take(count).filter(|waiting| !waiting.is_superseded);
        shown.map(|waiting| (waiting.seq, Arc::clone(&waiting.message)))
    }

    /// How many were not shown yet.
    pub fn hidden(&self) -> u64 {
        (self.waiting.len() - self.shown) as u64
    }

    /// Another server holds all of `span`: those are to be acknowledged, which are the first to wait. What stands before
    /// `span` and waits is shown before, so nothing is confirmed until it is.
    pub fn confirm(&mut self, span: Span) -> Vec<Waiting> {
        if self.waiting.front().is_none_or(|waiting| waiting.seq < span.first) {
            return Vec::new();
        }
        let count = self.waiting.iter().take_while(|waiting| waiting.seq <= span.last).count();
        let confirmed: Vec<_> = self.waiting.drain(..count).collect();
        if count > 0 {
            debug_assert!(self.shown >= count, "what is confirmed was shown");
            self.shown -= count;
            self.bytes -= confirmed.iter().map(|waiting| waiting.message.weight()).sum::<usize>();
            self.note_progress();
        }
        confirmed
    }

    /// Another server holds all of `span`, of a stream that is not ours.
    pub fn confirm_retries(&mut self, holds: impl Fn(&Stamp) -> bool) -> Vec<Retry> {
        let confirmed: Vec<_> = self.retries.extract_if(.., |retry| holds(&retry.stamp)).collect();
        if !confirmed.is_empty() {
            self.note_progress();
        }
        confirmed
    }

    /// A server says that its copy of a stream begins at `first`. What waits before that, it will never hold.
    pub fn note_rejection(&mut self, server: u64, stream: StreamId, first: u64) {
        let known = self.rejections.iter_mut().find(|known| (known.server, known.stream) == (server, stream));
        match known {
            Some(known) => known.first = first,
            None => self.rejections.push(Rejection { server, stream, first }),
        }
    }

    /// Whether some server rejects something that waits.
    pub fn has_rejections(&self) -> bool {
        !self.rejections.is_empty()
    }

    /// Takes our own messages that each of `holders` has rejected, to be appended anew.
    pub fn take_rejected(&mut self, own: StreamId, holders: &[u64]) -> Vec<Waiting> {
        let Some(first) = self.rejected_before(own, holders) else { return Vec::new() };
        let count = self.waiting.iter().take_while(|waiting| waiting.seq < first).count();
        let mut rejected: Vec<_> = self.waiting.drain(..count).collect();
        self.bytes -= rejected.iter().map(|waiting| waiting.message.weight()).sum::<usize>();
        let were_shown = self.shown.min(count);
        self.shown -= were_shown;
        // What was shown here without a replica, since there was none, must not be shown twice.
        rejected.iter_mut().take(were_shown).for_each(|waiting| waiting.is_superseded = true);
        rejected
    }

    /// Takes the retries of other servers' messages that each of `holders` has rejected, and of which `is_meant` is true.
    pub fn take_rejected_retries(
        &mut self,
        holders: &[u64],
        is_meant: impl Fn(&Message) -> bool,
    ) -> Vec<Retry> {
        if self.rejections.is_empty() || holders.is_empty() {
            return Vec::new();
        }
        let rejections = &self.rejections;
        let is_rejected = |retry: &Retry| {
            let rejects = |holder: &u64| {
                rejections.iter().any(|known| known.server == *holder && known.rejects(&retry.stamp))
            };
            holders.iter().all(rejects)
        };
        self.retries.extract_if(.., |retry| is_rejected(retry) && is_meant(&retry.message)).collect()
    }

    fn rejected_before(&self, stream: StreamId, holders: &[u64]) -> Option<u64> {
        let first_of = |holder: &u64| {
            let is_of = |known: &&Rejection| (known.server, known.stream) == (*holder, stream);
            self.rejections.iter().find(is_of).map(|known| known.first)
        };
        holders.iter().map(first_of).try_fold(None, |lowest: Option<u64>, first| {
            let first = first?;
            Some(Some(lowest.map_or(first, |lowest| lowest.min(first))))
        })?
    }

    /// When they are to be published again.
    pub fn publish_due(&self, limits: &Limits) -> Option<Instant> {
        let patience = limits.confirm_patience * 2u32.pow(self.doublings);
        self.published.filter(|_| !self.is_empty()).map(|at| at + patience)
    }

    /// They are published again: says how often that was in vain, so that another witness may be asked.
    pub fn publish_again(&mut self, now: Instant, limits: &Limits) -> usize {
        self.published = Some(now);
        self.tries += 1;
        self.doublings = limits.confirm_doublings.min(self.doublings + 1);
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

    /// Those that wait, of these numbers.
    pub fn within(&self, first: u64, last: u64) -> impl Iterator<Item = (u64, &Arc<Message>)> {
        let covered = self.waiting.iter().filter(move |waiting| (first..=last).contains(&waiting.seq));
        covered.map(|waiting| (waiting.seq, &waiting.message))
    }

    /// All retries that wait.
    pub fn retries(&self) -> impl Iterator<Item = &Retry> {
        self.retries.iter()
    }

    /// Retries that have waited for too long are given up: the client sends once more.
    pub fn forget_retries(&mut self, now: Instant, limits: &Limits) {
        let count = self.retries.len();
        let is_kept = |retry: &Retry| {
            now.saturating_duration_since(retry.since) < limits.retry_max || is_on(Mutant::RetriesStay)
        };
        self.retries.retain(is_kept);
        if self.retries.len() < count {
            entered(Branch::RetryGivenUp);
        }
    }

    /// None of the retries can be confirmed: their clients send again.
    pub fn give_up_retries(&mut self) {
        if !self.retries.is_empty() {
            entered(Branch::RetryGivenUp);
            self.retries.clear();
        }
    }

    fn find(&mut self, seq: u64) -> Option<&mut Waiting> {
        let first = self.first()?;
        self.waiting.get_mut(seq.checked_sub(first)? as usize)
    }

    fn note_progress(&mut self) {
        let is_waited_for = |known: &Rejection| self.retries.iter().any(|retry| known.rejects(&retry.stamp));
        self.rejections.retain(|known| is_waited_for(known));
        // Karn's algorithm: an ack of what was published twice is ambiguous, so only first publications shorten the
        // patience (RFC 6298, section 3).
        if std::mem::take(&mut self.tries) == 0 {
            self.doublings = self.doublings.saturating_sub(1);
        }
        // What follows was published later than what was confirmed.
        let next = self.waiting.front().map(|waiting| waiting.appended);
        self.published = next.or_else(|| self.retries.first().map(|retry| retry.since));
    }
}
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ANN: Member = Member { reactor: 0, connection: 1 };
    const OWN: StreamId = StreamId { origin: 1, generation: 0 };
    const CONFIRM_PATIENCE: Duration = Duration::from_millis(300);

    fn span(first: u64, last: u64) -> Span {
        Span { stream: OWN, first, last }
    }

    fn push(unconfirmed: &mut Unconfirmed, seq: u64, now: Instant) {
        let message =
            Message { from: "ann".into(), client: 1, id: seq.to_string().into(), text: "x".into(), time: 1 };
        unconfirmed.push(seq, Arc::new(message), SmallVec::from_elem(ANN, 1), now);
    }

    fn confirm(unconfirmed: &mut Unconfirmed, last: u64) -> usize {
        unconfirmed.show(last).for_each(drop);
        unconfirmed.confirm(span(1, last)).len()
    }

    #[test]
    fn each_is_published_again_only_after_its_own_patience() {
        let start = Instant::now();
        let later = start + Duration::from_millis(200);
        let mut unconfirmed = Unconfirmed::default();
        push(&mut unconfirmed, 1, start);
        push(&mut unconfirmed, 2, later);
        assert_eq!(unconfirmed.publish_due(&Limits::default()), Some(start + CONFIRM_PATIENCE));
        assert_eq!(confirm(&mut unconfirmed, 1), 1);
        assert_eq!(
            unconfirmed.publish_due(&Limits::default()),
            Some(later + CONFIRM_PATIENCE),
            "the first is not waited for"
        );
        assert_eq!(confirm(&mut unconfirmed, 2), 1);
        assert_eq!(unconfirmed.publish_due(&Limits::default()), None);
        push(&mut unconfirmed, 3, later);
        assert_eq!(unconfirmed.publish_due(&Limits::default()), Some(later + CONFIRM_PATIENCE));
    }

    #[test]
    fn the_later_others_are_the_longer_they_are_waited_for() {
        let start = Instant::now();
        let mut unconfirmed = Unconfirmed::default();
        let wait = |unconfirmed: &Unconfirmed, from| {
            unconfirmed.publish_due(&Limits::default()).map(|due| due - from)
        };
        let times = |factor| Some(CONFIRM_PATIENCE * factor);
        push(&mut unconfirmed, 1, start);
        for factor in [1, 2, 4, 8, 8] {
            assert_eq!(wait(&unconfirmed, start), times(factor));
            unconfirmed.publish_again(start, &Limits::default());
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
        assert_eq!(unconfirmed.confirm(span(1, 7))[0].senders[..], [ANN, bob]);
    }

    #[test]
    fn what_is_shown_in_another_place_is_confirmed_and_not_shown() {
        let now = Instant::now();
        let mut unconfirmed = Unconfirmed::default();
        (1..=3).for_each(|seq| push(&mut unconfirmed, seq, now));
        unconfirmed.supersede(2);
        assert_eq!(unconfirmed.hidden(), 3, "no number after it was shown");
        assert_eq!(unconfirmed.show(3).map(|(seq, _)| seq).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(unconfirmed.confirm(span(1, 3)).len(), 3);
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
    }

    #[test]
    fn nothing_is_confirmed_before_what_stands_before_it() {
        let now = Instant::now();
        let mut unconfirmed = Unconfirmed::default();
        (1..=3).for_each(|seq| push(&mut unconfirmed, seq, now));
        unconfirmed.show(3).for_each(drop);
        assert!(unconfirmed.confirm(span(2, 3)).is_empty(), "the replica never had 1");
        assert_eq!(unconfirmed.confirm(span(1, 2)).len(), 2);
    }

    #[test]
    fn what_every_replica_rejects_is_taken_back_and_what_one_may_hold_is_not() {
        let now = Instant::now();
        let mut unconfirmed = Unconfirmed::default();
        (5..=8).for_each(|seq| push(&mut unconfirmed, seq, now));
        unconfirmed.note_rejection(2, OWN, 7);
        assert!(unconfirmed.take_rejected(OWN, &[2, 3]).is_empty(), "3 may hold them");
        assert!(unconfirmed.take_rejected(OWN, &[]).is_empty(), "nobody has rejected anything");
        unconfirmed.note_rejection(3, OWN, 9);
        let taken: Vec<_> =
            unconfirmed.take_rejected(OWN, &[2, 3]).iter().map(|waiting| waiting.seq).collect();
        assert_eq!((taken, unconfirmed.first()), (vec![5, 6], Some(7)));
    }

    #[test]
    fn a_rejected_retry_is_settled_though_own_messages_are_confirmed_meanwhile() {
        let now = Instant::now();
        let mut unconfirmed = Unconfirmed::default();
        let message = Message { from: "ann".into(), client: 1, id: "1".into(), text: "x".into(), time: 1 };
        let stamp = Stamp { stream: StreamId { origin: 9, generation: 0 }, seq: 4, time: 1 };
        let sender = Member { reactor: 0, connection: 1 };
        unconfirmed.push_retry(stamp, Arc::new(message), sender, now);
        for server in [2, 3] {
            unconfirmed.note_rejection(server, stamp.stream, 5);
            unconfirmed.note_rejection(server, OWN, 7);
            push(&mut unconfirmed, server, now);
            unconfirmed.show(server).for_each(drop);
            confirm(&mut unconfirmed, server);
        }
        assert_eq!(unconfirmed.rejections.len(), 2, "those of own messages are settled");
        assert_eq!(
            unconfirmed.take_rejected_retries(&[2, 3], |_| false).len(),
            0,
            "not those that are meant"
        );
        assert_eq!(unconfirmed.take_rejected_retries(&[2, 3], |_| true).len(), 1);
    }

    #[test]
    fn what_waits_is_bounded_in_messages_and_in_bytes() {
        let now = Instant::now();
        let limits = Limits { unconfirmed: 3, unconfirmed_bytes: 250, ..Limits::default() };
        let mut unconfirmed = Unconfirmed::default();
        (1..=2).for_each(|seq| push(&mut unconfirmed, seq, now));
        assert!(!unconfirmed.is_full(&limits));
        push(&mut unconfirmed, 3, now);
        assert!(unconfirmed.is_full(&limits), "three messages");
        confirm(&mut unconfirmed, 1);
        assert!(!unconfirmed.is_full(&limits) && unconfirmed.bytes < 250);
        assert!(unconfirmed.is_full(&Limits { unconfirmed_bytes: 100, ..limits }), "their bytes");
    }
}
