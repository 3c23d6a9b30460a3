//! The rules of replication as a small model, of which every state is looked at. See docs/replication.md.

mod actions;
mod invariants;
mod rules;
mod search;
mod state;

use invariants::Breach;
use rules::{Alone, Answers, Begin, Evicted, Have, Hole, Lacks, Retry, Rules, Shown, Unparks, Waiting};
use search::{Failure, Outcome, search};
use state::{State, Trouble};

/// 64 bits a state and as much for its parent, and the states of two levels whole: some 600 MiB.
const STATES_MAX: usize = 12_000_000;

const NONE: Trouble = Trouble {
    messages: 0,
    losses: 0,
    stalls: 0,
    deaths: 0,
    retries: 0,
    evictions: 0,
    starts: 0,
    cuts: 0,
    hiccups: 0,
};

fn explore(rules: Rules, servers: u8, trouble: Trouble, counts: impl Fn(&Breach) -> bool) -> Outcome {
    let outcome = search(rules, &State::new(servers, trouble), STATES_MAX, counts);
    println!("{servers} servers, {trouble}: {outcome}");
    if let Some(failure) = &outcome.failure {
        println!("{failure}");
    }
    outcome
}

/// Every state is looked at, and nothing is wrong with any.
fn holds(servers: u8, trouble: Trouble) {
    let outcome = explore(Rules::TODAY, servers, trouble, |_| true);
    assert!(outcome.failure.is_none(), "the trace is above");
    assert!(outcome.is_complete, "more states than {STATES_MAX}");
}

/// The first breach of that kind, in so few steps.
fn finds(
    rules: Rules,
    servers: u8,
    trouble: Trouble,
    steps: usize,
    counts: impl Fn(&Breach) -> bool,
) -> Failure {
    let outcome = explore(rules, servers, trouble, counts);
    let failure = outcome.failure.expect("the old rule breaks the promise");
    assert!(failure.steps.len() <= steps, "it took {} steps", failure.steps.len());
    failure
}

#[test]
fn the_rules_hold_in_every_state() {
    let two = Trouble { messages: 3, losses: 1, stalls: 1, ..NONE };
    holds(2, two);
    holds(2, Trouble { messages: 2, deaths: 1, ..two });
    holds(2, Trouble { messages: 2, cuts: 1, ..two });
    holds(2, Trouble { messages: 2, evictions: 1, deaths: 1, ..two });
    holds(3, Trouble { messages: 1, losses: 0, ..two });
    holds(3, Trouble { messages: 1, stalls: 0, deaths: 1, ..two });
    // A server that starts is the third.
    holds(2, Trouble { messages: 1, losses: 0, stalls: 0, evictions: 1, starts: 1, ..two });
}

/// Minutes: set `REPLICATION_MODEL` to a name of these, or to `all`.
#[test]
fn the_rules_hold_in_larger_worlds() {
    let Ok(wanted) = std::env::var("REPLICATION_MODEL") else { return };
    let base = Trouble { messages: 1, losses: 1, stalls: 1, ..NONE };
    let worlds = [
        ("retry2", 2, Trouble { messages: 2, deaths: 1, retries: 1, ..base }),
        ("loss", 3, base),
        ("newcomer-stall", 2, Trouble { losses: 0, evictions: 1, starts: 1, ..base }),
        ("death", 3, Trouble { deaths: 1, ..base }),
        ("retry", 3, Trouble { deaths: 1, retries: 1, stalls: 0, ..base }),
        ("messages", 3, Trouble { messages: 2, losses: 0, ..base }),
        ("newcomer", 2, Trouble { evictions: 1, starts: 1, ..base }),
        ("newcomer2", 2, Trouble { messages: 2, losses: 0, stalls: 0, evictions: 1, starts: 1, ..base }),
        ("newcomer-death", 2, Trouble { losses: 0, stalls: 0, evictions: 1, starts: 1, deaths: 1, ..base }),
    ];
    for (_, servers, trouble) in worlds.iter().filter(|(name, ..)| wanted == "all" || wanted == *name) {
        holds(*servers, *trouble);
    }
}

