//! Which slot of a Redis Cluster a channel belongs to, which slots are whose, and tags whose slots a given node has
//! (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>, "Key distribution model").

use std::ops::RangeInclusive;

/// Slots of a cluster.
pub const SLOTS: u16 = 16_384;

/// The slot of a key or of a sharded channel: of what is between its first `{` and the next `}` if that is anything,
/// or else of all of it.
pub fn key_slot(key: &[u8]) -> u16 {
    crc16(hash_tag(key).unwrap_or(key)) % SLOTS
}

fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = memchr::memchr(b'{', key)?;
    let rest = &key[open + 1..];
    let close = memchr::memchr(b'}', rest)?;
    (close > 0).then(|| &rest[..close])
}

/// CRC16/XMODEM: polynomial 0x1021, from 0, not reflected.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            },
        )
    })
}

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

/// The tag of node `index` of `nodes`: the first `L0`, `L1`, … whose slot it owns.
pub fn tag(index: usize, nodes: usize) -> String {
    let owned = owned(index, nodes);
    (0_u32..)
        .map(|number| format!("L{number}"))
        .find(|tag| owned.contains(&key_slot(tag.as_bytes())))
        .expect("every range of slots has a tag, since at most 64 nodes share 16,384 of them")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the cluster specification, and from `CLUSTER KEYSLOT` of Redis 7.0.15.
    #[test]
    fn slots_are_those_of_redis() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        for (key, slot) in [
            ("123456789", 12739),
            ("foo", 12182),
            ("{user1000}.following", key_slot(b"user1000")),
            ("foo{}{bar}", key_slot(b"foo{}{bar}")),
            ("foo{{bar}}zap", key_slot(b"{bar")),
            ("foo{bar}{zap}", key_slot(b"bar")),
            ("distr:{L3}any {room}", 3729),
            ("distr:{L2}", 7856),
            ("distr:all:{L0}", 16114),
        ] {
            assert_eq!(key_slot(key.as_bytes()), slot, "{key}");
        }
        assert_ne!(key_slot(b"foo{}{bar}"), key_slot(b"bar"), "an empty tag is none");
    }

    #[test]
    fn each_node_has_a_tag_in_its_range() {
        assert_eq!(["L3", "L2", "L0"], [tag(0, 3), tag(1, 3), tag(2, 3)].each_ref().map(String::as_str));
        assert_eq!(tag(0, 1), "L0");
        for nodes in 1..=64 {
            let tags: std::collections::BTreeSet<_> = (0..nodes).map(|node| tag(node, nodes)).collect();
            assert_eq!(tags.len(), nodes);
        }
    }

    #[test]
    fn three_nodes_share_as_redis_cli_shares() {
        assert_eq!([0, 1, 2].map(|index| owned(index, 3)), [0..=5460, 5461..=10922, 10923..=16383]);
    }

    #[test]
    fn every_slot_has_one_owner_and_nobody_has_two_more_than_another() {
        for nodes in 1..=64 {
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
