//! Breaks one thing after the other, by a seed, and never more than the promise is about: at most one server is broken at a
//! time, and any two servers share a lane that has been whole for a while. `Freedoms::splits` goes further: two servers share
//! none, and only the third may pass on what they say.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::crowd::{CALM, Crowd, RUSH};
use super::fault::{Fault, Kind, Relief};
use super::freedoms::Freedoms;
use super::ledger::Breach;
use super::odometer::Odometer;
use crate::support::clock::Bend;
use crate::support::fleet::Fleet;
use crate::support::tap::Way;

pub const SERVERS: usize = 3;
pub const NODES: usize = 3;
/// How often it is looked what is due.
const TICK: Duration = Duration::from_millis(20);
/// Mean time between attempts to break something.
const BETWEEN_FAULTS: Duration = Duration::from_millis(600);
/// How long faults last.
const FAULT_MIN: Duration = Duration::from_millis(50);
const FAULT_MAX: Duration = Duration::from_secs(4);
/// A frozen server is not dead for its balancers and peers, or just so.
const SERVER_FAULT_MIN: Duration = Duration::from_millis(500);
/// A stalled server is dead for its balancers and peers; what it was told waits until it goes on.
const STALL_MIN: Duration = Duration::from_secs(3);
const STALL_MAX: Duration = Duration::from_secs(15);
/// A lane that breaks together with it, breaks so long before: others have heard on other lanes of what they miss, and
/// have not got it yet.
const STALL_LATE_MIN: Duration = Duration::from_millis(50);
const STALL_LATE_MAX: Duration = Duration::from_millis(300);
/// A clock is wrong for long enough that a lease ends.
const BEND_MIN: Duration = Duration::from_secs(4);
const BEND_MAX: Duration = Duration::from_secs(10);
/// A long run also freezes a node for this long.
const LONG_FREEZE: Duration = Duration::from_secs(32);
const LONG_RUN: Duration = Duration::from_secs(120);
/// The promise is about one server at a time: the next one may break when what the last one held is held twice again.
const BETWEEN_SERVERS: Duration = Duration::from_secs(8);
/// A lane counts when it has been whole for so long.
const SOUND: Duration = Duration::from_secs(1);
/// Load before a server is killed under it, and after.
const RUSH_BEFORE: Duration = Duration::from_secs(1);
const RUSH_AFTER: Duration = Duration::from_secs(2);
/// The last message before a fault reaches everybody within this time, though nothing follows it that would tell of it.
pub const TAIL_MAX: Duration = Duration::from_secs(5);

/// What is to be done at a time, and which fault that ends.
#[derive(Clone, Copy)]
struct Due {
    at: Instant,
    relief: Relief,
    fault: Option<usize>,
}

/// The one who breaks things.
pub struct Havoc<'a> {
    fleet: &'a mut Fleet,
    crowd: &'a Crowd,
    rng: Rng,
    odometer: &'a mut Odometer,
    begun: Instant,
    log: File,
    is_long: bool,
    /// What may break besides.
    freedoms: Freedoms,
    /// In the order of their times.
    reliefs: Vec<Due>,
    /// Until when a server's lane was broken.
    unsound: BTreeMap<(usize, usize), Instant>,
    servers_whole_since: Instant,
    servers_broken: usize,
    /// Since when nothing is said, until what was said has reached everybody.
    tail: Option<Instant>,
    pub faults: Vec<Fault>,
    pub quiet: Vec<(Instant, Instant)>,
    pub worst_tail: Duration,
}

impl<'a> Havoc<'a> {
    pub fn new(
        fleet: &'a mut Fleet,
        crowd: &'a Crowd,
        odometer: &'a mut Odometer,
        freedoms: Freedoms,
        rng: Rng,
    ) -> Self {
        let (log, now) = (File::create(fleet.folder().join("plan.log")).unwrap(), Instant::now());
        Self {
            fleet,
            crowd,
            rng,
            odometer,
            begun: now,
            log,
            is_long: false,
            freedoms,
            reliefs: Vec::new(),
            unsound: BTreeMap::new(),
            servers_whole_since: now,
            servers_broken: 0,
            tail: None,
            faults: Vec::new(),
            quiet: Vec::new(),
            worst_tail: Duration::ZERO,
        }
    }

