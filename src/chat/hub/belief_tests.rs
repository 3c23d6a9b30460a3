//! What other servers say that cannot be, or is too much.

use super::*;
use crate::chat::limits::{
    BEAT_ANSWERS_PER_SECOND, GAPS_PASSED_PER_TURN, PEERS_MAX, REPAIR_BYTES_PER_TURN, ROSTER_MAX,
    SYNC_ROOMS_MAX,
};

const SEQ_MAX: u64 = 1 << 53;

fn span(stream: StreamId, first: u64, last: u64) -> Span {
    Span { stream, first, last }
}

fn gaps(turn: &Turn) -> usize {
    turn.told(0, "\"gap\"")
}

#[test]
fn a_stream_that_jumps_further_than_can_be_loses_nothing() {
    let mut world = World::with_peer();
    world.say_word(messages(1, &["a"]));
    world.turn();
    for last in [SEQ_MAX, 1 << 40, 1_000_000] {
        world.say_word(Word::Digest { to: 0, rooms: [digest(true, &[span(CAT, 1, last)])].into() });
        world.say_word(repair(&[], &[span(CAT, 2, last)]));
        world.say_word(messages(last, &["far"]));
    }
    let turn = world.live_on(LEASE, &[2]);
    assert_eq!((gaps(&turn), wants(&turn).len()), (0, 0), "{:?}", turn.frames);
    assert_eq!(world.hub.take_counts().refused.jumps, 6);
    world.say_word(messages(2, &["b"]));
    assert_eq!(world.turn().told(0, "\"id\":\"b\""), 1, "what is really said is shown");
}

#[test]
fn a_stream_that_was_out_of_reach_may_jump_as_far_as_it_can_have_come() {
    let mut world = World::with_peer();
    world.say_word(messages(1, &["a"]));
    world.live_on(LEASE, &[2]);
    world.say_word(Word::Digest { to: 0, rooms: [digest(true, &[span(CAT, 900_000, 1_000_000)])].into() });
    let turn = world.live_on(GAP_PATIENCE * 2, &[2]);
    assert!(!wants(&turn).is_empty(), "what is missing is asked for");
    assert_eq!(world.hub.take_counts().refused.jumps, 0);
}

#[test]
fn a_new_stream_does_not_begin_where_none_can_be() {
    let mut world = World::with_peer();
    let stranger = StreamId { origin: 9, generation: 0 };
    world.say_word(Word::Digest { to: 0, rooms: [digest(true, &[span(stranger, SEQ_MAX, SEQ_MAX)])].into() });
    world.turn();
    assert!(world.hub.rooms().all(|room| room.position(stranger).is_none()));
    assert_eq!(world.hub.take_counts().refused.jumps, 1);
}

#[test]
fn more_servers_than_may_be_are_not_met_and_answered_in_one_beat() {
    let mut world = World::with_peer();
    let stranger = |origin: u64, beat| {
        let name = "stranger".into();
        let word = Word::Alive {
            name,
            beat,
            age_ms: u64::MAX,
            lanes: 0,
            is_leaving: false,
            load: None,
            echoes: [].into(),
        };
        BusEvent::Received(Envelope { origin, word })
    };
    (100..85_000).for_each(|origin| world.hub.handle_bus(stranger(origin, 1), world.now));
    let refused = world.hub.take_counts().refused.peers;
    assert_eq!(refused, 84_900 - (PEERS_MAX as u64 - 1));
    assert_eq!(world.hub.peers().by_name().len(), PEERS_MAX);
    let mut beats = 0;
    for turn in 0..100 {
        world.hub.handle_bus(stranger(200_000 + turn, 1), world.now);
        world.hub.handle_timeout(world.now);
        world.hub.finish_turn(world.now);
        while let Some(effect) = world.hub.poll_effect() {
            let is_beat = |effect: &Effect| {
                matches!(effect, Effect::Publish(Envelope { word: Word::Alive { .. }, .. }))
            };
            beats += usize::from(is_beat(&effect));
        }
    }
    assert!(beats <= BEAT_ANSWERS_PER_SECOND as usize, "{beats} beats at one time");
}

#[test]
fn a_newcomer_takes_the_place_of_one_that_never_answered() {
    let mut world = World::with_peer();
    (100..2000).for_each(|origin| {
        let word = Word::Alive {
            name: "stranger".into(),
            beat: 1,
            age_ms: 0,
            lanes: 0,
            is_leaving: false,
            load: None,
            echoes: [].into(),
        };
        world.hear_from(origin, word);
    });
    world.turn();
    world.hear_beat(5000, Some(0), false);
    assert!(!world.hub.peers().is_live(5000), "all may still answer");
    world.live_on(LEASE, &[2]);
    world.hear_beat(5000, Some(0), false);
    assert!(world.hub.peers().is_live(5000) && world.hub.peers().is_live(2));
    assert_eq!(world.hub.peers().by_name().len(), PEERS_MAX);
}

