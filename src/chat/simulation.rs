//! Seeded worlds: servers on three lanes, clients that do what docs/protocol.md says, and all that may happen to them.
//! A world is planned from its seed ([`plan`]), each with a random part of the freedoms ([`kinds`]), and then run from one
//! thing that is due to the next ([`world`]). At every step the invariants are checked that hold at any time ([`checks`]), at
//! the end those of docs/architecture.md, «The promise». One seed replays one failure to the step.
//!
//! `SIMULATION_SEED=7 cargo test --lib simulation` replays one world and, if it fails, shrinks it and tells its story.
//! `SIMULATION_WORLDS=20000` runs as many from `SIMULATION_FIRST` on. `SIMULATION_KINDS=old,LongStall` or `all,-ClockStep`
//! says what worlds may do.

mod branch_counts;
mod checks;
mod client;
mod clock;
mod faults;
pub mod frame;
mod kinds;
mod mutant_table;
mod network;
mod oracle;
mod people;
mod plan;
mod reach;
mod restore;
mod server;
mod shrink;
mod story;
mod turns;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::mutants::Mutant;
use kinds::Kinds;
use plan::Plan;
use story::{Check, Failure};

const WORLDS: u64 = 1000;

#[test]
fn worlds_keep_the_promise() {
    let allowed = allowed();
    if let Some(seed) = number("SIMULATION_SEED") {
        return replay(seed, allowed);
    }
    let worlds = number("SIMULATION_WORLDS").unwrap_or(WORLDS);
    let first = number("SIMULATION_FIRST").unwrap_or(0);
    let failed = failures(first..first + worlds, allowed, None);
    let mut by_check: BTreeMap<Check, Vec<u64>> = BTreeMap::new();
    failed.iter().for_each(|(seed, failure)| by_check.entry(failure.check).or_default().push(*seed));
    for (check, seeds) in &by_check {
        println!("{check:?}: {} {:?}", seeds.len(), &seeds[..seeds.len().min(12)]);
    }
    if let Some((seed, _)) = failed.first() {
        println!("replay with SIMULATION_SEED={seed}");
        if std::env::var("SIMULATION_STORY").as_deref() != Ok("0") {
            replay(*seed, allowed);
        }
    }
    assert!(failed.is_empty(), "{} of {worlds} worlds fail", failed.len());
}

#[test]
fn worlds_without_repair_fail() {
    assert!(!failures(0..40, Kinds::all(), Some(Mutant::NoNack)).is_empty());
}

#[test]
fn worlds_that_promise_early_fail() {
    assert!(!failures(0..40, Kinds::all(), Some(Mutant::AckAtOnce)).is_empty());
}

#[test]
fn worlds_without_memory_fail() {
    assert!(!failures(0..40, Kinds::all(), Some(Mutant::NoDedup)).is_empty());
}

#[test]
fn a_seed_is_one_world() {
    let story = |seed| shrink::run(&Plan::draw(seed, Kinds::all()), None, true).1;
    (0..3).for_each(|seed| assert_eq!(story(seed), story(seed), "seed {seed}"));
}

/// The seeds whose worlds fail, in their order; two threads share the work.
fn failures(seeds: Range<u64>, allowed: Kinds, mutant: Option<Mutant>) -> Vec<(u64, Failure)> {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut failed = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return failed;
            }
            let plan = Plan::draw(seed, allowed);
            failed.extend(shrink::run(&plan, mutant, false).0.err().map(|failure| (seed, failure)));
        }
    };
    let mut failed: Vec<_> = thread::scope(|scope| {
        let halves = [scope.spawn(work), scope.spawn(work)];
        halves.into_iter().flat_map(|half| half.join().expect("failures are caught")).collect()
    });
    failed.sort_by_key(|(seed, _)| *seed);
    failed
}

/// Runs one world; if it fails, tells the story of the smallest that fails likewise.
fn replay(seed: u64, allowed: Kinds) {
    let plan = Plan::draw(seed, allowed);
    let Err(failure) = shrink::run(&plan, None, false).0 else { return };
    println!("seed {seed} fails at {} ms, {:?}: {}", failure.at, failure.check, failure.what);
    let plan = shrink::shrink(plan, None, &failure);
    let (outcome, story) = shrink::run(&plan, None, true);
    println!("{:?}, {} servers, legs {:?}, sizes {:?}", plan.kinds, plan.servers, plan.leg, plan.sizes);
    println!("{story}");
    panic!("seed {seed}, shrunk: {outcome:?}");
}

fn allowed() -> Kinds {
    std::env::var("SIMULATION_KINDS").map_or(Kinds::all(), |names| Kinds::parse(&names))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
