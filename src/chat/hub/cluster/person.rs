//! A client as docs/protocol.md wants it: it remembers how far it has seen each stream and says so where it comes.

use super::server::{join, send};
use super::*;
use crate::chat::simulation::frame::Frame;

#[derive(Debug)]
pub struct Person {
    pub name: &'static str,
    /// The server that it is at.
    pub at: Option<usize>,
    /// Bytes that its texts have.
    pub text_bytes: usize,
    seen: Vec<(u64, Place)>,
    positions: Option<BTreeMap<StreamId, u64>>,
    /// Texts that were acked.
    pub acked: Vec<u64>,
    /// What it was told is gone.
    pub gaps: Vec<Span>,
    /// `complete` of each `joined`.
    pub completes: Vec<bool>,
    /// Names that it was told have come and have left.
    pub joined: Vec<String>,
    pub left: Vec<String>,
}

impl Person {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            at: None,
            text_bytes: 0,
            seen: Vec::new(),
            positions: None,
            acked: Vec::new(),
            gaps: Vec::new(),
            completes: Vec::new(),
            joined: Vec::new(),
            left: Vec::new(),
        }
    }

    pub fn join(&mut self, server: usize) -> Ask {
        self.at = Some(server);
        let since = self.positions.as_ref().map(|positions| positions.iter().map(|(&id, &seq)| (id, seq)));
        join(self.name, since.map(Iterator::collect))
    }

    /// Texts begin with their number, which is their id as well.
    pub fn say(&self, text: u64) -> Ask {
        send(self.name, text, format!("{text} {:x<1$}", "", self.text_bytes))
    }

    /// Where it has seen a text.
    pub fn places(&self, text: u64) -> Vec<Place> {
        self.seen.iter().filter(|(seen, _)| *seen == text).map(|(_, place)| *place).collect()
    }

    /// The texts that it has seen, in that order.
    pub fn texts(&self) -> impl Iterator<Item = u64> {
        self.seen.iter().map(|(text, _)| *text)
    }

    /// Streams that it names when it comes back.
    pub fn streams(&self) -> usize {
        self.positions.as_ref().map_or(0, BTreeMap::len)
    }

    /// What it is sent. Returned is the place of a message of its that was acked.
    pub fn take(&mut self, frame: Frame) -> Option<Place> {
        match frame {
            Frame::Joined { history, is_complete, streams, .. } => {
                self.completes.push(is_complete);
                self.seen.extend(history.iter().map(|shown| (shown.text, shown.place)));
                self.positions = Some(streams.into_iter().collect());
            }
            Frame::Message(shown) => {
                let (stream, seq) = shown.place;
                let before = self.positions.get_or_insert_default().insert(stream, seq).unwrap_or(0);
                assert!(before < seq, "{} is shown {seq} of {stream} after {before}", self.name);
                self.seen.push((shown.text, shown.place));
            }
            Frame::Gap { stream, first, last } => {
                self.positions.get_or_insert_default().insert(stream, last);
                self.gaps.push(Span { stream, first, last });
            }
            Frame::Ack { id, place } => {
                self.acked.push(frame::number(&id));
                return Some(place);
            }
            Frame::Presence { joined, left, .. } => {
                self.joined.extend(joined);
                self.left.extend(left);
            }
            Frame::Error(error) => panic!("{} is told {error}", self.name),
            Frame::Other => {}
        }
        None
    }
}
