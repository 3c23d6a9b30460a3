//! Messages that stand at more than one place of a room: a client that moved may have sent one to two servers. Each server
//! shows one of the places, and who has seen the other one is not shown it again.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::wire::StreamId;
use crate::wire::envelope::{Place, SamePlaces};

/// Places of a message that are told of: a client that repeats one is at one server after the other.
const OTHERS_MAX: usize = 8;

/// The other places of what a ring keeps. A place outlives the message there: a ring may have the message at another one.
#[derive(Debug)]
pub struct Places {
    others: BTreeMap<Place, SmallVec<[Place; 1]>>,
    max: usize,
}

impl Places {
    /// None; at most `max` messages are noted.
    pub fn new(max: usize) -> Self {
        Self { others: BTreeMap::new(), max }
    }

    /// A message stands at both.
    pub fn join(&mut self, one: Place, other: Place) {
        let known = self.of(one).chain([one]).collect::<SmallVec<[Place; 4]>>();
        for place in known {
            self.note(SamePlaces { place: other, other: place });
            self.note(SamePlaces { place, other });
        }
    }

    /// What is at `place` stands at the other one too.
    pub fn note(&mut self, SamePlaces { place, other }: SamePlaces) {
        if place == other || self.others.len() >= self.max && !self.others.contains_key(&place) {
            return;
        }
        let others = self.others.entry(place).or_default();
        if !others.contains(&other) && others.len() < OTHERS_MAX {
            others.push(other);
        }
    }

    /// Where else the message stands.
    pub fn of(&self, place: Place) -> impl Iterator<Item = Place> {
        self.others.get(&place).into_iter().flatten().copied()
    }

    /// What was there is kept no longer.
    pub fn forget(&mut self, place: Place) {
        self.others.remove(&place);
    }

    /// Nothing of the stream is kept.
    pub fn forget_stream(&mut self, stream: StreamId) {
        self.others.retain(|place, _| place.stream != stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(origin: u64, seq: u64) -> Place {
        Place { stream: StreamId { origin, generation: 0 }, seq }
    }

    fn of(places: &Places, at: Place) -> Vec<Place> {
        places.of(at).collect()
    }

    #[test]
    fn each_place_knows_the_others_and_outlives_them() {
        let mut places = Places::new(10);
        let [a, b, c] = [1, 2, 3].map(|origin| place(origin, 7));
        places.join(a, b);
        places.join(a, c);
        assert_eq!((of(&places, a), of(&places, b), of(&places, c)), (vec![b, c], vec![a, c], vec![b, a]));
        places.forget(a);
        assert_eq!((of(&places, a), of(&places, b)), (vec![], vec![a, c]));
        places.forget_stream(b.stream);
        assert_eq!((of(&places, b), of(&places, c)), (vec![], vec![b, a]));
    }

    #[test]
    fn places_are_bounded() {
        let mut places = Places::new(3);
        (1..100).for_each(|seq| places.join(place(1, seq), place(2, seq)));
        assert_eq!(places.others.len(), 3);
        (1..100).for_each(|origin| places.note(SamePlaces { place: place(1, 1), other: place(origin, 1) }));
        assert_eq!(of(&places, place(1, 1)).len(), OTHERS_MAX);
    }
}
