use super::*;
use crate::chat::limits::{PRESENCE_INTERVAL, PRESENCE_REFRESH};
use crate::wire::ClientNonce;
use crate::wire::client_message::Since;
use crate::wire::envelope::{Echo, Entry, Span};

const ALIVE_INTERVAL: Duration = Duration::from_millis(100);
const SUSPECT: Duration = Duration::from_millis(150);
const BUS_PAUSE_MAX: Duration = Duration::from_secs(1);
const CONFIRM_PATIENCE: Duration = Duration::from_millis(300);
const FETCH_INTERVAL: Duration = Duration::from_millis(150);
const FETCH_MAX: Duration = Duration::from_secs(1);
const GAP_PATIENCE: Duration = Duration::from_millis(30);
const LEASE: Duration = Duration::from_secs(3);
const RING_MESSAGES_MAX: usize = 1000;
const ROOM_LINGER: Duration = Duration::from_secs(60);
const UP: Carrying = Carrying { lanes: 3, of: 3 };
const DOWN: Carrying = Carrying { lanes: 0, of: 3 };

#[path = "hub/again_tests.rs"]
pub mod again;
#[path = "hub/belief_tests.rs"]
mod belief;
#[path = "hub/cluster/mod.rs"]
mod cluster;
#[path = "hub/identity_tests.rs"]
mod identity;
#[path = "hub/joins_tests.rs"]
mod joins;
#[path = "hub/rooms_tests.rs"]
mod rooms;

const ANN: Member = Member { reactor: 0, connection: 1 };
const BOB: Member = Member { reactor: 1, connection: 2 };

struct World {
    hub: Hub,
    now: Now,
    carrying: Carrying,
    /// The number of its last beat.
    beat: u64,
    /// Of the other servers' last ones.
    beats: u64,
    /// Reactors and clients take answers to joins at once.
    takes_answers: bool,
}

/// What the hub asked for in a turn, sorted by where it goes.
#[derive(Debug, Default)]
struct Turn {
    frames: Vec<(usize, String)>,
    published: Vec<Word>,
    subscribed: Vec<String>,
    unsubscribed: Vec<String>,
    rooms_made: usize,
}

impl World {
    /// The only server.
    fn new() -> Self {
        let now = Now { instant: Instant::now(), unix_ms: 1000 };
        let settings = Settings {
            name: "app-1".into(),
            incarnation: 1,
            reactors: 2,
            seed: 7,
            settle: Duration::ZERO,
            flush_delay: Duration::ZERO,
            limits: Arc::default(),
        };
        let hub = Hub::new(settings, now.instant);
        let mut world = Self { hub, now, carrying: UP, beat: 0, beats: 0, takes_answers: true };
        world.turn();
        world
    }

    /// One of two, in a room that the other one holds too.
    fn with_peer() -> Self {
        let mut world = Self::new();
        world.hear_alive();
        world.join(ANN, "ann");
        world.turn();
        world.say_word(Word::Digest { to: 1, rooms: [digest(true, &[])].into() });
        world.turn();
        world
    }

    /// A sign of life of the other server, which has received our last one.
    fn hear_alive(&mut self) {
        self.hear_beat(2, Some(0), false);
    }

    fn hear_beat(&mut self, origin: u64, load: Option<u32>, is_leaving: bool) {
        self.beats += 1;
        let echoes = [Echo { to: 1, beat: self.beat }].into();
        let name = format!("app-{origin}").as_str().into();
        let word = Word::Alive { name, beat: self.beats, age_ms: 0, lanes: 0, is_leaving, load, echoes };
        self.hub.handle_bus(BusEvent::Received(Envelope { origin, word }), self.now);
    }

    /// Another server's word.
    fn hear_from(&mut self, origin: u64, word: Word) {
        self.hub.handle_bus(BusEvent::Received(Envelope { origin, word }), self.now);
    }

    /// Time passes in which nobody stands still, and those servers say that they live.
    fn live_on(&mut self, time: Duration, servers: &[u64]) -> Turn {
        let mut turn = Turn::default();
        let end = self.now.instant + time;
        while self.now.instant < end {
            servers.iter().for_each(|origin| self.hear_beat(*origin, Some(0), false));
            turn = turn.and(self.pass(ALIVE_INTERVAL.min(end - self.now.instant)));
        }
        turn
    }

    /// The other server's word.
    fn say_word(&mut self, word: Word) {
        self.hub.handle_bus(BusEvent::Received(Envelope { origin: 2, word }), self.now);
    }

    fn have(&mut self, last: u64) {
        let stream = StreamId { origin: 1, generation: 0 };
        self.say_word(have(Span { stream, first: 1, last }));
    }

    fn join(&mut self, member: Member, user: &str) {
        let ask =
            Ask::Join { room: "r".into(), user: user.into(), client: nonce(user), visit: 0, since: None };
        self.hub.handle_ask(member, ask, self.now);
    }

    /// A join by somebody who has seen so much of a stream at another server.
    fn come_back(&mut self, member: Member, user: &str, stream: StreamId, seq: u64) {
        let since = Some(Since { streams: vec![(stream, seq)], names_strangers: false });
        let ask = Ask::Join { room: "r".into(), user: user.into(), client: nonce(user), visit: 0, since };
        self.hub.handle_ask(member, ask, self.now);
    }

    fn say(&mut self, member: Member, user: &str, id: &str) {
        let ask = Ask::Send {
            room: "r".into(),
            user: user.into(),
            client: nonce(user).key(),
            id: id.into(),
            text: "hi".into(),
        };
        self.hub.handle_ask(member, ask, self.now);
    }

    fn leave(&mut self, member: Member, user: &str) {
        self.hub.handle_ask(member, Ask::Leave { room: "r".into(), user: user.into() }, self.now);
    }

    fn pass(&mut self, time: Duration) -> Turn {
        self.now.instant += time;
        self.now.unix_ms += time.as_millis() as u64;
        self.turn()
    }

    /// Turns until a room that was subscribed to is confirmed.
    fn turn(&mut self) -> Turn {
        let mut turn = Turn::default();
        self.turn_into(&mut turn);
        for room in std::mem::take(&mut turn.subscribed) {
            self.hub.handle_bus(BusEvent::Subscribed(room.as_str().into()), self.now);
            self.turn_into(&mut turn);
            turn.subscribed.push(room);
        }
        turn
    }

