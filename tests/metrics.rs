//! `/metrics` tells what the time of a server's threads goes to.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::net::SocketAddr;
use std::time::Instant;

use distr_chat::app::Options;
use support::http::seconds;
use support::{Client, eventually, options, start_app};

const REACTOR: [&str; 5] = ["wait", "accept", "read", "serve", "flush"];
const HUB: [&str; 6] = ["wait", "asks", "hear", "finish", "carry_out", "hand_on"];

#[test]
fn every_phase_of_a_turn_is_charged_and_no_time_twice() {
    let began = Instant::now();
    let app = start_app(&Options { reactors: 1, ..options("app-1") });
    let server = app.address();
    let mut ann = Client::connect(server);
    ann.join("lobby", "ann");
    let (reactor, hub) = (reactor(server), hub(server));
    ann.say("lobby", "1", "hi");
    assert_eq!(ann.expect("message")["id"], "1");
    eventually("a reactor's phases grow", || have_all_grown(&reactor, &self::reactor(server)));
    eventually("the backplane thread's phases grow", || have_all_grown(&hub, &self::hub(server)));
    for phases in [self::reactor(server), self::hub(server)] {
        let charged: f64 = phases.iter().sum();
        assert!(charged <= began.elapsed().as_secs_f64(), "{phases:?}");
    }
}

fn reactor(server: SocketAddr) -> Vec<f64> {
    let name = |phase| format!(r#"distr_turn_seconds_total{{reactor="0",phase="{phase}"}}"#);
    REACTOR.iter().map(|phase| seconds(server, &name(phase))).collect()
}

fn hub(server: SocketAddr) -> Vec<f64> {
    let name = |phase| format!(r#"distr_hub_turn_seconds_total{{phase="{phase}"}}"#);
    HUB.iter().map(|phase| seconds(server, &name(phase))).collect()
}

fn have_all_grown(before: &[f64], after: &[f64]) -> bool {
    before.iter().zip(after).all(|(before, after)| after > before)
}
