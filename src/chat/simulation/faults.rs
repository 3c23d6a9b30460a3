//! What breaks in a world, and what of it the promise allows.
//!
//! Not promised, so not planned: two servers that die or stand still at a time or within 6 s of each other, or before what
//! the first one held is held twice again.

use super::kinds::Kind;
use super::network::{LANES, Node};
use super::plan::{Fault, Ms};
use super::server::Server;
use super::world::{Event, Relief, World};

const SERVERS_MAX: usize = 6;
const INCARNATIONS_MAX: usize = 20;
/// The next server may stand still so long after the last one goes on.
const BETWEEN_STALLS: Ms = 3000;
/// A server that drains has so long for its clients to go.
const DRAIN: Ms = 2000;
/// A server that has drained waits so long for others to hold what it holds, as the shell does.
const HANDOVER_MAX: Ms = 2000;
const STEPS_MS: [i64; 10] =
    [-600_000, -20_000, -12_000, -5_000, -1_000, 1_000, 5_000, 12_000, 20_000, 600_000];

impl World {
    pub fn break_something(&mut self, fault: Fault) {
        let Fault { lasts, kind, dice: [a, b, c], .. } = fault;
        let live = self.live();
        let Some(&server) = live.get((a as usize).checked_rem(live.len()).unwrap_or(0)) else { return };
        let lane = b as usize % LANES;
        let is_sound = |other: &usize| {
            let Server { stalled_since, thawed, .. } = &self.servers[*other];
            stalled_since.is_none() && (*thawed == 0 || thawed + BETWEEN_STALLS <= self.now)
        };
        let are_others_sound = live.iter().filter(|other| **other != server).all(is_sound);
        let others_stay = live.iter().any(|other| *other != server && !self.servers[*other].is_draining);
        let may_die =
            are_others_sound && others_stay && self.reach.may_one_die(self.plan.leg_max(), self.now);
        self.reach_is_old = true;
        match kind {
            Kind::NodeKill => self.break_node(lane, Node::Dead, lasts),
            Kind::NodeFreeze => self.break_node(lane, Node::Frozen, lasts),
            Kind::Dark => {
                let node = if c % 2 == 0 { Node::Dead } else { Node::Frozen };
                (0..LANES).for_each(|lane| self.break_node(lane, node, lasts + c % 50 * lane as Ms));
            }
            Kind::Cut => {
                let (no_up, no_down) = [(true, false), (false, true), (true, true)][c as usize % 3];
                self.cut(server, lane, no_up, no_down, lasts);
            }
            Kind::Split if live.len() > 1 => self.split(server, lane, c, lasts),
            Kind::Loss => self.lose(0.02 + 0.08 * (c % 100) as f32 / 100.0, lasts),
            Kind::HeavyLoss => self.lose(0.1 + 0.2 * (c % 100) as f32 / 100.0, lasts),
            Kind::Stall | Kind::LongStall if may_die => self.stall(server, lasts),
            Kind::Kill if may_die => self.kill_server(server, c % 2 == 0, lasts),
            Kind::KillInTurn if may_die && self.servers[server].is_running() => {
                self.servers[server].dies_after = Some(c as usize % 8);
                self.reach.note_death(self.now);
                self.plan_in(lasts, Event::Relief(Relief::NewServer));
            }
            Kind::KillWithNode if may_die => {
                self.break_node(lane, Node::Dead, lasts);
                if c % 4 == 0 {
                    self.break_node((lane + 1) % LANES, Node::Dead, lasts);
                }
                self.kill_server(server, c % 2 == 0, lasts);
            }
            Kind::KillWithSplit if may_die && live.len() > 2 => {
                let other = live[(a as usize + 1) % live.len()];
                self.split(other, lane, c, lasts);
                self.kill_server(server, c % 2 == 0, lasts);
            }
            Kind::Leave if may_die && !self.servers[server].is_draining => self.drain(server, lasts),
            Kind::ClockStep => {
                let by = STEPS_MS[c as usize % STEPS_MS.len()];
                self.story
                    .tell(self.now, None, || format!("the clock of server {server} is stepped by {by} ms"));
                self.servers[server].clock.step(by, self.now);
            }
            Kind::ClockDrift => {
                let rate = 0.6 + 0.8 * (c % 1000) as f64 / 1000.0;
                self.story.tell(self.now, None, || format!("the clock of server {server} runs at {rate}"));
                self.servers[server].clock.drift(rate, self.now);
            }
            _ => {}
        }
    }

    fn break_node(&mut self, lane: usize, node: Node, lasts: Ms) {
        self.story.tell(self.now, None, || format!("node {lane} is {node:?} for {lasts} ms"));
        self.network.set_node(lane, node, self.now);
        self.plan_in(lasts, Event::Relief(Relief::Node(lane)));
    }

    fn cut(&mut self, server: usize, lane: usize, no_up: bool, no_down: bool, lasts: Ms) {
        self.story.tell(self.now, None, || {
            format!("server {server} and node {lane} are cut for {lasts} ms: up {no_up}, down {no_down}")
        });
        self.network.cut(server, lane, no_up, no_down, self.now);
        self.plan_in(lasts, Event::Relief(Relief::Link(server, lane)));
    }

