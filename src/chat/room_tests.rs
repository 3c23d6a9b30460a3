use super::digests::FORGOTTEN_TIMES;
use super::*;
use crate::chat::stream::{Lack, Verdict};
use crate::wire::client_message::Since;

const OWN: StreamId = StreamId { origin: 1, generation: 0 };
const OTHER: StreamId = StreamId { origin: 2, generation: 0 };
const RING_MESSAGES_MAX: usize = 1000;
const HISTORY_MESSAGES: usize = 50;
const DIGEST_DELAY: Duration = Duration::from_millis(50);
const DIGEST_STREAM_AGE: Duration = Duration::from_secs(10);
const ANN: Member = Member { reactor: 0, connection: 1 };
const ANN_CLIENT: u64 = 0xa;
const BOB_CLIENT: u64 = 0xb;

fn now() -> Now {
    Now { instant: Instant::now(), unix_ms: 1000 }
}

fn room() -> Room {
    let mut room = Room::new("r".into(), OWN, 1, 7, Arc::default(), now());
    room.fetch = None;
    room.settle();
    room
}

fn message(id: &str) -> Arc<Message> {
    Arc::new(Message { from: "bob".into(), client: BOB_CLIENT, id: id.into(), text: "x".into(), time: 5 })
}

fn since(streams: &[(StreamId, u64)]) -> Since {
    Since { streams: streams.to_vec(), names_strangers: false }
}

impl Room {
    fn history(&self, since: Option<&Since>) -> (Vec<&Entry>, bool) {
        let (chosen, is_complete) = self.chosen(since);
        (chosen.into_iter().map(|(_, entry)| entry).collect(), is_complete)
    }
}

fn seqs(entries: &[&Entry]) -> Vec<(u64, u64)> {
    entries.iter().map(|entry| (entry.stream.origin, entry.seq)).collect()
}

/// Says something that another server confirms at once.
fn say(room: &mut Room, id: &str) -> Stamp {
    let stamp = room.say("ann".into(), ANN_CLIENT, id.into(), "x".into(), ANN, now());
    room.unconfirmed.show(stamp.seq).for_each(drop);
    room.unconfirmed.confirm(Span { stream: OWN, first: 1, last: stamp.seq });
    stamp
}

/// What is shown when a message is heard, by number.
fn hear(room: &mut Room, stream: StreamId, seq: u64, id: &str) -> Vec<u64> {
    room.hear(stream, seq, &message(id), stream.origin, now()).shown.iter().map(|entry| entry.seq).collect()
}

#[test]
fn what_was_said_is_known_by_client_id_and_text() {
    let mut room = room();
    assert!(room.said_before(ANN_CLIENT, "1", "hi").is_none());
    let stamp = room.say("ann".into(), ANN_CLIENT, "1".into(), "hi".into(), ANN, now());
    assert_eq!(stamp, Stamp { stream: OWN, seq: 1, time: 1000 });
    let (known, message) = room.said_before(ANN_CLIENT, "1", "hi").unwrap();
    assert_eq!((known, &*message.unwrap().text), (stamp, "hi"));
    assert!(room.said_before(BOB_CLIENT, "1", "hi").is_none());
    room.say("bob".into(), BOB_CLIENT, "1".into(), "ho".into(), ANN, now());
    let (first, messages) = room.take_outgoing().unwrap();
    assert_eq!((first, messages.len()), (1, 2));
    assert!(room.take_outgoing().is_none());
}

#[test]
fn a_clock_set_back_does_not_reorder_a_stream() {
    let mut room = room();
    room.say("ann".into(), ANN_CLIENT, "1".into(), "hi".into(), ANN, Now { unix_ms: 900, ..now() });
    let stamp =
        room.say("ann".into(), ANN_CLIENT, "2".into(), "hi".into(), ANN, Now { unix_ms: 100, ..now() });
    assert_eq!(stamp.time, 900);
}