    fn turn_into(&mut self, turn: &mut Turn) {
        self.hub.handle_bus_state(self.carrying, self.now);
        self.hub.handle_timeout(self.now);
        self.hub.finish_turn(self.now);
        while let Some(effect) = self.hub.poll_effect() {
            match effect {
                Effect::Tell(reactor, notice) => {
                    let bytes = match notice {
                        Notice::Entered { connection, frame, .. } => {
                            let frame = frame.concat();
                            if self.takes_answers {
                                self.hub.handle_answers_taken(reactor, frame.len());
                                self.hub.handle_ask(Member { reactor, connection }, Ask::Received, self.now);
                            }
                            frame.into()
                        }
                        Notice::Refused { frame, .. } | Notice::Reply { frame, .. } => frame,
                        Notice::Deliver { frames, .. } => frames,
                        Notice::Everyone { frame } => frame,
                        Notice::RoomMade { .. } => {
                            turn.rooms_made += 1;
                            continue;
                        }
                    };
                    turn.frames.push((reactor, String::from_utf8_lossy(&bytes).into_owned()));
                }
                Effect::Publish(Envelope { word: Word::Alive { beat, .. }, .. }) => self.beat = beat,
                Effect::Publish(Envelope { word: Word::Digest { to: 0, .. }, .. }) => {}
                Effect::Publish(Envelope { word, .. }) => turn.published.push(word),
                Effect::Subscribe(room) => turn.subscribed.push(room.to_string()),
                Effect::Unsubscribe(room) => turn.unsubscribed.push(room.to_string()),
            }
        }
    }
}

impl Turn {
    fn and(mut self, next: Self) -> Self {
        self.frames.extend(next.frames);
        self.published.extend(next.published);
        self.subscribed.extend(next.subscribed);
        self.unsubscribed.extend(next.unsubscribed);
        self.rooms_made += next.rooms_made;
        self
    }

    fn told(&self, reactor: usize, what: &str) -> usize {
        self.frames.iter().filter(|(at, _)| *at == reactor).map(|(_, text)| text.matches(what).count()).sum()
    }
}

const CAT: StreamId = StreamId { origin: 2, generation: 0 };

fn have(span: Span) -> Word {
    Word::Have { to: 1, positions: [Position { room: "r".into(), span }].into() }
}

/// The one client of that name.
fn nonce(user: &str) -> ClientNonce {
    ClientNonce::parse(&format!("{user:-<16}")).unwrap()
}

fn message(id: &str) -> Arc<Message> {
    Arc::new(Message {
        from: "cat".into(),
        client: nonce("cat").key(),
        id: id.into(),
        text: "x".into(),
        time: 5,
    })
}

fn messages(first_seq: u64, ids: &[&str]) -> Word {
    let messages = ids.iter().map(|id| message(id)).collect();
    Word::Messages { room: "r".into(), stream: CAT, first_seq, witness: 1, messages }
}

fn digest(is_held: bool, spans: &[Span]) -> RoomDigest {
    RoomDigest { room: "r".into(), is_held, time: 0, spans: spans.to_vec() }
}

fn presence(version: u64, names: &[&str]) -> Word {
    let list: Vec<Arc<str>> = names.iter().map(|&name| name.into()).collect();
    let (room, users) = ("r".into(), names.len());
    Word::Presence { room, version, is_held: true, users, names: Some(list.into()) }
}

fn wants(turn: &Turn) -> Vec<(u64, Vec<(u64, u64)>)> {
    let spans = |spans: &[Span]| spans.iter().map(|span| (span.first, span.last)).collect();
    let want = |word: &Word| match word {
        Word::Want { to, spans: wanted, .. } => Some((*to, spans(wanted))),
        _ => None,
    };
    turn.published.iter().filter_map(want).collect()
}

#[test]
fn a_message_goes_once_to_each_reactor_with_members_and_once_to_the_bus() {
    let mut world = World::new();
    world.join(ANN, "ann");
    world.join(BOB, "bob");
    let turn = world.turn();
    assert_eq!(turn.subscribed, ["r"]);
    world.turn();
    world.say(ANN, "ann", "1");
    world.say(BOB, "bob", "1");
    let turn = world.turn();
    let deliveries: Vec<_> = turn.frames.iter().filter(|(_, text)| text.contains("\"message\"")).collect();
    assert_eq!(deliveries.len(), 2, "one notice for each reactor, both messages in it: {turn:?}");
    assert_eq!(deliveries[0].1, deliveries[1].1, "the same bytes");
    assert!(deliveries[0].1.contains("\"seq\":1") && deliveries[0].1.contains("\"seq\":2"));
    assert_eq!((turn.told(0, "\"ack\""), turn.told(1, "\"ack\"")), (1, 1));
    let [Word::Messages { first_seq: 1, messages, .. }] = &turn.published[..] else { panic!("{turn:?}") };
    assert_eq!(messages.len(), 2);
}

#[test]
pub fn nobody_is_told_before_a_second_server_has_it() {
    let mut world = World::with_peer();
    world.say(ANN, "ann", "1");
    world.say(ANN, "ann", "2");
    let turn = world.turn();
    assert_eq!((turn.told(0, "\"ack\""), turn.told(0, "\"message\"")), (0, 0), "{turn:?}");
    let [Word::Messages { witness: 2, .. }] = &turn.published[..] else { panic!("{turn:?}") };
    world.have(1);
    let turn = world.turn();
    assert_eq!((turn.told(0, "\"ack\""), turn.told(0, "\"message\"")), (1, 1));
    world.have(7);
    let turn = world.turn();
    assert_eq!(
        (turn.told(0, "\"ack\""), turn.told(0, "\"seq\":2")),
        (1, 2),
        "what was never said is not confirmed"
    );
}

#[test]
fn what_nobody_confirms_is_published_again_and_shown_to_nobody() {
    let mut world = World::with_peer();
    world.say(ANN, "ann", "1");
    world.turn();
    let turn = world.live_on(Duration::from_millis(1500), &[2]);
    let published = turn.published.iter().filter(|word| matches!(word, Word::Messages { .. }));
    assert_eq!(published.count(), 2, "after 300 ms, and then after 600");
    assert_eq!((turn.told(0, "\"message\""), turn.told(0, "\"ack\"")), (0, 0));
    world.have(1);
    let turn = world.turn();
    assert_eq!((turn.told(0, "\"message\""), turn.told(0, "\"ack\"")), (1, 1));
}

#[test]
fn the_death_of_the_only_other_server_confirms_what_waited_for_it() {
    let mut world = World::with_peer();
    world.say(ANN, "ann", "1");
    world.turn();
    let acked: usize = (0..40).map(|_| world.pass(ALIVE_INTERVAL).told(0, "\"ack\"")).sum();
    assert_eq!(acked, 1);
}

/// A retry stands behind a hole when the only other server dies: nobody is left who could fill the hole.
#[test]
fn a_server_that_becomes_alone_acknowledges_only_what_its_members_are_shown() {
    let mut world = World::with_peer();
    let cat = Member { reactor: 1, connection: 5 };
    world.join(cat, "cat");
    world.say_word(messages(1, &["a"]));
    world.say_word(messages(3, &["c"]));
    world.turn();
    let send = |world: &mut World| {
        let (room, user, client) = ("r".into(), "cat".into(), nonce("cat").key());
        let ask = Ask::Send { room, user, client, id: "c".into(), text: "x".into() };
        world.hub.handle_ask(cat, ask, world.now);
    };
    send(&mut world);
    let acked: usize = (0..40).map(|_| world.pass(ALIVE_INTERVAL).told(1, "\"ack\"")).sum();
    assert_eq!(acked, 0, "nobody here has seen it");
    send(&mut world);
    let turn = world.turn();
    assert_eq!((turn.told(1, "\"ack\""), turn.told(1, "\"message\"")), (1, 1), "{turn:?}");
}