    /// The server keeps one lane, and another one loses just that.
    fn split(&mut self, server: usize, lane: usize, dice: u64, lasts: Ms) {
        let others: Vec<_> = self.live().into_iter().filter(|other| *other != server).collect();
        if let Some(&other) = others.get(dice as usize % others.len().max(1)) {
            for cut in (0..LANES).filter(|cut| *cut != lane) {
                self.cut(server, cut, true, true, lasts);
            }
            self.cut(other, lane, true, true, lasts);
        }
    }

    fn lose(&mut self, part: f32, lasts: Ms) {
        self.story.tell(self.now, None, || format!("{part:.2} of all packets are lost for {lasts} ms"));
        self.network.loss = part;
        self.plan_in(lasts, Event::Relief(Relief::Loss));
    }

    fn stall(&mut self, server: usize, lasts: Ms) {
        let until = self.now + lasts;
        if self.servers[server].stalled_until >= until {
            return;
        }
        self.story.tell(self.now, None, || format!("server {server} stands still for {lasts} ms"));
        self.servers[server].stalled_until = until;
        self.plan_at(until, Event::Relief(Relief::Thaw(server)));
        if self.servers[server].stalled_since.is_none() {
            self.servers[server].stalled_since = Some(self.now);
            self.network.stall(server, true, self.now);
            self.note_stall(server);
        }
    }

    /// Its clients are told, or find out.
    pub fn kill_server(&mut self, server: usize, with_its_host: bool, lasts: Ms) {
        self.bury(server, with_its_host);
        self.reach.note_death(self.now);
        self.plan_in(lasts, Event::Relief(Relief::NewServer));
    }

    /// The process is gone. What it had sent to clients may still come, unless its host went with it.
    pub fn bury(&mut self, server: usize, with_its_host: bool) {
        self.story.tell(self.now, None, || format!("server {server} dies"));
        self.servers[server].kill();
        self.network.kill(server);
        self.reach_is_old = true;
        let there = self.clients.values().flat_map(|person| {
            let here = person.lines.iter().filter(|line| line.server == server);
            here.map(|line| (line.connection, person.leg))
        });
        for (connection, leg) in there.collect::<Vec<_>>() {
            if with_its_host || leg == 0 {
                self.lose_line(connection);
            } else {
                self.plan_in(leg, Event::Broken { connection });
            }
        }
    }

    fn drain(&mut self, server: usize, lasts: Ms) {
        self.story.tell(self.now, None, || format!("server {server} drains"));
        self.servers[server].is_draining = true;
        let clients: Vec<_> = self
            .clients
            .values()
            .filter(|person| person.lines.iter().any(|line| line.server == server))
            .map(|person| person.index)
            .collect();
        for client in clients {
            let wait = self.rng.u64(0..DRAIN * 3 / 4);
            self.plan_in(wait, Event::Relief(Relief::Move(client)));
        }
        self.plan_in(DRAIN, Event::End { server, by: self.now + DRAIN + HANDOVER_MAX });
        self.plan_in(DRAIN + lasts, Event::Relief(Relief::NewServer));
    }

    pub fn end_server(&mut self, server: usize, by: Ms) {
        if !self.servers[server].is_alive() {
            return;
        }
        let is_handed_over = self.servers[server].may_end(self.now);
        // One that is killed by who started it, since it takes too long, is a death as any: not soon after another one.
        let may_be_killed = by <= self.now && self.reach.may_one_die(self.plan.leg_max(), self.now);
        let must_end = is_handed_over || may_be_killed;
        if self.servers[server].stalled_since.is_some() || !must_end {
            return self.plan_in(100, Event::End { server, by });
        }
        if !is_handed_over {
            // What nobody could take over goes with it, as if it had been killed.
            self.reach.note_death(self.now);
        }
        self.story.tell(self.now, None, || format!("server {server} ends"));
        self.servers[server].leave(self.now);
        self.carry_out(server);
        self.bury(server, false);
    }

    pub fn relieve(&mut self, relief: Relief) {
        let now = self.now;
        self.reach_is_old = true;
        match relief {
            Relief::Node(lane) => self.network.set_node(lane, Node::Up, now),
            Relief::Link(server, lane) => self.network.cut(server, lane, false, false, now),
            Relief::Loss => self.network.loss = 0.0,
            Relief::NewServer if self.live().len() < SERVERS_MAX && self.servers.len() < INCARNATIONS_MAX => {
                self.start_server();
            }
            Relief::Move(client) => {
                if self.rng.bool() && self.plan.kinds.has(Kind::TwoLines) {
                    self.cross(client);
                } else {
                    self.move_on(client);
                }
            }
            Relief::Thaw(server) if self.servers[server].stalled_until <= now => self.thaw(server),
            Relief::NewServer | Relief::Thaw(_) => return,
        }
        self.story.tell(now, None, || format!("over: {relief:?}"));
    }

    fn thaw(&mut self, server: usize) {
        if self.servers[server].stalled_since.take().is_some() {
            self.servers[server].thawed = self.now;
            self.network.stall(server, false, self.now);
        }
    }

    /// All is well again.
    pub fn relieve_all(&mut self) {
        self.story.tell(self.now, None, || "all is well again".into());
        for lane in 0..LANES {
            self.network.set_node(lane, Node::Up, self.now);
        }
        self.network.loss = 0.0;
        for server in 0..self.servers.len() {
            (0..LANES).for_each(|lane| self.network.cut(server, lane, false, false, self.now));
            self.servers[server].stalled_until = self.now;
            self.thaw(server);
        }
        self.reach_is_old = true;
    }
}
