//! `nodes.conf`: what a node believes of the cluster when it starts. Redis reads it once and then keeps it itself.

use std::fmt::Write;

use super::Node;
use crate::wire::slot;

/// The name of node `index` (from 0) in the cluster, the same in every life of it: 40 hexadecimal digits.
pub fn id(index: usize) -> String {
    format!("d157{:036x}", index + 1)
}

/// The file for node `own` (from 0) of `nodes`.
///
/// Epochs differ, or two nodes would begin by settling whose slots are whose.
pub fn nodes_conf(own: usize, nodes: &[Node]) -> String {
    let mut text = String::new();
    for (index, node) in nodes.iter().enumerate() {
        let (id, ip, port, bus) = (id(index), node.ip, node.port, node.bus_port());
        let hostname = node.hostname.as_ref().map(|name| format!(",{name}")).unwrap_or_default();
        let flags = if index == own { "myself,master" } else { "master" };
        let (epoch, slots) = (index + 1, slot::owned(index, nodes.len()));
        let (first, last) = slots.into_inner();
        // Writing to a string does not fail.
        let _ =
            writeln!(text, "{id} {ip}:{port}@{bus}{hostname} {flags} - 0 0 {epoch} connected {first}-{last}");
    }
    let _ = writeln!(text, "vars currentEpoch {} lastVoteEpoch 0", nodes.len());
    text
}

#[cfg(test)]
mod tests {
    use super::super::NOWHERE;
    use super::*;

    fn node(ip: &str, port: u16, hostname: Option<&str>) -> Node {
        Node { ip: ip.parse().unwrap(), port, hostname: hostname.map(str::to_owned) }
    }

    #[test]
    fn each_node_finds_itself_its_peers_and_all_slots() {
        let nodes = [
            node("10.0.0.10", 6379, Some("redis-1")),
            node("fd00::11", 6380, None),
            Node { ip: NOWHERE, ..node("10.0.0.12", 6379, Some("redis-3")) },
        ];
        assert_eq!(
            nodes_conf(1, &nodes),
            "d157000000000000000000000000000000000001 10.0.0.10:6379@16379,redis-1 master - 0 0 1 connected 0-5460\n\
             d157000000000000000000000000000000000002 fd00::11:6380@16380 myself,master - 0 0 2 connected 5461-10922\n\
             d157000000000000000000000000000000000003 192.0.2.1:6379@16379,redis-3 master - 0 0 3 connected \
             10923-16383\n\
             vars currentEpoch 3 lastVoteEpoch 0\n"
        );
    }

    #[test]
    fn one_node_alone_has_every_slot() {
        let text = nodes_conf(0, &[node("127.0.0.1", 6379, None)]);
        assert!(text.contains(" myself,master - 0 0 1 connected 0-16383\n"), "{text}");
    }

    #[test]
    fn an_id_is_forty_digits_and_nobody_elses() {
        let ids: std::collections::BTreeSet<_> = (0..super::super::NODES_MAX).map(id).collect();
        assert_eq!(ids.len(), super::super::NODES_MAX);
        assert!(ids.iter().all(|id| id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }
}
