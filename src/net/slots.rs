//! Storage whose keys go stale: an event or a timer for a thing that is gone finds nothing, never its successor.

use mio::Token;
use slab::Slab;

/// Names one entry for its life. The token that mio carries is the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    slot: u32,
    generation: u32,
}

impl Key {
    /// The key as a number, to be carried by layers that must not know sockets.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    /// The inverse of [`Key::to_bits`].
    pub fn from_bits(bits: u64) -> Self {
        Self { slot: bits as u32, generation: (bits >> 32) as u32 }
    }
}

impl From<Key> for Token {
    fn from(key: Key) -> Self {
        Self(key.to_bits() as usize)
    }
}

impl From<Token> for Key {
    fn from(token: Token) -> Self {
        Self::from_bits(token.0 as u64)
    }
}

/// A slab with generations. The generation counts insertions, so a key comes back after 2³² of them.
#[derive(Debug)]
pub struct Slots<T> {
    entries: Slab<(u32, T)>,
    inserted: u32,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { entries: Slab::new(), inserted: 0 }
    }
}

impl<T> Slots<T> {
    /// The key that the next [`Slots::insert`] returns.
    pub fn next_key(&self) -> Key {
        Key { slot: self.entries.vacant_key() as u32, generation: self.inserted }
    }

    /// Stores a value.
    pub fn insert(&mut self, value: T) -> Key {
        let key = self.next_key();
        self.entries.insert((key.generation, value));
        // The last generation is left out, so that no key equals a reserved token.
        self.inserted = (self.inserted + 1) % u32::MAX;
        key
    }

    /// The entry, unless it is gone.
    pub fn get(&self, key: Key) -> Option<&T> {
        match self.entries.get(key.slot as usize) {
            Some((generation, value)) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The entry, unless it is gone.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.entries.get_mut(key.slot as usize) {
            Some((generation, value)) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// Takes the entry out.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        Some(self.entries.remove(key.slot as usize).1)
    }

    /// Every key in use.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.entries.iter().map(|(slot, (generation, _))| Key { slot: slot as u32, generation: *generation })
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut slots = Slots::default();
        let first = slots.insert("first");
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert("second");
        assert_eq!(first.slot, second.slot, "the slot is used again");
        assert_eq!((slots.get(first), slots.get(second)), (None, Some(&"second")));
        assert_eq!(slots.remove(first), None);
        assert_eq!(Key::from(Token::from(second)), second);
    }
}
