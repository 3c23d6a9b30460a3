//! What is missing here and elsewhere.

use std::sync::Arc;
use std::time::Instant;

use super::{Heard, Room};
use crate::chat::branches::{Branch, entered};
use crate::chat::mutants::{Mutant, is_on};
use crate::chat::ring::Entry;
use crate::chat::stream::{Lack, Stream, Verdict};
use crate::chat::{Message, Now};
use crate::wire::StreamId;
use crate::wire::envelope::{SamePlaces, Span};

/// What a server has of what another one misses.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Supply {
    /// Messages that are kept.
    pub entries: Vec<Entry>,
    /// Numbers that it never had.
    pub lacks: Vec<Span>,
    /// Numbers that retention has taken.
    pub expired: Vec<Span>,
}

impl Room {
    /// Where else these stand.
    pub fn places_of(&self, entries: &[Entry]) -> Vec<SamePlaces> {
        let of_entry = |entry: &Entry| {
            let place = entry.into();
            self.places.of(place).map(move |other| SamePlaces { place, other })
        };
        let entries = if is_on(Mutant::PlacesNotSent) { &[] } else { entries };
        entries.iter().flat_map(of_entry).collect()
    }

    /// Another server sends what stands at two places.
    pub fn note_places(&mut self, same: SamePlaces) {
        let is_gone = |known: &Stream| (known.last + 1).min(known.kept_from) > same.place.seq;
        let known = self.streams.iter().find(|known| known.id == same.place.stream);
        if !known.is_some_and(is_gone) {
            self.places.note(same);
        }
    }

    /// Another server does not have these.
    pub fn lack(&mut self, stream: StreamId, lack: Lack, now: Instant) {
        if let Some(known) = self.streams.iter_mut().find(|known| known.id == stream) {
            known.lack(lack, now);
        }
    }

    /// A server lives (again), which may have what everybody else lacked.
    pub fn unpark(&mut self, server: u64, now: Instant) {
        if !is_on(Mutant::StayParked) {
            let patience = self.limits.gap_patience;
            self.streams.iter_mut().for_each(|stream| stream.unpark(server, now, patience));
        }
    }

    /// The streams with holes that are due to be asked for.
    pub fn due_gaps(&mut self, now: Instant) -> impl Iterator<Item = &mut Stream> {
        self.streams.iter_mut().filter(move |stream| stream.due().is_some_and(|due| due <= now))
    }

    /// Decides about the hole of a stream, which no server in `live` has if each has said so; and what can be shown at last.
    pub fn judge(&mut self, stream: StreamId, live: &[u64], may_come: bool, now: Now) -> (Verdict, Heard) {
        let mut heard = Heard::default();
        let is_open = self.is_open();
        let limits = Arc::clone(&self.limits);
        let Some(known) = self.streams.iter_mut().find(|known| known.id == stream) else {
            return (Verdict::Ask, heard);
        };
        let verdict = known.judge(live, may_come, now.instant, &limits);
        if matches!(verdict, Verdict::Expired { .. }) {
            if is_open {
                known.begin();
            }
            self.take_waiting(stream, &mut heard, now);
        }
        (verdict, heard)
    }

    /// Which servers have said that they lack what the stream misses next, and whether retention may have taken it.
    pub fn gap_of(&self, stream: StreamId) -> Option<&Stream> {
        self.streams.iter().find(|known| known.id == stream)
    }

    /// Whether nothing is missing that could still come from a server that lives.
    pub fn is_whole(&self) -> bool {
        self.streams.iter().all(|stream| !stream.has_open_gap())
    }

    /// Whether a stream has a hole.
    pub fn has_gap(&self) -> bool {
        self.streams.iter().any(Stream::has_gap)
    }

    /// Those of the wanted that are kept, in the order of their arrival; those that this server never had; and those
    /// that retention has taken, here or where this server had its copy from.
    pub fn supply(&self, wanted: &[Span]) -> Supply {
        let covers = |span: &Span, entry: &Entry| {
            span.stream == entry.stream && (span.first..=span.last).contains(&entry.seq)
        };
        let is_wanted = |entry: &&Entry| wanted.iter().any(|span| covers(span, entry));
        let mut entries: Vec<_> = self.ring.kept().filter(is_wanted).cloned().collect();
        for span in wanted.iter().filter(|span| span.stream == self.own && !is_on(Mutant::EvictUnconfirmed)) {
            let kept_from =
                self.streams.iter().find(|known| known.id == self.own).map_or(1, |own| own.kept_from);
            let waiting = self.unconfirmed.within(span.first, span.last.min(kept_from - 1));
            let entry = |(seq, message): (u64, &Arc<Message>)| Entry {
                stream: self.own,
                seq,
                message: Arc::clone(message),
            };
            // They are older than what the ring has.
            let in_ring = entries.len();
            entries.splice(..0, waiting.map(entry));
            if entries.len() > in_ring {
                entered(Branch::UnconfirmedOutlivesRing);
            }
        }
        // What waits here behind a hole may be the next one's missing piece.
        for span in wanted {
            let stream = self.streams.iter().find(|stream| stream.id == span.stream);
            entries.extend(
                stream.into_iter().flat_map(|stream| stream.held_in(*span)).map(|(seq, message)| Entry {
                    stream: span.stream,
                    seq,
                    message: Arc::clone(message),
                }),
            );
        }
        let mut missing = Vec::new();
        for span in wanted {
            let mut next = span.first;
            for entry in entries.iter().filter(|entry| covers(span, entry)) {
                if next < entry.seq {
                    missing.push(Span { first: next, last: entry.seq - 1, ..*span });
                }
                next = next.max(entry.seq + 1);
            }
            if next <= span.last {
                missing.push(Span { first: next, ..*span });
            }
        }
        let (mut lacks, mut expired) = (Vec::new(), Vec::new());
        for span in missing {
            let cursor = self.position(span.stream).unwrap_or(0);
            let (gone, never) = (
                Span { last: span.last.min(cursor), ..span },
                Span { first: span.first.max(cursor + 1), ..span },
            );
            expired.extend(Some(gone).filter(|gone| gone.first <= gone.last));
            lacks.extend(Some(never).filter(|never| never.first <= never.last));
        }
        Supply { entries, lacks, expired }
    }
}
