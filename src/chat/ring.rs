//! The last messages of one room, of all streams, in the order of their arrival here. Answers joins, resumes, other
//! servers that miss something, and the question whether a message was said before, which it remembers for longer.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;
use smallvec::SmallVec;

use super::Message;
use super::limits::Limits;
use super::mutants::{Mutant, is_on};
use crate::wire::StreamId;
pub use crate::wire::envelope::Entry;
use crate::wire::envelope::Place;

/// Bytes that a remembered id costs, roughly.
const ID_WEIGHT: usize = 96;

/// How much more a ring holds while it is fetched. Two servers have at most so much of a room between them.
const FILLING: usize = 2;

/// Bounded by `ring_messages` and `ring_bytes` of [`Limits`]; the oldest goes first.
#[derive(Debug)]
pub struct Ring {
    entries: VecDeque<Kept>,
    /// How many have gone: the position of `entries[0]`.
    gone: u64,
    /// How often what is kept got other positions.
    orders: u32,
    bytes: usize,
    /// Positions by (client, id). Two servers may have taken different texts under one of those.
    by_id: HashTable<u64>,
    /// Messages that have gone, by hash of (client, id), and the order of their going.
    remembered: HashTable<Gone>,
    remembered_order: VecDeque<Hashes>,
    hasher: FixedState,
    /// See [`Ring::fill`].
    is_filling: bool,
    messages_max: usize,
    bytes_max: usize,
    ids_max: usize,
}

/// What had to go: mostly one.
pub type Evicted = SmallVec<[Entry; 1]>;

#[derive(Debug)]
struct Kept {
    entry: Entry,
    /// Of (client, id).
    hash: u64,
    /// It was said in another stream before: kept for servers that miss it, and shown to nobody.
    is_repeat: bool,
}

/// What is left of a message that has gone.
#[derive(Debug)]
struct Gone {
    hashes: Hashes,
    stamp: Stamp,
}

/// The texts of those that have gone are no longer to be compared. With a seed that clients do not know, 64 bits of hash
/// tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hashes {
    /// Of (client, id).
    name: u64,
    /// Of (client, id, text).
    whole: u64,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its stream.
    pub stream: StreamId,
    /// Its number there.
    pub seq: u64,
    /// When the first server received it, in milliseconds since the epoch.
    pub time: u64,
}

impl From<Stamp> for Place {
    fn from(Stamp { stream, seq, time: _ }: Stamp) -> Self {
        Self { stream, seq }
    }
}

impl From<&Entry> for Stamp {
    fn from(Entry { stream, seq, message }: &Entry) -> Self {
        Self { stream: *stream, seq: *seq, time: message.time }
    }
}

impl Ring {
    /// An empty ring. `seed` makes the hash of what clients choose unpredictable to them.
    pub fn new(seed: u64, limits: &Limits) -> Self {
        Self {
            entries: VecDeque::new(),
            gone: 0,
            orders: 0,
            bytes: 0,
            by_id: HashTable::new(),
            remembered: HashTable::new(),
            remembered_order: VecDeque::new(),
            hasher: FixedState::with_seed(seed),
            is_filling: false,
            messages_max: limits.ring_messages,
            bytes_max: limits.ring_bytes,
            ids_max: limits.ids,
        }
    }

    /// From here on it holds [`FILLING`] times as much: what is fetched from other servers comes stream by stream, so that
    /// what came first is not what is oldest.
    pub fn fill(&mut self) {
        self.is_filling = true;
    }

    /// What is fetched is here: it is brought into the order in which it was said, and the oldest go.
    pub fn settle(&mut self) -> Evicted {
        self.is_filling = false;
        self.order();
        self.shrink(self.bytes_max)
    }

    /// Brings what came stream by stream into the order in which it was said.
    pub fn order(&mut self) {
        // The messages of one stream stay in their order: their times never go back.
        self.entries.make_contiguous().sort_by_key(|kept| kept.entry.message.time);
        self.index();
    }

    fn index(&mut self) {
        self.orders = self.orders.wrapping_add(1);
        self.by_id.clear();
        let (entries, gone) = (&self.entries, self.gone);
        let hash_at = |&position: &u64| entries[(position - gone) as usize].hash;
        for (position, kept) in (gone..).zip(entries).filter(|(_, kept)| !kept.is_repeat) {
            self.by_id.insert_unique(kept.hash, position, hash_at);
        }
    }

