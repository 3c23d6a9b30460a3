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

#[test]
pub fn a_retry_is_given_up_though_others_are_late_again_and_again() {
    let mut world = of_three();
    let cat = Member { reactor: 1, connection: 5 };
    world.join(cat, "cat");
    world.say_word(messages(1, &["a"]));
    world.turn();
    let (user, client) = ("cat".into(), nonce("cat").key());
    let ask = Ask::Send { room: "r".into(), user, client, id: "a".into(), text: "x".into() };
    world.hub.handle_ask(cat, ask, world.now);
    // Each time that one becomes suspect, everything is published at once for another one, and the next time is put off.
    let second = Duration::from_secs(1);
    let turns: Vec<_> =
        (0..10).map(|_| world.live_on(second / 2, &[2, 3]).and(world.live_on(second / 2, &[2]))).collect();
    assert!(turns[..5].iter().all(|turn| !witnesses(turn, CAT).is_empty()), "{turns:?}");
    assert!(turns[7..].iter().all(|turn| witnesses(turn, CAT).is_empty()), "{turns:?}");
}

/// All that arrives first of a stream may be a message in its middle.
#[test]
pub fn what_rings_dropped_of_a_stream_that_began_meanwhile_is_a_gap() {
    let mut world = World::with_peer();
    world.say_word(messages(3, &["c"]));
    world.pass(GAP_PATIENCE);
    world.say_word(repair(&[], &[Span { stream: CAT, first: 1, last: 2 }]));
    let turn = world.turn();
    assert_eq!(
        turn.told(0, r#""type":"gap","room":"r","stream":"0000000000000002.0","first":1,"last":2"#),
        1
    );
    assert_eq!(turn.told(0, "\"seq\":3"), 1);
}

#[test]
pub fn nothing_is_passed_over_until_lanes_that_return_have_brought_a_word_of_everybody() {
    let mut world = World::with_peer();
    world.hub.settings.settle = Duration::from_millis(500);
    let up = std::mem::replace(&mut world.carrying, DOWN);
    world.live_on(Duration::from_secs(1), &[2]);
    world.carrying = up;
    world.turn();
    world.say_word(messages(3, &["c"]));
    world.live_on(GAP_PATIENCE, &[2]);
    world.say_word(repair(&[], &[Span { stream: CAT, first: 1, last: 2 }]));
    assert_eq!(world.turn().told(0, "\"gap\""), 0, "a server that has it may be heard soon");
    assert_eq!(world.live_on(Duration::from_millis(600), &[2]).told(0, "\"gap\""), 1);
}
