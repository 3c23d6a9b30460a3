//! What an envelope costs on its way through the lanes: `cargo bench --bench lanes`. The last one needs redis-server.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use distr_chat::app::bus::Bus;
use distr_chat::app::redis::{Options, RedisBus};
use distr_chat::chat::BusEvent;
use distr_chat::lanes::{Command, Lanes, ROLES, Role, Settings, Timings};
use distr_chat::net::Poller;
use distr_chat::wire::envelope::{Message, Word};
use distr_chat::wire::resp::Parser;
use distr_chat::wire::{Envelope, StreamId};
use divan::{Bencher, black_box, counter::ItemsCount};

fn main() {
    divan::main();
}

/// One message of so many bytes.
fn envelope(origin: u64, text: usize) -> Envelope {
    let message = Message {
        from: "ann".into(),
        client: 1,
        id: "8f3a-17".into(),
        text: "x".repeat(text).into(),
        time: 1,
    };
    Envelope {
        origin,
        word: Word::Messages {
            room: "lobby".into(),
            stream: StreamId { origin, generation: 0 },
            first_seq: 17,
            witness: 0,
            messages: [Arc::new(message)].into(),
        },
    }
}

fn encoded(envelope: &Envelope) -> Vec<u8> {
    let mut bytes = Vec::new();
    envelope.encode(&mut bytes);
    bytes
}

/// So many pushes as a read brings.
fn pushes(text: usize) -> (Vec<u8>, usize) {
    let payload = encoded(&envelope(2, text));
    let mut push =
        format!(">3\r\n$8\r\nsmessage\r\n$15\r\ndistr:{{L3}}lobby\r\n${}\r\n", payload.len()).into_bytes();
    push.extend_from_slice(&payload);
    push.extend_from_slice(b"\r\n");
    let count = 64 * 1024 / push.len();
    (push.repeat(count), count)
}

/// Three lanes that are up, without sockets.
fn lanes(now: Instant) -> Lanes {
    let settings = Settings {
        incarnation: 1,
        nodes: (0..3).map(|node| format!("redis-{node}:6379")).collect(),
        credentials: None,
        timings: Timings::default(),
        seed: 1,
    };
    let mut lanes = Lanes::new(settings, now);
    lanes.handle_timeout(now);
    while let Some(Command::Connect { lane, role, .. }) = lanes.poll_command() {
        lanes.handle_connected(lane, role, format!("10.0.0.{lane}:6379"), "10.0.1.1:50000".into(), now);
        lanes.handle_bytes(lane, role, b"%2\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$2\r\nid\r\n:7\r\n", now);
        if role == Role::Subscriber {
            let tag = ["L3", "L2", "L0"][lane];
            lanes.take_output(lane, role, now);
            for channel in [format!("distr:all:{{{tag}}}"), format!("distr:in:{:016x}:{{{tag}}}", 1)] {
                let push = format!(">3\r\n$10\r\nssubscribe\r\n${}\r\n{channel}\r\n:1\r\n", channel.len());
                lanes.handle_bytes(lane, role, push.as_bytes(), now);
            }
            lanes.handle_bytes(lane, role, b"$5\r\nbatch\r\n", now);
        }
    }
    assert!(lanes.status().iter().all(|lane| lane.state.word() == "up"));
    lanes
}

#[divan::bench(args = [100, 1000])]
fn parse_push(bencher: Bencher<'_, '_>, text: usize) {
    let (bytes, count) = pushes(text);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let (mut parser, mut at) = (Parser::default(), 0);
        while let Ok(Some((length, incoming))) = parser.next(&bytes[at..]) {
            black_box(incoming);
            at += length;
        }
        assert_eq!(at, bytes.len());
    });
}

#[divan::bench(args = [100, 1000])]
fn parse_envelope(bencher: Bencher<'_, '_>, text: usize) {
    let bytes = encoded(&envelope(2, text));
    bencher.bench_local(|| Envelope::parse(black_box(&bytes)));
}

#[divan::bench(args = [100, 1000])]
fn encode_envelope(bencher: Bencher<'_, '_>, text: usize) {
    let envelope = envelope(1, text);
    bencher.bench_local(|| encoded(black_box(&envelope)));
}

/// From the bytes of the socket to the event.
#[divan::bench(args = [100, 1000])]
fn receive(bencher: Bencher<'_, '_>, text: usize) {
    let now = Instant::now();
    let (mut lanes, (bytes, count)) = (lanes(now), pushes(text));
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        assert_eq!(lanes.handle_bytes(0, Role::Subscriber, &bytes, now), bytes.len());
        while let Some(event) = lanes.poll_event() {
            black_box(event);
        }
    });
}

/// From the envelope to the bytes for the socket, and its confirmation.
#[divan::bench(args = [100, 1000])]
fn publish(bencher: Bencher<'_, '_>, text: usize) {
    const COUNT: usize = 100;
    let now = Instant::now();
    let (mut lanes, envelope) = (lanes(now), envelope(1, text));
    let answers = b":3\r\n".repeat(COUNT);
    bencher.counter(ItemsCount::new(COUNT)).bench_local(|| {
        for _ in 0..COUNT {
            lanes.publish(black_box(&envelope), now);
        }
        for lane in 0..3 {
            let sent = ROLES.map(|role| lanes.take_output(lane, role, now));
            if !sent[0].is_empty() {
                lanes.handle_bytes(lane, Role::Publisher, &answers, now);
            }
        }
    });
}

/// There and back through one real node, 512 at a time; the node shares the machine.
#[divan::bench(args = [100, 1000])]
fn through_redis(bencher: Bencher<'_, '_>, text: usize) {
    const DEPTH: usize = 512;
    let Some(mut node) = Node::start() else { return eprintln!("redis-server is missing") };
    let (mut one, mut other) = (End::new(1, &node), End::new(2, &node));
    other.bus.subscribe(&"lobby".into());
    let mut is_heard = false;
    while !is_heard || !one.is_up() {
        one.turn(|_| {});
        other.turn(|event| is_heard |= matches!(event, BusEvent::Subscribed(_)));
    }
    let envelope = envelope(1, text);
    bencher.counter(ItemsCount::new(DEPTH)).bench_local(|| {
        (0..DEPTH).for_each(|_| one.bus.publish(envelope.clone()));
        let mut received = 0;
        while received < DEPTH {
            one.turn(|_| {});
            other.turn(|event| received += usize::from(matches!(event, BusEvent::Received(_))));
        }
    });
    node.0.kill().and_then(|()| node.0.wait()).expect("it runs");
}

struct Node(Child, u16);

impl Node {
    fn start() -> Option<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr()).ok()?.port();
        let arguments =
            ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let child = Process::new("redis-server").args(arguments).stdout(Stdio::null()).spawn().ok()?;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(Self(child, port))
    }
}

struct End {
    poller: Poller,
    bus: RedisBus,
}

impl End {
    fn new(incarnation: u64, node: &Node) -> Self {
        let poller = Poller::new().expect("there are descriptors");
        let options = Options { nodes: vec![format!("127.0.0.1:{}", node.1)], credentials: None };
        let bus = RedisBus::new("bench", incarnation, options, 1, &poller, Instant::now());
        Self { poller, bus }
    }

    fn turn(&mut self, mut handle: impl FnMut(BusEvent)) {
        self.poller.wait(Some(Duration::ZERO)).expect("it waits");
        let now = Instant::now();
        self.bus.poll(&self.poller, now, 64, &mut handle);
        self.bus.flush(&self.poller, now);
    }

    fn is_up(&self) -> bool {
        self.bus.lanes().iter().all(|lane| lane.state.word() == "up")
    }
}
