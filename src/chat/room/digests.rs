//! What is told of the streams that are known, and which of them are forgotten.

use std::time::Instant;

use super::Room;
use crate::chat::branches::{Branch, entered};
use crate::chat::limits::DIGEST_REPEATS;
use crate::chat::mutants::{Mutant, is_on};
use crate::chat::stream::Stream;
use crate::wire::StreamId;
use crate::wire::envelope::Span;

/// Streams that were forgotten are remembered by name, so many times as many as are kept: another server may keep what this
/// one has forgotten, and members would see it again.
pub(super) const FORGOTTEN_TIMES: usize = 4;

impl Room {
    /// Whether the stream was forgotten, so that what other servers tell of it is not learned anew.
    pub(super) fn has_forgotten(&self, stream: StreamId) -> bool {
        self.forgotten.contains(&stream) && !is_on(Mutant::LearnTheForgotten)
    }

    /// What a replica's ack of a stream may cover.
    pub fn claim(&self, stream: StreamId) -> Option<Span> {
        self.streams.iter().find(|known| known.id == stream).and_then(Stream::claim)
    }

    /// What is kept of each stream; `changed_since`: only of those that changed.
    pub fn digest(&self, changed_since: Option<Instant>) -> Vec<Span> {
        let is_told =
            |stream: &&Stream| changed_since.is_none_or(|since| stream.changed >= since) && stream.last > 0;
        let span =
            |stream: &Stream| Span { stream: stream.id, first: self.first_of(stream), last: stream.last };
        self.streams.iter().filter(is_told).map(span).collect()
    }

    /// From here on a stream can be had here: what waits for a replica is kept though the ring has no room for it.
    pub(super) fn first_of(&self, stream: &Stream) -> u64 {
        let waiting =
            self.unconfirmed.first().filter(|_| stream.id == self.own && !is_on(Mutant::EvictUnconfirmed));
        waiting.map_or(stream.kept_from, |first| first.min(stream.kept_from))
    }

    /// Takes the digest that is due, if it is.
    pub fn take_due_digest(&mut self, now: Instant) -> Option<Vec<Span>> {
        let due = self.digest_due.take_if(|due| *due <= now)?;
        let repeat = DIGEST_REPEATS.get(self.digest_repeats).filter(|_| !is_on(Mutant::NoDigestRepeats));
        if let Some(&wait) = repeat {
            // From when it was due, so that it stays on the grid.
            self.digest_due = Some(if due + wait > now { due + wait } else { now + wait });
            self.digest_repeats += 1;
        }
        let since = now.checked_sub(self.limits.digest_stream_age).unwrap_or(now);
        Some(self.digest(Some(since))).filter(|spans| !spans.is_empty())
    }

    /// Forgets streams of servers that are gone, the oldest first and those of which nothing is kept before others, until
    /// there are no more than may be. One of a server that lives stays.
    pub fn trim_streams(&mut self, is_known: impl Fn(u64) -> bool) {
        let max = if is_on(Mutant::ForgetLiveStreams) { 4 } else { self.limits.streams };
        while self.streams.len() > max {
            let newest = |origin| {
                let of_origin = self.streams.iter().filter(|known| known.id.origin == origin);
                of_origin.map(|known| known.id.generation).max()
            };
            let has_ended = |known: &&Stream| {
                let is_superseded = newest(known.id.origin) > Some(known.id.generation);
                known.id != self.own
                    && (is_superseded || !is_known(known.id.origin) || is_on(Mutant::ForgetLiveStreams))
            };
            let age = |known: &&Stream| {
                (known.kept_from <= known.last || known.held() > 0, known.changed, known.id)
            };
            let Some(id) = self.streams.iter().filter(has_ended).min_by_key(age).map(|known| known.id) else {
                return;
            };
            self.streams.retain(|known| known.id != id);
            self.ring.forget_stream(id);
            self.places.forget_stream(id);
            if self.forgotten.len() == FORGOTTEN_TIMES * max {
                self.forgotten.pop_front();
            }
            self.forgotten.push_back(id);
            entered(Branch::StreamTrimmed);
        }
    }
}
