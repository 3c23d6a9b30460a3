//! Proxy mode over real sockets: chat through a balancer, servers that die behind it, and clients that mean no good.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use distr_chat::app::Options;
use distr_chat::lb::{self, Balancer};
use distr_chat::wire::Heartbeat;
use distr_chat::wire::Request;
use distr_chat::wire::upgrade::Upgrade;
use serde_json::{Value, json};
use support::beating::Beating;
use support::fleet::Fleet;
use support::http::{Answer, http_get, metric, status};
use support::raw::{self, Raw, UPGRADE};
use support::{Client, PATIENCE, balancer, balancer_options, eventually, options, start_app, start_balancer};

/// Something that takes connections as a server does, and says to a balancer that it lives.
struct FakeServer {
    listener: TcpListener,
    _beating: Beating,
}

impl FakeServer {
    fn start(name: &str, balancer: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{{host}}:{}/ws", listener.local_addr().unwrap().port());
        let beating = Beating::start(balancer, vec![Heartbeat { url, ..heartbeat(name) }]);
        eventually(&format!("{name} is up"), || server(balancer, name)["state"] == "up");
        Self { listener, _beating: beating }
    }

    /// The next connection, with the head of its request.
    fn accept(&self) -> (TcpStream, String) {
        let (mut stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = support::http::read_head(&mut stream);
        (stream, head)
    }

    /// The next connection, as a WebSocket.
    fn take(&self) -> TcpStream {
        let (mut stream, head) = self.accept();
        let response = Upgrade::parse(&Request::parse(head.as_bytes()).unwrap()).unwrap().response();
        stream.write_all(&response).unwrap();
        stream
    }
}

fn heartbeat(name: &str) -> Heartbeat {
    support::beating::heartbeat(name, 0)
}

/// What a balancer knows of a server, or null.
fn server(balancer: SocketAddr, name: &str) -> Value {
    let status = status(balancer);
    let servers = status["servers"].as_array().unwrap();
    servers.iter().find(|server| server["name"] == name).cloned().unwrap_or_default()
}

/// A server of its own and its balancer.
fn app_behind(balancer: &Balancer, name: &str) -> distr_chat::app::App {
    let app = start_app(&Options { balancers: vec![balancer.address().to_string()], ..options(name) });
    eventually(&format!("{name} is up"), || server(balancer.address(), name)["state"] == "up");
    app
}

/// A frame of a server: its first byte, and a short payload.
fn frame(first: u8, payload: &str) -> Vec<u8> {
    [&[first, payload.len() as u8][..], payload.as_bytes()].concat()
}

/// Connects and asks for a WebSocket.
fn ask(balancer: SocketAddr) -> Raw {
    let mut client = Raw::connect(balancer);
    client.write(UPGRADE.as_bytes());
    client
}

#[test]
fn clients_chat_through_the_balancer() {
    let lb = balancer("lb-1");
    let _app = app_behind(&lb, "app-1");
    let mut ann = Client::connect(lb.address());
    let mut bob = Client::connect(lb.address());
    ann.join("lobby", "ann");
    bob.join("lobby", "bob");
    ann.say("lobby", "a-1", "hello");
    assert_eq!(bob.expect("message")["text"], "hello");
    assert_eq!(status(lb.address())["proxied"], 2);
    eventually("they have arrived", || {
        let app = server(lb.address(), "app-1");
        (&app["proxied"], &app["connections"], &app["in_flight"]) == (&json!(2), &json!(2), &json!(0))
    });
    ann.close();
    bob.close();
    eventually("they are gone", || {
        status(lb.address())["proxied"] == 0 && server(lb.address(), "app-1")["proxied"] == 0
    });
    assert!(metric(lb.address(), "distr_lb_proxy_bytes_total{direction=\"up\"}") > 100);
}

#[test]
fn a_server_is_told_whom_the_client_wanted_and_where_it_is() {
    let lb = balancer("lb-1");
    let app = FakeServer::start("app-1", lb.address());
    let mut client = Raw::connect(lb.address());
    let head = UPGRADE
        .replace("/ws HTTP", "/ws?token=1&via=evil HTTP")
        .replace("\r\n\r\n", "\r\nOrigin: https://o\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
    // Byte by byte, as the slowest network would bring it.
    head.bytes().for_each(|byte| client.write([byte]));
    let (mut stream, head) = app.accept();
    let port = app.listener.local_addr().unwrap().port();
    assert!(head.starts_with("GET /ws?via=lb-1&token=1 HTTP/1.1\r\n"), "{head}");
    for line in [
        &*format!("Host: 127.0.0.1:{port}"),
        "X-Forwarded-Host: h",
        "X-Forwarded-For: 192.0.2.1, 127.0.0.1",
        "X-Forwarded-Proto: http",
        "Origin: https://o",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    let response = Upgrade::parse(&Request::parse(head.as_bytes()).unwrap()).unwrap().response();
    // A 101 in pieces, with the first frame right behind it.
    let bytes = [&response[..], &frame(0x81, "welcome")].concat();
    for piece in bytes.chunks(7) {
        stream.write_all(piece).unwrap();
    }
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    assert_eq!(client.frame(), Some((0x81, b"welcome".to_vec())));
}

#[test]
fn what_is_no_request_for_a_websocket_reaches_no_server() {
    let lb = balancer("lb-1");
    let app = FakeServer::start("app-1", lb.address());
    app.listener.set_nonblocking(true).unwrap();
    let with = |line: &str| UPGRADE.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"));
    let cases = [
        ("GET /ws HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 426, "plain_http"),
        (UPGRADE.replace("Version: 13", "Version: 8"), 426, "upgrade_version"),
        (UPGRADE.replace("HTTP/1.1", "HTTP/1.0"), 426, "upgrade_http10"),
        (with("Sec-WebSocket-Version: 13"), 426, "upgrade_version"),
        (with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400, "upgrade_key"),
    ];
    for (head, code, rule) in cases {
        let name = format!("distr_lb_proxy_requests_refused_total{{rule=\"{rule}\"}}");
        let before = metric(lb.address(), &name);
        let mut client = Raw::connect(lb.address());
        client.write(head.as_bytes());
        assert_eq!(client.answer().status, code, "{head}");
        assert!(client.has_ended(), "nothing behind such a request is looked at: {head}");
        assert_eq!(metric(lb.address(), &name), before + 1, "{head}");
    }
    // These are no requests at all.
    for (head, rule) in [
        (with("Host: other"), "host"),
        (with("Transfer-Encoding: chunked"), "body"),
        (with("Content-Length: 5"), "body"),
        (with("X-Folded: a\r\n b"), "syntax"),
        (with("X-Space : a"), "syntax"),
        (UPGRADE.replace("GET", "POST"), "method"),
    ] {
        let name = format!("distr_lb_requests_refused_total{{rule=\"{rule}\"}}");
        let before = metric(lb.address(), &name);
        let mut client = Raw::connect(lb.address());
        client.write(head.as_bytes());
        assert!([400, 405].contains(&client.answer().status), "{head}");
        assert_eq!(metric(lb.address(), &name), before + 1, "{head}");
    }
    assert!(app.listener.accept().is_err(), "nobody came");
    assert_eq!(status(lb.address())["proxied"], 0);
}

/// One parser and the same limits: whatever a server takes, a balancer takes, and writes so that
/// the server does.
#[test]
fn a_balancer_takes_what_a_server_takes() {
    let lb = balancer("lb-1");
    let app = app_behind(&lb, "app-1");
    let with = |lines: &str| UPGRADE.replace("\r\n\r\n", &format!("\r\n{lines}\r\n\r\n"));
    let subprotocols = "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: distr-chat.v1";
    for head in [
        with("Content-Length: 0"),
        with("Connection: keep-alive"),
        with("Upgrade: h2c"),
        with(subprotocols),
        with("Sec-WebSocket-Extensions: a\r\nSec-WebSocket-Extensions: b"),
        with("X-Forwarded-For: \u{ff}"),
        with(&format!("Cookie: {}", "c=0123456789; ".repeat(1000))),
        with(&format!("X-Long: {}", "x".repeat(15_000))),
        with("X-Many: 1\r\n".repeat(90).trim_end()),
        UPGRADE.replace("/ws", &format!("/ws?token={}", "x".repeat(15_000))),
        format!("\r\n{UPGRADE}"),
    ] {
        for door in [app.address(), lb.address()] {
            let mut client = Raw::connect(door);
            client.write(&head);
            let answer = client.answer();
            assert_eq!(answer.status, 101, "{door}: {head:.300}");
            let is_offered = head.contains("distr-chat.v1");
            let named = answer.header("sec-websocket-protocol");
            assert_eq!(named, is_offered.then_some("distr-chat.v1"), "{head:.300}");
            assert_eq!(client.json()["type"], "welcome");
        }
    }
    assert_eq!(metric(lb.address(), "distr_lb_proxy_fields_left_out_total"), 3);
}

#[test]
fn a_request_behind_a_request_is_no_request() {
    let lb = balancer("lb-1");
    let app = FakeServer::start("app-1", lb.address());
    let mut client = Raw::connect(lb.address());
    let smuggled = "GET /status HTTP/1.1\r\nHost: h\r\n\r\n";
    client.write(format!("{UPGRADE}{smuggled}").as_bytes());
    let (mut stream, head) = app.accept();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(stream.read(&mut [0]).is_err(), "nothing comes behind the request before it is answered");
    let response = Upgrade::parse(&Request::parse(head.as_bytes()).unwrap()).unwrap().response();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&response).unwrap();
    let mut heard = vec![0; smuggled.len()];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(
        heard,
        smuggled.as_bytes(),
        "then it is what comes behind a 101: frames, or what breaks their rules"
    );
}

#[test]
fn a_server_that_takes_the_connection_and_never_answers_is_passed_over() {
    let lb = balancer("lb-1");
    let mute = FakeServer::start("app-1", lb.address());
    let mut client = ask(lb.address());
    let (_stream, _) = mute.accept();
    let good = FakeServer::start("app-2", lb.address());
    let _server = good.take();
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    assert_eq!(metric(lb.address(), "distr_lb_proxy_dials_failed_total{reason=\"timeout\"}"), 1);
}

#[test]
fn a_client_for_whom_no_server_is_there_or_answers_is_told_so() {
    let lb = balancer("lb-1");
    let answer = |mut client: Raw| -> Answer { client.answer() };
    let none = answer(ask(lb.address()));
    assert_eq!((none.status, &none.json()["error"]), (503, &json!("unavailable")));
    assert_eq!(none.header("retry-after"), Some("1"));

    let app = FakeServer::start("app-1", lb.address());
    let client = ask(lb.address());
    for _ in 0..2 {
        let (mut stream, _) = app.accept();
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
    assert_eq!(answer(client).status, 503);
    assert_eq!(metric(lb.address(), "distr_lb_proxy_dials_failed_total{reason=\"answer\"}"), 2);
    assert_eq!(metric(lb.address(), "distr_lb_clients_unavailable_total"), 2);
    eventually("their places are free", || status(lb.address())["proxied"] == 0);
}

#[test]
fn a_server_that_wants_tls_is_not_proxied_to() {
    let lb = balancer("lb-1");
    let _beating = Beating::start(
        lb.address(),
        vec![Heartbeat { url: "wss://{host}:1/ws".into(), ..heartbeat("app-1") }],
    );
    eventually("it is up", || http_get(lb.address(), "/assign").status == 200);
    assert_eq!(ask(lb.address()).answer().status, 503);
}

#[test]
fn no_more_clients_are_proxied_than_may_be() {
    let lb = start_balancer(&lb::Options { proxied_max: 100, ..balancer_options("lb-1") });
    let app = FakeServer::start("app-1", lb.address());
    // Of five hundred who ask and then say nothing, a hundred get so far that a server has to answer.
    let clients: Vec<_> = (0..500).map(|_| ask(lb.address())).collect();
    let full = "distr_lb_proxy_requests_refused_total{rule=\"full\"}";
    eventually("the others are refused", || metric(lb.address(), full) == 400);
    let answers = metric(lb.address(), "distr_lb_error_answers_total{status=\"503\"}");
    assert_eq!(answers, 400, "and are told so");
    drop(clients);
    eventually("their places are free", || status(lb.address())["proxied"] == 0);
    drop(app);
}

#[test]
fn each_side_hears_the_other_to_its_end() {
    let lb = balancer("lb-1");
    let app = FakeServer::start("app-1", lb.address());
    let mut client = ask(lb.address());
    let mut server = app.take();
    client.head();
    client.write(raw::text("last words"));
    client.end();
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, raw::text("last words"));
    server.write_all(&frame(0x81, "and an answer")).unwrap();
    drop(server);
    assert_eq!(client.frame(), Some((0x81, b"and an answer".to_vec())));
    assert!(client.has_ended());
    eventually("its place is free", || status(lb.address())["proxied"] == 0);
}

#[test]
fn a_client_that_reads_nothing_stops_its_server_and_nothing_is_lost() {
    const FRAME_BYTES: usize = 60_000;
    const FRAMES: usize = 1000;
    let lb = balancer("lb-1");
    let app = FakeServer::start("app-1", lb.address());
    let mut client = ask(lb.address());
    let mut server = app.take();
    client.head();
    let mut frame = vec![0x82, 126];
    frame.extend((FRAME_BYTES as u16).to_be_bytes());
    frame.resize(4 + FRAME_BYTES, 7);
    server.set_nonblocking(true).unwrap();
    let all = frame.repeat(FRAMES);
    let mut sent = 0;
    // The kernel's buffers take some, the balancer one buffer.
    let mut last = Instant::now();
    while last.elapsed() < Duration::from_millis(200) {
        if let Ok(count) = server.write(&all[sent..]) {
            sent += count;
            last = Instant::now();
        }
    }
    assert!(sent < all.len() / 2, "{sent} bytes were taken from somebody whose peer reads nothing");
    server.set_nonblocking(false).unwrap();
    let writer = std::thread::spawn(move || {
        server.write_all(&all[sent..]).unwrap();
        server
    });
    for _ in 0..FRAMES {
        let (first, payload) = client.frame().unwrap();
        assert!(first == 0x82 && payload.len() == FRAME_BYTES && payload.iter().all(|&byte| byte == 7));
    }
    drop(writer.join().unwrap());
}

#[test]
fn a_server_that_dies_is_replaced_between_two_frames() {
    let lb = balancer("lb-1");
    let one = FakeServer::start("app-1", lb.address());
    let mut client = ask(lb.address());
    let mut first = one.take();
    let two = FakeServer::start("app-2", lb.address());
    client.head();
    first.write_all(&[frame(0x81, "whole"), frame(0x81, "part of one")[..5].to_vec()].concat()).unwrap();
    client.write([raw::text("heard"), raw::text("in part")[..9].to_vec()].concat());
    let mut heard = vec![0; raw::text("heard").len() + 9];
    first.read_exact(&mut heard).unwrap();
    drop(first);
    let mut second = two.take();
    second.write_all(&frame(0x81, "welcome")).unwrap();
    assert_eq!(client.frame(), Some((0x81, b"whole".to_vec())));
    assert_eq!(client.json(), json!({"type": "resume"}));
    assert_eq!(client.frame(), Some((0x81, b"welcome".to_vec())));
    client.write([raw::text("in part")[9..].to_vec(), raw::text("anew")].concat());
    let mut heard = vec![0; raw::text("anew").len()];
    second.read_exact(&mut heard).unwrap();
    assert_eq!(heard, raw::text("anew"));
    let status = status(lb.address());
    assert_eq!((&status["moved_total"], &status["proxied"]), (&json!(1), &json!(1)));
    assert_eq!(
        (server(lb.address(), "app-1")["proxied"].clone(), 1.into()),
        (json!(0), server(lb.address(), "app-2")["proxied"].clone())
    );
}

#[test]
fn a_server_that_says_move_is_heard_until_the_next_one_is_there() {
    let lb = balancer("lb-1");
    let one = FakeServer::start("app-1", lb.address());
    let mut client = ask(lb.address());
    let mut first = one.take();
    let two = FakeServer::start("app-2", lb.address());
    client.head();
    first.write_all(&frame(0x81, r#"{"type":"move","within_ms":5000}"#)).unwrap();
    let (mut second, head) = two.accept();
    first.write_all(&frame(0x81, "meanwhile")).unwrap();
    assert_eq!(client.frame(), Some((0x81, b"meanwhile".to_vec())), "and no move");
    let response = Upgrade::parse(&Request::parse(head.as_bytes()).unwrap()).unwrap().response();
    second.write_all(&[&response[..], &frame(0x81, "welcome")].concat()).unwrap();
    assert_eq!(client.json(), json!({"type": "resume"}));
    assert_eq!(client.frame(), Some((0x81, b"welcome".to_vec())));
    assert!(matches!(first.read(&mut [0]), Ok(0) | Err(_)), "the first one is let go");
}

#[test]
fn a_server_that_freezes_is_left() {
    let lb = balancer("lb-1");
    let one = FakeServer::start("app-1", lb.address());
    let mut client = ask(lb.address());
    let _first = one.take();
    client.head();
    let two = FakeServer::start("app-2", lb.address());
    let FakeServer { listener: _listener, _beating } = one;
    drop(_beating);
    let mut second = two.take();
    second.write_all(&frame(0x81, "welcome")).unwrap();
    assert_eq!(client.json(), json!({"type": "resume"}));
}

/// With processes and Redis: the server of a proxied client is killed while it speaks. It goes on on the connection that
/// it has, and everything is heard once.
#[test]
fn a_client_whose_server_is_killed_goes_on_on_the_same_connection() {
    let mut fleet = Fleet::start(1, 2, 2);
    let lb = fleet.balancers[0].address;
    let is_up = |name: &str| server(lb, name)["state"] == "up" && server(lb, name)["deaf"] == false;
    eventually("both servers are up", || is_up("app-1") && is_up("app-2"));
    let stream = TcpStream::connect(lb).unwrap();
    let port = stream.local_addr().unwrap().port();
    let kept = stream.try_clone().unwrap();
    let (mut ann, _) = Client::over(stream, format!("ws://{lb}/ws"));
    let mut bob = Client::connect(lb);
    let home = ann.welcome["node"].as_str().unwrap().to_owned();
    assert_ne!(bob.welcome["node"], home.as_str(), "clients are spread");
    let joined = ann.join("lobby", "ann");
    bob.join("lobby", "bob");
    let said: Vec<_> = (0..20).map(|number| format!("a-{number}")).collect();
    said.iter().for_each(|id| drop(ann.say("lobby", id, "before")));
    ann.send("lobby", "a-20", "in between");
    let index = usize::from(home == "app-2");
    fleet.servers[index].process.kill();

    ann.expect("resume");
    let welcome = ann.expect("welcome");
    assert_ne!(welcome["node"], home.as_str());
    let streams: Vec<_> = joined["streams"].as_object().unwrap().clone().into_iter().collect();
    let since: Vec<_> = streams.iter().map(|(stream, seq)| (&**stream, seq.as_u64().unwrap())).collect();
    let rejoined = ann.resume("lobby", "ann", &since);
    assert_eq!(rejoined["complete"], true);
    let known: Vec<_> =
        rejoined["history"].as_array().unwrap().iter().map(|message| message["id"].clone()).collect();
    assert!(
        said.iter().all(|id| known.contains(&json!(id))),
        "all that was acknowledged is there: {known:?}"
    );
    ann.say("lobby", "a-20", "in between");
    ann.say("lobby", "a-21", "after");
    let heard: Vec<_> =
        bob.messages_until("lobby", "a-21").iter().map(|message| message["id"].clone()).collect();
    let all: Vec<_> = (0..=21).map(|number| json!(format!("a-{number}"))).collect();
    assert_eq!(heard, all, "each once, in order");
    assert_eq!(kept.local_addr().unwrap().port(), port);
    assert_eq!(status(lb)["moved_total"], 1);
}

#[test]
fn a_balancer_that_leaves_tells_its_clients_and_waits_for_them() {
    let options = lb::Options { drain_limit: PATIENCE, ..balancer_options("lb-1") };
    let mut lb = start_balancer(&options);
    let address = lb.address();
    let _app = app_behind(&lb, "app-1");
    let mut client = Client::connect(address);
    client.join("lobby", "ann");
    let drained = std::thread::spawn(move || {
        lb.drain();
        lb
    });
    assert!(client.expect("move")["within_ms"].is_u64());
    client.say("lobby", "a-1", "it still works");
    assert_eq!(ask(address).answer().json()["error"], "draining");
    client.close();
    drained.join().unwrap();
}

#[test]
fn who_does_not_move_is_closed_when_the_balancer_waits_no_longer() {
    let mut lb = balancer("lb-1");
    let _app = app_behind(&lb, "app-1");
    let mut client = Client::connect(lb.address());
    lb.drain();
    assert_eq!(client.close_code(), 1001);
}

#[test]
fn a_page_may_watch_the_status() {
    let lb = balancer("lb-1");
    let mut page = Raw::connect(lb.address());
    page.write(UPGRADE.replace("/ws", "/status").as_bytes());
    assert!(page.head().starts_with("HTTP/1.1 101 "));
    assert_eq!(page.json()["role"], "lb");
    let again = page.json();
    assert_eq!(again["servers"], json!([]), "it comes also when nothing happens");
    let _app = FakeServer::start("app-1", lb.address());
    eventually("the page shows the server", || page.json()["servers"][0]["state"] == "up");
    drop(page);
}
