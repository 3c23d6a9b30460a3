//! `redis.conf`: a node that carries messages between servers and keeps nothing.

use std::fmt::Write;

use super::Node;

/// The file's name for what [`super::nodes_conf`] makes, in the node's folder.
pub const NODES_FILE: &str = "nodes.conf";
/// Memory of a node in MiB. It holds nothing but what its subscribers have not read yet.
const MEMORY_MAX_MB: u32 = 512;

/// What differs between nodes.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// Where and who it is.
    pub node: &'a Node,
    /// The folder that it may write to.
    pub folder: &'a str,
    /// Addresses that it listens at, as Redis writes them.
    pub bind: &'a [String],
    /// What clients and peers must know; without it whoever reaches the port may do anything.
    pub password: Option<&'a str>,
}

/// The file.
pub fn redis_conf(settings: &Settings<'_>) -> String {
    let Settings { node, folder, bind, password } = settings;
    let (port, bus_port, ip) = (node.port, node.bus_port(), node.ip);
    let (folder, bind) = (quoted(folder), bind.join(" "));
    let mut text = format!(
        "# Written at every start by `distr-chat backplane`.
port {port}
bind {bind}
# Who may come is decided by the address, the network around it and the password.
protected-mode no
tcp-backlog 511
tcp-keepalive 5
timeout 0
dir {folder}

cluster-enabled yes
cluster-config-file {NODES_FILE}
cluster-port {bus_port}
cluster-announce-ip {ip}
cluster-preferred-endpoint-type ip
# Servers find out by themselves, far sooner, which nodes live; a low value only adds false alarms.
cluster-node-timeout 5000
# A node carries its own slots whoever else is dead.
cluster-require-full-coverage no
cluster-allow-pubsubshard-when-down yes
cluster-allow-reads-when-down yes
cluster-replica-no-failover yes
cluster-allow-replica-migration no
cluster-link-sendbuf-limit 64mb

# A server that reads too slowly is cut off and asks its peers for what it missed.
client-output-buffer-limit pubsub 32mb 16mb 5
maxmemory {MEMORY_MAX_MB}mb
maxmemory-clients 60%
save \"\"
appendonly no
"
    );
    // Writing to a string does not fail.
    if let Some(hostname) = &node.hostname {
        let _ = writeln!(text, "cluster-announce-hostname {hostname}");
    }
    if let Some(password) = password.map(quoted) {
        let _ = writeln!(text, "requirepass {password}\nmasterauth {password}");
    }
    text
}

/// As Redis reads it: any bytes between quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' => quoted.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(quoted, "\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(hostname: Option<&str>, password: Option<&str>) -> String {
        let node =
            Node { ip: "10.0.0.10".parse().unwrap(), port: 6401, hostname: hostname.map(str::to_owned) };
        let bind = ["10.0.0.10".to_owned(), "::1".to_owned()];
        redis_conf(&Settings { node: &node, folder: "/data", bind: &bind, password })
    }

    #[test]
    fn a_node_listens_where_it_is_told_and_serves_when_the_others_are_dead() {
        let text = text(Some("redis-1"), None);
        for line in [
            "port 6401",
            "cluster-port 16401",
            "bind 10.0.0.10 ::1",
            "dir \"/data\"",
            "cluster-config-file nodes.conf",
            "cluster-announce-ip 10.0.0.10",
            "cluster-announce-hostname redis-1",
            "cluster-allow-pubsubshard-when-down yes",
            "cluster-require-full-coverage no",
            "save \"\"",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is not in:\n{text}");
        }
        assert!(!text.contains("requirepass") && !text.contains("masterauth"));
    }

    #[test]
    fn a_password_may_have_any_characters() {
        let text = text(None, Some("a \"b\"\\\n\u{e9}#"));
        for directive in ["requirepass", "masterauth"] {
            let line = format!("{directive} \"a \\\"b\\\"\\\\\\x0a\\xc3\\xa9#\"");
            assert!(text.lines().any(|told| told == line), "{line} is not in:\n{text}");
        }
        assert!(!text.contains("announce-hostname"));
    }
}