    /// Breaks things for so long. In the end all is whole.
    pub fn run(&mut self, time: Duration) {
        self.is_long = time >= LONG_RUN;
        self.crowd.pace(CALM);
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.relieve(Instant::now());
            self.watch_tail();
            self.check_processes();
            if self.tail.is_none() && self.rng.f32() < TICK.as_secs_f32() / BETWEEN_FAULTS.as_secs_f32() {
                self.break_something();
            }
            thread::sleep(TICK);
        }
        while let Some(due) = self.reliefs.first().copied() {
            self.relieve(due.at);
        }
        self.end_tail();
        self.note("all is whole");
    }

    fn break_something(&mut self) {
        let now = Instant::now();
        let until = now + FAULT_MIN + (FAULT_MAX - FAULT_MIN).mul_f32(self.rng.f32());
        let (server, node) = (self.rng.usize(0..SERVERS), self.rng.usize(0..NODES));
        match self.rng.u8(0..24) {
            0..8 if self.is_whole(node) && self.leaves_a_way(|_, broken| broken == node) => {
                self.begin_tail_sometimes(5);
                self.break_node(node, until);
            }
            8..11
                if self.is_linked(server, node)
                    && self.leaves_a_way(|cut, broken| (cut, broken) == (server, node)) =>
            {
                self.begin_tail_sometimes(5);
                self.break_link(server, node, until);
            }
            11 if self.freedoms.splits && self.may_break_server() => self.split(server, until),
            12..20 if self.may_break_server() => self.break_server(server, until),
            20..24 if self.freedoms.clocks => self.bend_clock(server),
            _ => {}
        }
    }

    /// Whether that node is not broken already.
    fn is_whole(&self, node: usize) -> bool {
        !self.reliefs.iter().any(|due| (0..SERVERS).all(|server| due.relief.breaks(server, node)))
    }

    /// Whether that lane of that server is not broken already.
    fn is_linked(&self, server: usize, node: usize) -> bool {
        !self.reliefs.iter().any(|due| due.relief.breaks(server, node))
    }

    /// Whether any two servers share a sound lane, though more is broken.
    fn leaves_a_way(&self, breaks: impl Fn(usize, usize) -> bool) -> bool {
        let now = Instant::now();
        let is_sound = |server: usize, node: usize| {
            let is_old = self.unsound.get(&(server, node)).is_none_or(|at| now >= *at + SOUND);
            let is_broken = self.reliefs.iter().any(|due| due.relief.breaks(server, node));
            is_old && !is_broken && !breaks(server, node)
        };
        let share = |one, other| (0..NODES).any(|node| is_sound(one, node) && is_sound(other, node));
        (0..SERVERS).all(|one| (0..one).all(|other| share(one, other)))
    }

    fn break_node(&mut self, node: usize, until: Instant) {
        match self.rng.u8(0..10) {
            0..3 => {
                self.fleet.nodes.process(node).kill();
                self.begin(Kind::NodeKilled, None, &[node], until, Relief::Start(node));
            }
            3..5 => {
                self.fleet.nodes.process(node).kill();
                self.begin(Kind::NodeWiped, None, &[node], until, Relief::WipeAndStart(node));
            }
            5 => {
                self.fleet.nodes.process(node).kill();
                self.begin(Kind::NodeRestarted, None, &[node], Instant::now(), Relief::Start(node));
            }
            6 => {
                // As Redis does by itself with those that read too slowly: what they were to read is gone.
                let mut connection = self.fleet.nodes.connect(node);
                let mut kill = redis::cmd("CLIENT");
                let closed: u64 = kill.arg("KILL").arg("TYPE").arg("pubsub").query(&mut connection).unwrap();
                let now = Instant::now();
                self.unsound.extend((0..SERVERS).map(|server| ((server, node), now)));
                self.log_fault(Kind::SubscribersClosed, None, &[node], Some(now));
                self.note(&format!("{closed} of them"));
            }
            _ => {
                let is_long = self.is_long && self.rng.u8(0..8) == 0;
                let until = if is_long { Instant::now() + LONG_FREEZE } else { until };
                self.fleet.nodes.process(node).freeze();
                self.begin(Kind::NodeFrozen, None, &[node], until, Relief::Thaw(node));
            }
        }
    }

    fn break_link(&mut self, server: usize, node: usize, until: Instant) {
        let tap = self.fleet.tap(server, node);
        if self.rng.u8(0..3) == 0 {
            tap.cut();
            self.begin(Kind::LinkCut, None, &[server, node], until, Relief::Heal(server, node));
        } else {
            let ways = [&[Way::Up][..], &[Way::Down], &[Way::Up, Way::Down]][self.rng.usize(0..3)];
            tap.hold(ways);
            let is_lost = self.rng.bool();
            let relief = if is_lost { Relief::CutAndHeal } else { Relief::Heal }(server, node);
            self.begin(Kind::LinkHeld, None, &[server, node], until, relief);
        }
    }

    /// No lane leads from one server to another.
    fn split(&mut self, server: usize, until: Instant) {
        let other = (server + self.rng.usize(1..SERVERS)) % SERVERS;
        let lane = self.rng.usize(0..NODES);
        let links: Vec<_> =
            (0..NODES).map(|node| (if node == lane { other } else { server }, node)).collect();
        let are_whole = links.iter().all(|(server, node)| self.is_linked(*server, *node));
        // The third passes on what it hears from one to the other: it keeps all.
        if are_whole && self.reliefs.is_empty() {
            for (server, node) in links {
                self.fleet.tap(server, node).hold(&[Way::Up, Way::Down]);
                let relief = Relief::CutAndHeal(server, node);
                self.begin(Kind::Split, None, &[server, node], until, relief);
            }
        }
    }

    fn may_break_server(&self) -> bool {
        let is_broken = |due: &Due| {
            let kind = due.fault.map(|fault| self.faults[fault].kind);
            matches!(due.relief, Relief::StartServer(_) | Relief::ThawServer(_) | Relief::Strike(_))
                || matches!(kind, Some(Kind::Split | Kind::ClockSlow))
        };
        !self.reliefs.iter().any(is_broken) && Instant::now() >= self.servers_whole_since + BETWEEN_SERVERS
    }

    /// A node breaks, or what that server says to nodes is lost, as far as a way is left; mostly under load.
    fn break_lanes_of(&mut self, server: usize, until: Instant) {
        if self.rng.u8(0..3) > 0 {
            self.note(&format!("{RUSH} messages a second"));
            self.crowd.pace(RUSH);
            self.remind(Instant::now() + RUSH_AFTER, Relief::Calm);
        }
        let (is_node, begin) = (self.rng.u8(0..3) == 0, self.rng.usize(0..NODES));
        for node in (0..NODES).map(|node| (node + begin) % NODES) {
            if is_node && self.is_whole(node) && self.leaves_a_way(|_, broken| broken == node) {
                self.break_node(node, until);
                return;
            }
            let breaks = |cut, broken| (cut, broken) == (server, node);
            if !is_node && self.is_linked(server, node) && self.leaves_a_way(breaks) {
                self.fleet.tap(server, node).hold(&[Way::Up]);
                let relief = Relief::CutAndHeal(server, node);
                self.begin(Kind::LinkHeld, None, &[server, node], until, relief);
            }
        }
    }

    /// A step may come whatever else is broken; whose clocks are slow counts as broken.
    fn bend_clock(&mut self, server: usize) {
        let bend = Bend::ALL[self.rng.usize(0..Bend::ALL.len())];
        let is_bent = self.reliefs.iter().any(|due| matches!(due.relief, Relief::SetClock(_)));
        if !is_bent && (!bend.is_slow() || self.may_break_server()) {
            let until = Instant::now() + BEND_MIN + (BEND_MAX - BEND_MIN).mul_f32(self.rng.f32());
            self.fleet.clock(server).bend(bend);
            self.begin(bend.into(), Some(server), &[server], until, Relief::SetClock(server));
        }
    }

    /// The first stalls together with a node, the next is killed under load, the third after the last word; then as it comes.
    fn break_server(&mut self, server: usize, until: Instant) {
        let until = until.max(Instant::now() + SERVER_FAULT_MIN);
        self.servers_broken += 1;
        let ways = if self.freedoms.stalls { 7 } else { 5 };
        let way = match self.servers_broken {
            1 if self.freedoms.stalls => 7,
            first @ 1..=3 if self.freedoms.stalls => first - 1,
            first @ 1..=2 => first,
            _ => self.rng.usize(1..=ways),
        };
        match way {
            1 => {
                self.note(&format!("{RUSH} messages a second"));
                self.crowd.pace(RUSH);
                self.remind(Instant::now() + RUSH_BEFORE, Relief::Strike(server));
                self.remind(Instant::now() + RUSH_BEFORE + RUSH_AFTER, Relief::Calm);
            }
            2 => {
                self.begin_tail_sometimes(1);
                self.kill_server(server, until);
            }
            3 => self.kill_server(server, until),
            6.. => {
                if way == 7 {
                    self.break_lanes_of(server, until);
                    let late = (STALL_LATE_MAX - STALL_LATE_MIN).mul_f32(self.rng.f32());
                    thread::sleep(STALL_LATE_MIN + late);
                }
                let until = Instant::now() + STALL_MIN + (STALL_MAX - STALL_MIN).mul_f32(self.rng.f32());
                self.fleet.servers[server].process.freeze();
                self.begin(Kind::ServerStalled, Some(server), &[server], until, Relief::ThawServer(server));
            }
            _ => {
                self.fleet.servers[server].process.freeze();
                self.begin(Kind::ServerFrozen, Some(server), &[server], until, Relief::ThawServer(server));
            }
        }
    }

    fn kill_server(&mut self, server: usize, until: Instant) {
        self.odometer.read(self.fleet, server);
        self.odometer.forget(server);
        self.fleet.servers[server].process.kill();
        self.begin(Kind::ServerKilled, Some(server), &[server], until, Relief::StartServer(server));
    }

    fn begin(&mut self, kind: Kind, server: Option<usize>, at: &[usize], until: Instant, relief: Relief) {
        self.log_fault(kind, server, at, None);
        self.reliefs.push(Due { at: until, relief, fault: Some(self.faults.len() - 1) });
        self.reliefs.sort_by_key(|due| due.at);
    }

    fn log_fault(&mut self, kind: Kind, server: Option<usize>, at: &[usize], to: Option<Instant>) {
        self.note(&format!("{kind} {at:?}"));
        self.faults.push(Fault { kind, server, from: Instant::now(), to });
    }

    fn remind(&mut self, at: Instant, relief: Relief) {
        self.reliefs.push(Due { at, relief, fault: None });
        self.reliefs.sort_by_key(|due| due.at);
    }

    /// Ends what is due.
    fn relieve(&mut self, now: Instant) {
        let due: Vec<_> = self.reliefs.extract_if(.., |due| due.at <= now).collect();
        for Due { relief, fault, .. } in due {
            match relief {
                Relief::Start(node) => self.fleet.nodes.start(node),
                Relief::WipeAndStart(node) => {
                    self.fleet.nodes.wipe(node);
                    self.fleet.nodes.start(node);
                }
                Relief::Thaw(node) => self.fleet.nodes.process(node).thaw(),
                Relief::Heal(server, node) => self.fleet.tap(server, node).heal(),
                Relief::CutAndHeal(server, node) => {
                    self.fleet.tap(server, node).cut();
                    self.fleet.tap(server, node).heal();
                }
                Relief::StartServer(server) => self.fleet.servers[server].start(),
                Relief::ThawServer(server) => self.fleet.servers[server].process.thaw(),
                Relief::SetClock(server) => self.fleet.clock(server).set_right(),
                Relief::Strike(server) => self.kill_server(server, Instant::now() + FAULT_MAX / 2),
                Relief::Calm => self.crowd.pace(CALM),
            }
            let now = Instant::now();
            self.note(&format!("over: {relief:?}"));
            let lanes = (0..SERVERS).flat_map(|server| (0..NODES).map(move |node| (server, node)));
            let broken = lanes.filter(|(server, node)| relief.breaks(*server, *node));
            self.unsound.extend(broken.map(|lane| (lane, now)));
            let was_slow = fault.is_some_and(|fault| self.faults[fault].kind == Kind::ClockSlow);
            if was_slow || matches!(relief, Relief::StartServer(_) | Relief::ThawServer(_)) {
                self.servers_whole_since = now;
            }
            if let Some(fault) = fault {
                self.faults[fault].to = Some(now);
            }
        }
    }

    /// Sometimes nothing follows the last message before a fault.
    fn begin_tail_sometimes(&mut self, one_in: u8) {
        if self.rng.u8(0..one_in) == 0 && self.may_fall_silent() {
            self.note("nothing is said any more");
            self.crowd.pace(0);
            self.tail = Some(Instant::now());
        }
    }

    /// A server that stands still keeps what it was told, and load is load.
    fn may_fall_silent(&self) -> bool {
        let is_busy =
            |due: &Due| matches!(due.relief, Relief::ThawServer(_) | Relief::Strike(_) | Relief::Calm);
        !self.reliefs.iter().any(is_busy)
    }

    fn watch_tail(&mut self) {
        let Some(since) = self.tail else { return };
        let (took, is_settled) = (since.elapsed(), self.crowd.shared.ledger.is_settled());
        if !is_settled && took > TAIL_MAX {
            let words = format!("what was said last was not everywhere {took:?} after a fault");
            self.crowd.shared.ledger.breach(Breach::Late, words);
        }
        if is_settled || took > TAIL_MAX {
            self.note(&format!("all had everything after {took:?}"));
            self.worst_tail = self.worst_tail.max(took);
            self.end_tail();
        }
    }

    fn end_tail(&mut self) {
        if let Some(since) = self.tail.take() {
            self.quiet.push((since, Instant::now()));
            self.crowd.pace(CALM);
        }
    }

    /// Nothing ends by itself.
    fn check_processes(&mut self) {
        for member in self.fleet.servers.iter_mut().chain(&mut self.fleet.balancers) {
            if member.process.is_started() {
                member.process.assert_runs();
            }
        }
        for node in 0..NODES {
            if self.fleet.nodes.process(node).is_started() {
                self.fleet.nodes.process(node).assert_runs();
            }
        }
    }

    fn note(&mut self, words: &str) {
        let time = self.begun.elapsed().as_millis();
        writeln!(self.log, "{time:>7} ms  {words}").unwrap();
    }
}