const fn is_ack(breach: &Breach) -> bool {
    matches!(breach, Breach::AckedHeldOnce { .. } | Breach::AckedCutOff { .. })
}

#[test]
fn it_finds_the_ack_for_what_was_passed_over() {
    let rules = Rules { have: Have::Cursor, hole: Hole::GivenUp, ..Rules::TODAY };
    let trouble = Trouble { messages: 2, losses: 1, stalls: 1, ..NONE };
    let failure = finds(rules, 2, trouble, 12, is_ack);
    assert!(matches!(failure.breach, Breach::AckedHeldOnce { .. }));
    finds(rules, 2, trouble, 12, |breach| matches!(breach, Breach::UntrueHave { .. }));
    finds(rules, 2, trouble, 12, |breach| matches!(breach, Breach::NeverSeen { .. }));
}

#[test]
fn it_finds_the_gap_over_what_a_stalled_server_keeps() {
    let rules = Rules { hole: Hole::GivenUp, ..Rules::TODAY };
    let trouble = Trouble { messages: 2, losses: 1, stalls: 1, ..NONE };
    finds(rules, 2, trouble, 12, |breach| matches!(breach, Breach::GapOverKept { .. }));
}

#[test]
fn it_finds_the_ack_on_a_lease_of_the_dead() {
    let rules = Rules { retry: Retry::Lease, ..Rules::TODAY };
    finds(rules, 2, Trouble { messages: 1, deaths: 1, retries: 1, ..NONE }, 6, is_ack);
}

#[test]
fn it_finds_the_ack_of_a_server_that_is_cut_off() {
    let rules = Rules { alone: Alone::NoLease, ..Rules::TODAY };
    finds(rules, 3, Trouble { messages: 1, cuts: 1, ..NONE }, 6, is_ack);
}

#[test]
fn it_finds_what_is_shown_before_two_hold_it() {
    let rules = Rules { shown: Shown::Patience, ..Rules::TODAY };
    let trouble = Trouble { messages: 1, losses: 1, retries: 1, ..NONE };
    finds(rules, 2, trouble, 3, |breach| matches!(breach, Breach::ShownUnheld { .. }));
}

#[test]
fn it_finds_what_the_origin_evicts_too_early() {
    let rules = Rules { waiting: Waiting::Ring, ..Rules::TODAY };
    let trouble = Trouble { messages: 2, losses: 1, evictions: 1, ..NONE };
    finds(rules, 2, trouble, 8, |breach| matches!(breach, Breach::GapOverKept { .. }));
}

/// Holes that the model found in the rules when they were new: each of these is part of them since.
#[test]
fn it_finds_the_holes_of_the_first_draft() {
    let trouble = Trouble { messages: 1, evictions: 1, starts: 1, ..NONE };
    let is_gap = |breach: &Breach| matches!(breach, Breach::GapOverKept { .. });
    finds(Rules { lacks: Lacks::Stand, ..Rules::TODAY }, 2, trouble, 12, is_gap);
    finds(Rules { lacks: Lacks::VoidOnce, ..Rules::TODAY }, 2, trouble, 12, is_gap);
    let stalls = Trouble { stalls: 1, ..trouble };
    finds(Rules { answers: Answers::OfLive, ..Rules::TODAY }, 2, stalls, 12, is_gap);
    let dies = Trouble { deaths: 1, ..trouble };
    let is_stuck = |breach: &Breach| matches!(breach, Breach::NeverAcked { .. });
    finds(Rules { evicted: Evicted::Waits, ..Rules::TODAY }, 2, dies, 8, is_stuck);
    let two = Trouble { messages: 2, ..dies };
    finds(Rules { unparks: Unparks::Covering, ..Rules::TODAY }, 2, two, 12, is_stuck);
    let is_seen_twice = |breach: &Breach| matches!(breach, Breach::SeenTwice { .. });
    finds(Rules { begin: Begin::AtAny, ..Rules::TODAY }, 2, dies, 14, is_seen_twice);
    finds(
        Rules { begin: Begin::AtAny, answers: Answers::OfLive, ..Rules::TODAY },
        2,
        stalls,
        14,
        is_seen_twice,
    );
}