#[test]
fn a_stream_is_shown_in_its_order_and_once() {
    let mut room = room();
    assert_eq!(hear(&mut room, OTHER, 1, "1"), [1]);
    assert_eq!(hear(&mut room, OTHER, 1, "1").len(), 0);
    assert_eq!(hear(&mut room, OTHER, 3, "3").len(), 0);
    assert!(!room.is_whole());
    assert_eq!(hear(&mut room, OTHER, 2, "2"), [2, 3]);
    assert!(room.is_whole());
}

#[test]
fn a_message_retried_at_another_server_is_not_shown_twice_but_kept_for_others() {
    let mut room = room();
    say(&mut room, "1");
    let again = Arc::new(Message {
        from: "ann".into(),
        client: ANN_CLIENT,
        id: "1".into(),
        text: "x".into(),
        time: 5,
    });
    let heard = room.hear(OTHER, 1, &again, 2, now());
    assert_eq!((heard.shown.len(), heard.known), (0, 1));
    assert_eq!(hear(&mut room, OTHER, 2, "2"), [2]);
    let Supply { entries, lacks, .. } = room.supply(&[Span { stream: OTHER, first: 1, last: 3 }]);
    assert_eq!(seqs(&entries.iter().collect::<Vec<_>>()), [(2, 1), (2, 2)]);
    assert_eq!(lacks, [Span { stream: OTHER, first: 3, last: 3 }]);
}

#[test]
pub fn who_saw_a_message_in_its_other_place_is_not_shown_it_in_this_one() {
    let mut room = room();
    let other = StreamId { origin: 3, generation: 0 };
    assert_eq!(hear(&mut room, OTHER, 1, "twice"), [1]);
    assert_eq!(hear(&mut room, other, 1, "twice").len(), 0);
    assert_eq!(hear(&mut room, OTHER, 2, "once"), [2]);
    let (history, complete) = room.history(Some(&since(&[(other, 1)])));
    assert_eq!((seqs(&history), complete), (vec![(2, 2)], true), "it saw the other one");
    let (history, _) = room.history(Some(&since(&[])));
    assert_eq!(seqs(&history), [(2, 1), (2, 2)], "it saw neither");
}

#[test]
pub fn a_stream_that_began_while_this_server_was_cut_off_begins_here_at_one() {
    let mut room = room();
    let mut missing = |stream: StreamId, begin| {
        room.announce(Span { stream, first: 3, last: 9 }, stream.origin, begin, now());
        room.gap_of(stream).unwrap().last
    };
    assert_eq!(missing(OTHER, Begin::AtOne), 0, "1 and 2 are a hole");
    let third = StreamId { origin: 3, generation: 0 };
    assert_eq!(missing(third, Begin::AtTold), 2, "it is older than the members");
}

#[test]
pub fn a_retry_of_what_waits_is_known_though_the_ring_has_dropped_it() {
    let mut room = room();
    room.say("ann".into(), ANN_CLIENT, "waits".into(), "x".into(), ANN, now());
    let waits = |room: &Room| {
        room.said_before(ANN_CLIENT, "waits", "x").map(|(stamp, message)| (stamp.seq, message.is_some()))
    };
    room.shrink_ring(0);
    assert_eq!((room.ring.kept().count(), room.ring.bytes(), waits(&room)), (0, 0, Some((1, true))));
    assert_eq!(hear(&mut room, OTHER, 1, "other"), [1]);
    let again = Message { client: ANN_CLIENT, id: "waits".into(), ..(*message("waits")).clone() };
    room.hear(OTHER, 2, &Arc::new(again), 2, now());
    assert_eq!(room.unconfirmed.show(1).count(), 0, "it was shown at its other place");
    hear(&mut room, OTHER, 1, "a");
    hear(&mut room, OTHER, 3, "c");
    let (stamp, kept) = room.said_before(BOB_CLIENT, "c", "x").unwrap();
    assert_eq!((stamp.stream, stamp.seq, kept.is_some()), (OTHER, 3, true));
    assert!(room.said_before(BOB_CLIENT, "b", "x").is_none());
}

