//! Which slot of a Redis Cluster a channel belongs to, and tags whose slots a given node has
//! (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>, "Key distribution model").

/// Slots of a cluster.
pub const SLOTS: usize = 16_384;

/// The slot of a key or of a sharded channel: of what is between its first `{` and the next `}` if that is anything,
/// or else of all of it.
pub fn key_slot(key: &[u8]) -> u16 {
    crc16(hash_tag(key).unwrap_or(key)) % SLOTS as u16
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

/// The tag of a node in a list of `nodes` that share the slots evenly in their order, as `redis-cli --cluster create`
/// deals them out: the first `L0`, `L1`, … whose slot is the node's.
pub fn tag(node: usize, nodes: usize) -> String {
    let first = |node: usize| (2 * node * SLOTS + nodes) / (2 * nodes);
    let range = first(node)..first(node + 1);
    (0_u32..)
        .map(|number| format!("L{number}"))
        .find(|tag| range.contains(&usize::from(key_slot(tag.as_bytes()))))
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
}
