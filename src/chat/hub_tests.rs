use super::*;
use crate::chat::limits::{LEASE, ROOM_LINGER};

const ANN: Member = Member { reactor: 0, connection: 1 };
const BOB: Member = Member { reactor: 1, connection: 2 };

struct World {
    hub: Hub,
    now: Now,
}

/// What the hub asked for in a turn, sorted by where it goes.
#[derive(Debug, Default)]
struct Turn {
    frames: Vec<(usize, String)>,
    published: Vec<Envelope>,
    subscribed: Vec<String>,
    unsubscribed: Vec<String>,
}

impl World {
    fn new() -> Self {
        let now = Now { instant: Instant::now(), unix_ms: 1000 };
        let settings = Settings { name: "app-1".into(), incarnation: 1, reactors: 2, seed: 7 };
        let mut world = Self { hub: Hub::new(settings, now.instant), now };
        world.turn();
        world
    }

    fn join(&mut self, member: Member, user: &str) {
        let ask = Ask::Join { room: "r".into(), user: user.into(), visit: 0, since: None };
        self.hub.handle_ask(member, ask, self.now);
    }

    fn say(&mut self, member: Member, user: &str, id: &str) {
        let ask = Ask::Send { room: "r".into(), user: user.into(), id: id.into(), text: "hi".into() };
        self.hub.handle_ask(member, ask, self.now);
    }

    fn leave(&mut self, member: Member, user: &str) {
        self.hub.handle_ask(member, Ask::Leave { room: "r".into(), user: user.into() }, self.now);
    }

    fn hear(&mut self, envelope: Envelope) {
        self.hub.handle_bus(BusEvent::Received(envelope), self.now);
    }

    fn pass(&mut self, time: Duration) -> Turn {
        self.now.instant += time;
        self.now.unix_ms += time.as_millis() as u64;
        self.turn()
    }

    fn turn(&mut self) -> Turn {
        self.hub.handle_timeout(self.now);
        self.hub.finish_turn();
        let mut turn = Turn::default();
        while let Some(effect) = self.hub.poll_effect() {
            match effect {
                Effect::Tell(reactor, notice) => {
                    let bytes = match notice {
                        Notice::Entered { frame, .. }
                        | Notice::Refused { frame, .. }
                        | Notice::Reply { frame, .. } => frame,
                        Notice::Deliver { frames, .. } => frames,
                    };
                    turn.frames.push((reactor, String::from_utf8_lossy(&bytes).into_owned()));
                }
                Effect::Publish(Envelope::Alive { .. }) => {}
                Effect::Publish(envelope) => turn.published.push(envelope),
                Effect::Subscribe(room) => turn.subscribed.push(room.to_string()),
                Effect::Unsubscribe(room) => turn.unsubscribed.push(room.to_string()),
            }
        }
        turn
    }
}

impl Turn {
    fn told(&self, reactor: usize, what: &str) -> usize {
        self.frames.iter().filter(|(at, _)| *at == reactor).map(|(_, text)| text.matches(what).count()).sum()
    }
}

fn messages(first_seq: u64, ids: &[&str]) -> Envelope {
    let messages = ids
        .iter()
        .map(|&id| {
            Arc::new(super::super::Message { from: "cat".into(), id: id.into(), text: "x".into(), time: 5 })
        })
        .collect();
    let stream = StreamId { origin: 2, generation: 0 };
    Envelope::Messages { room: "r".into(), stream, first_seq, messages }
}

fn presence(version: u64, names: &[&str]) -> Envelope {
    let list: Vec<Arc<str>> = names.iter().map(|&name| name.into()).collect();
    Envelope::Presence { room: "r".into(), origin: 2, version, users: names.len(), names: Some(list.into()) }
}