/// A room where ann's message stood at its own place 1, gave way to bob's server's place 1, and was evicted.
fn with_evicted_place() -> Room {
    let mut room = room();
    room.say("bob".into(), BOB_CLIENT, "twice".into(), "x".into(), ANN, now());
    assert_eq!(hear(&mut room, OTHER, 1, "twice"), [1], "the own place was not shown");
    let third = StreamId { origin: 3, generation: 0 };
    (1..RING_MESSAGES_MAX as u64).for_each(|seq| drop(hear(&mut room, third, seq, &seq.to_string())));
    assert_eq!(room.ring.kept().next().map(|entry| entry.stream), Some(OTHER), "the own place is evicted");
    room
}

#[test]
pub fn a_place_that_is_evicted_is_known_as_long_as_another_one_is_kept() {
    let room = with_evicted_place();
    let (history, _) = room.history(Some(&since(&[(OWN, 1)])));
    assert_eq!(seqs(&history)[0], (3, 1), "it saw the other place");
    let (history, _) = room.history(Some(&since(&[])));
    assert_eq!(seqs(&history)[0], (2, 1), "it saw neither");
}

#[test]
pub fn a_server_that_fetches_a_message_is_told_of_its_other_places() {
    let from = with_evicted_place();
    let supply = from.supply(&[Span { stream: OTHER, first: 1, last: 1 }]);
    let mut room = Room::new("r".into(), StreamId { origin: 4, generation: 0 }, 1, 7, Arc::default(), now());
    from.places_of(&supply.entries).into_iter().for_each(|same| room.note_places(same));
    assert_eq!(hear(&mut room, OTHER, 1, "twice"), [1]);
    assert_eq!(room.history(Some(&since(&[(OWN, 1)]))).0.len(), 0, "it saw the other place");
    assert_eq!(room.history(Some(&since(&[]))).0.len(), 1, "it saw neither");
}

/// In short memory the id is forgotten while the other place waits behind a hole.
#[test]
pub fn what_waited_behind_a_hole_is_not_shown_again_though_its_id_is_forgotten() {
    let limits = Limits { ring_messages: 4, ids: 2, ..Limits::default() };
    let mut room = Room::new("r".into(), OWN, 1, 7, Arc::new(limits), now());
    room.fetch = None;
    room.settle();
    let twice =
        |id: &str| Arc::new(Message { from: "ann".into(), client: ANN_CLIENT, ..(*message(id)).clone() });
    let hear_twice = |room: &mut Room, seq, id: &str| {
        let heard = room.hear(OTHER, seq, &twice(id), OTHER.origin, now());
        heard.shown.iter().map(|entry| entry.seq).collect::<Vec<_>>()
    };
    say(&mut room, "shown");
    assert!(hear_twice(&mut room, 2, "shown").is_empty(), "1 is missing");
    room.say("ann".into(), ANN_CLIENT, "hidden".into(), "x".into(), ANN, now());
    assert!(hear_twice(&mut room, 3, "hidden").is_empty());
    let third = StreamId { origin: 3, generation: 0 };
    (1..=9).for_each(|seq| drop(hear(&mut room, third, seq, &seq.to_string())));
    assert!(room.ring.find(ANN_CLIENT, "shown", "x").is_none(), "forgotten");
    assert_eq!(
        hear_twice(&mut room, 1, "1"),
        [1, 3],
        "2 was shown; our own place of 3 was not, and is superseded"
    );
}

