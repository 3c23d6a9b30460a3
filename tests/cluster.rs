//! Several servers are one chat.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::thread;

use distr_chat::app::{App, Options, loopback};
use distr_chat::net::Poller;
use distr_chat::up::Role;
use serde_json::{Value, json};
use support::http::room;
use support::{Client, UNLIMITED, addresses, cluster, eventually, http_get, options, status};

/// Where a message stands.
type Identity = (String, u64);

fn identity(frame: &Value) -> Identity {
    (frame["stream"].as_str().unwrap().to_owned(), frame["seq"].as_u64().unwrap())
}

/// One client at each server, in one room under the names user 1, user 2, …; all know of all.
fn one_each(apps: &[SocketAddr]) -> Vec<Client> {
    let mut clients: Vec<_> = apps.iter().map(|&app| Client::connect(app)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.join("lobby", &format!("user {}", number + 1));
    }
    let all = clients.len() as u64;
    clients.iter_mut().for_each(|client| client.expect_users("lobby", all));
    clients
}

/// Servers on one bus that can be stopped one by one.
fn apps_on_a_bus(count: usize) -> Vec<App> {
    let pollers: Vec<_> = (0..count).map(|_| Poller::new().unwrap()).collect();
    let wakers: Vec<_> = pollers.iter().map(Poller::waker).collect();
    let ends = pollers.into_iter().zip(loopback::mesh(&wakers)).enumerate();
    let start = |(index, (poller, bus))| {
        let name = format!("app-{}", index + 1);
        App::start(Options { rate: UNLIMITED, ..options(&name) }, poller, bus).unwrap()
    };
    ends.map(start).collect()
}

#[test]
fn users_of_one_room_see_each_other_whichever_servers_hold_them() {
    let cluster = cluster(3, 0);
    let mut clients = one_each(&addresses(&cluster, Role::App));
    for speaker in 0..3 {
        let id = format!("from {speaker}");
        let ack = clients[speaker].say("lobby", &id, "hi");
        for client in &mut clients {
            let message = client.expect("message");
            assert_eq!((&message["id"], &message["time"]), (&json!(id), &ack["time"]));
            assert_eq!(message["from"], format!("user {}", speaker + 1));
            assert_eq!(identity(&message), identity(&ack));
        }
    }
    clients[1].ask(&json!({"type": "typing", "room": "lobby"}));
    for client in [0, 2] {
        assert_eq!(clients[client].expect("typing")["user"], "user 2");
    }
    clients[1].ask(&json!({"type": "leave", "room": "lobby"}));
    for client in [0, 2] {
        let told = clients[client].expect_where("user 2 left", |frame| frame["left"] == json!(["user 2"]));
        assert_eq!(told["users"], 2);
    }
    drop(clients.remove(2));
    clients[0].expect_where("user 3 left", |frame| frame["left"] == json!(["user 3"]));
}

#[test]
fn a_room_of_one_server_is_held_by_a_second_and_heard_by_nobody_else() {
    let cluster = cluster(3, 0);
    let apps = addresses(&cluster, Role::App);
    let mut clients = one_each(&apps);
    clients[0].join("secret", "ann");
    clients[0].say("secret", "1", "psst");
    clients[0].say("lobby", "2", "the end");
    assert_eq!(clients[1].expect("message")["id"], "2");
    let holders = apps[1..].iter().map(|&app| room(app, "secret")).filter(|room| !room.is_null());
    let [holder] = &holders.collect::<Vec<_>>()[..] else { panic!("one other server holds it") };
    assert_eq!((&holder["members_here"], &holder["messages"]), (&json!(0), &json!(1)));
}

#[test]
fn a_newcomer_is_told_what_was_said_at_other_servers() {
    let cluster = cluster(2, 0);
    let apps = addresses(&cluster, Role::App);
    let mut clients = one_each(&apps);
    clients[0].say("lobby", "1", "hi");
    let message = clients[1].expect("message");
    let mut newcomer = Client::connect(apps[1]);
    let joined = newcomer.join("lobby", "ann");
    assert_eq!((&joined["history"], &joined["complete"]), (&json!([message]), &json!(true)));
    assert_eq!(joined["roster"], json!(["ann", "user 1", "user 2"]));
}