#[test]
fn a_message_goes_once_to_each_reactor_with_members_and_once_to_the_bus() {
    let mut world = World::new();
    world.join(ANN, "ann");
    world.join(BOB, "bob");
    let turn = world.turn();
    assert_eq!(turn.subscribed, ["r"]);
    world.say(ANN, "ann", "1");
    world.say(BOB, "bob", "1");
    let turn = world.turn();
    let deliveries: Vec<_> = turn.frames.iter().filter(|(_, text)| text.contains("\"message\"")).collect();
    assert_eq!(deliveries.len(), 2, "one notice for each reactor, both messages in it: {turn:?}");
    assert_eq!(deliveries[0].1, deliveries[1].1, "the same bytes");
    assert!(deliveries[0].1.contains("\"seq\":1") && deliveries[0].1.contains("\"seq\":2"));
    assert_eq!((turn.told(0, "\"ack\""), turn.told(1, "\"ack\"")), (1, 1));
    let [Envelope::Messages { first_seq: 1, messages, .. }] = &turn.published[..] else { panic!("{turn:?}") };
    assert_eq!(messages.len(), 2);
}

#[test]
fn a_retry_is_acknowledged_again_and_not_told_again() {
    let mut world = World::new();
    world.join(ANN, "ann");
    world.say(ANN, "ann", "1");
    world.turn();
    world.say(ANN, "ann", "1");
    let turn = world.turn();
    assert_eq!((turn.told(0, "\"ack\""), turn.told(0, "\"message\"")), (1, 0));
    assert!(turn.published.is_empty());
    assert_eq!(world.hub.take_counts().duplicates, 1);
}

