//! Joins in numbers: what their answers cost, who waits, and what becomes of those who are gone.

use super::*;
use crate::chat::limits::{ANSWER_BYTES_IN_MAIL, ASKS_QUEUED_MAX, ENCODED_AGE_MAX, ENCODED_BYTES_MAX};

/// Bytes of a message that JSON makes six times as long.
const TEXT_BYTES: usize = 4000;
const ROUNDS_MAX: usize = 10_000;

fn client(connection: u64) -> Member {
    Member { reactor: 0, connection }
}

fn ask_in(world: &mut World, member: Member, room: &str, visit: u32) {
    let since = Some(Since { streams: Vec::new(), names_strangers: false });
    let user = format!("user {}", member.connection);
    let ask = Ask::Join { room: room.into(), user: user.as_str().into(), client: nonce("x"), visit, since };
    world.hub.handle_ask(member, ask, world.now);
}

fn say_in(world: &mut World, member: Member, room: &str, id: u64, text: &str) {
    let (room, id) = (room.into(), id.to_string().into());
    let ask = Ask::Send { room, user: "ann".into(), client: 1, id, text: text.into() };
    world.hub.handle_ask(member, ask, world.now);
}

/// A server with rooms whose rings are full.
fn with_full_rooms(rooms: &[&str]) -> World {
    let mut world = World::new();
    world.pass(LEASE);
    for room in rooms {
        ask_in(&mut world, ANN, room, 0);
        world.turn();
        let text = "\u{1}".repeat(TEXT_BYTES);
        (0..64).for_each(|id| say_in(&mut world, ANN, room, id, &text));
        world.turn();
    }
    world.takes_answers = false;
    world
}

/// The answers of one turn, and their bytes.
fn answers(world: &mut World) -> (Vec<u64>, usize) {
    world.hub.handle_bus_state(world.carrying, world.now);
    world.hub.handle_timeout(world.now);
    world.hub.finish_turn(world.now);
    let (mut to, mut bytes) = (Vec::new(), 0);
    while let Some(effect) = world.hub.poll_effect() {
        if let Effect::Tell(_, Notice::Entered { connection, frame, .. }) = effect {
            to.push(connection);
            bytes += frame.iter().map(Bytes::len).sum::<usize>();
        }
    }
    (to, bytes)
}

#[test]
fn answers_wait_until_reactors_have_taken_those_before() {
    let mut world = with_full_rooms(&["r"]);
    (100..400).for_each(|by| ask_in(&mut world, client(by), "r", 0));
    let (mut answered, bytes) = answers(&mut world);
    let one = bytes / answered.len();
    assert!(one > TEXT_BYTES * 6 * 60, "an answer is large: {one}");
    assert!(bytes < ANSWER_BYTES_IN_MAIL + one, "{bytes} bytes in a mailbox");
    assert_eq!(answers(&mut world).0, [0; 0], "nothing was taken");
    let mut on_the_way = bytes;
    for _ in 0..ROUNDS_MAX {
        world.hub.handle_answers_taken(0, on_the_way);
        let (more, bytes) = answers(&mut world);
        assert!(bytes < ANSWER_BYTES_IN_MAIL + one);
        on_the_way = bytes;
        answered.extend(more);
    }
    assert_eq!(answered, (100..400).collect::<Vec<_>>(), "each in its turn");
    assert!(world.hub.encoded_bytes < 2 * one, "one history serves them all");
}

#[test]
fn a_connection_has_one_answer_under_way() {
    let mut world = with_full_rooms(&["a", "b"]);
    ["a", "b"].iter().for_each(|room| ask_in(&mut world, BOB, room, 0));
    assert_eq!(answers(&mut world).0.len(), 1);
    world.hub.handle_answers_taken(1, ANSWER_BYTES_IN_MAIL / 2);
    assert_eq!(answers(&mut world).0.len(), 0, "its socket has not taken it");
    world.hub.handle_ask(BOB, Ask::Received, world.now);
    assert_eq!(answers(&mut world).0.len(), 1);
}

