//! Servers and nodes in one thread, with a clock that the test turns. A node here is as much of Redis as lanes ask for.

use std::collections::{BTreeMap, BTreeSet};

use super::super::status::State;
use super::super::timings::Timings;
use super::*;
use crate::wire::resp::Framer;

const MS: Duration = Duration::from_millis(1);
/// How far the clock goes between two looks at everything.
const STEP: Duration = Duration::from_millis(5);

type End = (usize, bool);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Alive,
    /// It takes bytes and connections and does nothing, as with SIGSTOP.
    Frozen,
    /// Nobody is there.
    Down,
}

struct Node {
    mode: Mode,
    version: &'static str,
    /// Said instead of what the command would bring.
    errors: BTreeMap<&'static str, &'static str>,
    /// Publishes are counted and go nowhere.
    is_mute: bool,
    connections: BTreeMap<End, Connection>,
    /// Every command that it carried out.
    log: Vec<Vec<String>>,
}

#[derive(Default)]
struct Connection {
    to_node: Vec<u8>,
    to_server: Vec<u8>,
    subscribed: BTreeSet<Vec<u8>>,
}

struct World {
    now: Instant,
    nodes: Vec<Node>,
    servers: Vec<Server>,
}

struct Server {
    lanes: Lanes,
    events: Vec<Event>,
    notices: Vec<Notice>,
    hints: Vec<String>,
    /// It cannot reach these.
    cut: LaneSet,
    is_stalled: bool,
    says_alive: bool,
    next_alive: Instant,
    alive_ms: u64,
}

fn end(server: usize, role: Role) -> End {
    (server, role == Role::Subscriber)
}

impl World {
    fn new(servers: usize, nodes: usize) -> Self {
        let now = Instant::now();
        let node = |_| Node {
            mode: Mode::Alive,
            version: "7.0.15",
            errors: BTreeMap::new(),
            is_mute: false,
            connections: BTreeMap::new(),
            log: Vec::new(),
        };
        let server = |index| {
            let settings = Settings {
                incarnation: 100 + index as u64,
                nodes: (0..nodes).map(|node| format!("redis-{node}:6379")).collect(),
                credentials: None,
                timings: Timings::default(),
                seed: index as u64,
            };
            Server {
                lanes: Lanes::new(settings, now),
                events: Vec::new(),
                notices: Vec::new(),
                hints: Vec::new(),
                cut: LaneSet::EMPTY,
                is_stalled: false,
                says_alive: true,
                next_alive: now,
                alive_ms: 0,
            }
        };
        Self { now, nodes: (0..nodes).map(node).collect(), servers: (0..servers).map(server).collect() }
    }

    /// With everything connected and settled.
    fn settled(servers: usize, nodes: usize) -> Self {
        let mut world = Self::new(servers, nodes);
        world.run(1500);
        for server in &mut world.servers {
            assert!(server.lanes.proven() > 0, "{:?}", server.lanes.status());
            assert_eq!(server.lanes.health.settled, LaneSet::all(nodes));
            server.events.clear();
            server.notices.clear();
        }
        world
    }

    fn run(&mut self, milliseconds: u32) {
        let until = self.now + MS * milliseconds;
        while self.now < until {
            self.now += STEP;
            for server in 0..self.servers.len() {
                self.turn(server);
            }
            for node in 0..self.nodes.len() {
                self.serve(node);
            }
        }
    }