#[test]
fn a_client_resumes_and_retries_at_another_server() {
    let cluster = cluster(2, 0);
    let apps = addresses(&cluster, Role::App);
    let mut clients = one_each(&apps);
    let first = clients[0].say("lobby", "1", "one");
    let second = clients[0].say("lobby", "2", "two");
    let heard = clients[1].messages_until("lobby", "2");
    drop(clients.remove(0));

    let mut moved = Client::connect(apps[1]);
    let stream = first["stream"].as_str().unwrap();
    let joined = moved.resume("lobby", "user 1", &[(stream, 1)]);
    assert_eq!((&joined["history"], &joined["complete"]), (&json!(heard[1..]), &json!(true)));
    assert_eq!(moved.say("lobby", "2", "two"), second, "the retry is the same message");
    let third = moved.say("lobby", "3", "three");
    assert_ne!(third["stream"], first["stream"], "each server has its own stream");
    let heard = clients[0].messages_until("lobby", "3");
    assert_eq!(heard.len(), 1, "the retry was not delivered again");
}

#[test]
fn a_server_that_stops_takes_its_users_with_it() {
    let mut apps = apps_on_a_bus(2);
    let here = apps[0].address();
    let mut clients = one_each(&[here, apps[1].address()]);
    drop(clients.pop());
    let mut ghost = Client::connect(apps[1].address());
    ghost.join("lobby", "ghost");
    clients[0].expect_where("the ghost came", |frame| frame["joined"] == json!(["ghost"]));
    drop(apps.pop());
    clients[0].expect_where("the ghost went", |frame| frame["left"] == json!(["ghost"]));
    let down = json!([{"name": "app-2", "up": false}]);
    eventually("the server is down", || status(here)["backplane"]["peers"] == down);
    clients[0].say("lobby", "1", "still here");
}

#[test]
fn the_status_shows_rooms_and_peers() {
    let cluster = cluster(3, 0);
    let apps = addresses(&cluster, Role::App);
    let mut clients = one_each(&apps);
    clients[0].say("lobby", "1", "hi");
    clients.iter_mut().for_each(|client| drop(client.expect("message")));
    for (number, &app) in apps.iter().enumerate() {
        eventually("two peers are up", || {
            let backplane = status(app)["backplane"].clone();
            let peers = backplane["peers"].as_array().unwrap();
            backplane["kind"] == "embedded" && peers.len() == 2 && peers.iter().all(|peer| peer["up"] == true)
        });
        let lobby = json!({"room": "lobby", "users": 3, "members_here": 1, "messages": 1});
        assert_eq!(room(app, "lobby"), lobby, "at app-{}", number + 1);
    }
}

#[test]
fn the_frontend_knows_the_balancers() {
    let cluster = cluster(1, 2);
    let web = addresses(&cluster, Role::Frontend)[0];
    let urls: Vec<_> = addresses(&cluster, Role::Balancer)
        .iter()
        .map(|balancer| format!("http://127.0.0.1:{}", balancer.port()))
        .collect();
    assert_eq!(http_get(web, "/config.json").json(), json!({"balancers": urls}));
    assert_eq!(http_get(web, "/assets/none.js").status, 404);
}

/// What one member of a room heard and was told.
struct Heard {
    room: usize,
    acks: Vec<Identity>,
    messages: Vec<Value>,
}