#[test]
pub fn another_server_is_asked_to_hold_what_waits_for_one_that_is_suspect() {
    let mut world = World::with_peer();
    world.hear_beat(3, Some(0), false);
    world.say(ANN, "ann", "1");
    world.turn();
    world.pass(SUSPECT / 2);
    world.hear_beat(3, Some(0), false);
    let due = world.hub.poll_timeout();
    assert!(due <= world.now.instant + SUSPECT / 2, "it is missed without a word from anybody");
    let turn = world.pass(SUSPECT / 2);
    assert!(turn.published.iter().any(|word| matches!(word, Word::Hold { to: 3, .. })), "{turn:?}");
    let stream = StreamId { origin: 1, generation: 0 };
    world.hear_from(3, have(Span { stream, first: 1, last: 1 }));
    assert_eq!(world.turn().told(0, "\"ack\""), 1);
}

#[test]
pub fn a_retry_is_acknowledged_again_and_not_told_again() {
    let mut world = World::new();
    world.join(ANN, "ann");
    world.turn();
    world.say(ANN, "ann", "1");
    world.turn();
    world.say(ANN, "ann", "1");
    let turn = world.turn();
    assert_eq!((turn.told(0, "\"ack\""), turn.told(0, "\"message\"")), (1, 0));
    assert!(turn.published.is_empty());
    assert_eq!(world.hub.take_counts().duplicates, 1);
}

#[test]
pub fn a_retry_of_what_a_dead_server_said_waits_for_a_second_holder() {
    let mut world = World::with_peer();
    let cat = Member { reactor: 1, connection: 5 };
    world.join(cat, "cat");
    world.say_word(messages(1, &["a"]));
    world.turn();
    world.hear_beat(3, Some(0), false);
    world.hear_from(3, Word::Digest { to: 1, rooms: [digest(true, &[])].into() });
    let ask = Ask::Send {
        room: "r".into(),
        user: "cat".into(),
        client: nonce("cat").key(),
        id: "a".into(),
        text: "x".into(),
    };
    world.hub.handle_ask(cat, ask, world.now);
    let turn = world.turn();
    assert_eq!(turn.told(1, "\"ack\""), 0, "only this server is known to have it: {turn:?}");
    assert!(
        turn.published
            .iter()
            .any(|word| matches!(word, Word::Messages { stream: CAT, first_seq: 1, witness: 2 | 3, .. }))
    );
    world.hear_from(3, have(Span { stream: CAT, first: 2, last: 2 }));
    assert_eq!(world.turn().told(1, "\"ack\""), 0, "it holds another one");
    world.hear_from(3, have(Span { stream: CAT, first: 1, last: 1 }));
    let turn = world.turn();
    assert_eq!((turn.told(1, "\"ack\""), turn.told(1, "\"message\"")), (1, 0), "{turn:?}");
}

#[test]
pub fn what_waits_here_and_is_heard_from_another_server_is_shown_once_at_its_place_there() {
    let mut world = World::with_peer();
    let cat = Member { reactor: 1, connection: 5 };
    world.join(cat, "cat");
    world.turn();
    let ask = Ask::Send {
        room: "r".into(),
        user: "cat".into(),
        client: nonce("cat").key(),
        id: "a".into(),
        text: "x".into(),
    };
    world.hub.handle_ask(cat, ask, world.now);
    world.say(ANN, "ann", "1");
    assert_eq!(world.turn().told(0, "\"message\""), 0, "they wait for a second holder");
    // Its speaker has gone to the other server, which does not know it yet, and repeats it.
    world.say_word(messages(1, &["a"]));
    let turn = world.turn();
    let there = "\"stream\":\"0000000000000002.0\",\"seq\":1";
    assert_eq!((turn.told(0, "\"message\""), turn.told(0, there)), (1, 1), "{turn:?}");
    let other = Message {
        from: "ann".into(),
        client: nonce("ann").key(),
        id: "1".into(),
        text: "not ann's".into(),
        time: 5,
    };
    let (room, messages) = ("r".into(), [Arc::new(other)].into());
    world.say_word(Word::Messages { room, stream: CAT, first_seq: 2, witness: 1, messages });
    let turn = world.turn();
    assert_eq!(turn.told(0, "not ann's"), 1, "another text under the same id is another message");
    assert_eq!(turn.told(0, "\"text\":\"hi\""), 0, "and drives nothing out");
    world.have(2);
    let turn = world.turn();
    assert_eq!((turn.told(0, "\"message\""), turn.told(0, "\"seq\":2")), (1, 2), "only ann's: {turn:?}");
    assert_eq!(turn.told(1, "\"ack\""), 1, "its speaker may still be here");
}