#[test]
fn who_saw_one_text_under_an_id_is_shown_the_other() {
    let mut room = room();
    let other = StreamId { origin: 3, generation: 0 };
    let say = |room: &mut Room, stream: StreamId, client: u64, text: &str| {
        let message = Message { from: "bob".into(), client, id: "1".into(), text: text.into(), time: 5 };
        let seq = room.position(stream).unwrap_or(0) + 1;
        room.hear(stream, seq, &Arc::new(message), stream.origin, now()).shown.len()
    };
    assert_eq!(say(&mut room, OTHER, BOB_CLIENT, "x"), 1);
    assert_eq!(say(&mut room, other, BOB_CLIENT, "x"), 0);
    assert_eq!(say(&mut room, OTHER, BOB_CLIENT, "y"), 1, "another text");
    assert_eq!(say(&mut room, OTHER, ANN_CLIENT, "x"), 1, "a namesake");
    let (history, _) = room.history(Some(&since(&[(other, 1)])));
    assert_eq!(seqs(&history), [(2, 2), (2, 3)]);
}

#[test]
fn what_waits_behind_a_hole_is_supplied_too() {
    let mut room = room();
    hear(&mut room, OTHER, 3, "3");
    let Supply { entries, lacks, .. } = room.supply(&[Span { stream: OTHER, first: 2, last: 3 }]);
    assert_eq!(seqs(&entries.iter().collect::<Vec<_>>()), [(2, 3)]);
    assert_eq!(lacks, [Span { stream: OTHER, first: 2, last: 2 }]);
}

#[test]
pub fn what_nobody_has_confirmed_is_in_nobodys_history() {
    let mut room = room();
    say(&mut room, "1");
    room.say("ann".into(), ANN_CLIENT, "2".into(), "x".into(), ANN, now());
    assert_eq!(seqs(&room.history(None).0), [(1, 1)]);
    assert_eq!(room.positions(None), [(OWN, 1)]);
    assert_eq!(room.digest(None), [Span { stream: OWN, first: 1, last: 2 }], "other servers may have it");
    assert_eq!(room.unconfirmed.show(2).map(|(seq, _)| seq).collect::<Vec<_>>(), [2]);
    assert_eq!(room.positions(None), [(OWN, 2)]);
}

