//! Whole runs against a server that behaves, and against one with a single event or mistake.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use loadgen::load::plan::{Faults, Plan};
use loadgen::results::report::Report;
use loadgen::runner::assigner::Entrance;
use loadgen::runner::run::{Failure, Options, Patience, Phase, Processes, run};
use loadgen::wire::protocol::Protocol;
use loadgen::wire::url::Url;
use support::{Server, Slip};

/// 3 clients in one room say 20 messages in 0.2 s.
fn options(entrance: Entrance) -> Options {
    let duration = Duration::from_millis(200);
    let (seed, run) = (1, 0xbeef);
    let plan =
        Plan { clients: 3, rooms: 1, rate: 100, duration, payload_bytes: 64, seed, run, ..Plan::default() };
    let patience = Patience { join: Duration::from_secs(30), drain: Duration::from_secs(30) };
    Options { patience, ..Options::new(plan, entrance) }
}

fn run_to_end(options: &Options) -> Result<Report, Failure> {
    run(options, &AtomicBool::new(false), &mut |_, _| {})
}

fn direct(urls: &[&str]) -> Entrance {
    Entrance::Direct(urls.iter().map(|url| Url::parse(url, "ws").unwrap()).collect())
}

fn run_against(slip: Slip) -> Report {
    let server = Server::start(slip);
    let mut options = options(direct(&[&server.url]));
    if matches!(slip, Slip::Lose | Slip::Ignore) {
        // What is lost is waited for until the end: long enough for the rest to arrive on a busy machine.
        options.patience.drain = Duration::from_secs(2);
    }
    let report = run_to_end(&options).unwrap();
    let acknowledged = if slip == Slip::Ignore { 19 } else { 20 };
    assert_eq!(
        (report.sent, report.acknowledged, report.expected),
        (20, acknowledged, acknowledged * 3),
        "{report}"
    );
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
fn servers_are_asked_what_they_used() {
    let server = Server::start(Slip::None);
    let mut options = options(Entrance::Balancers(vec![assigning(&server)]));
    let other = Url::parse(&Server::start(Slip::None).url, "ws").unwrap().authority;
    options.metrics = vec![Url::parse(&format!("http://{other}"), "http").unwrap().metrics()];
    let usage = run_to_end(&options).unwrap().usage.unwrap();
    let told: Vec<_> = usage.servers.iter().map(|used| (&*used.name, used.sum.connections)).collect();
    assert_eq!(told, [(&*other, Some(3.0)), ("app-1", Some(3.0))]);
    assert_eq!((usage.all.bytes_per_connection, usage.all.counters.deliveries), (Some(1000.0), Some(0.0)));
}

#[test]
fn a_lost_message_is_found() {
    let report = run_against(Slip::Lose);
    assert_eq!((report.delivered, report.lost, report.doubled), (59, 1, 0));
    assert_eq!(report.faults(), ["1 lost"]);
}

#[test]
fn a_message_that_is_never_acknowledged_is_found() {
    let report = run_against(Slip::Ignore);
    assert_eq!((report.delivered, report.lost, report.unacknowledged), (57, 0, 1));
    assert_eq!(report.faults(), ["1 message was never acknowledged"]);
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
    assert_eq!((report.lost_connection, report.bursts, report.worst_burst_falls), (1, 1, 1));
    assert_eq!(report.closes.into_iter().collect::<Vec<_>>(), [(1001, 1)]);
}

#[test]
fn a_client_that_is_asked_to_move_is_at_the_other_server_before_it_leaves() {
    let [one, other] = Server::start_two(Slip::Move);
    let urls = [one, other].map(|server| (server.url, server.node));
    let balancer = balancer(move |request| {
        let (url, node) = &urls[usize::from(request.starts_with("GET /assign?not=app-1 "))];
        ("200 OK", format!(r#"{{"url":"{url}","node":"{node}"}}"#))
    });
    let report = run_to_end(&options(Entrance::Balancers(vec![balancer]))).unwrap();
    assert_eq!(report.faults(), [""; 0]);
    assert_eq!((report.acknowledged, report.delivered), (20, 60), "{report}");
    assert_eq!((report.asked_to_move, report.moved, report.resumed), (1, 1, 0), "{report}");
    assert_eq!((report.lost_connection, report.bursts, report.closes.len()), (0, 0, 0), "{report}");
    assert!(report.repeated > 0, "dropped by its position");
    let servers: Vec<_> = report.servers.into_iter().collect();
    assert_eq!(servers, [("app-1".to_owned(), 2), ("app-2".to_owned(), 1)]);
}

#[test]
fn a_connection_that_another_server_takes_over_is_joined_again() {
    let report = run_against(Slip::TakeOver);
    assert_eq!(report.faults(), [""; 0]);
    assert_eq!((report.delivered, report.resumed_in_place, report.resumed), (60, 1, 0));
    assert_eq!((report.lost_connection, report.bursts), (0, 1));
    assert!(report.errors.is_empty() && report.closes.is_empty(), "{report}");
    let servers: Vec<_> = report.servers.into_iter().collect();
    assert_eq!(servers, [("app-1".to_owned(), 2), ("app-2".to_owned(), 1)]);
}

#[test]
fn several_workers_have_one_account() {
    let server = Server::start(Slip::None);
    let mut options = options(direct(&[&server.url]));
    options.plan = Plan { clients: 10, rooms: 3, ..options.plan };
    options.threads = 8;
    let report = run_to_end(&options).unwrap();
    assert_eq!(report.faults(), [""; 0]);
    assert_eq!((report.joined, report.delivered), (10, report.expected));
    assert_eq!(report.acknowledged, report.sent);
}

/// 30 clients in so many rooms, held by three processes of two threads.
fn run_in_processes(rooms: u32) -> Report {
    let server = Server::start(Slip::None);
    let mut options = options(direct(&[&server.url]));
    options.plan = Plan { clients: 30, rooms, ..options.plan };
    options.threads = 2;
    options.processes = Processes::Of { program: env!("CARGO_BIN_EXE_loadgen").into(), count: 3 };
    let report = run_to_end(&options).unwrap();
    assert_eq!(report.faults(), [""; 0], "{report}");
    assert_eq!((report.joined, report.sent, report.acknowledged), (30, 20, 20), "{report}");
    assert_eq!((report.connect_ms.count, report.acknowledge_ms.count), (30, 20), "{report}");
    report
}

#[test]
fn processes_have_one_account() {
    let report = run_in_processes(10);
    assert_eq!((report.expected, report.delivered), (60, 60), "{report}");
}

#[test]
fn a_room_may_span_all_processes() {
    let report = run_in_processes(1);
    assert_eq!((report.expected, report.delivered, report.deliver_ms.count), (600, 600, 600), "{report}");
}

#[test]
fn a_message_that_is_lost_in_another_process_is_found() {
    let server = Server::start(Slip::Lose);
    let mut options = options(direct(&[&server.url]));
    options.patience.drain = Duration::from_secs(2);
    options.processes = Processes::Of { program: env!("CARGO_BIN_EXE_loadgen").into(), count: 3 };
    let report = run_to_end(&options).unwrap();
    assert_eq!((report.delivered, report.lost), (59, 1), "{report}");
}

#[test]
fn a_process_that_is_no_worker_is_an_error() {
    let mut options = options(direct(&["ws://localhost:1/ws"]));
    options.processes = Processes::Of { program: "true".into(), count: 2 };
    assert!(matches!(run_to_end(&options), Err(Failure::Io(_))));
}

#[test]
fn clients_that_drop_their_connections_and_read_slowly_have_everything() {
    let server = Server::start(Slip::None);
    let mut options = options(direct(&[&server.url]));
    let mischief = Faults { churn: 1.0, slow: 0.5, storm: 0.5, storm_at: Duration::from_millis(300) };
    let duration = Duration::from_secs(1);
    options.plan = Plan { clients: 10, ramp: Some(100), duration, mischief, ..options.plan };
    let report = run_to_end(&options).unwrap();
    assert_eq!(report.faults(), [""; 0], "{report}");
    assert!(report.dropped > 0 && report.resumed == report.dropped, "{report}");
    assert_eq!((report.lost_connection, report.errors.len()), (0, 0), "{report}");
}

#[test]
fn a_server_of_another_protocol_is_spoken_to_in_templates() {
    let url = support::start_echo();
    let mut options = options(direct(&[&url]));
    let send = "say {room} {user} <{text}>".parse().unwrap();
    options.plan.dialect = Protocol::Foreign { join: Some("in {room}".parse().unwrap()), send };
    // It echoes, so that each client is alone with itself.
    options.plan.rooms = 3;
    let report = run_to_end(&options).unwrap();
    assert_eq!((report.faults(), report.delivered, report.acknowledges), (vec![], 20, false), "{report}");
    assert_eq!(report.usage, None);
}

#[test]
fn ctrl_c_ends_it_with_a_report() {
    let server = Server::start(Slip::None);
    let mut options = options(direct(&[&server.url]));
    options.plan.duration = Duration::from_secs(3600);
    let stop = AtomicBool::new(false);
    let report = run(&options, &stop, &mut |phase, snapshot| {
        if phase == Phase::Sending && snapshot.news.counts.delivered > 0 {
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    })
    .unwrap();
    assert!(report.interrupted && report.delivered > 0);
    assert_eq!(report.faults(), [""; 0]);
}

/// A run may take an hour: where its report cannot be written is told before.
#[test]
fn a_report_that_can_be_written_nowhere_is_refused_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Slip::None);
    let kept = folder.path().join("kept.html");
    std::fs::write(&kept, "an earlier report").unwrap();
    for flag in ["--report", "--json"] {
        for path in [folder.path().join("nowhere/x.html"), folder.path().to_owned()] {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_loadgen"));
            command.args(["--target", &server.url, "--duration", "1h"]).arg(flag).arg(&path);
            let output = command.arg("--clients").arg("4").output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{stderr}");
            let told = format!("loadgen: {}: the report cannot be written there", path.display());
            assert!(stderr.starts_with(&told) && stderr.lines().count() == 1, "{stderr}");
        }
        // What is there stays until there is a report, and nothing is left where there was nothing.
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_loadgen"));
        command.args(["--target", "ws://127.0.0.1:1/ws", "--clients", "0"]).arg(flag).arg(&kept);
        assert_eq!(command.output().unwrap().status.code(), Some(2));
    }
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "an earlier report");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A balancer that answers each request of each connection with a status and a body.
fn balancer(mut answer: impl FnMut(&str) -> (&'static str, String) + Send + 'static) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            // A request is small and comes in one piece.
            while let Ok(count @ 1..) = stream.read(&mut request) {
                let (status, body) = answer(std::str::from_utf8(&request[..count]).unwrap());
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
                if stream.write_all((head + &body).as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    Url::parse(&url, "http").unwrap()
}

/// A balancer that refuses everybody, for 20 ms.
fn refusing(error: &'static str) -> Url {
    balancer(move |_| {
        ("503 Service Unavailable", format!(r#"{{"error":"{error}","message":"","retry_after_ms":20}}"#))
    })
}

fn assigning(server: &Server) -> Url {
    let body = format!(r#"{{"url":"{}","node":"{}"}}"#, server.url, server.node);
    balancer(move |_| ("200 OK", body.clone()))
}

/// Nobody listens there any more.
fn closed_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn balancers_that_fail_are_passed_over() {
    let server = Server::start(Slip::None);
    let dead = Url::parse(&format!("http://{}", closed_port()), "http").unwrap();
    let balancers = vec![dead, refusing("unavailable"), refusing("draining"), assigning(&server)];
    let report = run_to_end(&options(Entrance::Balancers(balancers))).unwrap();
    assert_eq!((report.faults(), report.joined, report.errors.len()), (vec![], 3, 0), "{report}");
}

#[test]
fn a_client_whose_turn_is_later_comes_back_then() {
    let server = Server::start(Slip::None);
    let mut asked = 0;
    let balancer = balancer(move |_| {
        asked += 1;
        match asked {
            ..=4 => ("503 Service Unavailable", r#"{"error":"busy","retry_after_ms":20}"#.into()),
            _ => ("200 OK", format!(r#"{{"url":"{}","node":"app-1"}}"#, server.url)),
        }
    });
    let report = run_to_end(&options(Entrance::Balancers(vec![balancer]))).unwrap();
    assert_eq!((report.faults(), report.delayed, report.errors.len()), (vec![], 4, 0), "{report}");
}

#[test]
fn balancers_that_stand_for_servers_are_tried_in_turn() {
    let server = Server::start(Slip::None);
    let dead = format!("ws://{}/ws", closed_port());
    let busy = refusing("busy").websocket().text;
    let report = run_to_end(&options(direct(&[&dead, &busy, &server.url]))).unwrap();
    assert_eq!((report.faults(), report.joined), (vec![], 3), "{report}");
    assert!(report.delayed > 0, "{report}");
    assert!(report.errors.keys().all(|error| error.starts_with("connect: Connection refused")), "{report}");
}

#[test]
fn a_balancer_that_has_no_server_is_named() {
    let balancer = refusing("unavailable");
    let failure = run_to_end(&options(Entrance::Balancers(vec![balancer.clone()]))).unwrap_err();
    assert_eq!(
        failure.to_string(),
        format!("no server to connect to: {}: no server is available", balancer.text)
    );
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
    let mut options = options(direct(&[&format!("ws://{}/ws", closed_port())]));
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
    let mut options = options(direct(&["ws://localhost:1/ws"]));
    options.plan.clients = u32::MAX;
    let failure = run_to_end(&options).unwrap_err();
    assert!(matches!(failure, Failure::TooMany(_)), "{failure}");
    assert_eq!(failure.exit_code(), 2);
    options.plan = Plan { clients: 3, rate: 151, ..options.plan };
    assert!(matches!(run_to_end(&options), Err(Failure::Plan(_))));
}
