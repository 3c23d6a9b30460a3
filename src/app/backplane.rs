//! The thread that owns the hub and the bus.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::balance::rebalance;
use crate::chat::hub::{Effect, Hub, Refused};
use crate::chat::limits::PEERS_MAX;
use crate::chat::{Member, Now};
use crate::net::mailbox::{Mailbox, Post, Undelivered};
use crate::net::poller::Poller;
use crate::serve::loops::Stage;
use crate::serve::stopwatch::Stopwatch;
use crate::wire::Response;

use super::bus::Bus;
use super::clock;
use super::heartbeat::Pulse;
use super::mail::{NOTICES_HELD_MAX, ToHub, ToReactor};
use super::metrics::HubTurnSeconds;
use super::node::Node;
use super::status;

/// Batches taken from the reactors in one turn, and from the bus.
const BATCHES_PER_TURN: usize = 64;
/// An answer to `/status` serves everybody who asks within this time: with many rooms it is dear.
const STATUS_AGE_MAX: Duration = Duration::from_millis(200);
/// How often what the lanes count is made known.
const COUNT_INTERVAL: Duration = Duration::from_millis(250);
/// One line in the log for all words of other servers that are refused in this time.
const WARN_INTERVAL: Duration = Duration::from_secs(10);
/// A server that ends waits for so long until others hold its rooms.
const HANDOVER_MAX: Duration = Duration::from_secs(2);
/// How soon a mailbox or bus that was full is tried again.
const RETRY: Duration = Duration::from_millis(1);

/// Hub, bus, and the mailboxes of the reactors.
pub struct Backplane<B> {
    node: Arc<Node>,
    poller: Poller,
    asked: Mailbox<Vec<ToHub>>,
    outlets: Vec<Outlet>,
    hub: Hub,
    bus: B,
    pace: Pace,
    /// The last answer to `/status`, and when it was made.
    status: Option<(Instant, Response)>,
    counted: Instant,
    /// When words of other servers were last said to be refused.
    warned: Option<Instant>,
    compared: Instant,
    pulse: Pulse,
    watch: Stopwatch,
    seconds: HubTurnSeconds,
    stop: Arc<AtomicBool>,
}

/// The ways from and to the other threads.
#[derive(Debug)]
pub struct Ways {
    /// What reactors send.
    pub asked: Mailbox<Vec<ToHub>>,
    /// To each of them.
    pub outlets: Vec<Outlet>,
    /// To the heartbeats.
    pub pulse: Pulse,
}

/// The way to one reactor.
#[derive(Debug)]
pub struct Outlet {
    post: Post<Vec<ToReactor>>,
    held: Vec<ToReactor>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Wait,
    Retry,
    Again,
}

impl Outlet {
    /// Sends through `post`.
    pub fn new(post: Post<Vec<ToReactor>>) -> Self {
        Self { post, held: Vec::new() }
    }

    /// One batch for all that was gathered. True: it has to wait.
    fn flush(&mut self) -> bool {
        if self.held.is_empty() {
            return false;
        }
        match self.post.send(std::mem::take(&mut self.held)) {
            Ok(()) | Err(Undelivered::Closed) => false,
            Err(Undelivered::Full(held)) => {
                self.held = held;
                true
            }
        }
    }
}

impl<B: Bus> Backplane<B> {
    /// Everything that the thread will own.
    pub fn new(node: Arc<Node>, poller: Poller, ways: Ways, hub: Hub, bus: B, stop: Arc<AtomicBool>) -> Self {
        let Ways { asked, outlets, pulse } = ways;
        let (counted, compared) = (node.started, node.started);
        let (pace, status) = (Pace::Again, None);
        let (watch, seconds) = (
            Stopwatch::start(Instant::now(), node.serving.loops.add(format!("{}/hub", node.options.name))),
            node.metrics.hub_turn_seconds(),
        );
        Self {
            node,
            poller,
            asked,
            outlets,
            hub,
            bus,
            pace,
            status,
            counted,
            warned: None,
            compared,
            pulse,
            watch,
            seconds,
            stop,
        }
    }

    /// Turns until it is stopped.
    pub fn run(mut self) {
        while !self.stop.load(Ordering::Acquire) {
            self.turn();
        }
        self.leave();
    }

    /// Others hold what is here before it ends, and need not wait for the lease.
    fn leave(&mut self) {
        self.node.is_draining.store(true, Ordering::Relaxed);
        let end = Instant::now() + HANDOVER_MAX;
        loop {
            self.turn();
            if self.hub.is_handed_over(clock::now()) || Instant::now() >= end {
                break;
            }
        }
        let now = clock::now();
        self.hub.leave(now);
        self.carry_out();
        self.hand_on(now);
    }

