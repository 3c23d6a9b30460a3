//! Which slots are whose.

use std::ops::RangeInclusive;

/// Hash slots of a Redis Cluster.
pub const SLOTS: u16 = 16_384;

/// The slots of node `index` (from 0) of `nodes`: all have equally many, and between them all. Rounded as `redis-cli
/// --cluster create` does, so that a cluster made by hand has the same.
pub fn owned(index: usize, nodes: usize) -> RangeInclusive<u16> {
    first(index, nodes)..=first(index + 1, nodes) - 1
}

/// `index * SLOTS / nodes`, to the nearest.
fn first(index: usize, nodes: usize) -> u16 {
    let rounded = (2 * index * usize::from(SLOTS) + nodes) / (2 * nodes);
    u16::try_from(rounded).unwrap_or(SLOTS)
}

#[cfg(test)]
mod tests {
    use super::super::NODES_MAX;
    use super::*;

    #[test]
    fn three_nodes_share_as_redis_cli_shares() {
        assert_eq!([0, 1, 2].map(|index| owned(index, 3)), [0..=5460, 5461..=10922, 10923..=16383]);
    }

    #[test]
    fn every_slot_has_one_owner_and_nobody_has_two_more_than_another() {
        for nodes in 1..=NODES_MAX {
            let shares: Vec<_> = (0..nodes).map(|index| owned(index, nodes)).collect();
            let all: Vec<_> = shares.iter().cloned().flatten().collect();
            assert_eq!(all, (0..SLOTS).collect::<Vec<_>>(), "{nodes} nodes");
            let sizes: Vec<_> = shares.iter().map(ExactSizeIterator::len).collect();
            assert!(
                sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1,
                "{nodes} nodes: {sizes:?}"
            );
        }
    }
}