    fn turn(&mut self, index: usize) {
        let (now, count) = (self.now, self.nodes.len());
        let server = &mut self.servers[index];
        if server.is_stalled {
            return;
        }
        for (lane, node) in self.nodes.iter_mut().enumerate() {
            for role in ROLES {
                if server.cut.contains(lane) && node.connections.remove(&end(index, role)).is_some() {
                    server.lanes.handle_closed(lane, role, "reset".into(), now);
                }
                if let Some(connection) = node.connections.get_mut(&end(index, role)) {
                    let used = server.lanes.handle_bytes(lane, role, &connection.to_server, now);
                    connection.to_server.drain(..used);
                }
            }
        }
        server.lanes.handle_timeout(now);
        if server.says_alive && server.next_alive <= now {
            server.next_alive = now + MS * 250;
            server.alive_ms += 250;
            let word = Word::Alive {
                name: format!("app-{index}").as_str().into(),
                beat: server.alive_ms,
                age_ms: 0,
                lanes: 0,
                is_leaving: false,
                load: Some(0),
                echoes: [].into(),
            };
            server.lanes.publish(&Envelope { origin: 100 + index as u64, word }, now);
        }
        while let Some(command) = server.lanes.poll_command() {
            match command {
                Command::Connect { lane, role, hint } => {
                    server.hints.extend(hint);
                    match self.nodes[lane].mode {
                        Mode::Down => server.lanes.handle_closed(lane, role, "refused".into(), now),
                        _ if server.cut.contains(lane) => {
                            server.lanes.handle_closed(lane, role, "unreachable".into(), now);
                        }
                        _ => {
                            self.nodes[lane].connections.insert(end(index, role), Connection::default());
                            server.lanes.handle_connected(
                                lane,
                                role,
                                format!("10.0.0.{lane}:6379"),
                                format!("me:{index}"),
                                now,
                            );
                        }
                    }
                }
                Command::Close { lane, role } => {
                    self.nodes[lane].connections.remove(&end(index, role));
                }
            }
        }
        for lane in 0..count {
            for role in ROLES {
                let output = server.lanes.take_output(lane, role, now);
                if let Some(connection) = self.nodes[lane].connections.get_mut(&end(index, role)) {
                    connection.to_node.extend(output);
                }
            }
        }
        server.events.extend(std::iter::from_fn(|| server.lanes.poll_event()));
        server.notices.extend(std::iter::from_fn(|| server.lanes.poll_notice()));
    }

    fn serve(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if node.mode != Mode::Alive {
            return;
        }
        let ends: Vec<_> = node.connections.keys().copied().collect();
        for end in ends {
            let input = std::mem::take(&mut node.connections.get_mut(&end).unwrap().to_node);
            let (mut rest, mut framer) = (&input[..], Framer::default());
            while let Some(length) = framer.frame(rest).unwrap() {
                let words: Vec<Vec<u8>> =
                    redis::from_redis_value(redis::parse_redis_value(&rest[..length]).unwrap()).unwrap();
                rest = &rest[length..];
                node.carry_out(end, &words);
            }
            assert!(rest.is_empty(), "commands are written whole");
        }
    }

    fn kill(&mut self, node: usize) {
        self.nodes[node].mode = Mode::Down;
        for (server, is_subscriber) in std::mem::take(&mut self.nodes[node].connections).into_keys() {
            let role = if is_subscriber { Role::Subscriber } else { Role::Publisher };
            self.servers[server].lanes.handle_closed(node, role, "end of stream".into(), self.now);
        }
    }

    fn subscribe(&mut self, room: &str) {
        self.servers.iter_mut().for_each(|server| server.lanes.subscribe(&room.into()));
        self.run(50);
        for server in &mut self.servers {
            assert_eq!(server.take(|event| matches!(event, Event::Subscribed(_))).len(), 1);
        }
    }

    fn say(&mut self, server: usize, room: &str, user: &str) {
        let word = Word::Typing { room: room.into(), user: user.into() };
        self.servers[server].lanes.publish(&Envelope { origin: 100 + server as u64, word }, self.now);
    }

    /// What a server heard in rooms, in order.
    fn heard(&mut self, server: usize) -> Vec<String> {
        let events = self.servers[server]
            .take(|event| matches!(event, Event::Received(Envelope { word: Word::Typing { .. }, .. })));
        let users = events.into_iter().filter_map(|event| match event {
            Event::Received(Envelope { word: Word::Typing { user, .. }, .. }) => Some(user.to_string()),
            _ => None,
        });
        users.collect()
    }

    fn state(&self, server: usize, lane: usize) -> State {
        self.servers[server].lanes.status()[lane].state.clone()
    }

    /// The commands of that name that a node carried out.
    fn commands(&self, node: usize, name: &str) -> Vec<&Vec<String>> {
        self.nodes[node].log.iter().filter(|words| words[0] == name).collect()
    }
}

