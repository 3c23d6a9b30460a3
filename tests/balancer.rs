//! The balancer over real sockets: whom it sends where, and what it thinks of datagrams from strangers.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::net::SocketAddr;
use std::thread;

use distr_chat::app::{App, Options};
use distr_chat::lb;
use distr_chat::serve::Limits;
use distr_chat::up::Role;
use distr_chat::wire::{ClusterKey, Heartbeat};
use serde_json::{Value, json};
use support::beating::{Beating, heartbeat, send};
use support::http::http_get_as;
use support::{
    Client, addresses, balancer, balancer_options, cluster, eventually, http_get, incarnation, metric,
    options, start_app, start_balancer, status,
};

const UNAVAILABLE: &str = "Client attempted to connect while all app servers were unavailable";

/// A server by itself that tells one balancer of itself.
fn app_of(name: &str, balancer: SocketAddr) -> App {
    start_app(&Options { balancers: vec![balancer.to_string()], ..options(name) })
}

/// What a balancer knows of a server, or null.
fn known(balancer: SocketAddr, name: &str) -> Value {
    let status = status(balancer);
    status["servers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|server| server["name"] == name)
        .cloned()
        .unwrap_or_default()
}

/// Waits until clients could be sent to so many servers.
fn await_servers(balancer: SocketAddr, count: usize) {
    eventually(&format!("{count} servers are up"), || {
        let status = status(balancer);
        let is_up = |server: &&Value| server["state"] == "up" && server["draining"] == false;
        status["servers"].as_array().unwrap().iter().filter(is_up).count() == count
    });
}

/// Where the next client is sent: the URL and the server's name.
fn assign(balancer: SocketAddr) -> Option<(String, String)> {
    let answer = http_get(balancer, "/assign");
    let body = answer.json();
    let text = |key: &str| body[key].as_str().unwrap().to_owned();
    (answer.status == 200).then(|| (text("url"), text("node")))
}

#[test]
fn without_a_server_clients_are_told_to_come_again() {
    let lb = balancer("lb-1");
    let answer = http_get(lb.address(), "/assign");
    assert_eq!((answer.status, &answer.json()["error"]), (503, &json!("unavailable")));
    assert_eq!(answer.header("retry-after"), Some("1"));
    let wait = answer.json()["retry_after_ms"].as_u64().unwrap();
    assert!((500..1500).contains(&wait), "{wait}");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://chat.example"));
    assert_eq!(metric(lb.address(), "distr_lb_clients_unavailable_total"), 1);
    let status = status(lb.address());
    assert_eq!((&status["unavailable_total"], &status["assigned_total"]), (&json!(1), &json!(0)));
    let event = &status["events"][0];
    assert_eq!((&event["kind"], &event["text"]), (&json!("unavailable"), &json!(UNAVAILABLE)));
    assert_eq!(http_get(lb.address(), "/ready").status, 503);
}

#[test]
fn a_client_is_sent_to_a_server_and_arrives() {
    let lb = balancer("lb-1");
    let app = app_of("app-1", lb.address());
    await_servers(lb.address(), 1);
    assert_eq!(http_get(lb.address(), "/ready").status, 200);
    let answer = http_get(lb.address(), "/assign");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://chat.example"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let url = format!("ws://127.0.0.1:{}/ws?via=lb-1", app.address().port());
    assert_eq!(answer.json(), json!({"url": url, "node": "app-1"}));
    assert_eq!(metric(lb.address(), "distr_lb_clients_assigned_total"), 1);
    assert_eq!(known(lb.address(), "app-1")["in_flight"], 1, "it is under way");

    let mut client = Client::open(&url);
    client.join("lobby", "ann");
    eventually("it has arrived", || {
        let server = known(lb.address(), "app-1");
        server["connections"] == 1 && server["in_flight"] == 0 && server["assigned"] == 1
    });
    let events = status(lb.address())["events"].clone();
    let texts: Vec<_> = events.as_array().unwrap().iter().map(|event| event["text"].clone()).collect();
    assert_eq!(texts, ["app-1 is up", "Client sent to app-1 (1 connection)"]);
}

#[test]
fn the_url_has_the_host_that_the_client_used() {
    let lb = balancer("lb-1");
    let at = |name: &str, public_url: &str| {
        let balancers = vec![lb.address().to_string()];
        let app = start_app(&Options { public_url: public_url.into(), balancers, ..options(name) });
        await_servers(lb.address(), 1);
        app
    };
    let url = |host: &str| http_get_as(lb.address(), "/assign", host).json()["url"].clone();
    let app = at("app-1", "");
    let port = app.address().port();
    for (host, hostname) in [
        ("chat.example:7001", "chat.example"),
        ("chat.example", "chat.example"),
        ("192.0.2.7:7001", "192.0.2.7"),
        ("[2001:db8::1]:7001", "[2001:db8::1]"),
    ] {
        assert_eq!(url(host), format!("ws://{hostname}:{port}/ws?via=lb-1"));
    }
    drop(app);
    let app = at("app-2", "wss://{host}/chat/ws?x=1");
    assert_eq!(url("chat.example:7001"), "wss://chat.example/chat/ws?x=1&via=lb-1");
    drop(app);
    let _app = at("app-3", "wss://fixed.example/ws");
    assert_eq!(url("chat.example:7001"), "wss://fixed.example/ws?via=lb-1");
}

#[test]
fn three_balancers_at_once_spread_clients_evenly() {
    const CLIENTS_EACH: usize = 100;
    let cluster = cluster(3, 3);
    let (apps, balancers) = (addresses(&cluster, Role::App), addresses(&cluster, Role::Balancer));
    balancers.iter().for_each(|&balancer| await_servers(balancer, 3));
    let come = |balancer| {
        move || -> Vec<Client> {
            (0..CLIENTS_EACH).map(|_| Client::open(&assign(balancer).unwrap().0)).collect()
        }
    };
    let threads: Vec<_> = balancers.iter().map(|&balancer| thread::spawn(come(balancer))).collect();
    let clients: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let counts: Vec<_> = apps.iter().map(|&app| status(app)["connections"].as_u64().unwrap()).collect();
    assert_eq!(counts.iter().sum::<u64>(), clients.len() as u64);
    let spread = counts.iter().max().unwrap() - counts.iter().min().unwrap();
    assert!(spread <= CLIENTS_EACH as u64 / 10, "{counts:?}");
}

#[test]
fn a_thousand_clients_who_are_under_way_are_spread_evenly_too() {
    let lb = balancer("lb-1");
    let _beating = Beating::start(lb.address(), ["a", "b", "c"].map(|name| heartbeat(name, 10)).to_vec());
    await_servers(lb.address(), 3);
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..99 {
        *counts.entry(assign(lb.address()).unwrap().1).or_insert(0) += 1;
    }
    assert!(counts.values().all(|&count| count == 33), "{counts:?}");
}

#[test]
fn the_least_loaded_is_filled_up_first() {
    let lb = balancer("lb-1");
    let _beating = Beating::start(lb.address(), vec![heartbeat("busy", 30), heartbeat("idle", 10)]);
    await_servers(lb.address(), 2);
    for _ in 0..20 {
        assert_eq!(assign(lb.address()).unwrap().1, "idle");
    }
    let next = [assign(lb.address()).unwrap().1, assign(lb.address()).unwrap().1];
    assert_ne!(next[0], next[1], "they are level now");
}

#[test]
fn a_server_that_a_client_comes_from_is_taken_only_where_there_is_no_other() {
    let lb = balancer("lb-1");
    let sent = |not: &str| http_get(lb.address(), &format!("/assign?not={not}")).json()["node"].clone();
    let beating = Beating::start(lb.address(), vec![heartbeat("idle", 0), heartbeat("busy", 90)]);
    await_servers(lb.address(), 2);
    assert_eq!((sent("idle"), sent("busy")), (json!("busy"), json!("idle")));
    drop(beating);
    let _beating = Beating::start(lb.address(), vec![Heartbeat { number: 1 << 20, ..heartbeat("idle", 0) }]);
    await_servers(lb.address(), 1);
    assert_eq!(sent("idle"), "idle");
}

#[test]
fn a_balancer_that_leaves_sends_nobody_anywhere() {
    let mut lb = balancer("lb-1");
    let _beating = Beating::start(lb.address(), vec![heartbeat("app-1", 0)]);
    await_servers(lb.address(), 1);
    lb.drain();
    for path in ["/assign", "/ready"] {
        let answer = http_get(lb.address(), path);
        assert_eq!((answer.status, &answer.json()["error"]), (503, &json!("draining")), "{path}");
        assert!(answer.json()["retry_after_ms"].is_u64(), "{path}");
    }
    assert_eq!(status(lb.address())["draining"], true);
    assert_eq!(http_get(lb.address(), "/live").status, 200);
}

#[test]
fn nobody_is_sent_to_a_server_that_drains_is_deaf_or_full() {
    let lb = balancer("lb-1");
    let bad = [
        Heartbeat { draining: true, ..heartbeat("draining", 0) },
        Heartbeat { deaf: true, ..heartbeat("deaf", 0) },
        Heartbeat { full: true, ..heartbeat("full", 0) },
    ];
    let beating = Beating::start(lb.address(), bad.to_vec());
    eventually("they are known", || status(lb.address())["servers"].as_array().unwrap().len() == 3);
    assert_eq!(assign(lb.address()), None);
    assert_eq!(known(lb.address(), "deaf")["deaf"], true);
    drop(beating);
    let all = bad.into_iter().chain([heartbeat("good", 1000)]);
    let later = all.map(|heartbeat| Heartbeat { number: 1_000_000, ..heartbeat }).collect();
    let _beating = Beating::start(lb.address(), later);
    eventually("the good one is known", || known(lb.address(), "good")["state"] == "up");
    for _ in 0..10 {
        assert_eq!(assign(lb.address()).unwrap().1, "good");
    }
}

#[test]
fn a_full_server_says_so_to_its_balancer() {
    let lb = balancer("lb-1");
    let balancers = vec![lb.address().to_string()];
    let limits = Limits { connections_max: 1, ..options("").limits };
    let _app = start_app(&Options { limits, balancers, ..options("app-1") });
    await_servers(lb.address(), 1);
    let client = Client::open(&assign(lb.address()).unwrap().0);
    eventually("it is full", || known(lb.address(), "app-1")["full"] == true);
    assert_eq!(assign(lb.address()), None);
    client.close();
    eventually("it has a place again", || assign(lb.address()).is_some());
}

#[test]
fn a_server_that_stops_gets_no_clients_and_gets_some_when_it_is_back() {
    let lb = balancer("lb-1");
    let _one = app_of("app-1", lb.address());
    let two = app_of("app-2", lb.address());
    await_servers(lb.address(), 2);
    drop(two);
    await_servers(lb.address(), 1);
    for _ in 0..10 {
        assert_eq!(assign(lb.address()).unwrap().1, "app-1");
    }
    let _two = app_of("app-2", lb.address());
    await_servers(lb.address(), 2);
    eventually("it gets clients", || assign(lb.address()).unwrap().1 == "app-2");
    let events = status(lb.address())["events"].clone();
    let is_restart =
        |event: &Value| event["text"] == "app-2 has restarted" || event["text"] == "app-2 is gone";
    assert!(events.as_array().unwrap().iter().any(is_restart), "{events}");
}

#[test]
fn a_server_that_falls_silent_is_suspected_then_gone_and_then_the_last_is() {
    let lb = balancer("lb-1");
    send(lb.address(), &heartbeat("mute", 0).encode(None));
    eventually("it is gone", || known(lb.address(), "mute")["state"] == "gone");
    let texts: Vec<_> =
        status(lb.address())["events"].as_array().unwrap().iter().map(|e| e["text"].clone()).collect();
    assert_eq!(texts, ["mute is up", "mute is suspect", "mute is gone"]);
    assert_eq!(assign(lb.address()), None);
    send(lb.address(), &Heartbeat { number: 1001, ..heartbeat("mute", 0) }.encode(None));
    eventually("one heartbeat brings it back", || {
        metric(lb.address(), "distr_lb_heartbeats_accepted_total") == 2
    });
}

#[test]
fn datagrams_that_are_wrong_are_counted_and_change_nothing() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let lb = balancer("lb-1");
    let _beating = Beating::start(lb.address(), vec![heartbeat("app-1", 10)]);
    await_servers(lb.address(), 1);

    // Each would change what is known, if it were believed.
    let lie = Heartbeat { url: "ws://evil.example/ws".into(), number: 1 << 40, ..heartbeat("app-1", 9999) };
    let whole = lie.encode(None);
    let changed = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes
    };
    let garbage: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(300).collect();
    let cases = [
        ("garbage", garbage, "malformed"),
        ("nothing", Vec::new(), "malformed"),
        ("cut short", whole[..whole.len() - 1].to_vec(), "malformed"),
        ("cut in its head", whole[..20].to_vec(), "malformed"),
        ("one byte more", [&whole[..], &[0]].concat(), "malformed"),
        ("a large one", [&whole[..], &[0; 9000]].concat(), "malformed"),
        ("another magic", changed(0, b'X'), "malformed"),
        ("a control character in its name", changed(43, 7), "malformed"),
        (
            "a URL of another kind",
            Heartbeat { url: "http://evil.example/".into(), ..lie.clone() }.encode(None),
            "malformed",
        ),
        ("a future version", changed(4, 3), "version"),
        ("a flag that is not known", changed(5, 16), "version"),
        ("heard before", Heartbeat { number: 1001, ..lie.clone() }.encode(None), "stale"),
        ("late", Heartbeat { number: 3, ..lie.clone() }.encode(None), "stale"),
        ("from an earlier run", Heartbeat { incarnation: 6 << 22, ..lie.clone() }.encode(None), "stale"),
    ];
    for (case, datagram, rule) in cases {
        let name = format!("distr_lb_heartbeats_refused_total{{rule=\"{rule}\"}}");
        let before = metric(lb.address(), &name);
        send(lb.address(), &datagram);
        eventually(&format!("{case} is counted as {rule}"), || metric(lb.address(), &name) == before + 1);
        assert_eq!(status(lb.address())["heartbeats"][rule], before + 1, "{case}");
    }
    let status = status(lb.address());
    assert_eq!(status["servers"].as_array().unwrap().len(), 1);
    let server = &status["servers"][0];
    assert_eq!((&server["connections"], &server["url"]), (&json!(10), &json!("ws://{host}:5001/ws")));
    assert_eq!(assign(lb.address()).unwrap().1, "app-1");
}