    fn turn(&mut self) {
        let now = self.wait();
        self.pace = Pace::Wait;
        self.hub.handle_bus_state(self.bus.carrying(), now);
        self.hub.handle_load(self.node.load(), now);
        self.take_in(now);
        self.hub.handle_timeout(now);
        self.hub.finish_turn(now);
        self.watch.lap(&self.seconds.finish, Stage::CarryOut);
        self.carry_out();
        self.watch.lap(&self.seconds.carry_out, Stage::HandOn);
        self.hand_on(now);
        self.compare_loads(now);
        let is_ready = self.bus.is_ready();
        if self.node.is_ready.swap(is_ready, Ordering::Relaxed) != is_ready {
            self.pulse.changed();
        }
        let counts = self.hub.take_counts();
        self.node.metrics.add(counts, self.hub.rooms().len());
        self.warn_of_refused(counts.refused, now);
        if now.instant >= self.counted + COUNT_INTERVAL {
            self.counted = now.instant;
            self.node.lanes.set(self.bus.lanes(), self.bus.totals());
        }
        let end = self.watch.lap(&self.seconds.hand_on, Stage::Wait);
        self.node.serving.turned(end.duration_since(now.instant));
    }

    /// Somebody on the bus says what no server of this release says.
    fn warn_of_refused(&mut self, refused: Refused, now: Now) {
        if refused == Refused::default() || self.warned.is_some_and(|at| now.instant < at + WARN_INTERVAL) {
            return;
        }
        self.warned = Some(now.instant);
        let (name, limit) = (&self.node.options.name, PEERS_MAX);
        log::warn!(
            "{name}: words of other servers are refused ({refused:?} in this turn): at most {limit} servers are met, \
             and no stream jumps further than its server can have said. See distr_bus_words_refused_total, and who \
             else uses these Redis nodes"
        );
    }

    /// Has the reactors move clients, each by its part, where this server has clearly more than others.
    fn compare_loads(&mut self, now: Now) {
        if !self.node.options.rebalances || now.instant < self.compared + rebalance::INTERVAL {
            return;
        }
        self.compared = now.instant;
        let Some(load) = self.node.load().filter(|_| self.bus.is_ready()) else { return };
        let surplus = rebalance::surplus(load, self.hub.peers().loads());
        let clients = self.node.serving.per_reactor();
        let all = clients.iter().sum::<u64>().max(1);
        for (outlet, clients) in self.outlets.iter_mut().zip(clients) {
            let share = (u64::from(surplus) * clients).div_ceil(all) as u32;
            if share > 0 {
                outlet.held.push(ToReactor::Shed(share));
            }
        }
    }

    /// Sleeps until something happens, and reads both clocks.
    fn wait(&mut self) -> Now {
        let timeout = match self.pace {
            Pace::Again => Duration::ZERO,
            Pace::Retry => RETRY,
            Pace::Wait => {
                let next = self.bus.poll_timeout().into_iter().fold(self.hub.poll_timeout(), Instant::min);
                next.saturating_duration_since(self.watch.at())
            }
        };
        self.poller
            .wait(Some(timeout))
            .expect("epoll_wait fails only for arguments that are never wrong here");
        clock::at(self.watch.lap(&self.seconds.wait, Stage::Asks))
    }

    /// Nothing is taken in while a reactor does not take what it led to before.
    fn take_in(&mut self, now: Now) {
        if self.outlets.iter().any(|outlet| outlet.held.len() >= NOTICES_HELD_MAX) {
            self.pace = Pace::Retry;
            return;
        }
        let Self { hub, bus, asked, poller, watch, seconds, .. } = self;
        let mut statuses = Vec::new();
        let more_asks = asked.drain(BATCHES_PER_TURN, |batch| {
            for mail in batch {
                match mail {
                    ToHub::Ask(member, ask) => hub.handle_ask(member, ask, now),
                    ToHub::AnswersTaken { reactor, bytes } => hub.handle_answers_taken(reactor, bytes),
                    ToHub::Status(member) => statuses.push(member),
                }
            }
        });
        watch.lap(&seconds.asks, Stage::Hear);
        let mut handle = |event| hub.handle_bus(event, now);
        let more_envelopes = bus.poll(poller, now.instant, BATCHES_PER_TURN, &mut handle);
        watch.lap(&seconds.hear, Stage::Finish);
        if more_asks || more_envelopes {
            self.pace = Pace::Again;
        }
        statuses.into_iter().for_each(|member| self.tell_status(member, now));
    }

    fn tell_status(&mut self, member: Member, now: Now) {
        let is_fresh = |made: Instant| now.instant.saturating_duration_since(made) < STATUS_AGE_MAX;
        let response = match self.status.take() {
            Some((made, response)) if is_fresh(made) => {
                self.status = Some((made, response.clone()));
                response
            }
            _ => {
                let response = status::respond(&self.node, &self.hub, &self.bus, now);
                self.status = Some((now.instant, response.clone()));
                response
            }
        };
        self.outlets[member.reactor].held.push(ToReactor::Status { connection: member.connection, response });
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.hub.poll_effect() {
            match effect {
                Effect::Tell(reactor, notice) => self.outlets[reactor].held.push(ToReactor::Notice(notice)),
                Effect::Publish(envelope) => self.bus.publish(envelope),
                Effect::Subscribe(room) => self.bus.subscribe(&room),
                Effect::Unsubscribe(room) => self.bus.unsubscribe(&room),
            }
        }
    }

    fn hand_on(&mut self, now: Now) {
        let mut must_wait = self.bus.flush(&self.poller, now.instant);
        for outlet in &mut self.outlets {
            must_wait |= outlet.flush();
        }
        if must_wait && self.pace == Pace::Wait {
            self.pace = Pace::Retry;
        }
    }
}
