//! Which other servers have all that a server has of a room: it may leave when enough of them do.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::Room;
use crate::chat::Now;
use crate::chat::mutants::{Mutant, is_on};
use crate::wire::StreamId;
use crate::wire::envelope::Span;

/// What is to be taken over, and by whom it was.
#[derive(Debug)]
pub struct Takeover {
    /// For each stream the number that they have to reach.
    wanted: Vec<(StreamId, u64)>,
    taken_by: SmallVec<[u64; 4]>,
    asked: Instant,
}

impl Room {
    /// Others are asked what they have of the room, unless they were less than `interval` ago. True: ask them now.
    pub fn ask_for_takeover(&mut self, interval: Duration, now: Now) -> bool {
        match &mut self.takeover {
            Some(takeover) if takeover.asked + interval > now.instant => return false,
            Some(takeover) => takeover.asked = now.instant,
            None => {
                let (wanted, taken_by, asked) = (self.cursors(), SmallVec::new(), now.instant);
                self.takeover = Some(Box::new(Takeover { wanted, taken_by, asked }));
            }
        }
        true
    }

    /// What another server has of all streams, as it answers a `Sync`.
    pub fn note_takeover(&mut self, server: u64, spans: &[Span]) {
        let Some(takeover) = &mut self.takeover else { return };
        let reaches = |&(stream, last): &(StreamId, u64)| {
            let has = |span: &Span| span.stream == stream && span.last >= last;
            last == 0 || spans.iter().any(has) || is_on(Mutant::TakeoverUnread)
        };
        if !takeover.taken_by.contains(&server) && takeover.wanted.iter().all(reaches) {
            takeover.taken_by.push(server);
        }
    }

    /// There is more now than others were asked for. `except`: a server that has that, too.
    pub fn reopen_takeover(&mut self, except: Option<u64>) {
        if self.takeover.is_none() {
            return;
        }
        let cursors = self.cursors();
        if let Some(takeover) = &mut self.takeover {
            takeover.wanted = cursors;
            takeover.taken_by.retain(|server| Some(*server) == except);
        }
    }

    fn cursors(&self) -> Vec<(StreamId, u64)> {
        self.streams.iter().map(|stream| (stream.id, stream.last)).collect()
    }

    /// Whether that server has all that this one has.
    pub fn is_taken_over_by(&self, server: u64) -> bool {
        self.takeover.as_ref().is_some_and(|takeover| takeover.taken_by.contains(&server))
    }
}