#[test]
fn lists_are_no_longer_than_servers_say_them() {
    let mut world = World::with_peer();
    world.say_word(Word::Sync { is_fresh: false, rooms: vec!["r".into(); 10_000].into() });
    let names: Vec<Arc<str>> = (0..=ROSTER_MAX).map(|name| name.to_string().as_str().into()).collect();
    let (room, users) = ("r".into(), names.len());
    world.say_word(Word::Presence { room, version: 9, is_held: true, users, names: Some(names.into()) });
    let spans = |spans: Vec<Span>| Word::Want { to: 1, room: "r".into(), question: 1, spans: spans.into() };
    let own = StreamId { origin: 1, generation: 0 };
    world.say_word(spans(vec![span(own, 1, 1000); 2]));
    world.say_word(spans((1..2000).map(|seq| span(own, seq, seq)).collect()));
    let turn = world.turn();
    let answered: usize = turn
        .published
        .iter()
        .map(|word| if let Word::Digest { rooms, .. } = word { rooms.len() } else { 0 })
        .sum();
    assert_eq!(answered, SYNC_ROOMS_MAX);
    assert!(!turn.published.iter().any(|word| matches!(word, Word::Repair { .. })), "{turn:?}");
    assert_eq!(turn.told(0, "\"roster\""), 0);
    assert_eq!(world.hub.take_counts().refused.lists, 4);
}

#[test]
fn what_is_sent_to_those_who_miss_it_is_bounded_in_a_turn() {
    let mut world = World::with_peer();
    let text = "x".repeat(4000);
    for id in 0..60 {
        let ask = Ask::Send {
            room: "r".into(),
            user: "ann".into(),
            client: 1,
            id: id.to_string().into(),
            text: text.as_str().into(),
        };
        world.hub.handle_ask(ANN, ask, world.now);
    }
    world.turn();
    let want = || {
        let spans = [span(StreamId { origin: 1, generation: 0 }, 1, 60)].into();
        Word::Want { to: 1, room: "r".into(), question: 1, spans }
    };
    let sent = |world: &mut World| {
        (0..1000).for_each(|_| world.say_word(want()));
        let entries = |word: &Word| match word {
            Word::Repair { entries, .. } => entries.iter().map(|entry| entry.message.weight()).sum(),
            _ => 0,
        };
        world.turn().published.iter().map(entries).sum::<usize>()
    };
    for _ in 0..2 {
        let bytes = sent(&mut world);
        assert!((REPAIR_BYTES_PER_TURN..REPAIR_BYTES_PER_TURN + 60 * 5000).contains(&bytes), "{bytes}");
        assert!(world.hub.take_counts().refused.questions > 900);
    }
}

#[test]
fn holes_are_passed_over_some_at_a_time() {
    let mut world = World::with_peer();
    world.say_word(messages(1, &["a"]));
    world.turn();
    // Every second one is here, and nobody keeps the others any longer.
    let holes = 2 * GAPS_PASSED_PER_TURN as u64;
    (1..=holes).for_each(|hole| world.say_word(messages(2 * hole + 1, &[&hole.to_string()])));
    world.live_on(GAP_PATIENCE * 2, &[2]);
    let expired: Vec<_> = (1..=holes).map(|hole| span(CAT, 2 * hole, 2 * hole)).collect();
    let answer = |question| Word::Repair {
        to: 1,
        room: "r".into(),
        question,
        entries: [].into(),
        places: [].into(),
        lacks: [].into(),
        expired: expired.as_slice().into(),
    };
    world.say_word(answer(1));
    assert_eq!(gaps(&world.turn()), GAPS_PASSED_PER_TURN);
    let turn = world.live_on(LEASE, &[2]);
    assert_eq!(gaps(&turn), GAPS_PASSED_PER_TURN, "and the others later");
}

#[test]
fn no_time_of_another_server_stops_the_clock() {
    let mut world = World::with_peer();
    let time = u64::MAX;
    let late = RoomDigest { time, ..digest(true, &[]) };
    world.say_word(Word::Digest { to: 0, rooms: [late].into() });
    world.say(ANN, "ann", "1");
    let turn = world.turn();
    let times: Vec<_> = turn
        .published
        .iter()
        .filter_map(|word| match word {
            Word::Messages { messages, .. } => Some(messages[0].time),
            _ => None,
        })
        .collect();
    assert!(times.len() == 1 && times[0] < SEQ_MAX, "{times:?}");
}

#[test]
fn a_server_that_never_answers_keeps_new_rooms_waiting_and_no_thread_busy() {
    let mut world = World::new();
    let stranger = Word::Alive {
        name: "stranger".into(),
        beat: 1,
        age_ms: 0,
        lanes: 0,
        is_leaving: false,
        load: Some(0),
        echoes: [].into(),
    };
    world.hear_from(9, stranger);
    world.join(ANN, "ann");
    let asks = |turn: &Turn| turn.published.iter().any(|word| matches!(word, Word::Sync { .. }));
    // Nobody else beats, so each turn has a cause of its own.
    let (mut turns, end) = (0, world.now.instant + LEASE);
    let mut is_asked = asks(&world.turn());
    while !is_asked && world.now.instant < end {
        let due = world.hub.poll_timeout();
        assert!(due > world.now.instant, "a turn that does nothing follows {turns} others at once");
        is_asked = asks(&world.pass(due - world.now.instant));
        turns += 1;
    }
    assert!(turns > 0, "the stranger may have the room, so it is waited for");
}