impl Server {
    fn take(&mut self, is_meant: impl Fn(&Event) -> bool) -> Vec<Event> {
        let (meant, rest) = std::mem::take(&mut self.events).into_iter().partition(is_meant);
        self.events = rest;
        meant
    }

    fn lost(&mut self) -> usize {
        self.take(|event| *event == Event::Lost).len()
    }
}

impl Node {
    fn carry_out(&mut self, end: End, words: &[Vec<u8>]) {
        self.log.push(words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect());
        let name = self.log.last().unwrap()[0].clone();
        let mut answer = Vec::new();
        let connection = self.connections.get_mut(&end).unwrap();
        if let Some(error) = self.errors.get(name.as_str()) {
            answer.extend(format!("-{error}\r\n").into_bytes());
        } else {
            match name.as_str() {
                "HELLO" => answer.extend(
                    format!("%2\r\n$7\r\nversion\r\n+{}\r\n$2\r\nid\r\n:7\r\n", self.version).into_bytes(),
                ),
                "PING" => put_bulk(&mut answer, &words[1]),
                "CLIENT" => answer.extend(b":1\r\n"),
                "SSUBSCRIBE" | "SUNSUBSCRIBE" => {
                    for channel in &words[1..] {
                        match name.as_str() {
                            "SSUBSCRIBE" => connection.subscribed.insert(channel.clone()),
                            _ => connection.subscribed.remove(channel),
                        };
                        put_push(&mut answer, &name.to_lowercase(), channel);
                        answer.extend(b":1\r\n");
                    }
                }
                "SPUBLISH" => {
                    let mut receivers = 0;
                    let subscribed = |connection: &&mut Connection| connection.subscribed.contains(&words[1]);
                    for other in self
                        .connections
                        .values_mut()
                        .filter(|connection| !self.is_mute && subscribed(connection))
                    {
                        put_push(&mut other.to_server, "smessage", &words[1]);
                        put_bulk(&mut other.to_server, &words[2]);
                        receivers += 1;
                    }
                    answer.extend(format!(":{receivers}\r\n").into_bytes());
                }
                other => panic!("{other} is not a command"),
            }
        }
        self.connections.get_mut(&end).unwrap().to_server.extend(answer);
    }
}

fn put_push(out: &mut Vec<u8>, kind: &str, channel: &[u8]) {
    out.extend(format!(">3\r\n${}\r\n{kind}\r\n", kind.len()).into_bytes());
    put_bulk(out, channel);
}