#[test]
fn what_is_said_behind_a_join_that_waits_waits_too() {
    let mut world = with_full_rooms(&["r", "s"]);
    ask_in(&mut world, BOB, "r", 0);
    ask_in(&mut world, BOB, "s", 1);
    say_in(&mut world, BOB, "s", 900, "behind");
    let turn = world.turn();
    let told = ["\"type\":\"joined\"", "not_joined", "behind"].map(|what| turn.told(1, what));
    assert_eq!(told, [1, 0, 0], "{told:?}");
    world.hub.handle_ask(BOB, Ask::Received, world.now);
    let turn = world.turn();
    let told = ["\"type\":\"joined\"", "not_joined", "behind"].map(|what| turn.told(1, what));
    assert_eq!(told, [1, 0, 1], "{told:?}");
}

#[test]
fn who_is_gone_or_has_left_is_not_answered() {
    let mut world = with_full_rooms(&["r", "s"]);
    ask_in(&mut world, BOB, "r", 0);
    (1..1000).for_each(|visit| {
        ask_in(&mut world, BOB, "s", visit);
        world.hub.handle_ask(BOB, Ask::Withdraw { room: "s".into(), visit }, world.now);
    });
    assert_eq!(answers(&mut world).0, [BOB.connection]);
    world.hub.handle_ask(BOB, Ask::Received, world.now);
    assert_eq!(answers(&mut world).0, [0; 0]);
}

#[test]
fn who_is_gone_while_a_room_is_fetched_is_not_answered() {
    let mut world = World::with_peer();
    ask_in(&mut world, BOB, "new", 3);
    ask_in(&mut world, ANN, "new", 4);
    say_in(&mut world, ANN, "new", 1, "behind");
    world.hub.handle_ask(BOB, Ask::Withdraw { room: "new".into(), visit: 3 }, world.now);
    world.hub.handle_ask(ANN, Ask::Withdraw { room: "new".into(), visit: 4 }, world.now);
    world.turn();
    let answer = RoomDigest { room: "new".into(), ..digest(true, &[]) };
    world.say_word(Word::Digest { to: 1, rooms: [answer].into() });
    let turn = world.turn();
    assert_eq!(turn.told(1, "\"type\":\"joined\""), 0, "bob has left");
    assert_eq!(turn.told(0, "\"type\":\"joined\""), 1, "what ann said behind it is said");
    let is_said = |word: &Word| matches!(word, Word::Messages { room, .. } if &**room == "new");
    assert!(turn.published.iter().any(is_said), "{turn:?}");
}

#[test]
fn more_joins_than_may_wait_are_refused_and_told_so() {
    let mut world = with_full_rooms(&["r"]);
    let by = |index: usize| client(1000 + index as u64);
    (0..ASKS_QUEUED_MAX + 100).for_each(|index| ask_in(&mut world, by(index), "r", 0));
    let overloaded = world.hub.take_counts().overloaded;
    assert!((1..100).contains(&overloaded), "{overloaded}");
    assert_eq!(world.turn().told(0, "\"overloaded\""), overloaded as usize);
}

#[test]
fn a_room_stays_as_long_as_somebody_waits_for_it() {
    let mut world = with_full_rooms(&["r", "s"]);
    ask_in(&mut world, BOB, "s", 0);
    world.turn();
    ask_in(&mut world, BOB, "r", 1);
    world.hub.handle_ask(ANN, Ask::Leave { room: "r".into(), user: "user 1".into() }, world.now);
    world.live_on(ROOM_LINGER * 2, &[]);
    assert!(world.hub.rooms().any(|room| &*room.name == "r"));
    world.hub.handle_ask(BOB, Ask::Received, world.now);
    assert_eq!(world.turn().told(1, "\"type\":\"joined\""), 1);
}

#[test]
fn encoded_history_is_bounded_and_given_back() {
    let names: Vec<_> = (0..80).map(|room| format!("room {room}")).collect();
    let mut world = with_full_rooms(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.takes_answers = true;
    for (index, name) in names.iter().enumerate() {
        ask_in(&mut world, client(1000 + index as u64), name, 0);
        world.turn();
    }
    let most = world.hub.encoded_bytes;
    let kept: usize = world.hub.rooms().map(Room::encoded_bytes).sum();
    assert_eq!(most, kept);
    assert!(most > ENCODED_BYTES_MAX / 2 && most < ENCODED_BYTES_MAX + 4 * 1024 * 1024, "{most}");
    world.live_on(ENCODED_AGE_MAX * 2, &[]);
    assert_eq!((world.hub.encoded_bytes, world.hub.encoded.len()), (0, 0));
}
