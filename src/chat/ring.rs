//! The last messages of one room, of all streams, in the order of their arrival here. Answers joins, resumes and the
//! question whether a message was said before.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::Message;
use super::limits::{RING_BYTES_MAX, RING_MESSAGES_MAX};
use crate::wire::StreamId;

/// One message in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its stream.
    pub stream: StreamId,
    /// Its number there.
    pub seq: u64,
    /// The message.
    pub message: Arc<Message>,
}

/// Bounded by [`RING_MESSAGES_MAX`] and [`RING_BYTES_MAX`]; the oldest goes first.
#[derive(Debug)]
pub struct Ring {
    entries: VecDeque<Entry>,
    /// How many have gone: the position of `entries[0]`.
    gone: u64,
    bytes: usize,
    /// Positions by (speaker, id).
    by_id: HashTable<u64>,
    hasher: FixedState,
}

impl Ring {
    /// An empty ring. `seed` makes the hash of what clients choose unpredictable to them.
    pub fn new(seed: u64) -> Self {
        Self {
            entries: VecDeque::new(),
            gone: 0,
            bytes: 0,
            by_id: HashTable::new(),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// Adds a message that [`Ring::find`] does not know, and returns those that had to go for it.
    pub fn push(&mut self, entry: Entry) -> Vec<Entry> {
        debug_assert!(self.find(&entry.message.from, &entry.message.id).is_none(), "said once");
        self.bytes += entry.message.weight();
        let position = self.gone + self.entries.len() as u64;
        let hash = self.hash(&entry.message.from, &entry.message.id);
        self.entries.push_back(entry);
        let Self { entries, gone, hasher, .. } = self;
        let (entries, gone) = (&*entries, *gone);
        self.by_id.insert_unique(hash, position, |&position| {
            let message = &entries[(position - gone) as usize].message;
            hasher.hash_one((&*message.from, &*message.id))
        });
        self.shrink(RING_BYTES_MAX)
    }

    /// Drops the oldest until at most `bytes_max` are held, and returns them.
    pub fn shrink(&mut self, bytes_max: usize) -> Vec<Entry> {
        let mut evicted = Vec::new();
        while self.entries.len() > RING_MESSAGES_MAX || self.bytes > bytes_max {
            evicted.extend(self.evict());
        }
        evicted
    }

    /// Bytes held, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The message that this speaker said under this id.
    pub fn find(&self, from: &str, id: &str) -> Option<&Entry> {
        let is_it = |&position: &u64| {
            let message = &self.at(position).message;
            *message.from == *from && *message.id == *id
        };
        self.by_id.find(self.hash(from, id), is_it).map(|&position| self.at(position))
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.entries.iter()
    }

    fn at(&self, position: u64) -> &Entry {
        &self.entries[(position - self.gone) as usize]
    }

    fn hash(&self, from: &str, id: &str) -> u64 {
        self.hasher.hash_one((from, id))
    }

    fn evict(&mut self) -> Option<Entry> {
        let oldest = self.entries.front()?;
        let (position, hash) = (self.gone, self.hash(&oldest.message.from, &oldest.message.id));
        if let Ok(found) = self.by_id.find_entry(hash, |&at| at == position) {
            found.remove();
        }
        self.gone += 1;
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.message.weight();
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64, text: &str) -> Entry {
        let message =
            Message { from: "ann".into(), id: seq.to_string().into(), text: text.into(), time: seq };
        Entry { stream: StreamId { origin: 1, generation: 0 }, seq, message: Arc::new(message) }
    }

    #[test]
    fn the_oldest_goes_first_and_is_forgotten() {
        let mut ring = Ring::new(7);
        for seq in 0..RING_MESSAGES_MAX as u64 {
            assert!(ring.push(entry(seq, "x")).is_empty());
        }
        let evicted = ring.push(entry(5000, "x"));
        assert_eq!(evicted.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [0]);
        assert!(ring.find("ann", "0").is_none());
        assert_eq!(ring.find("ann", "1").unwrap().seq, 1);
        assert_eq!(ring.find("ann", "5000").unwrap().seq, 5000);
        assert!(ring.find("bob", "1").is_none());
        assert_eq!(ring.iter().len(), RING_MESSAGES_MAX);
        assert_eq!(ring.by_id.len(), RING_MESSAGES_MAX);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut ring = Ring::new(7);
        let text = "x".repeat(4096);
        (0..200).for_each(|seq| drop(ring.push(entry(seq, &text))));
        let bytes: usize = ring.iter().map(|entry| entry.message.weight()).sum();
        assert!(bytes <= RING_BYTES_MAX && bytes > RING_BYTES_MAX - 5000, "{bytes}");
        assert_eq!(ring.bytes, bytes);
    }
}