#[test]
pub fn who_has_seen_more_waits_until_it_is_known_here() {
    let mut world = World::with_peer();
    world.say_word(messages(1, &["a"]));
    world.come_back(BOB, "bob", CAT, 3);
    world.say(BOB, "bob", "1");
    let turn = world.turn();
    assert_eq!(turn.told(1, "\"type\":\"joined\""), 0, "{turn:?}");
    assert!(turn.published.iter().any(|word| matches!(word, Word::Sync { is_fresh: false, .. })), "{turn:?}");
    assert_eq!(world.turn().published.len(), 0, "asked once");
    world.say_word(messages(2, &["b"]));
    assert_eq!(world.turn().told(1, "\"type\":\"joined\""), 0);
    world.say_word(messages(3, &["c"]));
    let turn = world.turn();
    let told = [r#""history":[]"#, r#""complete":true"#, r#""error""#].map(|what| turn.told(1, what));
    assert_eq!(told, [1, 1, 0], "{turn:?}");
    assert!(
        turn.published.iter().any(|word| matches!(word, Word::Messages { first_seq: 1, .. })),
        "what bob said meanwhile is said: {turn:?}"
    );
}

#[test]
fn what_nobody_knows_lets_a_member_in_once_all_have_answered_or_are_silent_for_too_long() {
    let mut world = World::with_peer();
    world.come_back(BOB, "bob", CAT, 1_000_000);
    world.turn();
    world.say_word(Word::Digest { to: 1, rooms: [digest(true, &[])].into() });
    assert_eq!(world.turn().told(1, "\"type\":\"joined\""), 1);
    let dan = Member { reactor: 1, connection: 6 };
    world.come_back(dan, "dan", CAT, 1_000_000);
    world.hear_alive();
    assert_eq!(world.turn().told(1, "\"type\":\"joined\""), 0);
    assert!(world.hub.poll_timeout() <= world.now.instant + FETCH_INTERVAL);
    let turn = world.pass(FETCH_INTERVAL);
    assert!(turn.published.iter().any(|word| matches!(word, Word::Sync { .. })), "asked again: {turn:?}");
    assert_eq!(world.pass(FETCH_MAX).told(1, "\"type\":\"joined\""), 1);
}

#[test]
fn who_has_seen_what_waits_here_comes_in_when_it_is_shown() {
    let mut world = World::with_peer();
    world.say(ANN, "ann", "1");
    world.turn();
    world.come_back(BOB, "bob", StreamId { origin: 1, generation: 0 }, 1);
    assert_eq!(world.turn().told(1, "\"type\":\"joined\""), 0);
    world.have(1);
    let turn = world.turn();
    assert_eq!((turn.told(0, "\"message\""), turn.told(1, "\"history\":[]")), (1, 1), "{turn:?}");
    assert_eq!(turn.told(1, "\"message\""), 0, "bob has seen it elsewhere");
}

#[test]
fn who_claims_what_cannot_be_is_not_waited_with_for_ever() {
    let mut world = World::with_peer();
    world.say(ANN, "ann", "1");
    world.turn();
    world.come_back(BOB, "bob", StreamId { origin: 1, generation: 0 }, u64::MAX);
    assert_eq!(world.turn().told(1, "\"type\":\"joined\""), 0, "others are asked");
    world.say_word(Word::Digest { to: 1, rooms: [digest(true, &[])].into() });
    assert_eq!(world.turn().told(1, "\"type\":\"joined\""), 1, "though something is hidden");
    let dan = Member { reactor: 1, connection: 6 };
    world.come_back(dan, "dan", StreamId { origin: 99, generation: 0 }, 7);
    let turn = world.turn();
    assert_eq!(turn.told(1, "\"complete\":false"), 1, "nobody knows such a server: {turn:?}");
    assert!(!turn.published.iter().any(|word| matches!(word, Word::Sync { .. })), "{turn:?}");
}

#[test]
fn who_has_seen_more_waits_also_in_a_room_that_was_opened_with_what_there_was() {
    let mut world = World::new();
    world.hear_alive();
    world.join(ANN, "ann");
    world.turn();
    let opened: usize = (0..5).map(|_| world.pass(FETCH_MAX / 4).told(0, "\"type\":\"joined\"")).sum();
    assert_eq!(opened, 1, "the other server is silent");
    world.come_back(BOB, "bob", CAT, 1);
    assert_eq!(world.turn().told(1, "\"type\":\"joined\""), 0);
    world.say_word(messages(1, &["a"]));
    assert_eq!(world.turn().told(1, "\"type\":\"joined\""), 1);
}

#[test]
pub fn a_retry_of_what_no_ring_has_any_more_is_acknowledged_once_a_replica_says_that_it_held_it() {
    let mut world = World::with_peer();
    let cat = Member { reactor: 1, connection: 5 };
    world.join(cat, "cat");
    let ids: Vec<_> = (0..=RING_MESSAGES_MAX).map(|id| id.to_string()).collect();
    world.say_word(messages(1, &ids.iter().map(String::as_str).collect::<Vec<_>>()));
    world.turn();
    world.hear_beat(3, Some(0), false);
    world.hear_beat(2, Some(0), true);
    world.hear_from(3, presence(1, &[]));
    world.turn();
    let retry = |world: &mut World, id: &str| {
        let ask = Ask::Send {
            room: "r".into(),
            user: "cat".into(),
            client: nonce("cat").key(),
            id: id.into(),
            text: "x".into(),
        };
        world.hub.handle_ask(cat, ask, world.now);
        world.turn().told(1, "\"ack\"")
    };
    assert_eq!(retry(&mut world, "1"), 0, "a second server has to have what is kept");
    assert_eq!(retry(&mut world, "0"), 0, "nobody has said that a second server held it");
    world.hear_from(3, have(Span { stream: CAT, first: 1, last: 1 }));
    assert_eq!(world.turn().told(1, "\"ack\""), 1);
    assert_eq!(retry(&mut world, "0"), 0);
    world.hear_from(3, have(Span { stream: CAT, first: 2, last: 1 }));
    let turn = world.turn();
    assert_eq!(
        (turn.told(1, "\"ack\""), turn.told(1, "\"message\"")),
        (1, 0),
        "retention took it everywhere"
    );
    let own = StreamId { origin: 1, generation: 0 };
    assert_eq!(world.hub.rooms().next().unwrap().position(own), Some(0), "it is not appended anew");
}

#[test]
pub fn a_newcomer_has_in_its_history_what_it_is_not_sent() {
    let mut world = World::new();
    world.join(ANN, "ann");
    world.turn();
    world.say(ANN, "ann", "before");
    world.join(Member { reactor: 0, connection: 9 }, "new");
    world.say(ANN, "ann", "after");
    let turn = world.turn();
    let order: Vec<_> = turn
        .frames
        .iter()
        .filter_map(|(_, text)| match text {
            text if text.contains("\"joined\",") => Some("joined"),
            text if text.contains("\"message\"") => {
                Some(if text.contains("before") { "before" } else { "after" })
            }
            _ => None,
        })
        .collect();
    assert_eq!(order, ["before", "joined", "after"]);
    let joined = turn.frames.iter().find(|(_, text)| text.contains("\"type\":\"joined\"")).unwrap();
    assert!(joined.1.contains("before") && !joined.1.contains("after"));
}

#[test]
pub fn nobody_comes_in_before_other_servers_have_said_what_they_have() {
    let mut world = World::new();
    world.hear_alive();
    world.join(ANN, "ann");
    world.say(ANN, "ann", "1");
    let turn = world.turn();
    assert!(turn.frames.is_empty(), "{turn:?}");
    assert!(turn.published.iter().any(|word| matches!(word, Word::Sync { is_fresh: true, .. })));
    let span = Span { stream: CAT, first: 3, last: 4 };
    world.say_word(Word::Digest { to: 1, rooms: [digest(true, &[span])].into() });
    let turn = world.turn();
    assert_eq!(wants(&turn), [(2, vec![(3, 4)])]);
    assert!(turn.frames.is_empty());
    let entry = |seq: u64, id: &str| Entry { stream: CAT, seq, message: message(id) };
    let entries = [entry(3, "c"), entry(4, "d")].into();
    world.say_word(Word::Repair {
        to: 1,
        room: "r".into(),
        question: 1,
        entries,
        places: [].into(),
        lacks: [].into(),
        expired: [].into(),
    });
    let turn = world.turn();
    let joined = turn.frames.iter().find(|(_, text)| text.contains("\"type\":\"joined\"")).unwrap();
    assert_eq!(joined.1.matches("\"from\":\"cat\"").count(), 2, "{joined:?}");
    assert!(turn.published.iter().any(|word| matches!(word, Word::Have { to: 2, .. })), "{turn:?}");
    assert!(turn.published.iter().any(|word| matches!(word, Word::Messages { .. })), "and then ann speaks");
}

#[test]
fn a_server_that_does_not_answer_is_asked_again_and_not_waited_for_long() {
    let mut world = World::new();
    world.hear_alive();
    world.join(ANN, "ann");
    world.turn();
    let mut syncs = 0;
    let mut joined = None;
    for step in 0..30 {
        world.hear_alive();
        let turn = world.pass(Duration::from_millis(100));
        syncs += turn.published.iter().filter(|word| matches!(word, Word::Sync { .. })).count();
        if turn.told(0, "\"type\":\"joined\"") > 0 {
            joined.get_or_insert(step);
        }
    }
    assert!(syncs > 3, "{syncs}");
    assert_eq!(joined, Some(9), "after a second");
}

#[test]
pub fn other_servers_messages_are_told_once_and_holes_are_asked_for() {
    let mut world = World::with_peer();
    world.say_word(messages(1, &["a", "b"]));
    world.say_word(messages(1, &["a", "b"]));
    world.say_word(messages(5, &["e"]));
    let turn = world.turn();
    assert_eq!(turn.told(0, "\"type\":\"message\""), 2);
    assert_eq!(turn.told(1, "\"type\":\"message\""), 0, "nobody is there");
    let have = turn.published.iter().find_map(|word| match word {
        Word::Have { to: 2, positions } => Some(positions[0].span.last),
        _ => None,
    });
    assert_eq!(have, Some(2), "5 is not there without 3 and 4");
    let turn = world.pass(GAP_PATIENCE);
    assert_eq!(wants(&turn), [(2, vec![(3, 4)])]);
    world.say_word(messages(3, &["c", "d"]));
    assert_eq!(world.turn().told(0, "\"type\":\"message\""), 3);
    let counts = world.hub.take_counts();
    assert_eq!((counts.heard, counts.duplicates, counts.missing, counts.wants), (5, 2, 0, 1));
}

#[test]
pub fn the_last_message_before_a_fault_is_missed_because_others_tell_what_they_have() {
    let mut world = World::with_peer();
    world.say_word(messages(1, &["a"]));
    world.turn();
    let span = Span { stream: CAT, first: 1, last: 2 };
    world.say_word(Word::Digest { to: 0, rooms: [digest(true, &[span])].into() });
    assert_eq!(wants(&world.pass(GAP_PATIENCE)), [(2, vec![(2, 2)])]);
}

fn repair(lacks: &[Span], expired: &[Span]) -> Word {
    let (lacks, expired) = (lacks.into(), expired.into());
    Word::Repair {
        to: 1,
        room: "r".into(),
        question: u64::MAX,
        entries: [].into(),
        places: [].into(),
        lacks,
        expired,
    }
}

#[test]
fn what_no_server_keeps_any_longer_is_marked_and_passed_over() {
    let mut world = World::with_peer();
    world.say_word(messages(1, &["a"]));
    world.say_word(messages(4, &["d"]));
    world.pass(GAP_PATIENCE);
    world.say_word(repair(&[], &[Span { stream: CAT, first: 2, last: 3 }]));
    let turn = world.turn();
    assert_eq!(
        turn.told(0, r#""type":"gap","room":"r","stream":"0000000000000002.0","first":2,"last":3"#),
        1
    );
    let text: String = turn.frames.iter().map(|(_, text)| text.as_str()).collect();
    assert!(text.find("\"gap\"") < text.find("\"seq\":4"), "the gap stands before what follows it: {text}");
    assert_eq!(turn.told(0, "\"seq\":4"), 1);
    assert_eq!(world.hub.take_counts().missing, 2);
}

/// A server stands still for longer than its lease with a message that only it has, and goes on.
#[test]
pub fn what_only_a_server_has_that_stands_still_is_waited_for_and_not_confirmed_before() {
    let mut world = World::with_peer();
    world.hear_beat(3, Some(0), false);
    world.say_word(messages(1, &["a"]));
    world.say_word(messages(3, &["c"]));
    world.pass(GAP_PATIENCE);
    world.hear_from(3, repair(&[Span { stream: CAT, first: 2, last: 3 }], &[]));
    let turn = world.live_on(2 * LEASE, &[3]);
    assert!(!world.hub.peers().is_live(2));
    assert_eq!((turn.told(0, "\"gap\""), turn.told(0, "\"seq\":3")), (0, 0), "{turn:?}");
    assert_eq!(wants(&world.live_on(LEASE, &[3])), [], "nobody is left to be asked");
    world.hear_alive();
    world.turn();
    assert_eq!(wants(&world.pass(GAP_PATIENCE)), [(2, vec![(2, 2)])]);
    world.say_word(messages(2, &["b"]));
    let turn = world.turn();
    assert_eq!((turn.told(0, "\"seq\":2"), turn.told(0, "\"seq\":3")), (1, 1), "{turn:?}");
    let haves = turn.published.iter().filter_map(|word| match word {
        Word::Have { positions, .. } => Some((positions[0].span.first, positions[0].span.last)),
        _ => None,
    });
    assert_eq!(haves.collect::<Vec<_>>(), [(1, 3)]);
}

/// The ring is shorter than what waits for a replica.
#[test]
pub fn what_waits_for_a_replica_is_supplied_though_the_ring_has_dropped_it() {
    let mut world = World::with_peer();
    let limits = Limits { ring_messages: 8, ..Limits::default() };
    world.hub.settings.limits = Arc::new(limits);
    let mut small = World::new();
    small.hub.settings.limits = Arc::clone(&world.hub.settings.limits);
    small.hear_alive();
    small.join(ANN, "ann");
    small.turn();
    small.say_word(Word::Digest { to: 1, rooms: [digest(true, &[])].into() });
    small.turn();
    (1..=30).for_each(|id| small.say(ANN, "ann", &id.to_string()));
    small.turn();
    let own = StreamId { origin: 1, generation: 0 };
    let room = small.hub.rooms().next().unwrap();
    assert_eq!(room.digest(None), [Span { stream: own, first: 1, last: 30 }]);
    let supply = room.supply(&[Span { stream: own, first: 3, last: 25 }]);
    let seqs: Vec<_> = supply.entries.iter().map(|entry| entry.seq).collect();
    assert_eq!((seqs, supply.lacks, supply.expired), ((3..=25).collect(), vec![], vec![]));
    small.have(30);
    assert_eq!(small.turn().told(0, "\"ack\""), 30);
    let supply = small.hub.rooms().next().unwrap().supply(&[Span { stream: own, first: 3, last: 25 }]);
    assert_eq!(supply.expired, [Span { stream: own, first: 3, last: 22 }]);
}

/// The only replica began behind a message that waits: it was away when that was asked for.
#[test]
pub fn what_no_replica_will_hold_is_appended_anew() {
    let mut world = World::with_peer();
    ["1", "2", "3"].into_iter().for_each(|id| world.say(ANN, "ann", id));
    world.turn();
    let own = StreamId { origin: 1, generation: 0 };
    world.say_word(have(Span { stream: own, first: 3, last: 3 }));
    let turn = world.turn();
    assert_eq!(turn.told(0, "\"ack\""), 0, "3 is shown after 1 and 2: {turn:?}");
    let again = turn.published.iter().find_map(|word| match word {
        Word::Messages { first_seq, messages, .. } => Some((*first_seq, messages.len())),
        _ => None,
    });
    assert_eq!(again, Some((4, 2)), "{turn:?}");
    world.say_word(have(Span { stream: own, first: 3, last: 5 }));
    let turn = world.turn();
    assert_eq!((turn.told(0, "\"ack\""), turn.told(0, "\"type\":\"message\"")), (3, 3), "{turn:?}");
    assert!(turn.told(0, "\"seq\":1,") + turn.told(0, "\"seq\":2,") == 0, "{turn:?}");
}

#[test]
pub fn a_server_with_few_lanes_shows_and_does_not_acknowledge() {
    let mut world = World::with_peer();
    world.carrying = Carrying { lanes: 1, of: 3 };
    let turn = world.live_on(LEASE + ALIVE_INTERVAL, &[]);
    assert_eq!(turn.told(0, r#""degraded":true"#), 1, "others may go on without it");
    world.say(ANN, "ann", "1");
    let turn = world.live_on(LEASE, &[]);
    assert_eq!((turn.told(0, "\"message\""), turn.told(0, "\"ack\"")), (1, 0), "{turn:?}");
    world.carrying = Carrying { lanes: 2, of: 3 };
    let turn = world.live_on(LEASE - ALIVE_INTERVAL, &[]);
    assert_eq!(turn.told(0, "\"ack\""), 0, "another one would need that long to be heard");
    let turn = world.live_on(4 * ALIVE_INTERVAL, &[]);
    assert_eq!((turn.told(0, "\"message\""), turn.told(0, "\"ack\"")), (0, 1), "it is alone: {turn:?}");
}

#[test]
pub fn who_answers_what_it_has_seen_stands_below_it_whatever_the_clocks() {
    let mut world = World::with_peer();
    let ahead = world.now.unix_ms + 600_000;
    let question = Message { from: "cat".into(), client: 1, id: "q".into(), text: "?".into(), time: ahead };
    let (room, messages) = ("r".into(), [Arc::new(question)].into());
    world.say_word(Word::Messages { room, stream: CAT, first_seq: 1, witness: 1, messages });
    world.turn();
    world.say(ANN, "ann", "a");
    let turn = world.turn();
    let time = turn.published.iter().find_map(|word| match word {
        Word::Messages { messages, .. } => Some(messages[0].time),
        _ => None,
    });
    assert_eq!(time, Some(ahead + 1));
}

/// That server has so much of the streams, as it answers when it is asked.
fn answers(server: u64, spans: &[Span], world: &mut World) {
    world.hear_from(server, Word::Digest { to: 1, rooms: [digest(true, spans)].into() });
}

#[test]
pub fn a_server_that_leaves_waits_until_two_others_have_all_of_its_rooms() {
    let mut world = World::with_peer();
    world.hear_beat(3, Some(0), false);
    world.say(ANN, "ann", "1");
    world.turn();
    world.have(1);
    assert!(world.hub.is_handed_over(world.now), "it stays");
    world.hub.handle_load(Some(1), world.now);
    world.hub.handle_load(None, world.now);
    assert!(!world.hub.is_handed_over(world.now));
    let asks = |turn: &Turn| {
        let is_hold = |word: &Word| *word == Word::Hold { to: 3, room: "r".into() };
        let is_sync = |word: &Word| matches!(word, Word::Sync { is_fresh: false, rooms } if rooms.len() == 1);
        turn.published.iter().any(is_hold) && turn.published.iter().any(is_sync)
    };
    let turn = world.turn();
    assert!(asks(&turn), "{turn:?}");
    let turn = world.live_on(Duration::from_millis(400), &[2, 3]);
    assert!(asks(&turn), "asked again: {turn:?}");
    let own = |last| Span { stream: StreamId { origin: 1, generation: 0 }, first: 1, last };
    world.hear_from(3, presence(1, &[]));
    answers(2, &[own(1)], &mut world);
    assert!(!world.hub.is_handed_over(world.now), "3 has only opened the room");
    answers(3, &[own(1)], &mut world);
    assert!(world.hub.is_handed_over(world.now));
    world.say(ANN, "ann", "2");
    world.turn();
    world.have(2);
    [2, 3].into_iter().for_each(|server| answers(server, &[own(1)], &mut world));
    assert!(!world.hub.is_handed_over(world.now), "there is more now");
    world.live_on(Duration::from_millis(400), &[2, 3]);
    [2, 3].into_iter().for_each(|server| answers(server, &[own(2)], &mut world));
    assert!(world.hub.is_handed_over(world.now));
    world.hear_beat(3, None, false);
    world.turn();
    assert!(world.hub.is_handed_over(world.now), "3 leaves too, and nobody else is there");
}

#[test]
pub fn a_server_that_leaves_and_is_still_a_replica_waits_until_others_have_what_it_confirmed() {
    let mut world = World::with_peer();
    world.hear_beat(3, Some(0), false);
    world.turn();
    world.hub.handle_load(Some(1), world.now);
    world.hub.handle_load(None, world.now);
    world.turn();
    [2, 3].into_iter().for_each(|server| answers(server, &[], &mut world));
    assert!(world.hub.is_handed_over(world.now));
    let (room, messages) = ("r".into(), [message("c")].into());
    world.say_word(Word::Messages { room, stream: CAT, first_seq: 1, witness: 1, messages });
    let turn = world.turn();
    assert!(turn.published.iter().any(|word| matches!(word, Word::Have { to: 2, .. })), "{turn:?}");
    assert!(!world.hub.is_handed_over(world.now), "perhaps only the two have it");
    world.live_on(Duration::from_millis(500), &[2, 3]);
    [2, 3].into_iter().for_each(|server| answers(server, &[], &mut world));
    assert!(!world.hub.is_handed_over(world.now), "3 has not got it");
    [2, 3]
        .into_iter()
        .for_each(|server| answers(server, &[Span { stream: CAT, first: 1, last: 1 }], &mut world));
    assert!(world.hub.is_handed_over(world.now));
}

#[test]
fn what_a_server_holds_that_leaves_is_held_by_another_at_once() {
    let mut world = World::with_peer();
    world.hear_beat(3, Some(0), false);
    world.turn();
    world.hear_beat(2, None, false);
    let turn = world.turn();
    assert!(turn.published.contains(&Word::Hold { to: 3, room: "r".into() }), "{turn:?}");
    world.say(ANN, "ann", "1");
    let turn = world.turn();
    let witness = |word: &Word| matches!(word, Word::Messages { witness: 2, .. });
    assert!(turn.published.iter().any(witness), "until then it is still a replica: {turn:?}");
    world.hear_from(3, presence(1, &[]));
    world.say(ANN, "ann", "2");
    let turn = world.turn();
    assert!(turn.published.iter().any(|word| matches!(word, Word::Messages { witness: 3, .. })), "{turn:?}");
}

#[test]
fn others_are_sent_what_they_miss_in_parts_and_told_what_is_not_here() {
    let mut world = World::with_peer();
    let text = "x".repeat(4000);
    for id in 1..=9 {
        let (id, text) = (id.to_string().into(), text.as_str().into());
        world.hub.handle_ask(
            ANN,
            Ask::Send { room: "r".into(), user: "ann".into(), client: nonce("ann").key(), id, text },
            world.now,
        );
    }
    world.turn();
    let wanted = Span { stream: StreamId { origin: 1, generation: 0 }, first: 2, last: 12 };
    world.say_word(Word::Want { to: 1, room: "r".into(), question: 1, spans: [wanted].into() });
    let turn = world.turn();
    let (mut seqs, mut lacking) = (Vec::new(), Vec::new());
    for word in &turn.published {
        let Word::Repair { to: 2, entries, lacks, .. } = word else { panic!("{turn:?}") };
        seqs.extend(entries.iter().map(|entry| entry.seq));
        lacking.extend(lacks.iter().map(|span| (span.first, span.last)));
    }
    assert_eq!((turn.published.len(), seqs, lacking), (4, (2..=9).collect(), vec![(10, 12)]));
}

#[test]
pub fn a_word_of_somebody_who_does_not_live_counts_for_nothing() {
    let mut world = World::with_peer();
    world.say_word(messages(1, &["a"]));
    world.turn();
    (0..40).for_each(|_| drop(world.pass(ALIVE_INTERVAL)));
    world.say_word(messages(2, &["b"]));
    world.say_word(presence(1, &["cat"]));
    let turn = world.turn();
    assert_eq!((turn.told(0, "\"message\""), turn.told(0, "cat")), (0, 0));
    assert_eq!(world.hub.take_counts().stale, 2);
}

#[test]
pub fn a_room_that_only_one_server_has_is_held_by_another() {
    let mut world = World::new();
    world.hear_alive();
    world.join(ANN, "ann");
    world.turn();
    world.say_word(Word::Digest { to: 1, rooms: [digest(false, &[])].into() });
    let turn = world.turn();
    assert!(turn.published.contains(&Word::Hold { to: 2, room: "r".into() }), "{turn:?}");

    let mut other = World::new();
    other.hear_alive();
    other.say_word(Word::Hold { to: 1, room: "r".into() });
    assert_eq!(other.turn().subscribed, ["r"]);
    other.say_word(Word::Digest { to: 1, rooms: [digest(true, &[])].into() });
    let turn = other.turn();
    assert!(turn.published.iter().any(|word| matches!(word, Word::Presence { is_held: true, users: 0, .. })));
    other.say_word(messages(1, &["a"]));
    assert!(other.turn().published.iter().any(|word| matches!(word, Word::Have { to: 2, .. })));
    let mut turns = (0..200).map(|_| {
        other.hear_alive();
        other.pass(Duration::from_secs(1))
    });
    let last = turns.find(|turn| !turn.unsubscribed.is_empty()).expect("it is not held for ever");
    assert!(last.published.iter().any(|word| matches!(word, Word::Presence { is_held: false, .. })));
}

#[test]
fn without_a_bus_members_here_go_on_and_nothing_is_promised() {
    let mut world = World::with_peer();
    world.carrying = DOWN;
    assert_eq!(world.turn().told(0, "degraded"), 0, "it may soon be back");
    assert_eq!(world.pass(BUS_PAUSE_MAX).told(0, r#""type":"degraded","degraded":true"#), 1);
    world.say(ANN, "ann", "1");
    let turn = world.turn();
    assert_eq!((turn.told(0, "\"message\""), turn.told(0, "\"ack\"")), (1, 0));
    world.join(BOB, "bob");
    assert_eq!(world.turn().told(1, r#""degraded":true"#), 1);
    let other =
        Ask::Join { room: "new".into(), user: "cat".into(), client: nonce("cat"), visit: 0, since: None };
    world.hub.handle_ask(BOB, other, world.now);
    assert_eq!(world.turn().told(1, r#""type":"joined","room":"new""#), 1, "at once");
    let acked: usize = (0..40).map(|_| world.pass(ALIVE_INTERVAL).told(0, "\"ack\"")).sum();
    assert_eq!(acked, 0, "the other server may be alive");
    world.carrying = UP;
    world.hear_alive();
    let turn = world.pass(CONFIRM_PATIENCE);
    assert_eq!(turn.told(0, r#""degraded":false"#), 1);
    world.have(1);
    assert_eq!(world.turn().told(0, "\"ack\""), 1);
}

#[test]
fn a_bus_that_pauses_lets_nobody_in_before_others_were_heard() {
    let mut world = World::new();
    world.hear_alive();
    world.join(ANN, "ann");
    world.turn();
    world.carrying = DOWN;
    let joined = |turn: &Turn| turn.told(0, "\"type\":\"joined\"");
    assert_eq!(joined(&world.pass(BUS_PAUSE_MAX - Duration::from_millis(1))), 0);
    world.carrying = UP;
    world.hear_alive();
    let turn = world.turn();
    assert!(turn.published.iter().any(|word| matches!(word, Word::Sync { is_fresh: true, .. })), "{turn:?}");
    assert_eq!(joined(&turn), 0);
    world.say_word(Word::Digest { to: 1, rooms: [digest(true, &[])].into() });
    assert_eq!(joined(&world.turn()), 1);
}

#[test]
fn what_may_wait_is_published_together() {
    let mut world = World::with_peer();
    world.hub.settings.flush_delay = Duration::from_millis(5);
    world.say(ANN, "ann", "1");
    assert!(world.turn().published.is_empty());
    world.say(ANN, "ann", "2");
    assert!(world.pass(Duration::from_millis(3)).published.is_empty());
    let turn = world.pass(Duration::from_millis(2));
    let [Word::Messages { first_seq: 1, messages, .. }] = &turn.published[..] else { panic!("{turn:?}") };
    assert_eq!(messages.len(), 2);
}

#[test]
fn presence_is_told_at_once_and_then_gathered_here_and_for_others() {
    let mut world = World::new();
    world.hear_alive();
    world.join(ANN, "ann");
    world.turn();
    world.say_word(Word::Digest { to: 1, rooms: [digest(true, &[])].into() });
    let turn = world.turn();
    assert_eq!(turn.told(0, "\"presence\""), 1);
    assert!(matches!(&turn.published[..], [Word::Presence { users: 1, .. }]), "{turn:?}");
    world.join(BOB, "bob");
    let turn = world.turn();
    assert_eq!(turn.told(1, r#""roster":["ann","bob"]"#), 1, "{turn:?}");
    assert_eq!(turn.told(0, "\"presence\""), 0, "not so soon again");
    let turn = world.pass(PRESENCE_INTERVAL);
    assert_eq!((turn.told(0, "\"presence\""), turn.told(1, "\"presence\"")), (1, 1));
    assert!(matches!(&turn.published[..], [Word::Presence { users: 2, version: 2, .. }]), "{turn:?}");
    world.say_word(presence(1, &["cat"]));
    world.leave(BOB, "bob");
    let turn = world.pass(PRESENCE_INTERVAL);
    assert_eq!(turn.told(0, r#""users":2,"joined":["cat"],"left":["bob"]"#), 1, "{turn:?}");
    assert_eq!(turn.told(1, "\"presence\""), 0, "nobody is there");
}

#[test]
fn a_newcomers_question_is_answered_and_silence_ends_a_servers_users() {
    let mut world = World::with_peer();
    world.pass(PRESENCE_INTERVAL);
    world.say_word(Word::Sync { is_fresh: true, rooms: ["r".into(), "other".into()].into() });
    let turn = world.pass(PRESENCE_INTERVAL);
    let answer = RoomDigest { room: "other".into(), is_held: false, time: 0, spans: Vec::new() };
    assert!(
        turn.published.iter().any(|word| matches!(word, Word::Digest { to: 2, rooms } if rooms[1] == answer)),
        "{turn:?}"
    );
    assert!(turn.published.iter().any(|word| matches!(word, Word::Presence { users: 1, .. })), "{turn:?}");
    world.say_word(presence(1, &["cat"]));
    world.hear_alive();
    world.pass(PRESENCE_INTERVAL);
    assert_eq!(world.hub.peers().by_name(), [("app-2".into(), true)]);
    let turns: Vec<_> = (0..=LEASE.as_secs() * 12).map(|_| world.pass(ALIVE_INTERVAL)).collect();
    let turn = turns.iter().find(|turn| turn.told(0, "presence") > 0).unwrap();
    assert_eq!(turn.told(0, r#""users":1,"joined":[],"left":["cat"]"#), 1, "{turn:?}");
    assert_eq!(world.hub.peers().by_name(), [("app-2".into(), false)]);
}

#[test]
pub fn a_server_that_returns_is_asked_for_its_rooms() {
    let mut world = World::with_peer();
    (0..40).for_each(|_| drop(world.pass(ALIVE_INTERVAL)));
    world.hear_alive();
    assert!(world.turn().published.iter().any(|word| matches!(word, Word::Sync { is_fresh: true, .. })));
}

#[test]
pub fn our_own_stall_is_not_taken_for_the_others_death() {
    let mut world = World::with_peer();
    world.say_word(presence(1, &["cat"]));
    world.pass(PRESENCE_INTERVAL);
    let turn = world.pass(10 * LEASE);
    assert_eq!(turn.told(0, "cat"), 0, "{turn:?}");
}

#[test]
fn lost_presence_is_mended_by_the_next_word() {
    let mut world = World::new();
    world.join(ANN, "ann");
    world.turn();
    world.pass(PRESENCE_INTERVAL);
    let mut words = 0;
    for _ in 0..(2 * PRESENCE_REFRESH.as_secs()) {
        let turn = world.pass(Duration::from_secs(1));
        words += turn.published.len();
        assert_eq!(turn.told(0, "presence"), 0, "members are told changes only");
    }
    assert_eq!(words, 2);
}

#[test]
fn an_empty_room_lingers_with_its_history_and_then_goes() {
    let mut world = World::new();
    world.join(ANN, "ann");
    world.turn();
    world.say(ANN, "ann", "1");
    world.leave(ANN, "ann");
    world.turn();
    world.pass(ROOM_LINGER / 2);
    world.join(ANN, "ann");
    assert_eq!(world.turn().told(0, "\"seq\":1"), 1, "the history is still there");
    world.leave(ANN, "ann");
    world.turn();
    world.pass(ROOM_LINGER / 2 + Duration::from_secs(1));
    assert_eq!(world.hub.rooms().len(), 1);
    assert_eq!(world.pass(ROOM_LINGER).unsubscribed, ["r"]);
    assert_eq!(world.hub.rooms().len(), 0);
    world.join(ANN, "ann");
    world.turn();
    world.say(ANN, "ann", "1");
    let turn = world.turn();
    assert_eq!(turn.told(0, "0000000000000001.1"), 2, "a new life of the room is a new stream: {turn:?}");
}

#[test]
fn rings_share_a_bound() {
    let mut world = World::new();
    world.join(ANN, "ann");
    world.turn();
    let text = "x".repeat(4096);
    let speak = |world: &mut World, said: u32| {
        let (id, text) = (said.to_string().into(), text.as_str().into());
        world.hub.handle_ask(
            ANN,
            Ask::Send { room: "r".into(), user: "ann".into(), client: nonce("ann").key(), id, text },
            world.now,
        );
        world.turn();
        let room = world.hub.rooms().next().unwrap();
        assert_eq!(world.hub.ring_bytes - room.ring_bytes(), 0);
        room.ring_bytes()
    };
    let grown = (0..10).map(|said| speak(&mut world, said)).last().unwrap();
    let limits = Limits::default();
    assert!(grown > limits.ring_bytes_short);
    // As if other rooms held all of it.
    world.hub.ring_bytes += limits.rings_bytes;
    world.say(ANN, "ann", "last");
    assert!(world.hub.rooms().next().unwrap().ring_bytes() <= limits.ring_bytes_short);
}

#[test]
fn typing_reaches_members_and_other_servers() {
    let mut world = World::with_peer();
    world.hub.handle_ask(ANN, Ask::Typing { room: "r".into(), user: "ann".into() }, world.now);
    let turn = world.turn();
    assert_eq!(turn.told(0, r#"{"type":"typing","room":"r","user":"ann"}"#), 1);
    assert!(matches!(&turn.published[..], [Word::Typing { .. }]));
}

#[test]
fn our_own_envelopes_and_those_for_unknown_rooms_change_nothing() {
    let mut world = World::new();
    world.hear_alive();
    world.say_word(messages(1, &["a"]));
    let mut world = World::with_peer();
    world.hub.take_counts();
    let own = Envelope { origin: 1, word: messages(1, &["a"]) };
    world.hub.handle_bus(BusEvent::Received(own), world.now);
    let Word::Messages { room, messages, .. } = messages(1, &["a"]) else { unreachable!() };
    let stream = StreamId { origin: 1, generation: 0 };
    world.say_word(Word::Messages { room, stream, first_seq: 1, witness: 0, messages });
    assert!(world.turn().frames.is_empty());
    assert_eq!(world.hub.take_counts(), Counts::default());
}
