//! What must be true of a fleet when nothing is broken any more.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use distr_chat::lanes::channel::{Address, Channels};
use redis::cmd;
use serde_json::Value;

use super::odometer::Odometer;
use crate::support::fleet::Fleet;
use crate::support::tap::Tap;
use crate::support::{PATIENCE, comes_true, eventually, http_get, status};

/// All lanes are up again after this time.
pub const HEAL_MAX: Duration = Duration::from_secs(5);
/// What rests, rests for so long under traffic.
const REST: Duration = Duration::from_secs(2);
/// Memory that a process of the fleet may have, in bytes: far more than twenty rooms need, less than a leak takes.
const MEMORY_MAX: u64 = 256 << 20;

/// Every server has every lane.
pub fn await_lanes(fleet: &Fleet) -> Duration {
    let start = Instant::now();
    let lanes = || fleet.servers.iter().map(|server| status(server.address)["backplane"]["lanes"].clone());
    let is_up = |lanes: Value| lanes.as_array().unwrap().iter().all(|lane| lane["state"] == "up");
    let all_up = comes_true(HEAL_MAX, || lanes().all(is_up));
    assert!(all_up, "lanes are not up {HEAL_MAX:?} after the last fault: {:?}", lanes().collect::<Vec<_>>());
    start.elapsed()
}

/// On every node, every channel is heard by those that need it and by nobody else.
pub fn await_subscriptions(fleet: &Fleet) {
    let (mut wanted, mut found) = (Vec::new(), Vec::new());
    let are_equal = comes_true(HEAL_MAX, || {
        let nodes = 0..fleet.nodes.ports.len();
        wanted = nodes.clone().map(|node| wanted_channels(fleet, node)).collect();
        found = nodes.map(|node| found_channels(fleet, node)).collect();
        wanted == found
    });
    assert!(are_equal, "there should be {wanted:#?}, there are {found:#?}");
}

/// Who hears how much, by name without the part that is a server's own.
fn wanted_channels(fleet: &Fleet, node: usize) -> BTreeMap<String, u64> {
    let channels = Channels::new(node, fleet.nodes.ports.len());
    let name = |address: &Address| String::from_utf8(channels.name(address)).unwrap();
    let servers = fleet.servers.len() as u64;
    let mut wanted = BTreeMap::from([(name(&Address::All), servers), (INBOXES.to_owned(), servers)]);
    for server in &fleet.servers {
        for room in status(server.address)["rooms"].as_array().unwrap() {
            let room = Address::Room(room["room"].as_str().unwrap().into());
            *wanted.entry(name(&room)).or_default() += 1;
        }
    }
    wanted
}

/// All channels of servers together: their names are not to be known from outside.
const INBOXES: &str = "distr:in:";

fn found_channels(fleet: &Fleet, node: usize) -> BTreeMap<String, u64> {
    let mut connection = fleet.nodes.connect(node);
    let names: Vec<String> = cmd("PUBSUB").arg("SHARDCHANNELS").query(&mut connection).unwrap();
    let counts: Vec<Value> = match names.is_empty() {
        true => Vec::new(),
        false => {
            let mut ask = cmd("PUBSUB");
            ask.arg("SHARDNUMSUB").arg(&names);
            let answer: Vec<(String, u64)> = ask.query(&mut connection).unwrap();
            answer.into_iter().map(|(name, count)| serde_json::json!([name, count])).collect()
        }
    };
    let mut found = BTreeMap::new();
    for count in counts {
        let name = count[0].as_str().unwrap();
        let name = if name.starts_with(INBOXES) { INBOXES } else { name };
        *found.entry(name.to_owned()).or_default() += count[1].as_u64().unwrap();
    }
    found
}

/// Under traffic nothing is published again or asked for, soon; else what still is.
pub fn come_to_rest(fleet: &Fleet, odometer: &mut Odometer) -> Result<(), String> {
    let mut before = odometer.sums(fleet);
    let mut since = Instant::now();
    let mut last_growth = String::new();
    let rests = comes_true(PATIENCE, || {
        let now = odometer.sums(fleet);
        if now != before {
            let grown = now.iter().filter(|(name, value)| before.get(*name) != Some(*value));
            last_growth = grown.map(|(name, value)| format!("{name} is {value} ")).collect();
            (before, since) = (now, Instant::now());
        }
        since.elapsed() >= REST
    });
    if rests { Ok(()) } else { Err(last_growth) }
}

/// A server that is cut from all nodes says that it is not ready, until it is.
pub fn check_readiness(fleet: &mut Fleet) {
    let server = fleet.servers[0].address;
    let ready = || http_get(server, "/ready").status;
    assert_eq!(ready(), 200);
    (0..fleet.nodes.ports.len()).for_each(|node| fleet.tap(0, node).cut());
    eventually("it is not ready", || ready() == 503);
    fleet.taps().for_each(Tap::heal);
    eventually("it is ready", || ready() == 200);
    await_lanes(fleet);
}

/// Bytes that the processes have in memory: the largest server, the largest Redis.
pub fn check_memory(fleet: &mut Fleet) -> (u64, u64) {
    let servers = fleet.servers.iter().map(|server| resident_bytes(server.process.pid())).max().unwrap();
    let nodes: Vec<_> = (0..fleet.nodes.ports.len()).map(|node| fleet.nodes.process(node).pid()).collect();
    let nodes = nodes.into_iter().map(resident_bytes).max().unwrap();
    assert!(servers < MEMORY_MAX && nodes < MEMORY_MAX, "a server has {servers} B, a Redis {nodes} B");
    (servers, nodes)
}

fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}