    /// Adds a message, and returns those that had to go for it. `is_repeat`: it was said in another stream before.
    pub fn push(&mut self, entry: Entry, is_repeat: bool) -> Evicted {
        let Message { client, id, .. } = &*entry.message;
        let hash = self.hash(*client, id);
        self.bytes += entry.message.weight();
        let position = self.gone + self.entries.len() as u64;
        self.entries.push_back(Kept { entry, hash, is_repeat });
        if !is_repeat {
            let (entries, gone) = (&self.entries, self.gone);
            let hash_at = |&position: &u64| entries[(position - gone) as usize].hash;
            self.by_id.insert_unique(hash, position, hash_at);
        }
        self.shrink(self.bytes_max)
    }

    /// A message is known by another place from here on, which is about to be added: this one is kept for servers that
    /// miss it.
    pub fn give_way(&mut self, client: u64, id: &str, text: &str) {
        let hash = self.hash(client, id);
        if let Some(position) = self.position(hash, client, id, text) {
            self.entries[(position - self.gone) as usize].is_repeat = true;
            self.forget(hash, position);
        } else {
            let hashes = self.hashes(client, id, text);
            if self.forget_gone(hashes) {
                self.remembered_order.retain(|remembered| *remembered != hashes);
            }
        }
    }

    /// Drops the oldest until at most `bytes_max` are held, and returns them.
    pub fn shrink(&mut self, bytes_max: usize) -> Evicted {
        let mut evicted = Evicted::new();
        let times = if self.is_filling { FILLING } else { 1 };
        while self.entries.len() > self.messages_max * times || self.bytes > bytes_max * times {
            evicted.extend(self.evict());
        }
        let ids_max = if bytes_max < self.bytes_max { bytes_max / ID_WEIGHT } else { self.ids_max };
        while self.remembered_order.len() > ids_max {
            let oldest = self.remembered_order.pop_front();
            oldest.map(|hashes| self.forget_gone(hashes));
        }
        evicted
    }

    /// Drops what is kept of a stream; its ids are remembered.
    pub fn forget_stream(&mut self, stream: StreamId) {
        let (gone, kept) = self.entries.drain(..).partition(|kept| kept.entry.stream == stream);
        self.entries = kept;
        let gone: VecDeque<Kept> = gone;
        gone.iter().filter(|kept| !kept.is_repeat).for_each(|kept| self.remember(kept.hash, &kept.entry));
        self.bytes = self.entries.iter().map(|kept| kept.entry.message.weight()).sum();
        self.index();
    }

