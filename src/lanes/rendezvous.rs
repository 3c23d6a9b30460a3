//! Highest random weight hashing (Thaler and Ravishankar, 1996): everybody who knows the same names finds the same
//! order, and a name that goes moves only what was its own.
//!
//! The hash is part of what servers agree on, across processes and releases. The tests pin its values.

use smallvec::SmallVec;

use super::set::LaneSet;

/// Most lanes of a room.
pub const ROOM_LANES_MAX: usize = 3;

/// The lanes of a room, the best first.
pub type Order = SmallVec<[u8; ROOM_LANES_MAX]>;

/// The up to three lanes of a room out of so many.
pub fn order(room: &str, lanes: usize) -> Order {
    let room = hash(room.as_bytes());
    let mut best: SmallVec<[(u64, u8); ROOM_LANES_MAX + 1]> = SmallVec::new();
    for lane in 0..lanes as u8 {
        let score = mix(room ^ mix(u64::from(lane) + 1));
        let at = best.iter().position(|(other, _)| score > *other).unwrap_or(best.len());
        best.insert(at, (score, lane));
        best.truncate(ROOM_LANES_MAX);
    }
    best.into_iter().map(|(_, lane)| lane).collect()
}

/// The same as a set.
pub fn lanes_of(room: &str, lanes: usize) -> LaneSet {
    order(room, lanes).into_iter().map(usize::from).collect()
}

/// Which of the servers is to do something for a pair of others: the one with the highest score.
pub fn score(server: u64, pair: (u64, u64)) -> u64 {
    mix(mix(pair.0 ^ mix(pair.1)) ^ mix(server))
}

/// FNV-1a, 64 bits.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The finalizer of SplitMix64: every bit of the input moves half of the output's.
pub fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Servers of two releases must agree. If this fails, the release cannot run beside older ones.
    #[test]
    fn values_do_not_change() {
        assert_eq!(hash(b"lobby"), 0x1cca_e3b6_ef72_f533);
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(order("lobby", 3).as_slice(), [0, 1, 2]);
        assert_eq!(order("hall", 3).as_slice(), [1, 0, 2]);
        assert_eq!(order("lobby", 9).as_slice(), [0, 1, 7]);
    }

    #[test]
    fn rooms_are_spread_and_a_lane_that_is_added_moves_few() {
        let rooms: Vec<_> = (0..3000).map(|number| format!("room {number}")).collect();
        for lane in 0..3_u8 {
            let first = rooms.iter().filter(|room| order(room, 3)[0] == lane).count();
            assert!((900..1100).contains(&first), "{first} rooms prefer lane {lane}");
        }
        for room in &rooms {
            let (few, more) = (order(room, 5), order(room, 6));
            assert!(few[0] == more[0] || more[0] == 5, "only the new lane takes a room away");
            assert_eq!(order(room, 2).len(), 2);
        }
    }
}
