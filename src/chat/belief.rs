//! What is believed of what another server says. Its process may be broken, of another release, or somebody else's: a number
//! that cannot be true would make a hole that nobody can fill, and what is really said would count as known.

use std::time::Instant;

use super::limits::{Limits, SEQ_MAX_OF_STRANGERS, SEQS_PER_MS_MAX};
use crate::wire::envelope::Span;

/// Whether a stream may have come to `seq`, of which `known` was told last at `changed`.
///
/// What was under way when it was told is at most what a room keeps: its ring, twice while it is fetched, what waits for a
/// replica and what waits behind a hole. The rest was appended since. So a server that was cut off for long is believed,
/// at the latest when it tells its digest again.
pub fn is_credible(seq: u64, known: u64, changed: Instant, now: Instant, limits: &Limits) -> bool {
    let elapsed = now.saturating_duration_since(changed).as_millis().min(1 << 32) as u64;
    let kept = (2 * limits.ring_messages + limits.unconfirmed + limits.held) as u64;
    seq.saturating_sub(known) <= kept + elapsed * SEQS_PER_MS_MAX && seq <= SEQ_MAX_OF_STRANGERS
}

/// Whether a stream of which nothing is known may have come to `seq`.
pub fn is_credible_at_first(seq: u64) -> bool {
    seq <= SEQ_MAX_OF_STRANGERS
}

/// Whether spans are what a question holds: in their order, without an overlap. Otherwise a small question has an answer
/// without bound.
pub fn are_in_order(spans: &[Span]) -> bool {
    spans.is_sorted_by(|before, after| before.stream != after.stream || before.last < after.first)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wire::StreamId;

    #[test]
    fn a_jump_is_believed_as_far_as_time_and_rings_allow() {
        let (now, limits) = (Instant::now(), Limits::default());
        let after = |ms| now + Duration::from_millis(ms);
        assert!(is_credible(4010, 10, now, now, &limits));
        assert!(!is_credible(4011, 10, now, now, &limits));
        assert!(is_credible(4011, 10, now, after(1), &limits));
        assert!(!is_credible(1 << 53, 10, now, after(1000 * 60 * 60 * 24 * 365), &limits));
        assert!(is_credible(3, 10, now, now, &limits), "what is behind is no jump");
        assert!(!is_credible(u64::MAX, 0, now, now, &limits) && !is_credible_at_first(1 << 53));
    }

    #[test]
    fn a_question_has_no_overlap() {
        let span = |origin, first, last| Span { stream: StreamId { origin, generation: 0 }, first, last };
        assert!(are_in_order(&[span(1, 1, 2), span(1, 3, 3), span(2, 1, 9)]));
        assert!(!are_in_order(&[span(1, 1, 2), span(1, 2, 3)]));
        assert!(!are_in_order(&[span(1, 5, 6), span(1, 1, 2)]));
    }
}