/// Says `count` things in one go, then listens for so many messages.
fn chat(mut client: Client, room: usize, user: usize, count: usize, expected: usize) -> Heard {
    let name = format!("room {room}");
    (0..count).for_each(|number| client.send(&name, &number.to_string(), &format!("{user}/{number}")));
    // A member at another server may have heard all and said the end already.
    let mut messages = Vec::new();
    while messages.len() < expected {
        messages
            .extend(Some(client.expect_in(&name, "message")).filter(|message| message["id"] != "the end"));
    }
    let acks = (0..count).map(|_| identity(&client.expect_in(&name, "ack"))).collect();
    client.send(&name, "the end", "the end");
    client.expect_where("the end", |frame| frame["type"] == "ack" && frame["id"] == "the end");
    let strays = client.take_all("message");
    assert!(strays.iter().all(|message| message["id"] == "the end"), "more than was said: {strays:?}");
    Heard { room, acks, messages }
}

#[test]
fn every_message_of_many_senders_at_three_servers_reaches_every_member_once() {
    const ROOMS: usize = 4;
    const MEMBERS: usize = 6;
    const SAID: usize = 150;
    let cluster = cluster(3, 0);
    let apps = addresses(&cluster, Role::App);
    let mut clients = Vec::new();
    for room in 0..ROOMS {
        for user in 0..MEMBERS {
            let mut client = Client::connect(apps[user % apps.len()]);
            client.join(&format!("room {room}"), &format!("user {user}"));
            clients.push((client, room, user));
        }
    }
    let threads: Vec<_> = clients
        .into_iter()
        .map(|(client, room, user)| thread::spawn(move || chat(client, room, user, SAID, SAID * MEMBERS)))
        .collect();
    let heard: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();

    for room in 0..ROOMS {
        let members: Vec<_> = heard.iter().filter(|heard| heard.room == room).collect();
        let by_identity = |member: &Heard| -> BTreeMap<Identity, Value> {
            member.messages.iter().map(|message| (identity(message), message.clone())).collect()
        };
        let all = by_identity(members[0]);
        let texts: BTreeSet<_> = all.values().map(|message| message["text"].as_str().unwrap()).collect();
        assert_eq!((all.len(), texts.len()), (SAID * MEMBERS, SAID * MEMBERS), "room {room}");
        let acked: BTreeSet<_> = members.iter().flat_map(|member| member.acks.iter().cloned()).collect();
        assert_eq!(acked, all.keys().cloned().collect(), "what was acknowledged is what was heard");
        for member in members {
            assert_eq!(by_identity(member), all, "all members of room {room} heard the same");
            let mut last: BTreeMap<String, u64> = BTreeMap::new();
            for (stream, seq) in member.messages.iter().map(identity) {
                let last = last.entry(stream).or_default();
                assert_eq!(seq, *last + 1, "each stream in its order, without a hole");
                *last = seq;
            }
            assert_eq!(last.len(), apps.len(), "one stream for each server");
            assert!(member.acks.is_sorted(), "acknowledged in the order of sending");
        }
    }
}

#[test]
fn everyone_is_counted_however_many_come_at_once() {
    let cluster = cluster(3, 0);
    let apps = addresses(&cluster, Role::App);
    let come = |server: usize, app: SocketAddr| {
        move || -> Vec<Client> {
            let mut clients: Vec<_> = (0..30).map(|_| Client::connect(app)).collect();
            for (number, client) in clients.iter_mut().enumerate() {
                // Every third name is at all servers.
                let name =
                    if number % 3 == 0 { format!("{number}") } else { format!("{number} at {server}") };
                client.join("square", &name);
            }
            clients
        }
    };
    let threads: Vec<_> =
        apps.iter().enumerate().map(|(server, &app)| thread::spawn(come(server, app))).collect();
    let mut clients: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    // A server where nobody is left, and nothing was said, forgets the room.
    let users = |servers: &[SocketAddr], count: usize| {
        eventually(&format!("{count} users at every server that has some"), || {
            servers.iter().all(|&app| room(app, "square")["users"] == count)
        });
    };
    users(&apps, 10 + 3 * 20);
    let mut newcomer = Client::connect(apps[0]);
    assert_eq!(newcomer.join("square", "newcomer")["roster"].as_array().unwrap().len(), 71);
    drop(clients.pop());
    users(&apps[..2], 10 + 2 * 20 + 1);
    drop(clients);
    users(&apps[..1], 1);
}
