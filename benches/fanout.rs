//! One room of 1,000 members, and beside it the kernel's floor: the same bytes written to as many sockets by a bare
//! loop. CPU per delivery of the threads that do it, and their ratio: `cargo bench --bench fanout`.

#[path = "support/client.rs"]
mod client;
#[path = "support/readers.rs"]
mod readers;

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use distr_chat::app::{App, Options, loopback};
use distr_chat::chat::rate::Rate;
use distr_chat::net::{Poller, descriptors};
use distr_chat::serve::Limits;

const MEMBERS: usize = 1000;
const MESSAGES_A_TURN: [usize; 3] = [1, 8, 32];
/// Each side runs for about so long, in turn, so many times.
const ROUND: Duration = Duration::from_millis(800);
const ROUNDS: usize = 5;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    descriptors::raise_limit();
    let mut ours = Ours::start()?;
    println!(
        "one room of {MEMBERS}, CPU per delivery in ns (median of {ROUNDS} rounds, and the ratio of pairs)\n"
    );
    println!(
        "messages a turn │ bytes │ kernel floor │ reactor │ reactor + hub │ reactor ÷ floor │ with hub ÷ floor"
    );
    for messages in MESSAGES_A_TURN {
        let bytes = ours.bytes_a_turn(messages)?;
        let mut floor = Floor::start(bytes)?;
        let mut rows = Vec::new();
        for _ in 0..ROUNDS {
            let bare = floor.run(messages)?;
            let (reactor, hub) = ours.run(messages, bytes)?;
            rows.push([bare, reactor, reactor + hub, reactor / bare, (reactor + hub) / bare]);
        }
        let median = |column: usize| {
            let mut values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "{messages:>15} │ {bytes:>5} │ {:>12.0} │ {:>7.0} │ {:>13.0} │ {:>15.2} │ {:>16.2}",
            median(0),
            median(1),
            median(2),
            median(3),
            median(4)
        );
    }
    Ok(())
}

/// A server with one reactor, a room of members who only read, and one who speaks.
struct Ours {
    _app: App,
    speaker: TcpStream,
    received: std::sync::Arc<AtomicU64>,
    said: u64,
}

impl Ours {
    fn start() -> Result<Self, Failure> {
        let poller = Poller::new()?;
        let bus = loopback::mesh(&[poller.waker()]).remove(0);
        let options = Options {
            name: "bench".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: String::new(),
            balancers: Vec::new(),
            reactors: 1,
            incarnation: 1,
            seed: 7,
            settle: Duration::ZERO,
            flush_delay: Duration::ZERO,
            history_memory: distr_chat::chat::limits::HISTORY_BYTES,
            rate: Rate { per_second: 1_000_000, burst: 1_000_000 },
            cluster_key: None,
            is_ticket_required: false,
            drain_over: Duration::ZERO,
            trusted_proxies: Vec::new(),
            rebalances: false,
            limits: Limits::default(),
        };
        let app = App::start(options, poller, bus)?;
        let members = (0..MEMBERS - 1)
            .map(|member| client::join(app.address(), "room", &format!("member {member}")))
            .collect::<Result<Vec<_>, _>>()?;
        let speaker = client::join(app.address(), "room", "speaker")?;
        // What the speaker hears is read too, or its socket would fill; its acknowledgements are not counted.
        readers::count_bytes(vec![speaker.try_clone()?])?;
        let received = readers::count_bytes(members)?;
        wait_for_quiet(&received);
        Ok(Self { _app: app, speaker, received, said: 0 })
    }

    /// Bytes that each member gets for so many messages.
    fn bytes_a_turn(&mut self, messages: usize) -> Result<usize, Failure> {
        let before = self.received.load(Ordering::Acquire);
        self.say(messages)?;
        wait_for_quiet(&self.received);
        Ok((self.received.load(Ordering::Acquire) - before) as usize / (MEMBERS - 1))
    }

    fn run(&mut self, messages: usize, bytes: usize) -> Result<(f64, f64), Failure> {
        let before = (readers::thread_cpu_ns("bench/0")?, readers::thread_cpu_ns("bench/hub")?);
        let until = Instant::now() + ROUND;
        let mut turns = 0;
        while Instant::now() < until {
            let goal = self.received.load(Ordering::Acquire) + (bytes * (MEMBERS - 1)) as u64;
            self.say(messages)?;
            wait_for(&self.received, goal);
            turns += 1;
        }
        let deliveries = (turns * messages * MEMBERS) as f64;
        let reactor = (readers::thread_cpu_ns("bench/0")? - before.0) as f64;
        let hub = (readers::thread_cpu_ns("bench/hub")? - before.1) as f64;
        Ok((reactor / deliveries, hub / deliveries))
    }

    /// In one write, so that they are read in one turn. Ids have one length, so that all turns have the same bytes.
    fn say(&mut self, messages: usize) -> Result<(), Failure> {
        let mut frames = Vec::new();
        for _ in 0..messages {
            self.said += 1;
            let id = 1_000_000_000_000 + self.said;
            let seq_pad = "x".repeat(20 - self.said.to_string().len());
            let text =
                format!(r#"{{"type":"send","room":"room","id":"{id}","text":"hello, is anybody{seq_pad}"}}"#);
            frames.extend(client::masked_text(&text));
        }
        self.speaker.write_all(&frames)?;
        Ok(())
    }
}

/// As many sockets and as many bytes, written by a loop that does nothing else.
struct Floor {
    senders: Vec<TcpStream>,
    received: std::sync::Arc<AtomicU64>,
    bytes: Vec<u8>,
}

impl Floor {
    fn start(bytes: usize) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (mut senders, mut receivers) = (Vec::new(), Vec::new());
        for _ in 0..MEMBERS {
            receivers.push(TcpStream::connect(listener.local_addr()?)?);
            let sender = listener.accept()?.0;
            sender.set_nodelay(true)?;
            senders.push(sender);
        }
        Ok(Self { senders, received: readers::count_bytes(receivers)?, bytes: vec![b'x'; bytes] })
    }

    fn run(&mut self, messages: usize) -> Result<f64, Failure> {
        let Self { senders, received, bytes } = self;
        thread::scope(|scope| {
            let floor = thread::Builder::new().name("floor".into()).spawn_scoped(scope, || {
                let (until, before) = (Instant::now() + ROUND, readers::thread_cpu_ns("floor")?);
                let mut turns = 0;
                let mut waited = Duration::ZERO;
                while Instant::now() < until {
                    let goal = received.load(Ordering::Acquire) + (bytes.len() * MEMBERS) as u64;
                    for sender in &mut *senders {
                        sender.write_all(bytes)?;
                    }
                    let from = Instant::now();
                    wait_for(received, goal);
                    waited += from.elapsed();
                    turns += 1;
                }
                let used = (readers::thread_cpu_ns("floor")? - before) as f64;
                std::io::Result::Ok(used / (turns * messages * MEMBERS) as f64)
            })?;
            Ok(floor.join().map_err(|_| "the bare loop panicked")??)
        })
    }
}

/// Waits with as little CPU as can be: the waiter's thread is measured in the floor.
fn wait_for(received: &AtomicU64, goal: u64) {
    while received.load(Ordering::Acquire) < goal {
        thread::park_timeout(Duration::from_micros(50));
    }
}

fn wait_for_quiet(received: &AtomicU64) {
    let mut before = u64::MAX;
    while before != received.load(Ordering::Acquire) {
        before = received.load(Ordering::Acquire);
        thread::park_timeout(Duration::from_millis(700));
    }
}
