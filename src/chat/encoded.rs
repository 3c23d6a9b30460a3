//! A room's messages as newcomers are sent them: encoded once, and shared by all answers until the ring drops them.
//!
//! An answer is a head of its own and slices of what is kept here, so it costs no copy, whatever `since` leaves out.

use std::collections::VecDeque;

use bytes::Bytes;
use smallvec::SmallVec;

use super::Message;
use super::limits::ENCODED_CHUNK_BYTES;
use super::ring::Ring;
use crate::wire::{ServerMessage, StreamId};

/// Parts of a history, in their order: mostly all of it is consecutive.
pub type Slices = SmallVec<[Bytes; 4]>;

/// Messages of a ring with consecutive positions, as far as somebody asked for them.
#[derive(Debug, Default)]
pub struct Encoded {
    chunks: VecDeque<Chunk>,
    /// [`Ring::orders`] when they were encoded.
    orders: u32,
}

/// Some of them. It is never changed, since answers hold on to it.
#[derive(Debug)]
struct Chunk {
    /// The position of the first.
    first: u64,
    /// Where each ends.
    ends: Vec<u32>,
    bytes: Bytes,
}

impl Chunk {
    /// The position behind the last.
    fn end(&self) -> u64 {
        self.first + self.ends.len() as u64
    }

    fn slice(&self, first: u64, last: u64) -> Bytes {
        let end_of = |position: u64| self.ends[(position - self.first) as usize] as usize;
        let start = if first == self.first { 0 } else { end_of(first - 1) };
        self.bytes.slice(start..end_of(last))
    }
}

impl Encoded {
    /// The messages at these positions, which go up, each with a comma before it.
    pub fn choose(&mut self, ring: &Ring, positions: impl Iterator<Item = u64>, room: &str) -> Slices {
        let mut runs = SmallVec::<[(u64, u64); 4]>::new();
        for position in positions {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == position => *last = position,
                _ => runs.push((position, position)),
            }
        }
        let (Some(&(first, _)), Some(&(_, last))) = (runs.first(), runs.last()) else { return Slices::new() };
        self.cover(ring, first, last, room);
        runs.into_iter().flat_map(|(first, last)| self.run(first, last)).collect()
    }

    /// Bytes that are kept.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes.len() + chunk.ends.len() * size_of::<u32>()).sum()
    }

    fn run(&self, first: u64, last: u64) -> impl Iterator<Item = Bytes> {
        let is_in = move |chunk: &&Chunk| chunk.first <= last && first < chunk.end();
        let slice = move |chunk: &Chunk| chunk.slice(first.max(chunk.first), last.min(chunk.end() - 1));
        self.chunks.iter().filter(is_in).map(slice).filter(|slice| !slice.is_empty())
    }

    /// Encodes what is lacking from `first` to `last`, and drops what the ring has dropped.
    fn cover(&mut self, ring: &Ring, first: u64, last: u64, room: &str) {
        if self.orders != ring.orders() {
            *self = Self { orders: ring.orders(), ..Self::default() };
        }
        while self.chunks.front().is_some_and(|chunk| chunk.end() <= ring.first()) {
            self.chunks.pop_front();
        }
        if let Some(known) = self.chunks.front().map(|chunk| chunk.first)
            && first < known
        {
            for chunk in encode(None, ring, first, known - 1, room).into_iter().rev() {
                self.chunks.push_front(chunk);
            }
        }
        let next = self.chunks.back().map_or(first, Chunk::end);
        if next <= last {
            // Where somebody comes after each message there would be a chunk for each.
            let is_small = |chunk: &mut Chunk| chunk.bytes.len() < ENCODED_CHUNK_BYTES;
            let small = self.chunks.pop_back_if(is_small);
            self.chunks.extend(encode(small, ring, next, last, room));
        }
    }
}

/// Chunks with these messages, and those of `before`.
fn encode(before: Option<Chunk>, ring: &Ring, first: u64, last: u64, room: &str) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let (mut start, mut ends, mut bytes) = match before {
        Some(Chunk { first, ends, bytes }) => (first, ends, bytes.to_vec()),
        None => (first, Vec::new(), Vec::new()),
    };
    for position in first..=last {
        if bytes.len() >= ENCODED_CHUNK_BYTES {
            let (ends, bytes) = (std::mem::take(&mut ends), std::mem::take(&mut bytes).into());
            chunks.push(Chunk { first: std::mem::replace(&mut start, position), ends, bytes });
        }
        if let Some(entry) = ring.get(position) {
            bytes.push(b',');
            message_frame(room, entry.stream, entry.seq, &entry.message).encode_json(&mut bytes);
        }
        ends.push(bytes.len() as u32);
    }
    chunks.push(Chunk { first: start, ends, bytes: bytes.into() });
    chunks
}

