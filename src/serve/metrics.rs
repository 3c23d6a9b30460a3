//! What a reactor counts. Everything refused has a counter with the name of the rule that it broke.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::wire::http::HeadError;
use crate::wire::upgrade::UpgradeError;
use crate::wire::{CloseReason, Response, Status, Violation};

use super::limits::Limits;
use super::loops::{Loops, Turn};
use super::stopwatch::Seconds;

/// Shared by all reactors of a process; each adds what it tallied once a turn.
#[derive(Debug, Default)]
pub struct Metrics {
    accepted: Counter,
    turned_away: Counter,
    lost: Counter,
    turns: Counter,
    turn_seconds: Family<Phase, Seconds>,
    deliveries: Counter,
    writes: Counter,
    messages: Counter,
    websockets: Gauge,
    requests_refused: Family<Rule, Counter>,
    frames_refused: Family<Rule, Counter>,
    error_answers: Family<Code, Counter>,
    closed: Family<Reason, Counter>,
    floods: Family<Stage, Counter>,
    evicted: Family<Standing, Counter>,
    per_reactor: Vec<AtomicU64>,
    stalls: Family<Stall, Counter>,
    /// Where the threads of the node are.
    pub loops: Loops,
    /// In microseconds, since it was last asked.
    longest_turn: AtomicU64,
}

/// What one reactor did in one turn.
#[derive(Debug, Default)]
pub struct Tally {
    /// Messages times the clients that each was queued for.
    pub deliveries: u64,
    /// Write calls.
    pub writes: u64,
    /// Messages read.
    pub messages: u64,
}

