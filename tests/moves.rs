//! Nodes come and go under load, as processes: users do not notice, nothing that was acknowledged is lost or doubled, and
//! the clients end evenly spread.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::net::SocketAddr;
use std::process::Command;

use loadgen::results::exposition::Counters;
use serde_json::Value;
use support::fleet::{Fleet, Kind};
use support::load::{Load, Way};
use support::running::distr_chat;
use support::{comes_true, eventually, status};

use std::time::Duration;

/// Everybody is back, or evenly spread, after this time: a storm is let in at its pace, and surplus moves slowly.
const SETTLE_MAX: Duration = Duration::from_secs(60);
/// Servers have at most this part more or less than the mean.
const SPREAD_MAX: f64 = 0.10;

/// Nodes that drain quickly.
fn program(arguments: &str) -> Command {
    distr_chat(&format!("{arguments} --drain-seconds 1"))
}

fn fleet() -> Fleet {
    let fleet = Fleet::start_as(3, 3, 3, &Kind { program: Box::new(program), ..Kind::default() });
    await_ready(&fleet);
    fleet
}

fn balancers(fleet: &Fleet) -> Vec<SocketAddr> {
    fleet.balancers.iter().map(|balancer| balancer.address).collect()
}

/// Every balancer would send clients to every server, and every server hears every node.
fn await_ready(fleet: &Fleet) {
    let all = |list: &Value, is_fine: &dyn Fn(&Value) -> bool| {
        list.as_array().unwrap().len() == 3 && list.as_array().unwrap().iter().all(is_fine)
    };
    eventually("every balancer knows every server", || {
        fleet.balancers.iter().all(|balancer| {
            all(&status(balancer.address)["servers"], &|server| {
                server["state"] == "up" && server["deaf"] == false && server["draining"] == false
            })
        })
    });
    eventually("every server hears every node", || {
        fleet
            .servers
            .iter()
            .all(|server| all(&status(server.address)["backplane"]["lanes"], &|lane| lane["state"] == "up"))
    });
}

#[track_caller]
fn await_spread(fleet: &Fleet, servers: &[usize], clients: u64) {
    let counts = || -> Vec<u64> {
        let of = |index: &usize| status(fleet.servers[*index].address)["connections"].as_u64().unwrap();
        servers.iter().map(of).collect()
    };
    let is_even = || {
        let (counts, mean) = (counts(), clients as f64 / servers.len() as f64);
        let is_near = |count: &u64| (*count as f64 - mean).abs() <= mean * SPREAD_MAX;
        counts.iter().sum::<u64>() == clients && counts.iter().all(is_near)
    };
    assert!(comes_true(SETTLE_MAX, is_even), "{clients} clients are at {:?}", counts());
}

#[test]
fn servers_balancers_and_redis_nodes_are_restarted_one_by_one_and_nobody_notices() {
    let mut fleet = fleet();
    let load = Load::start(&balancers(&fleet), Way::Assigned, 300, 30, 1000);
    for index in 0..3 {
        let server = &mut fleet.servers[index];
        assert!(server.process.end().success(), "{}", server.process.output());
        server.start();
        await_ready(&fleet);
    }
    for index in 0..3 {
        fleet.balancers[index].process.end();
        fleet.balancers[index].start();
        await_ready(&fleet);
    }
    for index in 0..3 {
        fleet.nodes.process(index).end();
        fleet.nodes.start(index);
        await_ready(&fleet);
    }
    await_spread(&fleet, &[0, 1, 2], 300);
    let report = load.end();
    assert_eq!(report.lost_connection, 0, "clients moved before their server left\n{report}");
    assert!(report.moved >= 300, "each server's clients moved\n{report}");
    assert_eq!(report.resumed_incomplete, 0, "{report}");
    let usage = report.usage.as_ref().unwrap();
    let restarts: Vec<_> = usage.servers.iter().map(|server| (&*server.name, server.restarts)).collect();
    assert_eq!(restarts, [("app-1", 1), ("app-2", 1), ("app-3", 1)], "{report}");
    let Counters { cpu_seconds, deliveries, publishes, .. } = usage.all.counters;
    assert!([cpu_seconds, deliveries, publishes].iter().all(|count| *count > Some(0.0)), "{report}");
}

#[test]
fn clients_are_evenly_spread_when_they_come_when_a_server_dies_and_when_it_is_back() {
    let mut fleet = fleet();
    let few = Load::start(&balancers(&fleet), Way::Assigned, 300, 30, 100);
    await_spread(&fleet, &[0, 1, 2], 300);
    let many = Load::start(&balancers(&fleet), Way::Assigned, 2700, 270, 500);
    await_spread(&fleet, &[0, 1, 2], 3000);
    fleet.servers[0].process.kill();
    await_spread(&fleet, &[1, 2], 3000);
    fleet.servers[0].start();
    await_spread(&fleet, &[0, 1, 2], 3000);
    few.end();
    let report = many.end();
    assert!(report.resumed > 0 && report.moved > 0, "a server died, and was filled again\n{report}");
}

#[test]
fn proxied_clients_keep_their_connection_when_their_server_dies_or_leaves() {
    let mut fleet = fleet();
    let load = Load::start(&balancers(&fleet), Way::Proxied, 300, 30, 1000);
    fleet.servers[0].process.kill();
    await_spread(&fleet, &[1, 2], 300);
    fleet.servers[0].start();
    await_ready(&fleet);
    for index in 1..3 {
        let server = &mut fleet.servers[index];
        assert!(server.process.end().success(), "{}", server.process.output());
        server.start();
        await_ready(&fleet);
    }
    let report = load.end();
    assert_eq!(report.lost_connection, 0, "the balancers kept them\n{report}");
    assert!(report.resumed_in_place >= 300, "each server's clients were taken over\n{report}");
    assert_eq!(report.resumed_incomplete, 0, "{report}");
}

#[test]
fn proxied_clients_move_before_their_balancer_leaves() {
    let mut fleet = fleet();
    let load = Load::start(&balancers(&fleet), Way::Proxied, 150, 15, 300);
    for index in 0..3 {
        let balancer = &mut fleet.balancers[index];
        assert!(balancer.process.end().success(), "{}", balancer.process.output());
        balancer.start();
        await_ready(&fleet);
    }
    let report = load.end();
    assert_eq!(report.lost_connection, 0, "{report}");
    assert!(report.moved >= 150, "each balancer's clients moved\n{report}");
}

#[test]
fn clients_of_a_balancer_that_is_killed_come_back_through_another() {
    let mut fleet = fleet();
    let load = Load::start(&balancers(&fleet), Way::Proxied, 150, 15, 500);
    fleet.balancers[0].process.kill();
    await_spread(&fleet, &[0, 1, 2], 150);
    fleet.balancers[0].start();
    await_ready(&fleet);
    let report = load.end();
    assert!(report.lost_connection > 0 && report.resumed > 0, "it had clients\n{report}");
    assert_eq!(report.resumed_incomplete, 0, "{report}");
}
