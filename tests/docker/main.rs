//! The containers of compose.yaml, of which any may be stopped, killed, wiped and started again while clients talk: nothing
//! that was acknowledged is lost, doubled or out of order. `make docker-test` runs it; docs/failures.md is what it prints.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod compose;
mod scenes;
mod stage;
#[path = "../support/mod.rs"]
mod support;

use std::time::Instant;

use loadgen::results::report::Report;

use compose::Compose;
use scenes::{SCENES, check_frontend};
use stage::Stage;

#[test]
#[ignore = "it needs a Docker engine and some minutes: make docker-test"]
fn any_container_may_be_stopped_killed_and_wiped() {
    let begun = Instant::now();
    let mut compose = Compose::build();
    println!("{} is built after {:.1?}", compose.project, begun.elapsed());
    let begun = Instant::now();
    compose.up();
    println!("all is well {:.1?} after `up`", begun.elapsed());
    check_frontend(&compose);

    println!(
        "\n| while clients talk | connections lost | moved | back within | longest wait | of those who kept their connection |"
    );
    println!("|---|--:|--:|--:|--:|--:|");
    let mut acknowledged = 0;
    for (what, act) in SCENES {
        let mut stage = Stage::open(&mut compose);
        act(&mut stage);
        let report = stage.close();
        println!("{}", row(what, &report));
        acknowledged += report.acknowledged;
    }
    check_frontend(&compose);
    println!(
        "\n{acknowledged} messages acknowledged, all of them delivered once and in order, in {:.0?}",
        begun.elapsed()
    );
}

/// Of the table of docs/failures.md.
fn row(what: &str, report: &Report) -> String {
    let seconds = |seconds: f64| format!("{seconds:.2} s");
    let back = if report.bursts == 0 { "–".to_owned() } else { seconds(report.worst_burst_seconds) };
    let kept = match report.lost_connection < report.clients.into() {
        true => seconds(report.worst_stall_ms / 1000.0),
        false => "–".to_owned(),
    };
    let wait = seconds(report.deliver_ms.max / 1000.0);
    format!("| {what} | {} | {} | {back} | {wait} | {kept} |", report.lost_connection, report.moved)
}
