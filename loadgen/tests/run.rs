//! Whole runs against a server that behaves, and against one that makes a single mistake.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use loadgen::assigner::Entrance;
use loadgen::plan::Plan;
use loadgen::report::Report;
use loadgen::run::{Failure, Options, Patience, Phase, run};
use loadgen::url::Url;
use support::{Server, Slip};

/// 3 clients in one room say 20 messages in 0.2 s.
fn options(entrance: Entrance) -> Options {
    let duration = Duration::from_millis(200);
    let plan = Plan { clients: 3, rooms: 1, rate: 100, duration, payload_bytes: 64, seed: 1, run: 0xbeef };
    let patience = Patience { join: Duration::from_secs(30), drain: Duration::from_secs(30) };
    Options { plan, entrance, threads: 1, patience }
}

fn run_to_end(options: &Options) -> Result<Report, Failure> {
    run(options, &AtomicBool::new(false), &mut |_, _| {})
}

fn run_against(slip: Slip) -> Report {
    let server = Server::start(slip);
    let mut options = options(Entrance::Target(Url::parse(&server.url, "ws").unwrap()));
    if slip == Slip::Lose {
        // What is lost is waited for until the end: long enough for the rest to arrive on a busy machine.
        options.patience.drain = Duration::from_secs(2);
    }
    let report = run_to_end(&options).unwrap();
    assert_eq!((report.sent, report.acknowledged, report.expected), (20, 20, 60), "{report}");
    assert_eq!((report.joined, report.unexpected), (3, 0), "{report}");
    report
}

#[test]
fn a_server_that_behaves() {
    let report = run_against(Slip::None);
    assert_eq!(report.faults(), [""; 0]);
    assert_eq!((report.delivered, report.lost, report.doubled, report.out_of_order), (60, 0, 0, 0));
    assert_eq!(report.servers.into_iter().collect::<Vec<_>>(), [("app-1".to_owned(), 3)]);
    assert_eq!((report.connect_ms.count, report.acknowledge_ms.count, report.deliver_ms.count), (3, 20, 60));
    assert!(report.errors.is_empty() && report.closes.is_empty());
}

#[test]
fn a_lost_message_is_found() {
    let report = run_against(Slip::Lose);
    assert_eq!((report.delivered, report.lost, report.doubled), (59, 1, 0));
    assert_eq!(report.faults(), ["1 lost"]);
}

#[test]
fn a_doubled_message_is_found() {
    let report = run_against(Slip::Double);
    assert_eq!((report.delivered, report.lost, report.doubled), (60, 0, 1));
    assert_eq!(report.faults(), ["1 doubled"]);
}

#[test]
fn a_wrong_order_is_found() {
    let report = run_against(Slip::Swap);
    assert_eq!((report.delivered, report.lost, report.out_of_order), (60, 0, 3));
    assert_eq!(report.faults(), ["3 out of order"]);
}

#[test]
fn a_client_that_is_thrown_out_comes_back_and_has_everything() {
    let report = run_against(Slip::Close);
    assert_eq!(report.faults(), [""; 0]);
    assert_eq!((report.delivered, report.resumed, report.resumed_incomplete), (60, 1, 0));
    assert_eq!(report.closes.into_iter().collect::<Vec<_>>(), [(1001, 1)]);
}

#[test]
fn several_workers_have_one_account() {
    let server = Server::start(Slip::None);
    let mut options = options(Entrance::Target(Url::parse(&server.url, "ws").unwrap()));
    options.plan = Plan { clients: 10, rooms: 3, ..options.plan };
    options.threads = 8;
    let report = run_to_end(&options).unwrap();
    assert_eq!(report.faults(), [""; 0]);
    assert_eq!((report.joined, report.delivered), (10, report.expected));
    assert_eq!(report.acknowledged, report.sent);
}

#[test]
fn ctrl_c_ends_it_with_a_report() {
    let server = Server::start(Slip::None);
    let mut options = options(Entrance::Target(Url::parse(&server.url, "ws").unwrap()));
    options.plan.duration = Duration::from_secs(3600);
    let stop = AtomicBool::new(false);
    let report = run(&options, &stop, &mut |phase, snapshot| {
        if phase == Phase::Sending && snapshot.counts.delivered > 0 {
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    })
    .unwrap();
    assert!(report.interrupted && report.delivered > 0);
    assert_eq!(report.faults(), [""; 0]);
}

/// A balancer that gives one answer to each request of each connection.
fn balancer(status: &'static str, body: String) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            // A request is small and comes in one piece.
            while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {
                if stream.write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    Url::parse(&url, "http").unwrap()
}

/// Nobody listens there any more.
fn closed_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn balancers_that_fail_are_passed_over() {
    let server = Server::start(Slip::None);
    let dead = Url::parse(&format!("http://{}", closed_port()), "http").unwrap();
    let unavailable = balancer("503 Service Unavailable", r#"{"error":"unavailable"}"#.into());
    let good = balancer("200 OK", format!(r#"{{"url":"{}","node":"app-1"}}"#, server.url));
    let report = run_to_end(&options(Entrance::Balancers(vec![dead, unavailable, good]))).unwrap();
    assert_eq!((report.faults(), report.joined, report.errors.len()), (vec![], 3, 0), "{report}");
}

#[test]
fn without_a_balancer_there_is_one_clear_line() {
    let dead = Url::parse(&format!("http://{}", closed_port()), "http").unwrap();
    let failure = run_to_end(&options(Entrance::Balancers(vec![dead.clone()]))).unwrap_err();
    assert_eq!(failure.exit_code(), 2);
    let line = failure.to_string();
    assert!(
        line.starts_with(&format!("no server to connect to: {}: Connection refused", dead.text)),
        "{line}"
    );
}

#[test]
fn clients_that_do_not_get_in_are_counted() {
    let mut options =
        options(Entrance::Target(Url::parse(&format!("ws://{}/ws", closed_port()), "ws").unwrap()));
    options.patience.join = Duration::from_millis(500);
    let failure = run_to_end(&options).unwrap_err();
    assert_eq!(failure.exit_code(), 1);
    let line = failure.to_string();
    assert!(
        line.starts_with("0 of 3 clients joined within 0.5 s; first errors: connect: Connection refused"),
        "{line}"
    );
}

#[test]
fn an_impossible_plan_is_refused_at_once() {
    let target = Url::parse("ws://localhost:1/ws", "ws").unwrap();
    let mut options = options(Entrance::Target(target));
    options.plan.clients = u32::MAX;
    let failure = run_to_end(&options).unwrap_err();
    assert!(matches!(failure, Failure::Descriptors { .. }), "{failure}");
    assert_eq!(failure.exit_code(), 2);
    options.plan = Plan { clients: 3, rate: 151, ..options.plan };
    assert!(matches!(run_to_end(&options), Err(Failure::Plan(_))));
}
