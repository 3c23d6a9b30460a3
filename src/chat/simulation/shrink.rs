//! Makes the plan of a failing world smaller while it still fails in the same way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::plan::{Plan, START};
use super::story::{Check, Failure};
use super::world::World;
use crate::chat::mutants::{Mutant, switch};

const TRIES_MAX: usize = 400;

/// Runs a plan to its end or failure; a panic of the core is a failure as well.
pub fn run(plan: &Plan, mutant: Option<Mutant>, is_told: bool) -> (Result<(), Failure>, String) {
    switch(mutant);
    let mut world = World::new(Arc::new(plan.clone()), is_told);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let outcome = outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let what = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let what = what.unwrap_or_default();
        Err(Failure { at: world.now, check: Check::Panic, what, text: None })
    });
    switch(None);
    // `SIMULATION_STORY=all` tells of every message, not only of the one that the failure is about.
    let is_about_all = std::env::var("SIMULATION_STORY").is_ok_and(|what| what == "all");
    let about = outcome.as_ref().err().and_then(|failure| failure.text).filter(|_| !is_about_all);
    let story = if is_told { world.story.about(about) } else { String::new() };
    (outcome, story)
}

struct Shrinker {
    plan: Plan,
    mutant: Option<Mutant>,
    check: Check,
    tries: usize,
}

impl Shrinker {
    /// Keeps the smaller plan if it fails in the same way.
    fn takes(&mut self, smaller: Plan) -> bool {
        if self.tries == TRIES_MAX {
            return false;
        }
        self.tries += 1;
        let fails = run(&smaller, self.mutant, false).0.is_err_and(|failure| failure.check == self.check);
        if fails {
            self.plan = smaller;
        }
        fails
    }
}

/// Leaves out kinds of faults, then single ones, then clients, then what they do.
pub fn shrink(plan: Plan, mutant: Option<Mutant>, failure: &Failure) -> Plan {
    let mut shrinker = Shrinker { plan, mutant, check: failure.check, tries: 0 };
    for kind in shrinker.plan.kinds.iter().collect::<Vec<_>>() {
        shrinker.takes(shrinker.plan.without_kind(kind));
    }
    for index in (0..shrinker.plan.faults.len()).rev() {
        shrinker.takes(shrinker.plan.without_fault(index));
    }
    for client in shrinker.plan.clients() {
        shrinker.takes(shrinker.plan.without_client(client));
    }
    let end = shrinker.plan.end();
    for parts in [4, 16] {
        let step = (end - START) / parts + 1;
        for part in 0..parts {
            let times = START + part * step..START + (part + 1) * step;
            shrinker.takes(shrinker.plan.without_acts(&times));
        }
    }
    for index in (0..shrinker.plan.faults.len()).rev() {
        shrinker.takes(shrinker.plan.without_fault(index));
    }
    shrinker.plan
}
