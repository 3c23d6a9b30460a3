//! What is asked for or published once more, and of whom.

use super::*;

/// One of three in a room that all hold.
fn of_three() -> World {
    let mut world = World::with_peer();
    world.hear_beat(3, Some(0), false);
    world.hear_from(3, Word::Digest { to: 1, rooms: [digest(true, &[])].into() });
    world.turn();
    world
}

/// Who was to confirm a stream's messages, each time that they were published.
fn witnesses(turn: &Turn, of: StreamId) -> Vec<u64> {
    let witness = |word: &Word| match word {
        Word::Messages { stream, witness, .. } if *stream == of => Some(*witness),
        _ => None,
    };
    turn.published.iter().filter_map(witness).collect()
}

#[test]
pub fn what_was_missed_while_the_bus_was_down_is_asked_for() {
    let mut world = World::with_peer();
    world.hub.handle_bus(BusEvent::Lost, world.now);
    let turn = world.turn();
    assert!(turn.published.iter().any(|word| matches!(word, Word::Sync { .. })), "{turn:?}");
}

#[test]
pub fn another_server_is_asked_to_confirm_what_the_first_did_not() {
    let mut world = of_three();
    world.say(ANN, "ann", "1");
    world.turn();
    let turn = world.live_on(CONFIRM_PATIENCE * 8, &[2, 3]);
    let witnesses = witnesses(&turn, StreamId { origin: 1, generation: 0 });
    assert!(witnesses.contains(&2) && witnesses.contains(&3), "{witnesses:?}");
}

#[test]
pub fn a_retry_of_what_another_server_said_is_published_until_somebody_confirms_it() {
    let mut world = of_three();
    let cat = Member { reactor: 1, connection: 5 };
    world.join(cat, "cat");
    world.say_word(messages(1, &["a"]));
    world.turn();
    let (user, client) = ("cat".into(), nonce("cat").key());
    let ask = Ask::Send { room: "r".into(), user, client, id: "a".into(), text: "x".into() };
    world.hub.handle_ask(cat, ask, world.now);
    world.turn();
    let turn = world.live_on(CONFIRM_PATIENCE * 4, &[2, 3]);
    assert!(!witnesses(&turn, CAT).is_empty(), "{turn:?}");
}