/// Where one reactor's time goes; its sum is the time since it began.
#[derive(Debug)]
pub(super) struct TurnSeconds {
    /// Nothing to do.
    pub(super) wait: Seconds,
    /// Newcomers.
    pub(super) accept: Seconds,
    /// What clients sent, from the socket to the mail for other threads.
    pub(super) read: Seconds,
    /// Mail from other threads, put into the queues of its receivers; and deadlines.
    pub(super) serve: Seconds,
    /// The queues, to the sockets.
    pub(super) flush: Seconds,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Phase {
    reactor: usize,
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rule {
    rule: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Standing {
    standing: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stall {
    thread: String,
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// The answer to `GET /live`: whether it would help to end this process and start it again.
pub fn respond_live(loops: &Loops, limits: &Limits) -> Response {
    match loops.stuck(limits.stall_fatal, Instant::now()) {
        None => Response::ok("text/plain", "live\n"),
        Some(turn) => Response::error(Status::UNAVAILABLE, "stuck", &turn.to_string()),
    }
}

/// The answer to `GET /ready` while a thread hangs.
pub fn respond_stuck(loops: &Loops, limits: &Limits) -> Option<Response> {
    let turn = loops.stuck(limits.stall_max, Instant::now())?;
    Some(Response::error(Status::UNAVAILABLE, "stuck", &turn.to_string()))
}

/// The answer to `GET /metrics`.
pub fn respond(registry: &Registry) -> Response {
    /// What [`text::encode`] writes.
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut body = String::new();
    text::encode(&mut body, registry).expect("writing to a String cannot fail");
    Response::ok(OPEN_METRICS, body)
}

impl Metrics {
    /// Counters for so many reactors, under their names in `registry`.
    pub fn register(registry: &mut Registry, reactors: usize) -> Arc<Self> {
        let metrics =
            Self { per_reactor: (0..reactors).map(|_| AtomicU64::new(0)).collect(), ..Self::default() };
        let m = &metrics;
        registry.register("connections_accepted", "TCP connections accepted", m.accepted.clone());
        registry.register(
            "connections_turned_away",
            "TCP connections closed at once for lack of descriptors",
            m.turned_away.clone(),
        );
        registry.register("connections_lost", "WebSockets that ended without a close frame", m.lost.clone());
        registry.register("websockets", "WebSockets open now", m.websockets.clone());
        registry.register("turns", "turns of the reactors", m.turns.clone());
        let help = "what the time of each reactor goes to, by phase of its turns";
        registry.register_with_unit("turn", help, Unit::Seconds, m.turn_seconds.clone());
        registry.register("deliveries", "messages written, times their receivers", m.deliveries.clone());
        registry.register("writes", "write system calls", m.writes.clone());
        registry.register("messages_received", "WebSocket messages read", m.messages.clone());
        registry.register(
            "requests_refused",
            "HTTP requests refused, by the rule they broke",
            m.requests_refused.clone(),
        );
        registry.register(
            "frames_refused",
            "WebSocket frames refused, by the rule",
            m.frames_refused.clone(),
        );
        registry.register("error_answers", "HTTP answers from 400, by status", m.error_answers.clone());
        registry.register("websockets_closed", "WebSockets ended with a close frame", m.closed.clone());
        let help = "turns of a thread that lasted too long, by the phase in which that was seen";
        registry.register("stalls", help, m.stalls.clone());
        registry.register(
            "connections_evicted",
            "connections closed for newer ones, for lack of descriptors or places, by how they stood",
            m.evicted.clone(),
        );
        registry.register(
            "floods",
            "connections ended for more reads, bytes and frames without a message than they may send",
            m.floods.clone(),
        );
        Arc::new(metrics)
    }

    /// WebSockets open now.
    pub fn websockets(&self) -> u32 {
        self.websockets.get().max(0) as u32
    }

    /// TCP connections accepted so far.
    pub fn accepted_total(&self) -> u64 {
        self.accepted.get()
    }

    /// Deliveries, write calls and turns so far.
    pub fn totals(&self) -> Totals {
        Totals { deliveries: self.deliveries.get(), writes: self.writes.get(), turns: self.turns.get() }
    }

    /// Clients closed as slow so far.
    pub fn closed_slow_total(&self) -> u64 {
        self.closed.get_or_create(&Reason { reason: CloseReason::SlowConsumer.name() }).get()
    }

    /// WebSockets open now, for each reactor.
    pub fn per_reactor(&self) -> Vec<u64> {
        self.per_reactor.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// An event loop of this process was away from its poller for so long: clients of it waited.
    pub fn turned(&self, duration: Duration) {
        let us = duration.as_micros() as u64;
        // A plain look first: it is nearly always enough, and the cache line stays shared.
        if us > self.longest_turn.load(Ordering::Relaxed) {
            self.longest_turn.fetch_max(us, Ordering::Relaxed);
        }
    }

    /// The longest turn since this was last asked.
    pub fn take_longest_turn(&self) -> Duration {
        Duration::from_micros(self.longest_turn.swap(0, Ordering::Relaxed))
    }

    /// The longest turn since this was last asked, or one that is under way and longer.
    pub fn take_lag(&self, now: Instant) -> Duration {
        let under_way = self.loops.longest(now).map_or(Duration::ZERO, |turn| turn.age);
        self.take_longest_turn().max(under_way)
    }

    pub(super) fn stalled(&self, turn: &Turn) {
        let stall = Stall { thread: turn.name.clone(), phase: turn.stage.name() };
        self.stalls.get_or_create(&stall).inc();
    }

    pub(super) fn turn_seconds(&self, reactor: usize) -> TurnSeconds {
        let seconds = |phase| self.turn_seconds.get_or_create_owned(&Phase { reactor, phase });
        TurnSeconds {
            wait: seconds("wait"),
            accept: seconds("accept"),
            read: seconds("read"),
            serve: seconds("serve"),
            flush: seconds("flush"),
        }
    }

    pub(super) fn accepted(&self) {
        self.accepted.inc();
    }

    pub(super) fn turned_away(&self) {
        self.turned_away.inc();
    }

    pub(super) fn lost(&self) {
        self.lost.inc();
    }

    pub(super) fn closed(&self, reason: CloseReason) {
        self.closed.get_or_create(&Reason { reason: reason.name() }).inc();
    }

    pub(super) fn head_refused(&self, error: HeadError) {
        self.requests_refused.get_or_create(&Rule { rule: error.name() }).inc();
    }

    pub(super) fn upgrade_refused(&self, error: UpgradeError) {
        self.requests_refused.get_or_create(&Rule { rule: error.name() }).inc();
    }

    pub(super) fn full(&self) {
        self.requests_refused.get_or_create(&Rule { rule: "full" }).inc();
    }

    pub(super) fn frame_refused(&self, violation: Violation) {
        self.frames_refused.get_or_create(&Rule { rule: violation.name() }).inc();
    }

    pub(super) fn evicted(&self, standing: &'static str) {
        self.evicted.get_or_create(&Standing { standing }).inc();
    }

    pub(super) fn flooded(&self, stage: &'static str) {
        self.floods.get_or_create(&Stage { stage }).inc();
    }

    pub(super) fn answered_with_error(&self, status: Status) {
        self.error_answers.get_or_create(&Code { status: status.0 }).inc();
    }

    /// Takes a place for one more WebSocket, unless `connections_max` are taken.
    pub(super) fn take_place(&self, reactor: usize, connections_max: u32) -> bool {
        if self.websockets.inc() >= i64::from(connections_max) {
            self.websockets.dec();
            return false;
        }
        self.per_reactor[reactor].fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Takes the place of a WebSocket that is about to free it.
    pub(super) fn take_over_place(&self, reactor: usize) {
        self.websockets.inc();
        self.per_reactor[reactor].fetch_add(1, Ordering::Relaxed);
    }

    /// WebSockets open now, of one reactor.
    pub(super) fn websockets_of(&self, reactor: usize) -> usize {
        self.per_reactor[reactor].load(Ordering::Relaxed) as usize
    }

    pub(super) fn free_place(&self, reactor: usize) {
        self.websockets.dec();
        self.per_reactor[reactor].fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn add(&self, tally: &mut Tally) {
        let Tally { deliveries, writes, messages } = std::mem::take(tally);
        self.turns.inc();
        self.deliveries.inc_by(deliveries);
        self.writes.inc_by(writes);
        self.messages.inc_by(messages);
    }
}

/// Running totals of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Messages times the clients that each was queued for.
    pub deliveries: u64,
    /// Write calls.
    pub writes: u64,
    /// Turns of all reactors.
    pub turns: u64,
}
