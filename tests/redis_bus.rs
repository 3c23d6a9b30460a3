//! Buses at real Redis nodes that are killed, frozen, restarted and refused. The nodes are plain ones: lanes need no
//! cluster. Everything runs in one loop, so a test sees every event.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use distr_chat::app::bus::Bus;
use distr_chat::app::redis::{Options, RedisBus};
use distr_chat::app::redis_preflight::preflight;
use distr_chat::chat::BusEvent;
use distr_chat::lanes::State;
use distr_chat::net::Poller;
use distr_chat::wire::Envelope;
use distr_chat::wire::envelope::Word;
use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take before a test gives it up.
const PATIENCE: Duration = Duration::from_secs(20);
/// As the hub does.
const ALIVE_INTERVAL: Duration = Duration::from_millis(250);

/// A Redis that ends with the test.
struct Node {
    port: u16,
    password: Option<&'static str>,
    child: Child,
}

impl Node {
    fn start(password: Option<&'static str>) -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        Self { port, password, child: spawn(port, password) }
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn restart(&mut self) {
        self.child = spawn(self.port, self.password);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut connection =
            redis::Client::open(format!("redis://{}", self.address())).unwrap().get_connection().unwrap();
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(word);
        });
        command.query(&mut connection).unwrap()
    }

    /// Its channels, and how many hear each.
    fn channels(&self) -> Vec<(String, usize)> {
        let names: Vec<String> = self.ask(&["PUBSUB", "SHARDCHANNELS"]);
        let counted = |name: String| {
            let (_, count): (String, usize) = self.ask(&["PUBSUB", "SHARDNUMSUB", &name]);
            (name, count)
        };
        let mut channels: Vec<_> = names.into_iter().map(counted).collect();
        channels.sort();
        channels
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, password: Option<&str>) -> Child {
    let port_text = port.to_string();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port_text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(password.map(|password| ["--requirepass", password]).into_iter().flatten());
    let child =
        command.stdout(Stdio::null()).spawn().expect("redis-server is needed: apt-get install redis-server");
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "redis-server does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

struct Server {
    incarnation: u64,
    poller: Poller,
    bus: RedisBus,
    events: Vec<BusEvent>,
    next_alive: Instant,
    beat: u64,
    more: bool,
}

impl Server {
    fn start(incarnation: u64, nodes: &[Node]) -> Self {
        let poller = Poller::new().unwrap();
        let options = options(nodes, nodes[0].password);
        let name = format!("app-{incarnation}");
        let bus = RedisBus::new(&name, incarnation, options, incarnation, &poller, Instant::now());
        Self {
            incarnation,
            poller,
            bus,
            events: Vec::new(),
            next_alive: Instant::now(),
            beat: 0,
            more: false,
        }
    }

    fn turn(&mut self) {
        let due = self.bus.poll_timeout().unwrap().saturating_duration_since(Instant::now());
        let pause = if self.more { Duration::ZERO } else { due.min(Duration::from_millis(1)) };
        self.poller.wait(Some(pause)).unwrap();
        let now = Instant::now();
        self.more = self.bus.poll(&self.poller, now, 64, &mut |event| self.events.push(event));
        if now >= self.next_alive {
            self.next_alive = now + ALIVE_INTERVAL;
            let name = format!("app-{}", self.incarnation).as_str().into();
            self.beat += 1;
            let (beat, load, echoes) = (self.beat, Some(0), [].into());
            self.say(Word::Alive { name, beat, age_ms: 0, lanes: 0, is_leaving: false, load, echoes });
        }
        self.bus.flush(&self.poller, now);
    }

    fn say(&mut self, word: Word) {
        self.bus.publish(Envelope { origin: self.incarnation, word });
    }

    fn is_up(&self) -> bool {
        self.bus.is_ready() && self.states().iter().all(|state| *state == State::Up)
    }

    fn states(&self) -> Vec<State> {
        self.bus.lanes().into_iter().map(|lane| lane.state).collect()
    }

    /// What was typed in rooms, each as often as it came.
    fn heard(&self) -> Vec<&str> {
        let typing = self.events.iter().filter_map(|event| match event {
            BusEvent::Received(Envelope { word: Word::Typing { user, .. }, .. }) => Some(&**user),
            _ => None,
        });
        typing.collect()
    }

    fn count(&self, meant: &BusEvent) -> usize {
        self.events.iter().filter(|event| *event == meant).count()
    }
}

fn options(nodes: &[Node], password: Option<&str>) -> Options {
    Options {
        nodes: nodes.iter().map(Node::address).collect(),
        credentials: password.map(|password| ("default".to_owned(), password.to_owned())),
    }
}

fn nodes(count: usize) -> Vec<Node> {
    (0..count).map(|_| Node::start(None)).collect()
}

/// Servers that are up, and hear the room `hall`.
fn servers(count: u64, nodes: &[Node]) -> Vec<Server> {
    let mut servers: Vec<_> = (1..=count).map(|incarnation| Server::start(incarnation, nodes)).collect();
    let hall: Arc<str> = "hall".into();
    servers.iter_mut().for_each(|server| server.bus.subscribe(&hall));
    until(&mut servers, "all are up and hear the room", |servers| {
        servers.iter().all(|server| server.is_up() && server.count(&BusEvent::Subscribed(hall.clone())) == 1)
    });
    servers.iter_mut().for_each(|server| server.events.clear());
    servers
}

#[track_caller]
fn until(servers: &mut [Server], what: &str, condition: impl Fn(&[Server]) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition(servers) {
        assert!(
            Instant::now() < end,
            "did not come true within {PATIENCE:?}: {what}; {:?}",
            servers.iter().map(|server| server.bus.lanes()).collect::<Vec<_>>()
        );
        servers.iter_mut().for_each(Server::turn);
    }
}

fn run(servers: &mut [Server], time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        servers.iter_mut().for_each(Server::turn);
    }
}

