//! docs/protocol.md, as a client sees it that shares no code with the server.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::collections::BTreeSet;
use std::net::TcpStream;

use distr_chat::app::App;
use serde_json::{Value, json};
use support::http::room;
use support::raw::{self, Raw};
use support::{Client, UNLIMITED, app, eventually, http_get, options, start_app};
use tungstenite::Message;
use tungstenite::client::IntoClientRequest;

fn golden() -> Value {
    serde_json::from_str(include_str!("../docs/protocol.json")).unwrap()
}

fn unlimited_app() -> App {
    start_app(&distr_chat::app::Options { rate: UNLIMITED, ..options("app-1") })
}

/// Where a message stands.
fn identity(frame: &Value) -> (String, u64) {
    (frame["stream"].as_str().unwrap().to_owned(), frame["seq"].as_u64().unwrap())
}

fn texts(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["text"].as_str().unwrap()).collect()
}

#[test]
fn welcome_comes_first_and_tells_the_limits_of_the_docs() {
    let app = app();
    let clients: Vec<_> = (0..16).map(|_| Client::connect(app.address())).collect();
    assert_eq!(clients[0].welcome["limits"], golden()["limits"]);
    assert_eq!(clients[0].welcome["node"], "app-1");
    let sessions: BTreeSet<_> = clients.iter().map(|client| client.welcome["session"].as_str()).collect();
    assert_eq!(sessions.len(), 16, "each has its own, whichever reactor it is at: {sessions:?}");
}

#[test]
fn every_frame_has_the_fields_of_its_golden_example() {
    let app = app();
    let mut ann = Client::connect(app.address());
    ann.join("lobby", "ann");
    ann.say("lobby", "a-1", "hi");
    let mut bob = Client::connect(app.address());
    let joined = bob.join("lobby", "bob");
    bob.ask(&json!({"type": "typing", "room": "lobby"}));
    ann.ask(&json!({"type": "ping"}));
    ann.ask(&json!({"type": "send", "room": "lobby", "id": "a-2", "text": "x".repeat(5000)}));
    bob.send("lobby", "b-1", "hi");
    let mut seen = vec![ann.welcome.clone(), joined];
    for kind in ["message", "typing", "presence", "pong", "error"] {
        seen.push(ann.expect(kind));
    }
    seen.push(bob.expect("ack"));
    bob.ask(&json!({"type": "leave", "room": "lobby"}));
    seen.push(bob.expect("left"));
    for frame in seen {
        let kind = frame["type"].as_str().unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&frame), keys(&golden()["server"][kind]), "{frame}");
    }
}

#[test]
fn the_subprotocol_is_echoed_when_it_is_offered_and_only_then() {
    let app = app();
    let url = format!("ws://{}/ws", app.address());
    let open = |offer: Option<&str>| {
        let mut request = url.as_str().into_client_request().unwrap();
        if let Some(offer) = offer {
            request.headers_mut().insert("Sec-WebSocket-Protocol", offer.parse().unwrap());
        }
        Client::over(TcpStream::connect(app.address()).unwrap(), request).1
    };
    let answer = open(Some("chat.v9, distr-chat.v1"));
    assert_eq!(answer.headers()["Sec-WebSocket-Protocol"], "distr-chat.v1");
    assert!(!open(None).headers().contains_key("Sec-WebSocket-Protocol"));
}

#[test]
fn joined_tells_roster_and_history() {
    let app = app();
    let mut bob = Client::connect(app.address());
    let empty = bob.join("lobby", "bob");
    assert_eq!((&empty["users"], &empty["roster"]), (&json!(1), &json!(["bob"])));
    assert_eq!((&empty["history"], &empty["complete"]), (&json!([]), &json!(true)));
    bob.expect_users("lobby", 1);
    bob.say("lobby", "b-1", "one");
    bob.say("lobby", "b-2", "two");
    let said = bob.messages_until("lobby", "b-2");

    let mut ann = Client::connect(app.address());
    let joined = ann.join("lobby", "ann");
    assert_eq!(joined["users"], 2);
    assert_eq!(joined["roster"], json!(["ann", "bob"]));
    assert_eq!(joined["history"], json!(said), "history holds the very frames that members were sent");
    assert_eq!(joined["complete"], true);
}

