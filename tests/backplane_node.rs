//! Our own Redis nodes: they find each other without help, come back from nothing, and do without each other.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use distr_chat::backplane::nodes_conf::id;
use redis::{Connection, RedisResult, cmd};
use support::eventually;
use support::redis::{Nodes, assert_carries, connect};
use support::running::{at, distr_chat, run};

fn own_id(connection: &mut Connection) -> String {
    cmd("CLUSTER").arg("MYID").query(connection).unwrap()
}

fn assert_serves(nodes: &Nodes, index: usize) {
    assert_carries(&mut nodes.connect(index), &mut nodes.connect(index), &nodes.channel(index));
}

#[test]
fn three_nodes_are_a_cluster_and_one_that_lost_everything_comes_back() {
    let mut nodes = Nodes::start_all(3);
    for index in 0..3 {
        assert_serves(&nodes, index);
        assert_eq!(own_id(&mut nodes.connect(index)), id(index));
    }
    for index in 0..3 {
        eventually("the cluster is well", || nodes.is_cluster_ok(index));
    }

    nodes.process(1).kill();
    nodes.wipe(1);
    nodes.start(1);
    assert_serves(&nodes, 1);
    assert_eq!(own_id(&mut nodes.connect(1)), id(1));
    for index in 0..3 {
        eventually("the cluster is well again", || nodes.is_cluster_ok(index));
    }
}

#[test]
fn the_pid_is_redis_itself() {
    let mut nodes = Nodes::start_all(1);
    let info: redis::InfoDict = cmd("INFO").arg("server").query(&mut nodes.connect(0)).unwrap();
    let pid: u32 = info.get("process_id").unwrap();
    assert_eq!(pid, nodes.process(0).pid());
}

#[test]
fn a_node_starts_alone_though_nobody_knows_its_peers_and_knows_them_when_they_come() {
    let mut nodes = Nodes::new(3);
    let list = format!("redis-1.invalid:{},{},{}", nodes.ports[0], at(nodes.ports[1]), at(nodes.ports[2]));
    let mut command = distr_chat("backplane --node 2");
    command.args(["--nodes", &list]).arg("--dir").arg(nodes.folder(1));
    *nodes.process(1).command() = command;
    nodes.start(1);
    assert_serves(&nodes, 1);

    nodes.start(0);
    let peer = format!("{} {}@", id(0), at(nodes.ports[0]));
    eventually("the peer is known", || {
        let known: String = cmd("CLUSTER").arg("NODES").query(&mut nodes.connect(1)).unwrap();
        known.contains(&peer)
    });
}

#[test]
fn a_password_is_asked_for_and_kept_from_other_users() {
    let password = "pass \"word\" \u{e9}";
    let mut nodes = Nodes::new(1);
    nodes.process(0).command().env("DISTR_BACKPLANE_PASSWORD", password);
    nodes.start(0);
    let mut connection = connect(&format!("redis://{}", at(nodes.ports[0])));
    let stranger: RedisResult<String> = cmd("PING").query(&mut connection);
    assert_eq!(stranger.unwrap_err().code(), Some("NOAUTH"));
    let greeted: String = cmd("AUTH").arg(password).query(&mut connection).unwrap();
    assert_eq!(greeted, "OK");
    for file in ["redis.conf", "nodes.conf"] {
        let mode = fs::metadata(nodes.folder(0).join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} has mode {mode:o}");
    }
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let fake = |name: &str, told: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\necho '{told}'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    };
    let old = fake("old", "Redis server v=6.2.14 sha=00000000:0");
    let strange = fake("strange", "hello");
    for (arguments, told) in [
        ("--redis-server /nowhere/redis-server", "/nowhere/redis-server is not installed; install Redis 7"),
        (&format!("--redis-server {old}"), "is version 6.2.14, which has no sharded pub/sub"),
        (&format!("--redis-server {strange}"), "does not tell its version"),
        ("--node 2", "--node 2 is none of the 1 in --nodes"),
        ("--node 0", "--node 0 is none of the 1 in --nodes"),
        ("--nodes redis-1.invalid:6379", "redis-1.invalid, this node's own name, is not known"),
        ("--nodes 127.0.0.1:60000", "127.0.0.1:60000: the highest port of a node is 55535"),
        ("--dir /proc/nowhere", "--dir /proc/nowhere cannot be used"),
        (&format!("--nodes {}", ["a:1"; 17].join(",")), "--nodes has 17 nodes, and 16 is the most"),
    ] {
        let (code, stdout, stderr) = run(&mut distr_chat(&format!("backplane {arguments}")));
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{arguments}: {stderr}");
        assert!(stderr.starts_with("distr-chat: ") && stderr.contains(told), "{arguments}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{arguments}: {stderr}");
    }
}