fn type_in(server: &mut Server, room: &str, user: impl std::fmt::Display) {
    server.say(Word::Typing { room: room.into(), user: user.to_string().as_str().into() });
}

fn numbers(upto: u32) -> Vec<String> {
    (0..upto).map(|number| number.to_string()).collect()
}

#[test]
fn what_is_said_at_one_server_is_heard_at_the_others() {
    let nodes = nodes(3);
    let mut servers = servers(3, &nodes);
    for number in 0..1000 {
        type_in(&mut servers[0], "hall", number);
    }
    type_in(&mut servers[0], "a room that nobody is in", "nobody");
    let hold = Word::Hold { to: 3, room: "hall".into() };
    servers[1].say(hold.clone());
    let held = BusEvent::Received(Envelope { origin: 2, word: hold });
    until(&mut servers, "everything arrives", |servers| {
        servers[1].heard().len() == 1000 && servers[2].heard().len() == 1000 && servers[2].count(&held) == 1
    });
    assert_eq!(servers[1].heard(), numbers(1000), "once and in order");
    assert!(servers[0].heard().is_empty() && servers[1].count(&held) == 0);
    assert!(servers.iter().all(|server| server.count(&BusEvent::Lost) == 0));
    for node in &nodes {
        let channels = node.channels();
        assert!(channels.iter().all(|(name, _)| name.starts_with("distr:")), "{channels:?}");
        let counts: Vec<_> = channels.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [3, 1, 1, 1, 3], "all, three inboxes, the room: {channels:?}");
    }
}

