//! A set of lanes, a bit each, as `Alive` carries it.

/// Most lanes that there can be.
pub const LANES_MAX: usize = 64;

/// Lanes by their place in the list of nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LaneSet(u64);

impl LaneSet {
    /// None.
    pub const EMPTY: Self = Self(0);

    /// All of `count`.
    pub fn all(count: usize) -> Self {
        Self(u64::MAX.checked_shr((LANES_MAX - count.min(LANES_MAX)) as u32).unwrap_or(0))
    }

    /// One.
    pub fn of(lane: usize) -> Self {
        Self(1 << lane)
    }

    /// As a number.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// From a number.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Whether the lane is in it.
    pub fn contains(self, lane: usize) -> bool {
        self.0 & (1 << lane) != 0
    }

    /// Whether no lane is.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all lanes of the other are in this.
    pub fn contains_all(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether they share none.
    pub fn is_disjoint(self, other: Self) -> bool {
        self.0 & other.0 == 0
    }

    /// Those in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// With one more.
    pub fn insert(&mut self, lane: usize) {
        self.0 |= 1 << lane;
    }

    /// With one less.
    pub fn remove(&mut self, lane: usize) {
        self.0 &= !(1 << lane);
    }

    /// The lowest.
    pub fn first(self) -> Option<usize> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as usize)
    }

    /// Each, from the lowest.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let lane = rest.first()?;
            rest.remove(lane);
            Some(lane)
        })
    }

    /// How many.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

impl FromIterator<usize> for LaneSet {
    fn from_iter<I: IntoIterator<Item = usize>>(lanes: I) -> Self {
        lanes.into_iter().fold(Self::EMPTY, |set, lane| set.or(Self::of(lane)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        let set: LaneSet = [0, 2, 63].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 2, 63]);
        assert_eq!((LaneSet::all(0).len(), LaneSet::all(3).to_bits(), LaneSet::all(64).len()), (0, 7, 64));
        assert!(LaneSet::all(64).contains_all(set) && set.is_disjoint(LaneSet::of(1)));
        assert_eq!(set.without(LaneSet::of(0)).first(), Some(2));
    }
}
