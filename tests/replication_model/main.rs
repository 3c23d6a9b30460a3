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
    explore("two, loss, stall", Rules::TODAY, 2, t);
    explore("two, loss, stall, death", Rules::TODAY, 2, Trouble { deaths: 1, ..t });
    explore("two, retry", Rules::TODAY, 2, Trouble { deaths: 1, retries: 1, ..t });
}

#[test]
fn three() {
    let t = Trouble { messages: 1, losses: 1, stalls: 1, ..Trouble::default() };
    explore("three, loss, stall", Rules::TODAY, 3, t);
    explore("three, loss, stall, death", Rules::TODAY, 3, Trouble { deaths: 1, ..t });
    explore("three, loss, death, retry", Rules::TODAY, 3, Trouble { deaths: 1, retries: 1, stalls: 0, ..t });
}

#[test]
fn evict() {
    let t = Trouble { messages: 2, losses: 1, evictions: 1, ..Trouble::default() };
    explore("two, evict", Rules::TODAY, 2, t);
    explore("two, evict, stall", Rules::TODAY, 2, Trouble { stalls: 1, ..t });
    explore("two, evict, start", Rules::TODAY, 2, Trouble { starts: 1, losses: 0, ..t });
}
