//! A client that stops reading is closed with 4000, the others notice nothing, and it can resume.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use distr_chat::app::{App, Options};
use distr_chat::serve::Limits;
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use support::{Client, UNLIMITED, metric, options, start_app, status};

const CLOSED_SLOW: &str = "distr_websockets_closed_total{reason=\"slow_consumer\"}";
const TEXT_BYTES: usize = 1000;

/// A server that keeps little for one who does not read, and waits long for the answer to its close frame.
fn server() -> App {
    let limits = Limits { queue_bytes_max: 16 * 1024, linger: Duration::from_secs(60), ..options("").limits };
    start_app(&Options { limits, rate: UNLIMITED, ..options("app-1") })
}

/// A client for which the kernels on both sides keep little either: small segments, small buffers.
fn narrow(server: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.set_tcp_mss(536).unwrap();
    socket.connect(&server.into()).unwrap();
    Client::over(TcpStream::from(socket), format!("ws://{server}/ws")).0
}

fn seqs(messages: &[Value]) -> Vec<u64> {
    messages.iter().map(|message| message["seq"].as_u64().unwrap()).collect()
}

/// Says so many things and waits until each is acknowledged and heard.
fn say(client: &mut Client, first: u64, last: u64) {
    for number in first..=last {
        client.say("busy", &number.to_string(), &"x".repeat(TEXT_BYTES));
        client.expect("message");
    }
}

/// A room with one who speaks, one who listens and one who does not read. Returns what the listener heard and the
/// one who does not read, when that was closed and `further` more messages were said.
fn make_busy(app: &App, further: u64) -> (Vec<Value>, Client) {
    let mut slow = narrow(app.address());
    slow.join("busy", "slow");
    let mut listener = Client::connect(app.address());
    listener.join("busy", "listener");
    let mut speaker = Client::connect(app.address());
    speaker.join("busy", "speaker");
    let (mut heard, mut said) = (Vec::new(), 0);
    // The listener keeps up: a busy machine must not make it slow.
    let mut say_ten = || {
        say(&mut speaker, said + 1, said + 10);
        said += 10;
        heard.extend(listener.messages_until("busy", &said.to_string()));
        said
    };
    while metric(app.address(), CLOSED_SLOW) == 0 {
        assert!(say_ten() < 20_000, "twenty megabytes fit between the server and one who does not read");
    }
    for _ in 0..further / 10 {
        say_ten();
    }
    (heard, slow)
}

/// What the slow client finds when it reads again.
fn read_on(slow: &mut Client) -> Vec<Value> {
    assert_eq!(slow.close_code(), 4000);
    slow.take_all("message")
}

#[test]
fn one_who_does_not_read_is_closed_and_resumes_without_a_loss() {
    let app = server();
    let (heard, mut slow) = make_busy(&app, 10);
    let all: Vec<_> = (1..=heard.len() as u64).collect();
    assert_eq!(seqs(&heard), all, "the others hear everything, in order");

    let seen = read_on(&mut slow);
    assert!(seen.len() < heard.len(), "it missed something");
    assert_eq!(seen, heard[..seen.len()], "what it was sent before has no hole");
    let last = &seen.last().unwrap();
    let stream = last["stream"].as_str().unwrap();
    let joined = Client::connect(app.address()).resume("busy", "slow", &[(stream, seen.len() as u64)]);
    assert_eq!(joined["complete"], true);
    assert_eq!(joined["history"].as_array().unwrap()[..], heard[seen.len()..], "the rest, and nothing else");
    assert_eq!(status(app.address())["totals"]["closed_slow"], 1);
    assert_eq!(metric(app.address(), CLOSED_SLOW), 1, "nobody else was closed");
}

#[test]
fn one_who_comes_back_too_late_is_told_that_something_is_missing() {
    let app = server();
    // The ring holds 256 KiB of a room.
    let (heard, mut slow) = make_busy(&app, 300);
    let seen = read_on(&mut slow);
    let stream = heard[0]["stream"].as_str().unwrap();
    let joined = Client::connect(app.address()).resume("busy", "slow", &[(stream, seen.len() as u64)]);
    assert_eq!(joined["complete"], false);
    let history = joined["history"].as_array().unwrap();
    assert!(history.len() > 200, "{} messages in the ring", history.len());
    assert_eq!(history[..], heard[heard.len() - history.len()..], "the end of it, without a hole");
}

#[test]
fn one_who_never_reads_again_is_forgotten() {
    let limits =
        Limits { linger: Duration::from_millis(200), queue_bytes_max: 16 * 1024, ..options("").limits };
    let app = start_app(&Options { limits, rate: UNLIMITED, ..options("app-1") });
    let (_, slow) = make_busy(&app, 10);
    support::eventually("it is no member any more", || {
        support::http::room(app.address(), "busy")["members_here"] == 0
    });
    drop(slow);
}

#[test]
fn one_who_asks_on_without_reading_the_answers_is_cut_off() {
    let (keep_alive_timeout, send_timeout) = (Duration::from_millis(100), Duration::from_millis(300));
    let limits = Limits { keep_alive_timeout, send_timeout, ..options("").limits };
    let app = start_app(&Options { limits, ..options("app-1") });
    let mut stream = TcpStream::connect(app.address()).unwrap();
    stream.set_nonblocking(true).unwrap();
    let requests = "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n".repeat(100);
    // Half a request may be written: what follows it is refused then, and that answer not taken either.
    support::eventually("the connection ends", || match stream.write(requests.as_bytes()) {
        Ok(_) => false,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    });
    Client::connect(app.address()).join("busy", "ann");
}

#[test]
fn a_room_full_of_escapes_can_be_joined() {
    let app = start_app(&Options { rate: UNLIMITED, ..options("app-1") });
    let mut speaker = Client::connect(app.address());
    speaker.join("loud", "speaker");
    (1..=50).for_each(|n| drop(speaker.say("loud", &n.to_string(), &"\u{1}".repeat(4096))));
    let joined = Client::connect(app.address()).join("loud", "newcomer");
    let history = joined["history"].as_array().unwrap();
    assert_eq!(history.last().unwrap()["id"], "50");
}
