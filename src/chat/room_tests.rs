use super::*;

const OWN: StreamId = StreamId { origin: 1, generation: 0 };
const OTHER: StreamId = StreamId { origin: 2, generation: 0 };

fn now() -> Now {
    Now { instant: Instant::now(), unix_ms: 1000 }
}

fn room() -> Room {
    Room::new("r".into(), OWN, 1, 7, now())
}

fn message(id: &str) -> Arc<Message> {
    Arc::new(Message { from: "bob".into(), id: id.into(), text: "x".into(), time: 5 })
}

fn since(streams: &[(StreamId, u64)]) -> Since {
    Since { streams: streams.to_vec(), names_strangers: false }
}

fn seqs(entries: &[&Entry]) -> Vec<(u64, u64)> {
    entries.iter().map(|entry| (entry.stream.origin, entry.seq)).collect()
}

#[test]
fn what_was_said_is_known_by_speaker_and_id() {
    let mut room = room();
    assert!(room.said_before("ann", "1").is_none());
    let (stamp, message) = room.say("ann".into(), "1".into(), "hi".into(), now());
    assert_eq!(stamp, Stamp { stream: OWN, seq: 1, time: 1000 });
    assert_eq!(room.said_before("ann", "1"), Some((stamp, &*message)));
    assert!(room.said_before("bob", "1").is_none());
    room.say("bob".into(), "1".into(), "ho".into(), now());
    let (stream, first, messages) = room.take_outgoing().unwrap();
    assert_eq!((stream, first, messages.len()), (OWN, 1, 2));
    assert!(room.take_outgoing().is_none());
}

#[test]
fn a_clock_set_back_does_not_reorder_a_stream() {
    let mut room = room();
    room.say("ann".into(), "1".into(), "hi".into(), Now { unix_ms: 900, ..now() });
    let (stamp, _) = room.say("ann".into(), "2".into(), "hi".into(), Now { unix_ms: 100, ..now() });
    assert_eq!(stamp.time, 900);
}

#[test]
fn what_was_heard_is_not_heard_again_and_holes_are_counted() {
    let mut room = room();
    assert_eq!(
        room.hear(OTHER, 5, &message("5"), now()),
        Heard::New { missing: 0 },
        "its beginning is unknown"
    );
    assert_eq!(room.hear(OTHER, 5, &message("5"), now()), Heard::Duplicate);
    assert_eq!(room.hear(OTHER, 8, &message("8"), now()), Heard::New { missing: 2 });
    assert_eq!(room.hear(OTHER, 6, &message("6"), now()), Heard::Duplicate);
}

#[test]
fn a_message_retried_at_another_server_is_not_told_twice() {
    let mut room = room();
    room.say("bob".into(), "5".into(), "x".into(), now());
    assert_eq!(room.hear(OTHER, 1, &message("5"), now()), Heard::Duplicate);
    assert_eq!(room.hear(OTHER, 2, &message("6"), now()), Heard::New { missing: 0 });
}

#[test]
fn history_is_the_last_messages_or_what_came_after() {
    let mut room = room();
    for id in 1..=60 {
        room.say("ann".into(), id.to_string().into(), "x".into(), now());
    }
    room.hear(OTHER, 1, &message("1"), now());
    room.hear(OTHER, 2, &message("2"), now());
    let (history, complete) = room.history(None);
    assert_eq!((history.len(), complete), (HISTORY_MESSAGES, true));
    let (history, complete) = room.history(Some(&since(&[(OWN, 59), (OTHER, 1)])));
    assert_eq!((seqs(&history), complete), (vec![(1, 60), (2, 2)], true));
    let (history, complete) = room.history(Some(&since(&[(OWN, 60)])));
    assert_eq!(
        (seqs(&history), complete),
        (vec![(2, 1), (2, 2)], true),
        "a stream that the client never heard"
    );
    let (_, complete) = room.history(Some(&since(&[(StreamId { origin: 9, generation: 0 }, 3)])));
    assert!(!complete, "an unknown stream may have gone on");
    let stranger = Since { names_strangers: true, ..since(&[(OWN, 60), (OTHER, 2)]) };
    assert!(!room.history(Some(&stranger)).1);
    let (history, complete) = room.history(Some(&since(&[(OWN, u64::MAX), (OTHER, u64::MAX)])));
    assert_eq!((history.len(), complete), (0, true));
}

#[test]
fn what_is_gone_or_was_never_heard_makes_history_incomplete() {
    let mut room = room();
    room.hear(OTHER, 1, &message("1"), now());
    room.hear(OTHER, 4, &message("4"), now());
    assert!(!room.history(Some(&since(&[(OTHER, 1)]))).1, "2 and 3 were lost");
    assert!(room.history(Some(&since(&[(OTHER, 3)]))).1);
    for id in 0..super::super::limits::RING_MESSAGES_MAX {
        room.say("ann".into(), format!("a{id}").into(), "x".into(), now());
    }
    assert!(!room.history(Some(&since(&[(OTHER, 3)]))).1, "4 has left the ring");
    assert!(room.history(Some(&since(&[(OTHER, 4)]))).1);
}

#[test]
fn the_silent_stream_is_forgotten_first_and_never_our_own() {
    let mut room = room();
    let start = Instant::now();
    for origin in 0..2 * STREAMS_PER_ROOM_MAX as u64 {
        let now = Now { instant: start + std::time::Duration::from_millis(origin), unix_ms: 0 };
        room.hear(StreamId { origin: 100 + origin, generation: 0 }, 1, &message(&origin.to_string()), now);
    }
    assert_eq!(room.streams.len(), STREAMS_PER_ROOM_MAX);
    assert!(room.streams.iter().any(|known| known.id == OWN));
    assert!(!room.streams.iter().any(|known| known.id.origin == 100));
}