#[test]
fn history_is_the_last_fifty() {
    let app = unlimited_app();
    let mut bob = Client::connect(app.address());
    bob.join("lobby", "bob");
    (1..=60).for_each(|n| bob.send("lobby", &format!("b-{n}"), &n.to_string()));
    bob.messages_until("lobby", "b-60");
    let history = Client::connect(app.address()).join("lobby", "ann")["history"].clone();
    let expected: Vec<_> = (11..=60).map(|n| n.to_string()).collect();
    assert_eq!(texts(history.as_array().unwrap()), expected);
}

#[test]
fn a_message_is_acknowledged_and_reaches_every_member_and_the_sender() {
    let app = app();
    let mut members: Vec<_> = (0..3).map(|_| Client::connect(app.address())).collect();
    for (number, member) in members.iter_mut().enumerate() {
        member.join("lobby", &format!("user {number}"));
    }
    let text = "hi \u{1F44B} \"quoted\" \\ \n ünï";
    let ack = members[0].say("lobby", "b1946ac9-1", text);
    assert_eq!(ack["room"], "lobby");
    for member in &mut members {
        let message = member.expect("message");
        assert_eq!(identity(&message), identity(&ack));
        assert_eq!(message["time"], ack["time"]);
        assert_eq!(message["id"], "b1946ac9-1");
        assert_eq!((&message["from"], &message["text"]), (&json!("user 0"), &json!(text)));
    }
}

#[test]
fn one_who_is_not_in_the_room_hears_nothing_of_it() {
    let app = app();
    let (mut ann, mut eve) = (Client::connect(app.address()), Client::connect(app.address()));
    ann.join("lobby", "ann");
    eve.join("other", "eve");
    ann.say("lobby", "a-1", "a secret");
    eve.say("other", "e-1", "the end");
    let heard = eve.expect("message");
    assert_eq!(heard["id"], "e-1", "{heard}");
}

#[test]
fn seq_counts_from_one_without_holes_and_time_never_goes_back() {
    let app = unlimited_app();
    let mut ann = Client::connect(app.address());
    ann.join("lobby", "ann");
    (1..=500).for_each(|n| ann.send("lobby", &n.to_string(), "x"));
    let messages = ann.messages_until("lobby", "500");
    let seqs: Vec<_> = messages.iter().map(|message| identity(message).1).collect();
    assert_eq!(seqs, (1..=500).collect::<Vec<_>>());
    assert!(messages.iter().all(|message| message["stream"] == messages[0]["stream"]));
    assert!(messages.is_sorted_by_key(|message| message["time"].as_u64().unwrap()));
}

#[test]
fn a_retry_is_the_same_message_and_is_not_delivered_twice() {
    let app = app();
    let (mut ann, mut bob) = (Client::connect(app.address()), Client::connect(app.address()));
    ann.join("lobby", "ann");
    bob.join("lobby", "bob");
    let first = ann.say("lobby", "b1946ac9-1", "hi");
    assert_eq!(ann.say("lobby", "b1946ac9-1", "hi"), first, "on the same connection");
    let mut again = Client::connect(app.address());
    again.join("lobby", "ann");
    assert_eq!(again.say("lobby", "b1946ac9-1", "hi"), first, "on another connection of the same client");
    let other = bob.say("lobby", "b1946ac9-1", "hi");
    assert_ne!(identity(&other), identity(&first), "another client's id is another message");
    let heard = bob.messages_until("lobby", "b1946ac9-1");
    assert_eq!(heard.len(), 1);
    assert_eq!(identity(&heard[0]), identity(&first));
    let heard = bob.messages_until("lobby", "b1946ac9-1");
    assert_eq!((heard.len(), identity(&heard[0])), (1, identity(&other)), "bob's own, and nothing between");
}

