//! Servers that leave, and servers that have more clients than others: whom they tell to move, when they end, and who may
//! ask for it.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use distr_chat::app::{self, App, loopback};
use distr_chat::net::Poller;
use rustix::process::Signal;
use support::http::Answer;
use support::running::{Running, at, distr_chat, free_ports, run};
use support::{Client, PATIENCE, UNLIMITED, balancer, eventually, http_get, metric, options, status};

const KEY: &str = "the-key-of-this-cluster";

fn start(port: u16, more: &str) -> Running {
    let command = format!("app --name app-1 --listen 127.0.0.1:{port} {more}");
    let mut app = Running::start(distr_chat(&command).env("DISTR_CLUSTER_KEY", KEY));
    app.await_live(at(port));
    app
}

#[test]
fn a_server_that_is_told_to_end_has_its_clients_move_and_ends_when_they_have() {
    let lb = balancer("lb-1");
    let port = free_ports(1)[0];
    let mut app = start(port, &format!("--drain-seconds 0 --balancers {}", lb.address()));
    eventually("the balancer knows it", || status(lb.address())["servers"][0]["state"] == "up");
    let mut clients: Vec<_> = (0..3).map(|_| Client::connect(at(port))).collect();
    clients[0].join("lobby", "ann");

    app.signal(Signal::TERM);
    for client in &mut clients {
        assert!(client.expect("move")["within_ms"].as_u64().unwrap() >= 1000);
    }
    eventually("the balancer hears it", || status(lb.address())["servers"][0]["draining"] == true);
    assert_eq!(http_get(lb.address(), "/assign").status, 503);
    let ready = http_get(at(port), "/ready");
    assert_eq!((ready.status, &ready.json()["error"]), (503, &"draining".into()));
    assert_eq!(http_get(at(port), "/ws").json()["error"], "draining", "it takes no more");
    assert_eq!(status(at(port))["draining"], true);

    assert!(
        !clients[0].say("lobby", "b1946ac9-1", "still here")["stream"].is_null(),
        "who has not moved is served"
    );
    app.assert_runs();
    clients.into_iter().for_each(Client::close);
    assert_eq!(app.await_end().code(), Some(0));
}

#[test]
fn who_does_not_move_is_closed_at_the_limit() {
    let port = free_ports(1)[0];
    let mut app = start(port, "--drain-seconds 0 --drain-limit 1");
    let mut client = Client::connect(at(port));
    app.signal(Signal::TERM);
    client.expect("move");
    assert_eq!(client.close_code(), 1001);
    drop(client);
    assert_eq!(app.await_end().code(), Some(0));
}

#[test]
fn ctrl_c_waits_for_nobody() {
    let port = free_ports(1)[0];
    let mut app = start(port, "");
    let mut client = Client::connect(at(port));
    app.signal(Signal::INT);
    assert_eq!(client.close_code(), 1001);
    assert!(client.take_all("move").is_empty());
    drop(client);
    assert_eq!(app.await_end().code(), Some(0));
}

#[test]
fn an_operator_drains_a_server_with_a_ticket_and_a_stranger_does_not() {
    let port = free_ports(1)[0];
    let mut app = start(port, "--drain-seconds 0");
    let token = |arguments: &str| {
        let (code, out, error) = run(distr_chat(&format!("token {arguments}")).env("DISTR_CLUSTER_KEY", KEY));
        assert_eq!(code, Some(0), "{error}");
        out.trim().to_owned()
    };
    let refused = |header: &str, status: u16, error: &str| {
        let answer = post(at(port), header);
        assert_eq!((answer.status, &answer.json()["error"]), (status, &error.into()), "{answer:?}");
        let name = format!("distr_tickets_refused_total{{rule=\"{error}\"}}");
        assert!(metric(at(port), &name) > 0);
    };
    refused("", 401, "ticket_missing");
    refused("Authorization: Bearer x\r\n", 403, "ticket_malformed");
    refused(&bearer(&token("enter app-1")), 403, "ticket_forged");
    refused(&bearer(&token("drain app-2")), 403, "ticket_forged");
    assert_eq!(http_get(at(port), "/drain").status, 405);
    app.assert_runs();

    assert_eq!(post(at(port), &bearer(&token("drain app-1"))).status, 202);
    assert_eq!(app.await_end().code(), Some(0));
}

#[test]
fn where_tickets_are_required_each_lets_one_client_in() {
    let port = free_ports(1)[0];
    let _app = start(port, "--require-ticket");
    let ticket = |node: &str| {
        let (_, out, _) = run(distr_chat(&format!("token enter {node}")).env("DISTR_CLUSTER_KEY", KEY));
        format!("/ws?ticket={}", out.trim())
    };
    let (ours, others) = (ticket("app-1"), ticket("app-2"));
    assert_eq!(http_get(at(port), "/ws").json()["error"], "ticket_missing");
    assert_eq!(http_get(at(port), &others).json()["error"], "ticket_forged");
    let mut client = Client::open(&format!("ws://{}{ours}", at(port)));
    client.join("lobby", "ann");
    assert_eq!(http_get(at(port), &ours).json()["error"], "ticket_used");
}

/// Two servers of one process, of which one has all the clients: it tells some to move, and no more than its surplus
/// though they take their time.
#[test]
fn a_server_with_more_than_its_share_has_some_of_its_clients_move() {
    const CLIENTS: usize = 60;
    let servers = two_servers();
    let (full, empty) = (servers[0].address(), servers[1].address());
    let mut staying: Vec<_> = (0..CLIENTS).map(|_| Client::connect(full)).collect();
    let mut moved = Vec::new();
    eventually("they are even, or nearly so", || {
        for mut client in staying.split_off(0) {
            if client.has_got("move") {
                moved.push(Client::connect(empty));
                client.close();
            } else {
                staying.push(client);
            }
        }
        staying.len().abs_diff(moved.len()) <= CLIENTS / 3
    });
    eventually("the servers count them", || status(empty)["connections"] == moved.len() as u64);
    let told = metric(full, "distr_clients_told_to_move_total");
    assert!(told as usize <= CLIENTS / 2, "{told} were told, more than the surplus");
    assert_eq!(metric(empty, "distr_clients_told_to_move_total"), 0);
}

fn two_servers() -> Vec<App> {
    let pollers: Vec<_> = (0..2).map(|_| Poller::new().unwrap()).collect();
    let wakers: Vec<_> = pollers.iter().map(Poller::waker).collect();
    let ends = pollers.into_iter().zip(loopback::mesh(&wakers));
    let start = |(index, (poller, bus))| {
        let name = format!("app-{}", index + 1);
        let options = app::Options { rebalances: true, rate: UNLIMITED, ..options(&name) };
        App::start(options, poller, bus).unwrap()
    };
    ends.enumerate().map(start).collect()
}

fn bearer(ticket: &str) -> String {
    format!("Authorization: Bearer {ticket}\r\n")
}

fn post(server: SocketAddr, header: &str) -> Answer {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "POST /drain HTTP/1.1\r\nHost: a\r\n{header}Connection: close\r\n\r\n").unwrap();
    Answer::read(&mut stream)
}