#[test]
fn any_two_of_three_nodes_may_be_killed_and_come_back() {
    let mut nodes = nodes(3);
    let mut servers = servers(2, &nodes);
    let mut said = 0;
    let mut say = |servers: &mut [Server]| {
        type_in(&mut servers[0], "hall", said);
        said += 1;
        said
    };
    // A node may answer a publication and die before it has written the push: docs/architecture.md says so of a lane.
    let mut exposed = BTreeSet::new();
    for node in [0, 1] {
        let count = say(&mut servers);
        servers.iter_mut().for_each(Server::turn);
        nodes[node].kill();
        exposed.extend(missing(&servers[1], count));
        let end = Instant::now() + Duration::from_millis(300);
        while Instant::now() < end {
            say(&mut servers);
            servers.iter_mut().for_each(Server::turn);
        }
        let lost = node + 1;
        until(&mut servers, "each notices", |servers| {
            servers.iter().all(|server| server.count(&BusEvent::Lost) == lost)
        });
    }
    let count = say(&mut servers);
    // Of what was in flight at the moment of the kill there may be two copies.
    until(&mut servers, "everything arrives that was published after the kills", |servers| {
        missing(&servers[1], count).is_subset(&exposed)
    });
    assert!(servers.iter().all(|server| server.bus.is_ready()), "one lane is enough");
    nodes[..2].iter_mut().for_each(Node::restart);
    until(&mut servers, "all lanes are up again", |servers| servers.iter().all(Server::is_up));
    until_all_are_subscribed(&mut servers, &nodes);
}

/// Of the first `count` that were published in the room, the ones that `server` has not received.
fn missing(server: &Server, count: u32) -> BTreeSet<String> {
    let received: BTreeSet<_> = server.heard().into_iter().collect();
    numbers(count).into_iter().filter(|number| !received.contains(number.as_str())).collect()
}

/// Both servers are subscribed to the room, all servers and their inbox once at each node. A node sees that a connection has
/// ended some time after its server has opened the next one.
fn until_all_are_subscribed(servers: &mut [Server], nodes: &[Node]) {
    until(servers, "each server is subscribed once, with one connection", |_| {
        nodes.iter().all(|node| node.channels().iter().map(|(_, count)| *count).eq([2, 1, 1, 2]))
    });
}

#[test]
fn a_frozen_node_holds_nobody_up_and_its_thaw_hurts_nobody() {
    let nodes = nodes(3);
    let mut servers = servers(2, &nodes);
    // The room prefers node 1, then node 0.
    let cases: [(&[usize], u64); 4] = [(&[1], 100), (&[1], 400), (&[1], 1200), (&[0, 1], 1200)];
    for (frozen, milliseconds) in cases {
        servers[1].events.clear();
        frozen.iter().for_each(|node| nodes[*node].signal(Signal::STOP));
        let (start, mut said, mut worst) = (Instant::now(), 0, Duration::ZERO);
        let mut heard_last = (0, start);
        while start.elapsed() < Duration::from_millis(milliseconds) {
            type_in(&mut servers[0], "hall", said);
            said += 1;
            servers.iter_mut().for_each(Server::turn);
            if servers[1].heard().len() > heard_last.0 {
                heard_last = (servers[1].heard().len(), Instant::now());
            }
            worst = worst.max(heard_last.1.elapsed());
        }
        frozen.iter().for_each(|node| nodes[*node].signal(Signal::CONT));
        until(&mut servers, "nothing is lost, and all lanes are up again", |servers| {
            let heard: BTreeSet<_> = servers[1].heard().into_iter().collect();
            heard.len() == said && servers.iter().all(Server::is_up)
        });
        let copies = servers[1].heard().len();
        println!(
            "nodes {frozen:?} frozen for {milliseconds} ms: {said} said, {copies} heard, silent for {worst:?}"
        );
    }
    until_all_are_subscribed(&mut servers, &nodes);
}

#[test]
fn a_subscriber_that_redis_ends_is_a_loss_and_comes_back() {
    let nodes = nodes(2);
    let mut servers = servers(2, &nodes);
    let killed: usize = nodes[0].ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(killed, 2);
    until(&mut servers, "both notice, and are up again", |servers| {
        servers.iter().all(|server| server.count(&BusEvent::Lost) == 1 && server.is_up())
    });
    type_in(&mut servers[0], "hall", "ann");
    until(&mut servers, "it is heard", |servers| servers[1].heard() == ["ann"]);
    until_all_are_subscribed(&mut servers, &nodes);
}

