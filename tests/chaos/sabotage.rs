//! Tests of the test: against servers that break one promise on purpose (examples/sabotaged_app.rs) it fails, and the same
//! faults do honest servers no harm.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::alone;
use super::crowd::{CALM, Crowd, Habits, RUSH};
use super::havoc::{NODES, SERVERS, TAIL_MAX};
use super::health;
use super::ledger::Breach;
use crate::support::comes_true;
use crate::support::fleet::{Fleet, Kind};
use crate::support::running::program;
use crate::support::tap::Way;

/// Traffic before the first fault: positions, histories, everybody speaks.
const BEFORE: Duration = Duration::from_secs(2);
/// How long packets are held: no lane is dead by then.
const HELD: Duration = Duration::from_millis(250);
/// Between two losses.
const BETWEEN: Duration = Duration::from_millis(1500);
const LOSSES: usize = 3;

#[test]
fn servers_that_do_not_repair_are_found_out() {
    let breaches = breaches(Some("no-repair"), lose_packets);
    assert!(breaches.contains_key(&Breach::Lost), "{breaches:#?}");
}

#[test]
fn servers_that_acknowledge_early_are_found_out() {
    let breaches = breaches(Some("early-ack"), kill_unheard);
    assert!(breaches.contains_key(&Breach::Lost), "{breaches:#?}");
}

#[test]
fn servers_that_do_not_know_messages_again_are_found_out() {
    let breaches = breaches(Some("no-dedupe"), kill_unanswered);
    assert!(breaches.contains_key(&Breach::Doubled), "{breaches:#?}");
}

#[test]
fn honest_servers_stand_the_same_faults() {
    for plan in [lose_packets, kill_unheard, kill_unanswered] {
        assert_eq!(breaches(None, plan), BTreeMap::new());
    }
}

/// What the clients find when servers of that kind have gone through the faults.
fn breaches(sabotage: Option<&str>, plan: fn(&mut Fleet, &Crowd)) -> BTreeMap<Breach, Vec<String>> {
    let _alone = alone();
    let mut kind = Kind::default();
    if let Some(sabotage) = sabotage.map(str::to_owned) {
        kind.program = Box::new(move |arguments| {
            let mut command = program(sabotaged_app(), arguments);
            command.env("SABOTAGE", &sabotage);
            command
        });
    }
    let mut fleet = Fleet::start_as(0, SERVERS, NODES, &kind);
    health::await_lanes(&fleet);
    let mut crowd = Crowd::gather(&fleet, Habits::default(), &mut Rng::new());
    crowd.pace(CALM);
    pass(BEFORE);
    plan(&mut fleet, &crowd);
    crowd.falls_silent(TAIL_MAX);
    crowd.shared.ledger.conclude();
    crowd.go();
    crowd.shared.ledger.breaches()
}

/// What two nodes send to a server is lost for a while; the third is sound.
fn lose_packets(fleet: &mut Fleet, _: &Crowd) {
    for _ in 0..LOSSES {
        (0..NODES - 1).for_each(|node| fleet.tap(0, node).hold(&[Way::Down]));
        pass(HELD);
        for node in 0..NODES - 1 {
            fleet.tap(0, node).cut();
            fleet.tap(0, node).heal();
        }
        pass(BETWEEN);
    }
}

/// A server says things that nobody hears, and dies.
fn kill_unheard(fleet: &mut Fleet, crowd: &Crowd) {
    kill_held(fleet, crowd, Way::Up);
}

/// A server says things, hears no confirmation, and dies: its clients say them again elsewhere.
fn kill_unanswered(fleet: &mut Fleet, crowd: &Crowd) {
    kill_held(fleet, crowd, Way::Down);
}

fn kill_held(fleet: &mut Fleet, crowd: &Crowd, way: Way) {
    crowd.pace(RUSH);
    (0..NODES).for_each(|node| fleet.tap(0, node).hold(&[way]));
    pass(HELD);
    fleet.servers[0].process.kill();
    // What is still under way from a dead server is not to arrive.
    (0..NODES).for_each(|node| fleet.tap(0, node).cut());
    crowd.pace(CALM);
    pass(BETWEEN);
}

/// Traffic goes on for so long.
fn pass(time: Duration) {
    let end = Instant::now() + time;
    comes_true(time, || Instant::now() >= end);
}

/// Cargo puts examples beside the tests' folder.
fn sabotaged_app() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let path = profile.join("examples/sabotaged_app");
    assert!(path.exists(), "{} is not built: cargo build --example sabotaged_app", path.display());
    path
}