#[test]
fn an_id_with_another_text_is_refused_and_the_first_stays() {
    let app = app();
    let mut ann = Client::connect(app.address());
    ann.join("lobby", "ann");
    ann.say("lobby", "b1946ac9-1", "hi");
    ann.send("lobby", "b1946ac9-1", "bye");
    let error = ann.expect("error");
    assert_eq!((&error["code"], &error["id"]), (&json!("id_reused"), &json!("b1946ac9-1")));
    assert_eq!(error["room"], "lobby");
    ann.say("lobby", "b1946ac9-2", "the end");
    assert_eq!(texts(&ann.messages_until("lobby", "b1946ac9-2")), ["hi", "the end"]);
}

#[test]
fn namesakes_with_equal_ids_are_each_acknowledged_and_shown() {
    let app = app();
    let (mut first, mut second) = (Client::connect(app.address()), Client::connect(app.address()));
    first.join_as("lobby", "ann", "the-first-one-of-that-name");
    second.join_as("lobby", "ann", "the-second-one-of-that-name");
    let acks = [
        first.say("lobby", "b1946ac9-1", "hi"),
        second.say("lobby", "b1946ac9-1", "hi"),
        second.say("lobby", "b1946ac9-2", "ho"),
        first.say("lobby", "b1946ac9-2", "not ho"),
    ];
    for client in [&mut first, &mut second] {
        let messages: Vec<_> = (0..4).map(|_| client.expect("message")).collect();
        assert_eq!(texts(&messages), ["hi", "hi", "ho", "not ho"]);
        assert!(messages.iter().map(identity).eq(acks.iter().map(identity)), "{messages:?}");
    }
}

#[test]
fn a_client_without_a_nonce_is_told_one_to_come_back_with() {
    let app = app();
    let (mut ann, mut bob) = (Client::connect(app.address()), Client::connect(app.address()));
    bob.join("lobby", "bob");
    let nonce_of = |client: &mut Client, room: &str| {
        client.ask(&json!({"type": "join", "room": room, "user": "ann"}));
        client.expect_in(room, "joined")["client"].as_str().unwrap().to_owned()
    };
    let nonce = nonce_of(&mut ann, "lobby");
    assert_eq!(nonce.len(), 32, "{nonce}");
    assert_eq!(nonce_of(&mut ann, "hall"), nonce, "the connection's");
    let first = ann.say("lobby", "b1946ac9-1", "hi");
    drop(ann);
    let mut again = Client::connect(app.address());
    assert_eq!(again.join_as("lobby", "ann", &nonce)["client"], nonce);
    assert_eq!(again.say("lobby", "b1946ac9-1", "hi"), first);
    let mut stranger = Client::connect(app.address());
    assert_ne!(nonce_of(&mut stranger, "lobby"), nonce, "each is another one");
    assert_ne!(identity(&stranger.say("lobby", "b1946ac9-1", "hi")), identity(&first));
    bob.say("lobby", "b1946ac9-2", "the end");
    let heard = bob.messages_until("lobby", "b1946ac9-2");
    assert!(
        heard.iter().all(|message| !message.to_string().contains(&nonce)),
        "others are not told: {heard:?}"
    );
    assert!(bob.take_all("presence").iter().all(|frame| !frame.to_string().contains(&nonce)));
}

#[test]
fn typing_is_relayed() {
    let app = app();
    let (mut ann, mut bob) = (Client::connect(app.address()), Client::connect(app.address()));
    ann.join("lobby", "ann");
    bob.join("lobby", "bob");
    bob.ask(&json!({"type": "typing", "room": "lobby"}));
    assert_eq!(ann.expect("typing"), json!({"type": "typing", "room": "lobby", "user": "bob"}));
}