    /// Bytes held, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes + self.remembered.len() * ID_WEIGHT
    }

    /// Where the message of this client, id and text stands, which is known for longer than the message itself is here.
    pub fn find(&self, client: u64, id: &str, text: &str) -> Option<(Stamp, Option<&Entry>)> {
        if is_on(Mutant::NoDedup) {
            return None;
        }
        let name = self.hash(client, id);
        if let Some(position) = self.position(name, client, id, text) {
            let entry = self.at(position);
            return Some((entry.into(), Some(entry)));
        }
        if is_on(Mutant::ForgetIds) {
            return None;
        }
        // Only a text whose client and id are known is hashed.
        let is_it = |gone: &Gone| gone.hashes.name == name && gone.hashes == self.hashes(client, id, text);
        self.remembered.find(name, is_it).map(|gone| (gone.stamp, None))
    }

    /// Whether the client used the id for another text, as far as is known.
    pub fn is_reused(&self, client: u64, id: &str, text: &str) -> bool {
        let name = self.hash(client, id);
        let is_other = |&position: &u64| {
            let message = &self.at(position).message;
            message.client == client && *message.id == *id && *message.text != *text
        };
        let is_other_gone =
            |gone: &Gone| gone.hashes.name == name && gone.hashes != self.hashes(client, id, text);
        self.by_id.find(name, is_other).is_some() || self.remembered.find(name, is_other_gone).is_some()
    }

    /// What may be shown, oldest first, each with its position: that stays as long as [`Ring::orders`] does.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Entry)> {
        let kept = self.entries.iter().enumerate().filter(|(_, kept)| !kept.is_repeat);
        kept.map(|(index, kept)| (self.gone + index as u64, &kept.entry))
    }

    /// How often what is kept got other positions.
    pub fn orders(&self) -> u32 {
        self.orders
    }

    /// The position of the oldest that is kept.
    pub fn first(&self) -> u64 {
        self.gone
    }

    /// What is kept at a position.
    pub fn get(&self, position: u64) -> Option<&Entry> {
        let index = usize::try_from(position.checked_sub(self.gone)?).ok()?;
        self.entries.get(index).map(|kept| &kept.entry)
    }

    /// All that is kept, oldest first.
    pub fn kept(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|kept| &kept.entry)
    }

    fn position(&self, hash: u64, client: u64, id: &str, text: &str) -> Option<u64> {
        let is_it = |&position: &u64| {
            let message = &self.at(position).message;
            message.client == client && *message.id == *id && *message.text == *text
        };
        self.by_id.find(hash, is_it).copied()
    }

    fn forget(&mut self, hash: u64, position: u64) {
        if let Ok(found) = self.by_id.find_entry(hash, |&at| at == position) {
            found.remove();
        }
    }

    fn at(&self, position: u64) -> &Entry {
        &self.entries[(position - self.gone) as usize].entry
    }

    fn forget_gone(&mut self, hashes: Hashes) -> bool {
        let found = self.remembered.find_entry(hashes.name, |gone| gone.hashes == hashes);
        found.map(OccupiedEntry::remove).is_ok()
    }

    fn hash(&self, client: u64, id: &str) -> u64 {
        self.hasher.hash_one((client, id))
    }

    fn hashes(&self, client: u64, id: &str, text: &str) -> Hashes {
        Hashes { name: self.hash(client, id), whole: self.hasher.hash_one((client, id, text)) }
    }

    fn evict(&mut self) -> Option<Entry> {
        let Kept { entry, hash, is_repeat } = self.entries.pop_front()?;
        let position = self.gone;
        self.gone += 1;
        self.bytes -= entry.message.weight();
        if !is_repeat {
            self.forget(hash, position);
            self.remember(hash, &entry);
        }
        Some(entry)
    }

    /// `hash` is that of (client, id): each message that comes drives one out, so those are not hashed again.
    fn remember(&mut self, hash: u64, entry: &Entry) {
        let Message { client, id, text, .. } = &*entry.message;
        let whole = self.hasher.hash_one((client, id, text));
        let gone = Gone { hashes: Hashes { name: hash, whole }, stamp: entry.into() };
        self.remembered_order.push_back(gone.hashes);
        self.remembered.insert_unique(hash, gone, |gone| gone.hashes.name);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const RING_MESSAGES_MAX: usize = 1000;
    const RING_BYTES_MAX: usize = 256 * 1024;
    const IDS_MAX: usize = 4096;
    const STREAM: StreamId = StreamId { origin: 1, generation: 0 };
    const ANN: u64 = 0xa;
    const BOB: u64 = 0xb;

    fn entry(seq: u64, text: &str) -> Entry {
        let message = Message {
            from: "ann".into(),
            client: ANN,
            id: seq.to_string().into(),
            text: text.into(),
            time: seq,
        };
        Entry { stream: STREAM, seq, message: Arc::new(message) }
    }

    fn push(ring: &mut Ring, entry: Entry) -> Evicted {
        let is_repeat = ring.find(ANN, &entry.message.id, &entry.message.text).is_some();
        ring.push(entry, is_repeat)
    }

    #[test]
    fn the_oldest_goes_first_and_its_id_is_remembered() {
        let mut ring = Ring::new(7, &Limits::default());
        for seq in 0..RING_MESSAGES_MAX as u64 {
            assert!(push(&mut ring, entry(seq, "x")).is_empty());
        }
        let evicted = push(&mut ring, entry(5000, "x"));
        assert_eq!(evicted.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [0]);
        assert_eq!(ring.find(ANN, "0", "x"), Some((Stamp { stream: STREAM, seq: 0, time: 0 }, None)));
        for seq in [1, 5000] {
            let (stamp, kept) = ring.find(ANN, &seq.to_string(), "x").unwrap();
            assert_eq!((stamp.seq, kept.unwrap().seq), (seq, seq));
        }
        assert!(ring.find(BOB, "1", "x").is_none());
        assert_eq!(ring.iter().count(), RING_MESSAGES_MAX);
        assert_eq!(ring.by_id.len(), RING_MESSAGES_MAX);
    }

    #[test]
    fn bytes_and_ids_are_bounded_too() {
        let mut ring = Ring::new(7, &Limits::default());
        let text = "x".repeat(4096);
        (0..200).for_each(|seq| drop(push(&mut ring, entry(seq, &text))));
        let bytes: usize = ring.iter().map(|(_, entry)| entry.message.weight()).sum();
        assert!(bytes <= RING_BYTES_MAX && bytes > RING_BYTES_MAX - 5000, "{bytes}");
        assert_eq!(ring.bytes, bytes);
        let all = (RING_MESSAGES_MAX + IDS_MAX + 500) as u64;
        (200..all).for_each(|seq| drop(push(&mut ring, entry(seq, "x"))));
        assert_eq!((ring.remembered.len(), ring.remembered_order.len()), (IDS_MAX, IDS_MAX));
        assert!(ring.find(ANN, "499", "x").is_none() && ring.find(ANN, "500", "x").is_some());
        ring.shrink(ID_WEIGHT * 10);
        assert_eq!(ring.remembered.len(), 10);
    }

    #[test]
    fn a_place_that_gives_way_is_kept_and_not_shown() {
        let mut ring = Ring::new(7, &Limits::default());
        let first = entry(1, "x");
        let again = Entry { stream: StreamId { origin: 2, generation: 0 }, seq: 9, ..first.clone() };
        push(&mut ring, first);
        ring.give_way(ANN, "1", "x");
        push(&mut ring, again.clone());
        assert_eq!(ring.iter().map(|(_, entry)| entry.seq).collect::<Vec<_>>(), [9]);
        assert_eq!((ring.kept().count(), ring.find(ANN, "1", "x").unwrap().0.seq), (2, 9));
        ring.shrink(0);
        ring.give_way(ANN, "1", "x");
        assert_eq!((ring.find(ANN, "1", "x"), ring.remembered_order.len()), (None, 0));
        push(&mut ring, again);
        assert_eq!(ring.find(ANN, "1", "x").unwrap().0.seq, 9);
    }

    #[test]
    fn what_was_said_before_is_kept_and_not_shown() {
        let mut ring = Ring::new(7, &Limits::default());
        let first = entry(1, "x");
        let again = Entry { stream: StreamId { origin: 2, generation: 0 }, seq: 9, ..first.clone() };
        push(&mut ring, first);
        push(&mut ring, again);
        assert_eq!((ring.iter().count(), ring.kept().count()), (1, 2));
        assert_eq!(ring.find(ANN, "1", "x").unwrap().0.stream, STREAM);
        ring.shrink(0);
        assert_eq!((ring.kept().count(), ring.by_id.len()), (0, 0));
    }

    /// A message said elsewhere under an id of ann's.
    fn elsewhere(seq: u64, client: u64, id: &str, text: &str) -> Entry {
        let message = Message { from: "ann".into(), client, id: id.into(), text: text.into(), time: seq };
        Entry { stream: StreamId { origin: 2, generation: 0 }, seq, message: Arc::new(message) }
    }

    #[test]
    fn a_message_is_its_client_its_id_and_its_text() {
        let mut ring = Ring::new(7, &Limits::default());
        push(&mut ring, entry(1, "x"));
        let known = |ring: &Ring, client, id, text| {
            let found = ring.find(client, id, text).map(|(stamp, _)| stamp.seq);
            (found, ring.is_reused(client, id, text))
        };
        let check = |ring: &Ring| {
            assert_eq!(known(ring, ANN, "1", "x"), (Some(1), false));
            assert_eq!(known(ring, ANN, "1", "y"), (None, true), "another text under her id");
            assert_eq!(known(ring, BOB, "1", "x"), (None, false), "a namesake has ids of his own");
            assert_eq!(known(ring, ANN, "2", "x"), (None, false));
        };
        check(&ring);
        (0..RING_MESSAGES_MAX as u64).for_each(|seq| drop(push(&mut ring, entry(seq + 9, "x"))));
        assert_eq!(ring.remembered.len(), 1, "only its hash is left");
        check(&ring);
    }

    #[test]
    fn two_texts_of_two_servers_under_one_id_are_two_messages() {
        let mut ring = Ring::new(7, &Limits::default());
        ring.push(entry(1, "x"), false);
        ring.push(elsewhere(5, ANN, "1", "y"), false);
        let places =
            |ring: &Ring| ["x", "y"].map(|text| ring.find(ANN, "1", text).map(|(stamp, _)| stamp.seq));
        assert_eq!((places(&ring), ring.iter().count()), ([Some(1), Some(5)], 2));
        (0..RING_MESSAGES_MAX as u64).for_each(|seq| drop(push(&mut ring, entry(seq + 9, "x"))));
        assert_eq!(places(&ring), [Some(1), Some(5)], "remembered apart");
        ring.give_way(ANN, "1", "y");
        assert_eq!((places(&ring), ring.remembered.len()), ([Some(1), None], 1), "one gives way by itself");
        assert!(ring.is_reused(ANN, "1", "y") && !ring.is_reused(ANN, "1", "x"));
    }
}