#[test]
fn with_a_key_strangers_are_not_believed() {
    let key = |text: &str| ClusterKey::parse(text).unwrap();
    let ours = key("the-key-of-this-cluster");
    let options = lb::Options { cluster_key: Some(ours.clone()), ..balancer_options("lb-1") };
    let lb = start_balancer(&options);
    let refused = "distr_lb_heartbeats_refused_total{rule=\"forged\"}";
    let lie = heartbeat("evil", 0);
    for (count, datagram) in (1..).zip([lie.encode(None), lie.encode(Some(&key("a-key-of-somebody-else")))]) {
        send(lb.address(), &datagram);
        eventually("it is refused", || metric(lb.address(), refused) == count);
    }
    send(lb.address(), &heartbeat("app-1", 10).encode(Some(&ours)));
    eventually("ours is believed", || assign(lb.address()).is_some_and(|(_, node)| node == "app-1"));
    assert_eq!(status(lb.address())["servers"].as_array().unwrap().len(), 1);
}

#[test]
fn with_a_key_clients_get_tickets_for_a_server_that_wants_them() {
    let key = ClusterKey::parse("the-key-of-this-cluster").unwrap();
    let lb = start_balancer(&lb::Options { cluster_key: Some(key.clone()), ..balancer_options("lb-1") });
    let balancers = vec![lb.address().to_string()];
    let app = start_app(&Options {
        cluster_key: Some(key),
        is_ticket_required: true,
        balancers,
        ..options("app-1")
    });
    await_servers(lb.address(), 1);
    let (url, _) = assign(lb.address()).unwrap();
    let mut client = Client::open(&url);
    client.join("lobby", "ann");
    eventually("the server tells the balancer that its client has arrived", || {
        known(lb.address(), "app-1")["in_flight"] == 0 && known(lb.address(), "app-1")["connections"] == 1
    });
    let path = url.strip_prefix(&format!("ws://{}", app.address())).unwrap();
    let refused = http_get(app.address(), path);
    assert_eq!((refused.status, &refused.json()["error"]), (403, &json!("ticket_used")));
    assert_eq!(http_get(app.address(), "/ws?via=lb-1").json()["error"], "ticket_missing");
    assert_eq!(metric(app.address(), "distr_tickets_refused_total{rule=\"ticket_used\"}"), 1);
}