#[test]
fn history_is_the_last_messages_or_what_came_after() {
    let mut room = room();
    for id in 1..=60 {
        say(&mut room, &id.to_string());
    }
    hear(&mut room, OTHER, 1, "1");
    hear(&mut room, OTHER, 2, "2");
    let (history, complete) = room.history(None);
    assert_eq!((history.len(), complete), (HISTORY_MESSAGES, true));
    assert_eq!(seqs(&history)[HISTORY_MESSAGES - 3..], [(1, 60), (2, 1), (2, 2)]);
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
pub fn what_is_lost_or_gone_makes_history_incomplete() {
    let mut room = room();
    hear(&mut room, OTHER, 1, "1");
    hear(&mut room, OTHER, 4, "4");
    let lack = Lack { server: 2, first: 2, last: 3, is_expired: true, question: u64::MAX };
    room.lack(OTHER, lack, Instant::now());
    let (verdict, heard) = room.judge(OTHER, &[2], false, now());
    assert_eq!(verdict, Verdict::Expired { first: 2, last: 3, is_told: true });
    assert_eq!(heard.shown.len(), 1);
    let span = |first, last| Span { stream: OTHER, first, last };
    let supply = room.supply(&[span(1, 5)]);
    assert_eq!(
        (supply.entries.len(), supply.expired, supply.lacks),
        (2, vec![span(2, 3)], vec![span(5, 5)]),
        "a newcomer gets what is kept before the hole, too"
    );
    assert_eq!(room.digest(None), [span(1, 4)]);
    assert!(!room.history(Some(&since(&[(OTHER, 1)]))).1, "2 and 3 were lost");
    assert!(room.history(Some(&since(&[(OTHER, 3)]))).1);
    for id in 0..RING_MESSAGES_MAX {
        say(&mut room, &format!("a{id}"));
    }
    assert!(!room.history(Some(&since(&[(OTHER, 3)]))).1, "4 has left the ring");
    assert!(room.history(Some(&since(&[(OTHER, 4)]))).1);
    room.fetch = Some(Box::new(Fetch::new(Instant::now(), &Limits::default())));
    assert!(!room.history(Some(&since(&[(OTHER, 4)]))).1, "what was said elsewhere is not known");
}

#[test]
pub fn streams_of_servers_that_are_gone_are_forgotten_and_never_one_of_a_server_that_lives() {
    let mut room = room();
    let max = Limits::default().streams as u64;
    let id = |origin: u64| StreamId { origin, generation: 0 };
    let start = Instant::now();
    // They are told all at once, as by the first digest that a newcomer gets: the server's own stream is the first of them.
    for origin in 100..100 + 2 * max {
        let now = Now { instant: start, unix_ms: 0 };
        room.announce(Span { stream: id(origin), first: 8, last: 7 }, 100, Begin::AtTold, now);
    }
    room.hear(id(150), 8, &message("kept"), 100, now());
    room.trim_streams(|origin| origin == 100);
    assert_eq!(room.streams.len() as u64, max);
    let is_known = |origin| room.position(id(origin)).is_some();
    assert!(room.position(OWN).is_some() && is_known(100) && is_known(150));
    assert!(!is_known(101) && is_known(100 + 2 * max - 1), "the oldest go first");
    assert_eq!(room.supply(&[Span { stream: id(150), first: 8, last: 8 }]).entries.len(), 1);
    room.announce(Span { stream: id(101), first: 8, last: 8 }, 100, Begin::AtTold, now());
    room.hear(id(101), 8, &message("old"), 100, now());
    assert_eq!(room.position(id(101)), None, "another server may keep it, and members have seen it");
    let kept = room.said_before(BOB_CLIENT, "kept", "x").map(|(stamp, _)| stamp.seq);
    room.ring.forget_stream(id(150));
    let remembered =
        room.said_before(BOB_CLIENT, "kept", "x").map(|(stamp, message)| (stamp.seq, message.is_some()));
    assert_eq!((kept, remembered), (Some(8), Some((8, false))), "its id outlives its stream");
    assert!(room.forgotten.len() as u64 <= FORGOTTEN_TIMES as u64 * max);
}

#[test]
fn an_older_life_of_a_room_at_a_server_that_lives_may_be_forgotten() {
    let mut room = room();
    let max = Limits::default().streams as u32;
    let id = |generation| StreamId { origin: 2, generation };
    for generation in 0..2 * max {
        room.announce(Span { stream: id(generation), first: 1, last: 1 }, 2, Begin::AtTold, now());
        room.hear(id(generation), 1, &message(&generation.to_string()), 2, now());
    }
    room.trim_streams(|_| true);
    assert_eq!((room.streams.len() as u32, room.position(id(2 * max - 1))), (max, Some(1)));
    assert_eq!(room.ring.kept().filter(|entry| room.position(entry.stream).is_none()).count(), 0);
}

#[test]
pub fn a_digest_is_told_soon_after_a_change_and_a_few_times_more() {
    let mut room = room();
    let start = now();
    room.hear(OTHER, 1, &message("1"), 2, start);
    let latest = DIGEST_DELAY + Duration::from_millis(DIGEST_GRID_MS);
    let mut told = Vec::new();
    let mut passed = Duration::ZERO;
    while passed < 2 * DIGEST_STREAM_AGE {
        passed += Duration::from_millis(5);
        if room.take_due_digest(start.instant + passed).is_some() {
            told.push(passed);
        }
    }
    let [first, second, third, fourth] = told[..] else { panic!("{told:?}") };
    assert!(first > DIGEST_DELAY && first <= latest, "{first:?}");
    assert_eq!([second - first, third - second, fourth - third], DIGEST_REPEATS);
}

#[test]
fn digests_of_rooms_that_change_at_nearly_the_same_time_are_due_at_the_same_time() {
    let start = Now { unix_ms: 1_000_000, ..now() };
    let due = |after_ms| {
        let instant = start.instant + Duration::from_millis(after_ms);
        let mut room = room();
        room.hear(OTHER, 1, &message("1"), 2, Now { instant, unix_ms: start.unix_ms + after_ms });
        let is_due = |ms: &u64| room.take_due_digest(start.instant + Duration::from_millis(*ms)).is_some();
        (0..).find(is_due)
    };
    assert!((1..DIGEST_GRID_MS).all(|after_ms| due(after_ms) == due(0)));
    assert_eq!(due(DIGEST_GRID_MS), due(0).map(|due| due + DIGEST_GRID_MS));
}

#[test]
fn what_was_heard_before_it_was_told_where_its_stream_begins_is_shown_then() {
    let mut room = Room::new("r".into(), OWN, 1, 7, Arc::default(), now());
    for seq in [53, 54, 55] {
        assert!(
            room.hear(OTHER, seq, &message(&seq.to_string()), 2, now()).shown.is_empty(),
            "it waits for 1 to 52"
        );
    }
    room.announce(Span { stream: OTHER, first: 53, last: 55 }, 2, Begin::AtTold, now());
    assert!(room.is_whole());
    let heard = room.begin_streams(|_| true, now());
    assert_eq!(heard.shown.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [53, 54, 55]);
    assert!(room.is_whole() && room.position(OTHER) == Some(55));
}

/// A server that comes back fetches a room whose ring is full: streams come in any order, and the oldest messages go, not
/// those that came first.
#[test]
fn what_is_fetched_first_is_not_what_goes_first() {
    const THIRD: StreamId = StreamId { origin: 3, generation: 0 };
    let mut room = Room::new("r".into(), OWN, 1, 7, Arc::default(), now());
    let mut fetch = |stream: StreamId, seq: u64, time: u64| {
        let id = format!("{}-{seq}", stream.origin).into();
        let message = Message { from: "bob".into(), client: BOB_CLIENT, id, text: "x".into(), time };
        room.hear(stream, seq, &Arc::new(message), 9, now());
    };
    let old = RING_MESSAGES_MAX as u64;
    (1..=10).for_each(|seq| fetch(OTHER, seq, old + seq));
    (1..=old).for_each(|seq| fetch(THIRD, seq, seq));
    room.announce(Span { stream: OTHER, first: 1, last: 10 }, 9, Begin::AtTold, now());
    room.announce(Span { stream: THIRD, first: 1, last: old }, 9, Begin::AtTold, now());
    room.begin_streams(|_| true, now());
    room.fetch = None;
    room.settle();

    let (entries, is_complete) = room.history(Some(&since(&[(THIRD, old)])));
    assert_eq!(seqs(&entries), (1..=10).map(|seq| (2, seq)).collect::<Vec<_>>());
    assert!(is_complete);
    assert!(!room.history(Some(&since(&[(THIRD, 9)]))).1, "the tenth had to go");
    assert!(room.history(Some(&since(&[(THIRD, 10)]))).1);
    assert_eq!(room.said_before(BOB_CLIENT, "2-1", "x").map(|(stamp, _)| stamp.seq), Some(1));
}

/// A ring that settles sorts by stamp, and history has no holes: so a second place may not have the stamp of the first one.
#[test]
fn what_is_appended_anew_is_stamped_anew() {
    let mut room = room();
    room.say("ann".into(), 1, "early".into(), "x".into(), ANN, now());
    hear(&mut room, OTHER, 1, "between");
    let later = Now { unix_ms: 9000, ..now() };
    room.say("ann".into(), 1, "late".into(), "x".into(), ANN, later);
    room.unconfirmed.note_rejection(2, OWN, 2);
    room.append_rejected(&[2], now());
    let stamps: Vec<_> =
        room.ring.kept().filter(|entry| entry.stream == OWN).map(|entry| entry.message.time).collect();
    assert_eq!((stamps.len(), stamps.is_sorted()), (3, true), "{stamps:?}");
}