#[test]
fn a_newcomer_has_in_its_history_what_it_is_not_sent() {
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
fn other_servers_messages_are_told_once_and_gaps_are_counted() {
    let mut world = World::new();
    world.join(ANN, "ann");
    world.turn();
    world.hear(messages(1, &["a", "b"]));
    world.hear(messages(1, &["a", "b"]));
    world.hear(messages(5, &["e"]));
    let turn = world.turn();
    assert_eq!(turn.told(0, "\"type\":\"message\""), 3);
    assert_eq!(turn.told(1, "\"type\":\"message\""), 0, "nobody is there");
    let counts = world.hub.take_counts();
    assert_eq!((counts.heard, counts.duplicates, counts.missing), (3, 2, 2));
}

#[test]
fn presence_is_told_at_once_and_then_gathered_here_and_for_others() {
    let mut world = World::new();
    world.join(ANN, "ann");
    let turn = world.turn();
    assert_eq!(turn.told(0, "\"presence\""), 1);
    assert!(
        matches!(&turn.published[..], [Envelope::Hello { .. }, Envelope::Presence { users: 1, .. }]),
        "{turn:?}"
    );
    world.join(BOB, "bob");
    let turn = world.turn();
    assert_eq!(turn.told(1, r#""roster":["ann","bob"]"#), 1, "{turn:?}");
    assert_eq!(turn.told(0, "\"presence\""), 0, "not so soon again");
    let turn = world.pass(PRESENCE_INTERVAL);
    assert_eq!((turn.told(0, "\"presence\""), turn.told(1, "\"presence\"")), (1, 1));
    assert!(matches!(&turn.published[..], [Envelope::Presence { users: 2, version: 2, .. }]), "{turn:?}");
    world.hear(presence(1, &["cat"]));
    world.leave(BOB, "bob");
    let turn = world.pass(PRESENCE_INTERVAL);
    assert_eq!(turn.told(0, r#""users":2,"joined":["cat"],"left":["bob"]"#), 1, "{turn:?}");
    assert_eq!(turn.told(1, "\"presence\""), 0, "nobody is there");
}

#[test]
fn a_newcomers_hello_is_answered_and_silence_ends_a_servers_users() {
    let mut world = World::new();
    world.join(ANN, "ann");
    world.pass(PRESENCE_INTERVAL);
    world.hear(Envelope::Hello { room: "r".into(), origin: 2 });
    let turn = world.pass(PRESENCE_INTERVAL);
    assert!(matches!(&turn.published[..], [Envelope::Presence { users: 1, .. }]), "{turn:?}");
    world.hear(presence(1, &["cat"]));
    world.hear(Envelope::Alive { origin: 2, name: "app-2".into() });
    world.pass(PRESENCE_INTERVAL);
    assert_eq!(world.hub.peers().by_name(world.now.instant), [("app-2".into(), true)]);
    let turns: Vec<_> = (0..=LEASE.as_secs() * 2).map(|_| world.pass(ALIVE_INTERVAL)).collect();
    let turn = turns.iter().find(|turn| turn.told(0, "presence") > 0).unwrap();
    assert_eq!(turn.told(0, r#""users":1,"joined":[],"left":["cat"]"#), 1, "{turn:?}");
    assert_eq!(world.hub.peers().by_name(world.now.instant), [("app-2".into(), false)]);
}

#[test]
fn a_server_that_returns_is_asked_for_its_users() {
    let mut world = World::new();
    world.join(ANN, "ann");
    world.hear(Envelope::Alive { origin: 2, name: "app-2".into() });
    (0..8).for_each(|_| drop(world.pass(ALIVE_INTERVAL)));
    world.turn();
    world.hear(Envelope::Alive { origin: 2, name: "app-2".into() });
    assert!(matches!(&world.turn().published[..], [Envelope::Hello { .. }]));
}

#[test]
fn our_own_stall_is_not_taken_for_the_others_death() {
    let mut world = World::new();
    world.join(ANN, "ann");
    world.hear(presence(1, &["cat"]));
    world.pass(PRESENCE_INTERVAL);
    let turn = world.pass(10 * LEASE);
    assert_eq!(turn.told(0, "cat"), 0, "{turn:?}");
}

#[test]
fn lost_presence_is_mended_by_the_next_word() {
    let mut world = World::new();
    world.join(ANN, "ann");
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
    world.say(ANN, "ann", "1");
    let turn = world.turn();
    assert_eq!(turn.told(0, "0000000000000001.1"), 2, "a new life of the room is a new stream: {turn:?}");
}

#[test]
fn rings_share_a_bound() {
    let mut world = World::new();
    world.join(ANN, "ann");
    let text = "x".repeat(4096);
    let speak = |world: &mut World, said: u32| {
        let (id, text) = (said.to_string().into(), text.as_str().into());
        world.hub.handle_ask(ANN, Ask::Send { room: "r".into(), user: "ann".into(), id, text }, world.now);
        world.turn();
        let room = world.hub.rooms().next().unwrap();
        assert_eq!(world.hub.ring_bytes - room.ring_bytes(), 0);
        room.ring_bytes()
    };
    let grown = (0..10).map(|said| speak(&mut world, said)).last().unwrap();
    assert!(grown > RING_BYTES_MIN);
    // As if other rooms held all of it.
    world.hub.ring_bytes += RINGS_BYTES_MAX;
    let text = "y".to_owned();
    world.hub.handle_ask(
        ANN,
        Ask::Send { room: "r".into(), user: "ann".into(), id: "last".into(), text: text.into() },
        world.now,
    );
    assert!(world.hub.rooms().next().unwrap().ring_bytes() <= RING_BYTES_MIN);
}

#[test]
fn typing_reaches_members_and_other_servers() {
    let mut world = World::new();
    world.join(ANN, "ann");
    world.turn();
    world.hub.handle_ask(ANN, Ask::Typing { room: "r".into(), user: "ann".into() }, world.now);
    let turn = world.turn();
    assert_eq!(turn.told(0, r#"{"type":"typing","room":"r","user":"ann"}"#), 1);
    assert!(matches!(&turn.published[..], [Envelope::Typing { .. }]));
}

#[test]
fn our_own_envelopes_and_those_for_unknown_rooms_change_nothing() {
    let mut world = World::new();
    world.hear(messages(1, &["a"]));
    world.join(ANN, "ann");
    world.turn();
    world.hear(Envelope::Messages {
        room: "r".into(),
        stream: StreamId { origin: 1, generation: 0 },
        first_seq: 1,
        messages: Arc::new([]),
    });
    assert!(world.turn().frames.is_empty());
    assert_eq!(world.hub.take_counts(), Counts::default());
}
