//! `/status` has the shape of docs/status.json, which the status pages are written against.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeSet;

use distr_chat::up::Role;
use serde_json::{Value, json};
use support::client::Client;
use support::http::{http_get, status};

#[test]
fn a_server_tells_what_the_docs_say() {
    let cluster = support::cluster(2, 1);
    let server = support::addresses(&cluster, Role::App)[0];
    let mut client = Client::connect(server);
    client.join("lobby", "ann");
    support::eventually("the servers know each other", || {
        status(server)["backplane"]["peers"].as_array().is_some_and(|peers| !peers.is_empty())
    });
    let mut told = status(server);
    // The embedded bus has no lanes; what is told of one is tested where it is written.
    assert_eq!(told["backplane"]["lanes"].take(), json!([]));
    let mut docs = docs("app");
    docs["backplane"]["lanes"].take();
    assert_same_shape(&docs, &told);
}

/// However many rooms there are, an answer is bounded: the busiest are listed, and all are counted.
#[test]
fn the_busiest_rooms_are_listed_and_all_are_counted() {
    const LISTED: usize = 500;
    const CLIENTS: usize = 20;
    const ROOMS: usize = 30;
    let server = support::app();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::connect(server.address())).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        for room in 0..ROOMS {
            client.join(&format!("room-{index}-{room}"), "ann");
        }
    }
    // The last ones by name are the busiest, so that nothing but users brings them to the top.
    let busy = ["room-9-8", "room-9-9"];
    for (user, rooms) in [("bob", &busy[..]), ("cat", &busy[1..])] {
        let mut client = Client::connect(server.address());
        for room in rooms {
            client.join(room, user);
        }
        clients.push(client);
    }
    let mut told = Value::Null;
    support::eventually("all rooms are counted", || {
        told = status(server.address());
        told["rooms_total"] == json!(CLIENTS * ROOMS) && told["rooms"][0]["users"] == json!(3)
    });
    let rooms = told["rooms"].as_array().unwrap();
    let names: Vec<_> = rooms.iter().map(|room| room["room"].as_str().unwrap()).collect();
    assert_eq!(names.len(), LISTED);
    assert_eq!(names[..2], ["room-9-9", "room-9-8"]);
    assert!(names[2..].is_sorted(), "rooms with as many users stand in the order of their names");
}

#[test]
fn a_balancer_tells_what_the_docs_say() {
    let cluster = support::cluster(1, 1);
    let balancer = support::addresses(&cluster, Role::Balancer)[0];
    support::eventually("a client can be sent somewhere", || http_get(balancer, "/assign").status == 200);
    assert_same_shape(&docs("balancer"), &status(balancer));
}

fn docs(example: &str) -> Value {
    let mut docs: Value = serde_json::from_str(include_str!("../docs/status.json")).unwrap();
    docs[example].take()
}

fn assert_same_shape(docs: &Value, told: &Value) {
    assert_eq!(shape("", told), shape("", docs));
}

/// Every path with the kind of value there; a list has the shape of all its items together.
fn shape(path: &str, value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| shape(&format!("{path}.{name}"), value)).collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| shape(&format!("{path}[]"), item)).collect(),
        Value::String(_) => [format!("{path}: string")].into(),
        Value::Number(_) => [format!("{path}: number")].into(),
        Value::Bool(_) => [format!("{path}: bool")].into(),
        Value::Null => [format!("{path}: null")].into(),
    }
}