#[test]
fn one_node_is_enough_for_ten_thousand_rooms() {
    let nodes = nodes(1);
    let mut servers = servers(2, &nodes);
    for number in 0..10_000 {
        servers[1].bus.subscribe(&format!("room {number}").as_str().into());
    }
    until(&mut servers, "all are heard", |servers| {
        servers[1].events.iter().filter(|event| matches!(event, BusEvent::Subscribed(_))).count() == 10_000
    });
    for number in 0..10_000 {
        type_in(&mut servers[0], &format!("room {number}"), number);
    }
    until(&mut servers, "everything arrives", |servers| servers[1].heard().len() == 10_000);
    for number in 0..10_000 {
        servers[1].bus.unsubscribe(&format!("room {number}").as_str().into());
    }
    until(&mut servers, "only what is needed is left", |_| {
        nodes[0].ask::<Vec<String>>(&["PUBSUB", "SHARDCHANNELS"]).len() == 4
    });
    let killed: usize = nodes[0].ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert!(killed >= 2, "the publishers");
    until(&mut servers, "it is noticed", |servers| {
        servers.iter().all(|server| server.count(&BusEvent::Lost) > 0)
    });
    until(&mut servers, "they are up again", |servers| servers.iter().all(Server::is_up));
}

#[test]
fn a_password_is_used_and_a_wrong_one_is_told() {
    let nodes = [Node::start(Some("right")), Node::start(Some("right"))];
    let mut servers = servers(2, &nodes);
    type_in(&mut servers[0], "hall", "ann");
    until(&mut servers, "it is heard", |servers| servers[1].heard() == ["ann"]);
    assert_eq!(preflight(&options(&nodes, Some("right"))), Ok(()));
    for (password, reason) in
        [(Some("wrong"), "refuses this user and password"), (None, "asks for a password")]
    {
        let refusal = preflight(&options(&nodes, password)).unwrap_err();
        assert!(refusal.contains(reason) && refusal.contains(&nodes[1].address()), "{refusal}");
        let poller = Poller::new().unwrap();
        let bus = RedisBus::new("app-9", 9, options(&nodes, password), 9, &poller, Instant::now());
        let stranger = Server {
            incarnation: 9,
            poller,
            bus,
            events: Vec::new(),
            next_alive: Instant::now(),
            beat: 0,
            more: false,
        };
        let mut strangers = [stranger];
        until(&mut strangers, "it is refused", |servers| {
            servers[0]
                .states()
                .iter()
                .all(|state| matches!(state, State::Refused(text) if text.contains(reason)))
        });
        assert!(!strangers[0].bus.is_ready());
    }
}

#[test]
fn nodes_that_are_not_there_are_waited_for() {
    let mut nodes = nodes(2);
    nodes.iter_mut().for_each(Node::kill);
    let start = Instant::now();
    assert_eq!(preflight(&options(&nodes, None)), Ok(()), "that is only warned about");
    assert!(start.elapsed() < Duration::from_secs(5));
    let mut servers = vec![Server::start(1, &nodes), Server::start(2, &nodes)];
    servers.iter_mut().for_each(|server| server.bus.subscribe(&"hall".into()));
    run(&mut servers, Duration::from_millis(300));
    assert!(servers.iter().all(|server| !server.bus.is_ready()));
    type_in(&mut servers[0], "hall", "nobody");
    until(&mut servers, "it is counted", |servers| {
        servers[0].events.iter().any(|event| matches!(event, BusEvent::Dropped(_)))
    });
    nodes.iter_mut().for_each(Node::restart);
    until(&mut servers, "they come", |servers| {
        servers.iter().all(|server| server.is_up() && server.count(&BusEvent::Subscribed("hall".into())) == 1)
    });
    // By name, which may have addresses where nobody listens.
    let poller = Poller::new().unwrap();
    let options = Options {
        nodes: nodes.iter().map(|node| format!("localhost:{}", node.port)).collect(),
        credentials: None,
    };
    let bus = RedisBus::new("app-3", 3, options, 3, &poller, Instant::now());
    let mut named = [Server {
        incarnation: 3,
        poller,
        bus,
        events: Vec::new(),
        next_alive: Instant::now(),
        more: false,
        beat: 0,
    }];
    until(&mut named, "names are as good as addresses", |servers| servers[0].is_up());
}