/// The frame of a kept message.
pub fn message_frame<'a>(
    room: &'a str,
    stream: StreamId,
    seq: u64,
    message: &'a Message,
) -> ServerMessage<'a> {
    let Message { from, client: _, id, text, time } = message;
    ServerMessage::Message { room, from, text, time: *time, stream, seq, id }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::chat::limits::Limits;
    use crate::chat::ring::Entry;

    const STREAM: StreamId = StreamId { origin: 1, generation: 0 };
    const TEXT_BYTES: usize = 4000;

    fn ring(messages: u64) -> Ring {
        let mut ring = Ring::new(7, &Limits::default());
        (1..=messages).for_each(|seq| push(&mut ring, seq));
        ring
    }

    fn push(ring: &mut Ring, seq: u64) {
        let (id, text) = (seq.to_string().into(), "x".repeat(TEXT_BYTES).into());
        let message = Message { from: "ann".into(), client: 1, id, text, time: 1000 - seq };
        ring.push(Entry { stream: STREAM, seq, message: Arc::new(message) }, false);
    }

    fn seqs(slices: &Slices) -> Vec<u64> {
        let bytes = slices.concat();
        let json = format!("[{}]", String::from_utf8_lossy(&bytes).trim_start_matches(','));
        let items: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        items.iter().map(|item| item["seq"].as_u64().unwrap()).collect()
    }

    fn choose(encoded: &mut Encoded, ring: &Ring, positions: &[u64]) -> Slices {
        encoded.choose(ring, positions.iter().copied(), "r")
    }

    #[test]
    fn what_is_asked_for_twice_is_encoded_once() {
        let (ring, mut encoded) = (ring(60), Encoded::default());
        let all: Vec<_> = (0..60).collect();
        let first = choose(&mut encoded, &ring, &all);
        let second = choose(&mut encoded, &ring, &all);
        assert_eq!(seqs(&first), (1..=60).collect::<Vec<_>>());
        let at = |slices: &Slices| slices.iter().map(|slice| slice.as_ptr()).collect::<Vec<_>>();
        assert_eq!(at(&first), at(&second), "the same bytes in memory");
        assert!(first.len() <= 60 * TEXT_BYTES / ENCODED_CHUNK_BYTES + 1, "{} slices", first.len());
        let some = choose(&mut encoded, &ring, &[0, 2, 3, 59]);
        assert_eq!(seqs(&some), [1, 3, 4, 60]);
        assert_eq!(some[0].as_ptr(), first[0].as_ptr(), "also where `since` leaves some out");
    }

    #[test]
    fn what_comes_is_added_and_what_goes_is_dropped() {
        let (mut ring, mut encoded) = (ring(4), Encoded::default());
        assert_eq!(seqs(&choose(&mut encoded, &ring, &[2, 3])), [3, 4]);
        assert_eq!(seqs(&choose(&mut encoded, &ring, &[0, 1, 2, 3])), [1, 2, 3, 4], "older ones than before");
        for seq in 5..=300 {
            push(&mut ring, seq);
            let last = ring.iter().map(|(position, _)| position).collect::<Vec<_>>();
            assert_eq!(*seqs(&choose(&mut encoded, &ring, &last)).last().unwrap(), seq);
            assert!(
                encoded.bytes() < Limits::default().ring_bytes + 2 * ENCODED_CHUNK_BYTES,
                "{} bytes are kept",
                encoded.bytes()
            );
        }
        assert!(encoded.chunks.len() <= 1 + 2 * Limits::default().ring_bytes / ENCODED_CHUNK_BYTES);
    }

    #[test]
    fn messages_with_other_positions_are_encoded_anew() {
        let (mut ring, mut encoded) = (ring(3), Encoded::default());
        assert_eq!(seqs(&choose(&mut encoded, &ring, &[0, 1, 2])), [1, 2, 3]);
        ring.order();
        assert_eq!(seqs(&choose(&mut encoded, &ring, &[0, 1, 2])), [3, 2, 1]);
    }
}
