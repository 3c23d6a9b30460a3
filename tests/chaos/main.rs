//! The promise under chaos: three servers, three Redis nodes, twenty rooms, and whatever may break breaks while clients
//! talk. Everything is checked from outside, by clients that keep docs/protocol.md. `make chaos` runs it for long;
//! `CHAOS_SEED=7` repeats a plan of faults, `CHAOS_SECONDS=600` makes it longer; freedoms.rs says what else may be
//! chosen.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod clocks;
mod crowd;
mod fault;
mod freedoms;
mod havoc;
mod health;
mod ledger;
mod member;
mod memory;
mod odometer;
mod report;
mod sabotage;
#[path = "../support/mod.rs"]
mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crowd::{CALM, Crowd};
use freedoms::Freedoms;
use havoc::{Havoc, NODES, SERVERS, TAIL_MAX};
use ledger::Breach;
use odometer::Odometer;
use report::{Outcome, Report};
use support::fleet::Fleet;

/// Time of chaos, unless `CHAOS_SECONDS` says something else.
const SECONDS: u64 = 35;
const BALANCERS: usize = 2;

#[test]
fn the_promise_is_kept() {
    let _alone = alone();
    let seed = environment("CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("CHAOS_SEED={seed}");
    let chaos = Duration::from_secs(environment("CHAOS_SECONDS").unwrap_or(SECONDS));
    let mut rng = Rng::with_seed(seed);
    let freedoms = Freedoms::new(&mut rng);
    println!("{freedoms:?}");
    let mut fleet = Fleet::start_as(BALANCERS, SERVERS, NODES, &freedoms.kind());
    health::await_lanes(&fleet);
    let mut crowd = Crowd::gather(&fleet, freedoms.habits(), &mut rng);
    let mut odometer = Odometer::default();

    let mut havoc = Havoc::new(&mut fleet, &crowd, &mut odometer, freedoms, rng);
    havoc.run(chaos);
    let Havoc { faults, quiet, worst_tail, .. } = havoc;
    // What comes now is silence because nothing is said.
    let silences = crowd.shared.ledger.silences();
    let waits = crowd.shared.ledger.waits();

    let healed = Instant::now();
    crowd.falls_silent(TAIL_MAX);
    let settled = healed.elapsed();
    crowd.shared.ledger.conclude();
    let lanes_up = health::await_lanes(&fleet);
    crowd.pace(CALM);
    if let Err(growth) = health::come_to_rest(&fleet, &mut odometer) {
        let words =
            format!("messages are still published again or asked for, long after the last fault: {growth}");
        crowd.shared.ledger.breach(Breach::Late, words);
    }
    health::await_subscriptions(&fleet);
    crowd.falls_silent(TAIL_MAX);
    crowd.shared.ledger.conclude();
    crowd.go();
    let memory = health::check_memory(&mut fleet);
    let outcome = Outcome::new(&faults, &silences, &waits, &quiet);
    let report = Report {
        seed,
        chaos,
        sums: crowd.shared.ledger.sums(),
        breaches: crowd.shared.ledger.breaches(),
        counters: odometer.sums(&fleet),
        outcome,
        worst_tail,
        settled,
        lanes_up,
        memory,
    };
    println!("{report}");
    report.check();
    health::check_readiness(&mut fleet);
}

/// Tests of this file take the whole machine, one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