#[test]
fn more_clients_than_may_be_let_in_are_told_their_turns() {
    let options = lb::Options { admitted_per_second: 10, ..balancer_options("lb-1") };
    let lb = start_balancer(&options);
    let _beating = Beating::start(lb.address(), vec![heartbeat("app-1", 0)]);
    eventually("the server is there", || assign(lb.address()).is_some());
    let mut turns = Vec::new();
    while turns.len() < 5 {
        let answer = http_get(lb.address(), "/assign");
        if answer.status == 503 {
            assert_eq!(answer.json()["error"], "busy");
            assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
            turns.push(answer.json()["retry_after_ms"].as_u64().unwrap());
        }
    }
    assert!(turns.is_sorted() && turns[4] > turns[0], "each later than the one before: {turns:?}");
    assert_eq!(status(lb.address())["delayed_total"], 5);
}

#[test]
fn two_servers_of_one_name_are_noticed() {
    let lb = balancer("lb-1");
    let older = |number| Heartbeat { incarnation: 6 << 22, number, ..heartbeat("app-1", 0) };
    send(lb.address(), &older(1).encode(None));
    eventually("it is there", || !status(lb.address())["servers"].as_array().unwrap().is_empty());
    let _beating = Beating::start(lb.address(), vec![heartbeat("app-1", 10)]);
    eventually("the later one is there", || known(lb.address(), "app-1")["connections"] == 10);
    (2..10).for_each(|number| send(lb.address(), &older(number).encode(None)));
    let refused = "distr_lb_heartbeats_refused_total{rule=\"namesake\"}";
    eventually("it goes on and is noticed", || metric(lb.address(), refused) > 0);
    assert_eq!(known(lb.address(), "app-1")["connections"], 10);
}

#[test]
fn a_later_run_is_believed_at_once() {
    let lb = balancer("lb-1");
    send(lb.address(), &heartbeat("app-1", 10).encode(None));
    eventually("it is known", || known(lb.address(), "app-1")["connections"] == 10);
    let later = Heartbeat { incarnation: incarnation(), number: 1, ..heartbeat("app-1", 0) };
    send(lb.address(), &later.encode(None));
    eventually("it is believed", || known(lb.address(), "app-1")["connections"] == 0);
    let events = status(lb.address())["events"].clone();
    assert!(
        events.as_array().unwrap().iter().any(|event| event["text"] == "app-1 has restarted"),
        "{events}"
    );
}

#[test]
fn a_balancer_has_the_endpoints_of_the_docs() {
    let lb = balancer("lb-1");
    let get = |path| http_get(lb.address(), path);
    assert_eq!(get("/status").header("access-control-allow-origin"), Some("https://chat.example"));
    assert_eq!((get("/live").status, get("/ready").status, get("/metrics").status), (200, 503, 200));
    assert_eq!((get("/ws").status, get("/other").status), (426, 404));
    assert_eq!(metric(lb.address(), "distr_lb_error_answers_total{status=\"404\"}"), 1);
}