fn put_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(format!("${}\r\n", bytes.len()).into_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// A room whose first lane is `lane`.
fn room_on(lane: u8) -> String {
    (0..).map(|number| format!("room {number}")).find(|room| rendezvous::order(room, 3)[0] == lane).unwrap()
}

#[test]
fn what_one_says_the_others_hear_once_and_itself_not() {
    let mut world = World::settled(3, 3);
    world.subscribe("hall");
    world.say(0, "hall", "ann");
    world.say(0, "elsewhere", "bob");
    world.run(20);
    assert_eq!(
        [world.heard(0), world.heard(1), world.heard(2)],
        [vec![], vec!["ann".to_owned()], vec!["ann".into()]]
    );
    let published: usize = (0..3)
        .map(|node| {
            world.commands(node, "SPUBLISH").iter().filter(|words| words[1].ends_with("hall")).count()
        })
        .sum();
    assert_eq!(published, 1, "on one lane");
    world.servers[1].lanes.unsubscribe(&"hall".into());
    world.run(50);
    world.say(0, "hall", "cyd");
    world.run(20);
    assert_eq!([world.heard(1), world.heard(2)], [vec![], vec!["cyd".to_owned()]]);
    assert_eq!(world.servers.iter_mut().map(Server::lost).sum::<usize>(), 0);
}

#[test]
fn a_server_s_inbox_is_its_own() {
    let mut world = World::settled(3, 3);
    let word = Word::Hold { to: 102, room: "hall".into() };
    let envelope = Envelope { origin: 100, word };
    (0..3).for_each(|_| world.servers[0].lanes.publish(&envelope, world.now));
    world.run(20);
    let got = |server: &mut Server| server.take(|event| *event == Event::Received(envelope.clone())).len();
    assert_eq!([got(&mut world.servers[1]), got(&mut world.servers[2])], [0, 3]);
    let used =
        (0..3).filter(|node| world.commands(*node, "SPUBLISH").iter().any(|words| words[1].contains(":in:")));
    assert_eq!(used.count(), 3, "each on another lane");
}

#[test]
fn a_killed_node_is_left_at_once_and_taken_again_when_it_is_back() {
    let mut world = World::settled(2, 3);
    let room = room_on(0);
    world.subscribe(&room);
    world.say(0, &room, "in flight");
    world.turn(0);
    world.kill(0);
    world.say(0, &room, "after");
    world.run(20);
    let mut heard = world.heard(1);
    heard.sort();
    assert_eq!(heard, ["after", "in flight"], "what had no answer was sent again");
    assert_eq!(world.servers[0].lanes.status()[1..].iter().map(|lane| lane.counts.resent).sum::<u64>(), 1);
    assert_eq!([world.servers[0].lost(), world.servers[1].lost()], [1, 1]);
    world.run(30_000);
    assert_eq!(world.state(0, 0), State::Connecting, "for ever");
    assert!(world.servers[0].lanes.proven() > 0);
    world.nodes[0].mode = Mode::Alive;
    world.run(2500);
    assert_eq!([world.state(0, 0), world.state(1, 0)], [State::Up, State::Up]);
    assert_eq!(world.commands(0, "CLIENT").len(), 4, "the former connections are ended");
    assert_eq!(world.commands(0, "CLIENT")[0][1..5], ["KILL", "ID", "7", "ADDR"]);
    world.nodes[0].log.clear();
    world.say(0, &room, "back");
    world.run(20);
    assert_eq!(world.heard(1), ["back"]);
    assert!(world.commands(0, "SPUBLISH").iter().any(|words| words[1].ends_with(&room)));
}

#[test]
fn attempts_are_spread_over_time() {
    let mut world = World::new(1, 1);
    world.nodes[0].mode = Mode::Down;
    let mut times = Vec::new();
    for _ in 0..4000 {
        let was = world.servers[0].lanes.lanes[0].publisher.link.phase();
        world.run(5);
        if world.servers[0].lanes.lanes[0].publisher.link.phase() != was {
            times.push(world.now);
        }
    }
    let gaps: BTreeSet<_> = times.windows(2).skip(4).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert!(gaps.len() > 10, "{gaps:?}");
    assert!(*gaps.first().unwrap() >= 100 && *gaps.last().unwrap() <= 1005, "{gaps:?}");
}

#[test]
fn a_frozen_node_is_suspect_then_dead_then_back() {
    let mut world = World::settled(2, 3);
    let room = room_on(0);
    world.subscribe(&room);
    world.nodes[0].mode = Mode::Frozen;
    world.say(0, &room, "frozen");
    world.run(200);
    assert_eq!(world.state(0, 0), State::Suspect);
    assert_eq!(world.heard(1), ["frozen"], "the copy");
    world.say(0, &room, "elsewhere");
    world.run(20);
    assert_eq!(world.heard(1), ["elsewhere"]);
    assert_eq!(world.servers[0].lost(), 0, "what is frozen is not lost yet");
    world.run(600);
    assert_eq!(world.state(0, 0), State::Connecting);
    assert_eq!(world.heard(1), Vec::<String>::new(), "there is one copy, not two");
    assert_eq!([world.servers[0].lost(), world.servers[1].lost()], [1, 1]);
    world.run(3000);
    world.nodes[0].mode = Mode::Alive;
    world.run(3000);
    assert_eq!([world.state(0, 0), world.state(1, 0)], [State::Up, State::Up]);
    assert_eq!(world.heard(1), Vec::<String>::new(), "the old connection was closed: nothing stale comes");
}

#[test]
fn a_short_freeze_ends_no_connection() {
    let mut world = World::settled(2, 3);
    let room = room_on(0);
    world.subscribe(&room);
    let hellos = world.commands(0, "HELLO").len();
    world.nodes[0].mode = Mode::Frozen;
    world.say(0, &room, "frozen");
    world.run(400);
    assert_eq!(world.state(0, 0), State::Suspect);
    world.nodes[0].mode = Mode::Alive;
    world.run(200);
    assert_eq!(world.state(0, 0), State::Up);
    assert_eq!(world.heard(1), ["frozen", "frozen"], "the copy and the original");
    assert_eq!(world.commands(0, "HELLO").len(), hellos);
    assert_eq!(world.servers[0].lost(), 0);
}

#[test]
fn a_server_s_own_stall_is_not_taken_for_the_nodes() {
    let mut world = World::settled(2, 3);
    world.servers[0].is_stalled = true;
    world.run(5000);
    world.servers[0].is_stalled = false;
    world.run(300);
    let states: Vec<_> =
        world.servers[0].notices.iter().filter(|notice| matches!(notice, Notice::State { .. })).collect();
    assert!(states.is_empty(), "{states:?}");
    assert_eq!(world.servers[0].lost(), 0);
}

#[test]
fn when_all_are_suspect_nothing_is_sent_twice_until_one_answers() {
    let mut world = World::settled(2, 3);
    let room = room_on(0);
    world.subscribe(&room);
    world.nodes.iter_mut().for_each(|node| node.mode = Mode::Frozen);
    world.run(300);
    assert_eq!([0, 1, 2].map(|lane| world.state(0, lane)), [State::Suspect, State::Suspect, State::Suspect]);
    let resent =
        |world: &World| world.servers[0].lanes.status().iter().map(|lane| lane.counts.resent).sum::<u64>();
    world.say(0, &room, "one");
    world.run(200);
    assert_eq!(resent(&world), 0);
    world.say(0, &room, "two");
    world.nodes[1].mode = Mode::Alive;
    world.run(100);
    assert_eq!(resent(&world), 2);
    assert_eq!(world.heard(1), ["one", "two"]);
}

#[test]
fn very_many_rooms_are_confirmed_in_batches() {
    let mut world = World::new(1, 1);
    for number in 0..2500 {
        world.servers[0].lanes.subscribe(&format!("room {number}").as_str().into());
    }
    world.run(100);
    let sizes: Vec<_> = world.commands(0, "SSUBSCRIBE").iter().map(|words| words.len() - 1).collect();
    assert_eq!(sizes, [1000, 1000, 502]);
    assert_eq!(world.servers[0].take(|event| matches!(event, Event::Subscribed(_))).len(), 2500);
    assert_eq!(world.state(0, 0), State::Up);
}

#[test]
fn a_lane_is_not_up_while_a_channel_is_not_confirmed() {
    let mut world = World::new(1, 1);
    world.servers[0].lanes.subscribe(&"hall".into());
    world.nodes[0].errors.insert("SSUBSCRIBE", "MOVED 16114 10.0.0.9:6379");
    world.run(2000);
    assert_eq!(world.state(0, 0), State::Connecting);
    assert!(world.servers[0].take(|event| matches!(event, Event::Subscribed(_))).is_empty());
    assert!(world.servers[0].hints.iter().all(|hint| hint == "10.0.0.9:6379"));
    let (hints, tries) = (world.servers[0].hints.len(), world.commands(0, "SSUBSCRIBE").len());
    assert!(hints > 0 && tries >= hints, "{hints} hints in {tries} attempts");
    world.nodes[0].errors.clear();
    world.run(1500);
    assert_eq!(world.servers[0].take(|event| matches!(event, Event::Subscribed(_))).len(), 1);
}

#[test]
fn a_publish_that_is_refused_goes_elsewhere() {
    let mut world = World::settled(2, 3);
    let room = room_on(0);
    world.subscribe(&room);
    world.nodes[0].errors.insert("SPUBLISH", "CLUSTERDOWN Hash slot not served");
    world.say(0, &room, "moved");
    world.run(50);
    assert_eq!(world.heard(1), ["moved"]);
    let error = world.servers[0].lanes.status()[0].last_error.clone();
    assert_eq!(error.as_deref(), Some("the cluster is down: Hash slot not served"));
}

#[test]
fn an_unasked_sunsubscribe_is_a_loss_and_an_asked_one_is_not() {
    let mut world = World::settled(1, 3);
    world.subscribe("hall");
    let subscriber = world.nodes[1].connections.get_mut(&(0, true)).unwrap();
    put_push(&mut subscriber.to_server, "sunsubscribe", b"distr:{L2}hall");
    subscriber.to_server.extend(b":0\r\n");
    world.run(20);
    assert_eq!(world.servers[0].lost(), 1);
    world.run(1500);
    assert_eq!(world.state(0, 1), State::Up);
    // Away and back in one turn, and in two.
    for pause in [0, 20] {
        world.servers[0].lanes.unsubscribe(&"hall".into());
        world.run(pause);
        world.servers[0].lanes.subscribe(&"hall".into());
        world.run(50);
    }
    assert_eq!(world.servers[0].lost(), 0);
    assert!(world.nodes.iter().all(|node| node.connections[&(0, true)].subscribed.len() == 3));
}

#[test]
fn a_refusal_says_why_and_is_tried_again_slowly() {
    for (error, reason) in [
        ("NOAUTH HELLO must be called with the client already authenticated", "asks for a password"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "refuses this user and password"),
        ("NOPROTO unsupported protocol version", "older than Redis 6"),
        ("ERR unknown command 'HELLO'", "older than Redis 6"),
    ] {
        let mut world = World::new(1, 1);
        world.nodes[0].errors.insert("HELLO", error);
        world.run(4000);
        let State::Refused(text) = world.state(0, 0) else { panic!("{error}: {:?}", world.state(0, 0)) };
        assert!(text.contains(reason), "{text}");
        assert_eq!(world.commands(0, "HELLO").len(), 2, "one each");
        world.nodes[0].errors.clear();
        world.run(2000);
        assert_eq!(world.state(0, 0), State::Up);
    }
    let mut world = World::new(1, 1);
    world.nodes[0].version = "6.2.14";
    world.run(100);
    let State::Refused(text) = world.state(0, 0) else { panic!("{:?}", world.state(0, 0)) };
    assert_eq!(text, "Redis 6.2.14 has no sharded pub/sub: Redis 7 or newer is needed");
}

#[test]
fn a_node_that_takes_connections_and_says_nothing_is_no_lane() {
    let mut world = World::new(1, 1);
    world.nodes[0].mode = Mode::Frozen;
    world.run(5000);
    assert_eq!(world.state(0, 0), State::Connecting);
    let error = world.servers[0].lanes.status()[0].last_error.clone();
    assert_eq!(error.as_deref(), Some("connected, but no answer in time"));
}

#[test]
fn a_lane_that_does_not_bring_back_what_was_said_is_deaf() {
    let mut world = World::settled(1, 3);
    world.nodes[2].is_mute = true;
    world.run(1400);
    assert_eq!(world.state(0, 2), State::Up);
    world.run(500);
    let is_deaf = |notice: &&Notice| matches!(notice, Notice::State { lane: 2, state: State::Deaf, .. });
    assert_eq!(world.servers[0].notices.iter().filter(is_deaf).count(), 1);
    assert_eq!(world.servers[0].lost(), 1);
    assert!(world.servers[0].lanes.proven() > 0, "the others deliver");
    world.nodes.iter_mut().for_each(|node| node.is_mute = true);
    world.run(2000);
    assert!(!world.servers[0].lanes.proven() > 0);
    world.nodes.iter_mut().for_each(|node| node.is_mute = false);
    world.run(2000);
    assert!(world.servers[0].lanes.proven() > 0);
}

#[test]
fn too_much_in_flight_is_thrown_away_and_counted() {
    let mut world = World::settled(2, 1);
    world.subscribe("hall");
    world.nodes[0].mode = Mode::Frozen;
    world.servers[0].says_alive = false;
    (0..16_384 + 7).for_each(|_| world.say(0, "hall", "ann"));
    world.turn(0);
    assert!(matches!(
        world.servers[0].take(|event| matches!(event, Event::Dropped(_)))[..],
        [Event::Dropped(7..9)]
    ));
    world.nodes[0].mode = Mode::Down;
    world.kill(0);
    world.turn(0);
    let dropped = world.servers[0].take(|event| matches!(event, Event::Dropped(_)));
    assert!(matches!(dropped[..], [Event::Dropped(16_383..=16_384)]), "there is no other lane: {dropped:?}");
    world.say(0, "hall", "ann");
    world.turn(0);
    assert_eq!(world.servers[0].take(|event| *event == Event::Dropped(1)).len(), 1);
}

#[test]
fn a_room_takes_a_lane_that_all_hear_and_silent_servers_are_forgotten() {
    let mut world = World::settled(2, 3);
    let room = room_on(0);
    world.subscribe(&room);
    world.servers[1].cut = LaneSet::of(0);
    world.run(100);
    world.say(0, &room, "around");
    world.run(20);
    assert_eq!(world.heard(1), ["around"]);
    assert_eq!(world.servers[0].lanes.peers.common(), [1, 2].into_iter().collect());
    world.servers[1].is_stalled = true;
    world.run(3100);
    assert_eq!(world.servers[0].lanes.peers.iter().count(), 0);
    assert_eq!(world.servers[0].lanes.peers.common(), LaneSet::all(3));
}

#[test]
fn servers_that_share_no_lane_hear_each_other_through_a_third() {
    let mut world = World::settled(4, 3);
    world.subscribe("hall");
    world.servers[0].cut = [1, 2].into_iter().collect();
    world.servers[1].cut = LaneSet::of(0);
    world.run(1000);
    world.servers[2..].iter_mut().for_each(|server| server.events.clear());
    world.say(0, "hall", "ann");
    world.say(1, "hall", "bob");
    world.run(50);
    assert_eq!([world.heard(0), world.heard(1)], [vec!["bob".to_owned()], vec!["ann".to_owned()]]);
    let relayed = |server: &Server| server.lanes.status().iter().map(|lane| lane.counts.relayed).sum::<u64>();
    assert!(relayed(&world.servers[0]) + relayed(&world.servers[1]) == 0);
    let alive = world.servers[1].take(|event| matches!(event, Event::Received(Envelope { origin: 100, .. })));
    assert!(!alive.is_empty(), "its word that it lives is passed on, too");
}

#[test]
fn people_are_told_what_they_set_up_wrong() {
    let mut world = World::settled(2, 3);
    world.servers[0].lanes.handle_connected(
        1,
        Role::Publisher,
        "10.0.0.0:6379".into(),
        "me".into(),
        world.now,
    );
    world.run(5);
    let same = Notice::SameNode { lane: 1, other: 0, address: "10.0.0.0:6379".into() };
    assert!(world.servers[0].notices.contains(&same));
    // A server that says it is on lane 2, and is only ever heard on lane 0.
    let mut said = Vec::new();
    for tick in 0..20_u64 {
        said.clear();
        let word = Word::Alive {
            name: "other".into(),
            beat: tick,
            age_ms: 0,
            lanes: 0b101,
            is_leaving: false,
            load: Some(0),
            echoes: [].into(),
        };
        Envelope { origin: 9, word }.encode(&mut said);
        let mut bytes = Vec::new();
        put_push(&mut bytes, "smessage", b"distr:all:{L3}");
        put_bulk(&mut bytes, &said);
        world.nodes[0].connections.get_mut(&(0, true)).unwrap().to_server.extend(bytes);
        world.run(200);
    }
    let unheard = Notice::Unheard { lane: 2, peer: "other".into() };
    assert_eq!(world.servers[0].notices.iter().filter(|notice| **notice == unheard).count(), 1);
}

#[test]
fn what_is_no_envelope_is_counted_and_hurts_nobody() {
    let mut world = World::settled(1, 1);
    let subscriber = world.nodes[0].connections.get_mut(&(0, true)).unwrap();
    for payload in [&b""[..], b"\x02", b"\x09rest", &vec![2; ENVELOPE_BYTES_MAX + 1]] {
        put_push(&mut subscriber.to_server, "smessage", b"distr:all:{L0}");
        put_bulk(&mut subscriber.to_server, payload);
    }
    world.run(20);
    let totals = world.servers[0].lanes.totals();
    assert_eq!((totals.malformed, totals.foreign_version, totals.too_large), (2, 1, 1));
    assert_eq!(world.state(0, 0), State::Up);
    let subscriber = world.nodes[0].connections.get_mut(&(0, true)).unwrap();
    subscriber.to_server.extend(b"HTTP/1.1 400 Bad Request\r\n");
    world.run(20);
    assert_eq!(world.state(0, 0), State::Connecting);
}
