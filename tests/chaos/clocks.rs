//! A clock that is wrong costs nothing: nobody waits, nobody leaves a roster, and nothing is acknowledged that only its
//! server has.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::alone;
use super::crowd::{CALM, Crowd, Habits};
use super::havoc::{NODES, SERVERS, TAIL_MAX};
use super::health;
use super::ledger::Breach;
use super::report::ACK_MAX;
use crate::support::clock::Bend;
use crate::support::fleet::{Fleet, Kind};
use crate::support::tap::Way;
use crate::support::{comes_true, eventually};

/// Whose clock it is.
const SERVER: usize = 0;
/// A clock is wrong for so long: a lease and more.
const WRONG: Duration = Duration::from_secs(6);
/// And right for so long: a lease and more.
const RIGHT: Duration = Duration::from_secs(4);
/// What a server says is held for so long before it is killed: no lane is dead by then.
const HELD: Duration = Duration::from_millis(400);
/// Nobody comes or goes any more.
const REST: Duration = Duration::from_secs(2);

#[test]
#[ignore = "takes two minutes; `make chaos` runs it"]
fn a_wrong_clock_costs_nothing() {
    let _alone = alone();
    let found: Vec<_> = Bend::ALL.into_iter().flat_map(live_with).collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// What a cluster of its own, with clients that stay where they are, makes of that clock.
fn live_with(bend: Bend) -> Vec<String> {
    let kind = Kind { has_clocks: true, ..Kind::default() };
    let mut fleet = Fleet::start_as(0, SERVERS, NODES, &kind);
    health::await_lanes(&fleet);
    let habits = Habits { stay: true, ..Habits::default() };
    let mut crowd = Crowd::gather(&fleet, habits, &mut Rng::new());
    eventually("all are in their rooms", || crowd.shared.ledger.are_all_here());
    await_rest(&crowd);
    crowd.pace(CALM);
    pass(RIGHT);
    let mut found = watch(&mut fleet, &crowd, bend);
    found.extend(kill(&mut fleet, &crowd, bend));
    crowd.go();
    found
}

/// What members notice while that clock is wrong, and when it is right again.
fn watch(fleet: &mut Fleet, crowd: &Crowd, bend: Bend) -> Vec<String> {
    let ledger = &crowd.shared.ledger;
    let (begin, known) = (Instant::now(), Known::of(crowd));
    crowd.pace(CALM);
    fleet.clock(SERVER).bend(bend);
    pass(WRONG);
    fleet.clock(SERVER).set_right();
    pass(RIGHT);
    // Those who live are never slow to tell the last word.
    let is_settled = crowd.falls_silent(TAIL_MAX);
    ledger.conclude();

    let waits: Vec<_> = ledger.waits().into_iter().filter(|wait| wait.from >= begin).collect();
    let slowest = waits.iter().map(|wait| wait.to - wait.from).max().unwrap_or_default();
    let namings: Vec<_> = ledger.namings().into_iter().filter(|(at, _)| *at >= begin).collect();
    let name = format!("{bend:?}");
    println!("{name}: slowest ack {slowest:.1?} (0 for below 300 ms), {} changes of rosters", namings.len());

    let mut found = known.news(crowd, &name);
    if slowest > ACK_MAX {
        let late = waits.iter().filter(|wait| wait.to - wait.from > ACK_MAX).count();
        found.push(format!("{name}: {late} acks took more than {ACK_MAX:?}, one {slowest:.1?}"));
    }
    if let Some((_, first)) = namings.first() {
        found.push(format!("{name}: {} changes of rosters, the first {first}", namings.len()));
    }
    if !is_settled {
        found.push(format!("{name}: not all had everything within {TAIL_MAX:?}"));
    }
    found
}

/// A server whose clock is wrong says things that nobody hears, and dies. Nothing of it was acknowledged.
fn kill(fleet: &mut Fleet, crowd: &Crowd, bend: Bend) -> Vec<String> {
    let ledger = &crowd.shared.ledger;
    let known = Known::of(crowd);
    crowd.pace(CALM);
    fleet.clock(SERVER).bend(bend);
    pass(WRONG);
    (0..NODES).for_each(|node| fleet.tap(SERVER, node).hold(&[Way::Up]));
    let acks = || ledger.sums().acks_at.get(&SERVER).copied().unwrap_or_default();
    let before = acks();
    pass(HELD);
    let count = acks() - before;
    fleet.servers[SERVER].process.kill();
    // What is still under way from a dead server is not to arrive.
    (0..NODES).for_each(|node| fleet.tap(SERVER, node).cut());
    (0..NODES).for_each(|node| fleet.tap(SERVER, node).heal());
    fleet.clock(SERVER).set_right();
    pass(RIGHT);
    fleet.servers[SERVER].start();
    let is_settled = crowd.falls_silent(TAIL_MAX);
    ledger.conclude();
    println!("{bend:?} and killed: {count} acks in the last {HELD:?}, in which nobody heard it");
    let mut found = known.news(crowd, &format!("{bend:?} and killed"));
    if !is_settled {
        found.push(format!("{bend:?} and killed: not all had everything within {TAIL_MAX:?}"));
    }
    found
}

/// How often the promise was broken before.
struct Known(BTreeMap<Breach, u64>);

impl Known {
    fn of(crowd: &Crowd) -> Self {
        Self(crowd.shared.ledger.sums().breaches)
    }

    /// What was broken since.
    fn news(&self, crowd: &Crowd, name: &str) -> Vec<String> {
        let words = crowd.shared.ledger.breaches();
        let count = |breach, count| count - self.0.get(&breach).copied().unwrap_or_default();
        let counts =
            crowd.shared.ledger.sums().breaches.into_iter().map(|(breach, all)| (breach, count(breach, all)));
        let new = counts.filter(|(_, count)| *count > 0);
        new.map(|(breach, count)| {
            format!("{name}: {count} times {breach:?}, as {:?}", words[&breach].first())
        })
        .collect()
    }
}

/// Waits until nobody comes or goes any more.
fn await_rest(crowd: &Crowd) {
    let mut rest = (0, Instant::now());
    eventually("rosters rest", || {
        let count = crowd.shared.ledger.namings().len();
        if count != rest.0 {
            rest = (count, Instant::now());
        }
        rest.1.elapsed() >= REST
    });
}

/// Traffic goes on for so long.
fn pass(time: Duration) {
    let end = Instant::now() + time;
    comes_true(time, || Instant::now() >= end);
}
