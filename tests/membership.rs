//! Members who stay hear everything, whoever comes and goes around them.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use distr_chat::app::Options;
use support::http::room;
use support::{Client, UNLIMITED, eventually, options, start_app};

#[test]
fn members_who_stay_hear_everything_while_others_come_and_go() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let app = start_app(&Options { rate: UNLIMITED, reactors: 1, ..options("app-1") });
    let server = app.address();
    let mut stayers: Vec<_> = (0..5).map(|_| Client::connect(server)).collect();
    let mut others: Vec<Client> = Vec::new();
    for round in 0..100 {
        // Members leave in any order, several at once, so that the lists of members are shuffled in all ways.
        for _ in 0..random.usize(..8) {
            let mut client = Client::connect(server);
            client.join("crowd", &format!("u{}", random.u8(..20)));
            others.push(client);
        }
        random.shuffle(&mut others);
        others.truncate(random.usize(..=others.len()));
        if round < stayers.len() {
            stayers[round].join("crowd", &format!("stayer {round}"));
        }
        let id = round.to_string();
        let present = stayers.len().min(round + 1);
        stayers[round % present].say("crowd", &id, "here");
    }
    for (number, stayer) in stayers.iter_mut().enumerate() {
        let heard = stayer.messages_until("crowd", "99");
        assert_eq!(heard.len(), 100 - number, "stayer {number} hears all since it came");
    }
    let members = 5 + others.len();
    eventually("the members are counted right", || room(server, "crowd")["members_here"] == members);
}

#[test]
fn a_whole_room_that_drops_at_once_is_gone_and_the_server_stays() {
    let app = start_app(&Options { rate: UNLIMITED, reactors: 1, ..options("app-1") });
    for _ in 0..5 {
        let mut members: Vec<_> = (0..50).map(|_| Client::connect(app.address())).collect();
        for (number, member) in members.iter_mut().enumerate() {
            member.join("crowd", &format!("user {number}"));
        }
        drop(members);
        eventually("nobody is left", || room(app.address(), "crowd")["members_here"] == 0);
    }
    let (mut ann, mut bob) = (Client::connect(app.address()), Client::connect(app.address()));
    ann.join("crowd", "ann");
    bob.join("crowd", "bob");
    ann.say("crowd", "1", "hi");
    assert_eq!(bob.expect("message")["id"], "1");
}
