//! The rules of replication as a small model, of which every state is looked at.

mod actions;
mod invariants;
mod rules;
mod search;
mod state;

use rules::*;
use search::{Outcome, search};
use state::{State, Trouble};

fn explore(name: &str, rules: Rules, servers: u8, trouble: Trouble) -> Outcome {
    let outcome = search(rules, State::new(servers, trouble), 20_000_000, |_| true);
    println!("{name}: {outcome}");
    if let Some(failure) = &outcome.failure {
        println!("{failure}");
    }
    outcome
}

#[test]
fn two() {
    let t = Trouble { messages: 2, losses: 1, stalls: 1, ..Trouble::default() };
    explore("two, loss, stall, death", Rules::TODAY, 2, Trouble { deaths: 1, ..t });
    explore("two, 3 messages, loss, stall", Rules::TODAY, 2, Trouble { messages: 3, ..t });
    explore("two, retry", Rules::TODAY, 2, Trouble { deaths: 1, retries: 1, ..t });
    explore("two, cut", Rules::TODAY, 2, Trouble { cuts: 1, deaths: 1, ..t });
}

#[test]
fn evict() {
    let t = Trouble { messages: 2, losses: 1, evictions: 1, ..Trouble::default() };
    explore("two, evict, stall", Rules::TODAY, 2, Trouble { stalls: 1, ..t });
    explore("two, evict, start", Rules::TODAY, 2, Trouble { starts: 1, losses: 0, ..t });
    explore("two, evict, start, death", Rules::TODAY, 2, Trouble { starts: 1, deaths: 1, losses: 0, ..t });
    explore("two, evict, start, stall", Rules::TODAY, 2, Trouble { starts: 1, stalls: 1, losses: 0, ..t });
}

#[test]
fn drafts() {
    let t = Trouble { messages: 2, losses: 0, evictions: 1, starts: 1, ..Trouble::default() };
    explore("D1", Rules { lacks: Lacks::Stand, ..Rules::TODAY }, 2, t);
    explore("D2", Rules { evicted: Evicted::Waits, ..Rules::TODAY }, 2, Trouble { deaths: 1, ..t });
    explore("D3", Rules { answers: Answers::OfLive, ..Rules::TODAY }, 2, Trouble { stalls: 1, ..t });
}

#[test]
fn three() {
    let t = Trouble { messages: 1, losses: 1, stalls: 1, ..Trouble::default() };
    explore("three, death, retry", Rules::TODAY, 3, Trouble { deaths: 1, retries: 1, stalls: 0, losses: 0, ..t });
    explore("three, loss, death, retry", Rules::TODAY, 3, Trouble { deaths: 1, retries: 1, stalls: 0, ..t });
    explore("three, evict, loss, stall", Rules::TODAY, 3, Trouble { evictions: 1, ..t });
}

#[test]
fn old() {
    let t = Trouble { messages: 2, losses: 1, stalls: 1, ..Trouble::default() };
    let h1 = Rules { have: Have::Cursor, hole: Hole::GivenUp, ..Rules::TODAY };
    explore("H1", h1, 2, t);
    explore("H6", Rules { retry: Retry::Lease, ..Rules::TODAY }, 3, Trouble { messages: 1, deaths: 1, retries: 1, ..Trouble::default() });
    explore("H11", Rules { alone: Alone::NoLease, ..Rules::TODAY }, 2, Trouble { messages: 1, cuts: 1, ..Trouble::default() });
    explore("H2", Rules { shown: Shown::Patience, ..Rules::TODAY }, 2, Trouble { messages: 1, retries: 1, ..Trouble::default() });
    explore("H3", Rules { waiting: Waiting::Ring, ..Rules::TODAY }, 2, Trouble { evictions: 1, ..t });
}
