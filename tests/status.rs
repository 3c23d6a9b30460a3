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