#[test]
fn typing_in_one_room_does_not_silence_another() {
    let app = app();
    let (mut ann, mut bob) = (Client::connect(app.address()), Client::connect(app.address()));
    for room in ["red", "blue"] {
        ann.join(room, "ann");
        bob.join(room, "bob");
    }
    for room in ["red", "blue"] {
        bob.ask(&json!({"type": "typing", "room": room}));
        ann.expect_in(room, "typing");
    }
}

#[test]
fn who_leaves_is_told_and_the_others_are_told_who_left() {
    let app = app();
    let (mut ann, mut bob) = (Client::connect(app.address()), Client::connect(app.address()));
    ann.join("lobby", "ann");
    // On a busy machine both would be told in one.
    ann.expect_users("lobby", 1);
    bob.join("lobby", "bob");
    let is_about = |key: &'static str| move |frame: &Value| frame[key] == json!(["bob"]);
    let came = ann.expect_where("bob's coming", is_about("joined"));
    assert_eq!((&came["users"], &came["left"]), (&json!(2), &json!([])));
    bob.ask(&json!({"type": "leave", "room": "lobby"}));
    assert_eq!(bob.expect("left"), json!({"type": "left", "room": "lobby"}));
    let went = ann.expect_where("bob's going", is_about("left"));
    assert_eq!((&went["users"], &went["joined"]), (&json!(1), &json!([])));
    ann.say("lobby", "a-1", "he is gone");
    assert_eq!(bob.error_of(r#"{"type":"send","room":"lobby","id":"b-1","text":"hi"}"#), "not_joined");
    let heard = bob.join("lobby", "bob")["history"].clone();
    assert_eq!(texts(heard.as_array().unwrap()), ["he is gone"], "in the history, since he was away");
}

#[test]
fn who_drops_the_connection_has_left() {
    let app = app();
    let (mut ann, mut bob) = (Client::connect(app.address()), Client::connect(app.address()));
    ann.join("lobby", "ann");
    bob.join("lobby", "bob");
    ann.expect_users("lobby", 2);
    drop(bob);
    ann.expect_users("lobby", 1);
}

#[test]
fn a_name_counts_once_however_many_tabs_it_has() {
    let app = app();
    let mut tabs: Vec<_> = (0..3).map(|_| Client::connect(app.address())).collect();
    let joined: Vec<_> = tabs.iter_mut().map(|tab| tab.join("lobby", "ann")).collect();
    assert!(joined.iter().all(|joined| joined["users"] == 1), "{joined:?}");
}

#[test]
fn a_large_room_has_a_number_and_no_names() {
    let app = unlimited_app();
    let mut clients: Vec<_> = (0..102).map(|_| Client::connect(app.address())).collect();
    let mut join = |number: usize| clients[number].join("stadium", &format!("user {number}"));
    (0..99).for_each(|number| drop(join(number)));
    eventually("the 99 are known", || room(app.address(), "stadium")["users"] == 99);
    assert_eq!(join(99)["roster"].as_array().unwrap().len(), 100);
    eventually("the 100 are known", || room(app.address(), "stadium")["users"] == 100);
    let large = join(100);
    assert_eq!((&large["users"], large.get("roster")), (&json!(101), None));
    let told = clients[0].expect_where("the large room", |frame| frame["users"] == 101);
    assert_eq!((told.get("joined"), told.get("left")), (None, None), "{told}");
    let large = clients[101].join("stadium", "user 101");
    assert_eq!((&large["users"], large.get("roster")), (&json!(102), None));
}

#[test]
fn a_ping_in_either_layer_is_answered() {
    let app = app();
    let mut ann = Client::connect(app.address());
    ann.ask(&json!({"type": "ping"}));
    assert_eq!(ann.expect("pong"), json!({"type": "pong"}));

    let mut raw = Raw::open(app.address());
    raw.write(raw::frame(0x89, b"are you there?"));
    assert_eq!(raw.next(0x8a), b"are you there?");
}

#[test]
fn resuming_brings_exactly_what_came_after() {
    let app = unlimited_app();
    let (mut ann, mut bob) = (Client::connect(app.address()), Client::connect(app.address()));
    ann.join("lobby", "ann");
    bob.join("lobby", "bob");
    (1..=100).for_each(|n| ann.send("lobby", &n.to_string(), &n.to_string()));
    let all = ann.messages_until("lobby", "100");
    let stream = identity(&all[0]).0;
    bob.close();

    let resume = |seen: u64| Client::connect(app.address()).resume("lobby", "bob", &[(&stream, seen)]);
    let joined = resume(30);
    assert_eq!(joined["history"], json!(all[30..]));
    assert_eq!(joined["complete"], true);
    let joined = resume(100);
    assert_eq!((&joined["history"], &joined["complete"]), (&json!([]), &json!(true)), "nothing was missed");
    let joined = resume(0);
    assert_eq!(joined["history"], json!(all), "all that the ring holds, not only the last fifty");
}

#[test]
fn resuming_in_a_stream_that_is_not_known_is_not_complete() {
    let app = app();
    let mut ann = Client::connect(app.address());
    ann.join("lobby", "ann");
    ann.say("lobby", "a-1", "hi");
    for stream in ["1933d8a0c8c00001.0", "of another spelling"] {
        let joined = Client::connect(app.address()).resume("lobby", "bob", &[(stream, 17)]);
        assert_eq!(joined["complete"], false);
        assert_eq!(texts(joined["history"].as_array().unwrap()), ["hi"], "what there is, is told");
    }
}

#[test]
fn resuming_behind_what_the_ring_holds_is_not_complete() {
    let app = unlimited_app();
    let mut ann = Client::connect(app.address());
    ann.join("lobby", "ann");
    (1..=1100).for_each(|n| ann.send("lobby", &n.to_string(), "x"));
    let all = ann.messages_until("lobby", "1100");
    let stream = identity(&all[0]).0;
    let resume = |seen: u64| Client::connect(app.address()).resume("lobby", "bob", &[(&stream, seen)]);
    let (lost, kept) = (resume(99), resume(100));
    assert_eq!((&lost["complete"], &kept["complete"]), (&json!(false), &json!(true)));
    assert_eq!(kept["history"], json!(all[100..]));
    assert_eq!(lost["history"], kept["history"]);
}

#[test]
fn rooms_on_one_connection_do_not_mix() {
    let app = app();
    let (mut ann, mut bob) = (Client::connect(app.address()), Client::connect(app.address()));
    for room in ["red", "green", "blue"] {
        ann.join(room, &format!("ann in {room}"));
    }
    bob.join("green", "bob");
    ann.say("red", "1", "in red");
    ann.say("green", "1", "in green");
    ann.say("blue", "1", "in blue");
    let heard = bob.messages_until("green", "1");
    assert_eq!(texts(&heard), ["in green"]);
    assert_eq!(heard[0]["from"], "ann in green");
    for room in ["blue", "red", "green"] {
        assert_eq!(texts(&ann.messages_until(room, "1")), [format!("in {room}")]);
    }
    ann.ask(&json!({"type": "leave", "room": "red"}));
    ann.expect_in("red", "left");
    ann.say("blue", "2", "still here");
}

#[test]
fn as_many_rooms_as_allowed_and_again_after_leaving_one() {
    let app = app();
    let mut ann = Client::connect(app.address());
    let rooms = ann.welcome["limits"]["rooms"].as_u64().unwrap();
    for room in 0..rooms {
        ann.join(&format!("room {room}"), "ann");
    }
    assert_eq!(ann.error_of(r#"{"type":"join","room":"one more","user":"ann"}"#), "too_many_rooms");
    ann.ask(&json!({"type": "leave", "room": "room 0"}));
    ann.expect("left");
    ann.join("one more", "ann");
}

#[test]
fn fields_that_are_not_known_are_ignored() {
    let app = app();
    let mut ann = Client::connect(app.address());
    ann.ask_text(
        r#"{"type":"join","room":"lobby","user":"ann","colour":{"deep":[1,2,{"x":null}]},"text":7}"#,
    );
    ann.expect("joined");
    ann.ask_text(r#" {"text":"hi", "id":"b1946ac9-1", "z":1.5e3, "room":"lobby", "type":"send"} "#);
    assert_eq!(ann.expect("ack")["id"], "b1946ac9-1");
}

#[test]
fn a_type_that_is_not_known_is_an_error_and_the_connection_stays() {
    let app = app();
    let mut ann = Client::connect(app.address());
    ann.join("lobby", "ann");
    assert_eq!(ann.error_of(r#"{"type":"fly","room":"lobby"}"#), "unknown_type");
    ann.say("lobby", "b1946ac9-1", "still here");
}

#[test]
fn frames_may_be_sent_before_the_answer_to_join() {
    let app = app();
    let mut ann = Client::connect(app.address());
    ann.ask(&json!({"type": "join", "room": "lobby", "user": "ann"}));
    ann.send("lobby", "b1946ac9-1", "hi");
    ann.ask(&json!({"type": "leave", "room": "lobby"}));
    ann.ask(&json!({"type": "join", "room": "lobby", "user": "ann"}));
    let again = ann.expect_where("joined with the message", |frame| {
        frame["type"] == "joined" && frame["history"][0]["id"] == "b1946ac9-1"
    });
    assert_eq!(again["users"], 1);
    assert_eq!(ann.expect("ack")["id"], "b1946ac9-1");
}

#[test]
fn a_message_in_fragments_with_a_ping_between_is_one_message() {
    let app = app();
    let mut raw = Raw::open(app.address());
    raw.write(raw::text(r#"{"type":"join","room":"r","user":"ann"}"#));
    assert_eq!(raw.json()["type"], "joined");
    let whole = r#"{"type":"send","room":"r","id":"1","text":"é and 👋"}"#.as_bytes();
    // Each byte a fragment: characters are cut in their middle.
    raw.write(raw::frame(0x01, &whole[..1]));
    raw.write(raw::frame(0x89, b"between"));
    assert_eq!(raw.next(0x8a), b"between", "a control frame does not wait");
    whole[1..].iter().for_each(|&byte| raw.write(raw::frame(0x00, &[byte])));
    raw.write(raw::frame(0x80, b""));
    let is_message = |frame: &Value| frame["type"] == "message";
    let message = std::iter::repeat_with(|| raw.json()).find(is_message).unwrap();
    assert_eq!(message["text"], "é and 👋");
}

#[test]
fn a_close_is_answered_with_the_same_code() {
    let app = app();
    for (payload, code) in
        [(&[][..], 1005), (&[0x03, 0xe8], 1000), (b"\x03\xe9bye", 1001), (b"\x0f\xa7", 4007)]
    {
        let mut raw = Raw::open(app.address());
        raw.write(raw::close(payload));
        assert_eq!(raw.close_code(), code);
        assert!(raw.has_ended(), "after {code}");
    }
}

#[test]
fn the_largest_of_everything_is_allowed() {
    let app = app();
    let mut ann = Client::connect(app.address());
    let (room, user, id) = ("r".repeat(64), "ü".repeat(32), "i".repeat(64));
    ann.join(&room, &user);
    let text = "\u{1}".repeat(4096);
    ann.say(&room, &id, &text);
    let message = ann.expect("message");
    assert_eq!(message["text"], text);
    let frame = format!("{:<32768}", r#"{"type":"ping"}"#);
    ann.ask_raw(Message::text(frame));
    ann.expect("pong");
}

#[test]
fn every_endpoint_of_the_docs_answers() {
    let app = app();
    for (path, content_type) in [
        ("/status", "application/json"),
        ("/metrics", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("/live", "text/plain"),
        ("/ready", "text/plain"),
    ] {
        let answer = http_get(app.address(), path);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)), "{path}");
    }
    // The page is there when the frontend was built before the binary.
    let page = http_get(app.address(), "/");
    assert!(matches!(page.status, 200 | 503), "{page:?}");
}
