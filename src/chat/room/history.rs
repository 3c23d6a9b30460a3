//! What a newcomer is told.

use super::Room;
use crate::chat::encoded::{Encoded, Slices};
use crate::chat::fetch::Fetch;
use crate::chat::mutants::{Mutant, is_on};
use crate::chat::ring::Entry;
use crate::chat::stream::Stream;
use crate::wire::StreamId;
use crate::wire::client_message::Since;

impl Room {
    /// Whether somebody has seen at another server what is not shown here yet. It would be shown to them again if it gave way
    /// to another place.
    pub fn hides(&self, since: &Since) -> bool {
        let seen = since.streams.iter().find(|(stream, _)| *stream == self.own).map_or(0, |(_, seen)| *seen);
        let last = self.position(self.own).unwrap_or(0);
        self.shown() < seen && seen <= last
    }

    /// What a newcomer has to be told, as frames are encoded: see [`Encoded`]. False: some are missing.
    pub fn encoded_history(&mut self, since: Option<&Since>) -> (Slices, bool) {
        let mut encoded = std::mem::take(&mut self.encoded);
        let (chosen, is_complete) = self.chosen(since);
        let slices = encoded.choose(&self.ring, chosen.iter().map(|(position, _)| *position), &self.name);
        self.encoded = encoded;
        (slices, is_complete)
    }

    /// Bytes of history that are kept encoded.
    pub fn encoded_bytes(&self) -> usize {
        self.encoded.bytes()
    }

    /// It is encoded anew when somebody comes.
    pub fn forget_encoded(&mut self) {
        self.encoded = Encoded::default();
        self.encoded_used = None;
    }

    /// What a newcomer has to be told: the last messages, or all that came after `since`, with their positions in the ring.
    /// False: some are missing.
    pub(super) fn chosen(&self, since: Option<&Since>) -> (Vec<(u64, &Entry)>, bool) {
        let shown = self.shown();
        let is_shown = |(_, entry): &(u64, &Entry)| {
            entry.stream != self.own || entry.seq <= shown || is_on(Mutant::HistoryShowsHidden)
        };
        let Some(since) = since else {
            let mut entries: Vec<_> =
                self.ring.iter().filter(is_shown).rev().take(self.limits.history_messages).collect();
            entries.reverse();
            return (entries, true);
        };
        let Since { streams, names_strangers } = since;
        let seen = |stream| streams.iter().find(|(id, _)| *id == stream).map_or(0, |(_, seq)| *seq);
        // Servers may differ in which of its places a message is shown at: where the client was, it may have been another one.
        let was_shown_elsewhere = |entry: &Entry| {
            let mut others = self.places.of(entry.into()).filter(|_| !is_on(Mutant::HistoryIgnoresRepeats));
            others.any(|other| other.seq <= seen(other.stream))
        };
        let is_news =
            |(_, entry): &(u64, &Entry)| entry.seq > seen(entry.stream) && !was_shown_elsewhere(entry);
        let entries = self.ring.iter().filter(is_shown).filter(is_news).collect();
        // Who names a stream that nobody here knows has been in another life of the room, and was told so when it came from
        // there: not again, once it names one of this life as well.
        let is_known = |(id, seen): &(StreamId, u64)| *seen > 0 && self.position(*id).is_some();
        let all_known = !names_strangers && (streams.iter().all(is_known) || streams.iter().any(is_known));
        let all_kept = self.streams.iter().all(|known| {
            let seen = seen(known.id);
            known.last <= seen || known.kept_from.max(known.held_from()) <= seen + 1
        });
        let is_learned = self.fetch.as_deref().is_none_or(Fetch::is_sufficient);
        (entries, all_known && all_kept && is_learned || is_on(Mutant::AlwaysComplete))
    }

    /// How far each stream was shown: where a newcomer stands once it has its history. Where it has seen further elsewhere,
    /// it stands there, so that it is not shown again what comes here later.
    pub fn positions(&self, since: Option<&Since>) -> Vec<(StreamId, u64)> {
        let shown = if is_on(Mutant::PositionsAheadOfShown) { u64::MAX } else { self.shown() };
        let position = |known: &Stream| {
            (known.id, if known.id == self.own { known.last.min(shown) } else { known.last })
        };
        // Where a stream has not begun, a lower beginning may be told yet, and what is shown then is not behind anybody.
        let begun = self.streams.iter().filter(|known| known.has_begun());
        let mut positions: Vec<_> = begun.map(position).collect();
        for (stream, seen) in since.into_iter().flat_map(|since| &since.streams) {
            match positions.iter_mut().find(|(id, _)| id == stream) {
                Some((_, last)) => *last = (*last).max(*seen),
                None => positions.push((*stream, *seen)),
            }
        }
        positions.retain(|(_, last)| *last > 0);
        positions
    }
}
