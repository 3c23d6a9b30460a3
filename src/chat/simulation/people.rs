//! What clients do in a world.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::client::{Client, Unacked};
use super::kinds::Kind;
use super::oracle::Said;
use super::plan::{Act, Ms, What};
use super::server::{self, Incoming};
use super::world::{Event, ROOMS, World};

/// A client goes on at a server that stands still for less than this: nobody knows yet.
const UNNOTICED: Ms = 1000;

impl World {
    pub fn act(&mut self, Act { client, what, .. }: Act) {
        match what {
            What::Join => {
                self.clients.insert(client, Client::new(client, &self.plan));
                self.come_back(client);
            }
            What::Say(count) => (0..count).for_each(|_| self.say(client)),
            What::Move => self.move_on(client),
            What::Cross => self.cross(client),
            What::Part => self.part(client),
        }
    }

    /// Comes to some server, with what it has seen and what was not acknowledged.
    pub fn come_back(&mut self, client: usize) {
        let Some(person) = self.clients.get(&client).filter(|person| person.lines.is_empty()) else { return };
        let leg = person.leg;
        match self.choose_server(None) {
            Some(server) => self.open_line(client, server),
            None => self.plan_in(100 + leg, Event::Return { client }),
        }
    }

    fn choose_server(&mut self, not: Option<usize>) -> Option<usize> {
        let mut servers = self.live();
        servers.retain(|server| !self.servers[*server].is_draining && Some(*server) != not);
        let seems_well = |server: &usize| {
            self.servers[*server].stalled_since.is_none_or(|since| self.now < since + UNNOTICED)
        };
        let well: Vec<_> = servers.iter().copied().filter(seems_well).collect();
        let servers = if well.is_empty() { servers } else { well };
        (!servers.is_empty()).then(|| servers[self.rng.usize(0..servers.len())])
    }

    fn open_line(&mut self, client: usize, server: usize) {
        self.connections += 1;
        let (connection, now) = (self.connections, self.now);
        self.lines.insert(connection, client);
        let Some(person) = self.clients.get_mut(&client) else { return };
        person.open(connection, server, now);
        let (room, user, nonce) = (ROOMS[person.room].into(), Arc::clone(&person.user), person.nonce);
        let (since, sends_behind_join) = (person.since(), person.sends_behind_join);
        let patience = person.patience;
        self.story
            .tell(now, None, || format!("client {client} comes to server {server} in {room}: {since:?}"));
        self.ask(connection, server, server::join(&room, &user, nonce, since));
        let is_only = self.clients.get(&client).is_some_and(|person| person.lines.len() == 1);
        if sends_behind_join && is_only {
            self.send_unacked(client);
            let person = self.clients.get_mut(&client);
            person.into_iter().flat_map(|person| &mut person.lines).for_each(|line| line.has_unacked = true);
        }
        self.be_impatient(connection, server, patience);
    }

    fn be_impatient(&mut self, connection: u64, server: usize, patience: Ms) {
        if self.plan.kinds.has(Kind::Impatience) && self.servers[server].stalled_since.is_some() {
            self.plan_in(patience, Event::Impatient { connection });
        }
    }

    /// A server stands still: those who are there wait for so long.
    pub fn note_stall(&mut self, server: usize) {
        let there = self.clients.values().flat_map(|person| {
            let here = person.lines.iter().filter(|line| line.server == server);
            here.map(|line| (line.connection, person.patience))
        });
        for (connection, patience) in there.collect::<Vec<_>>() {
            self.be_impatient(connection, server, patience);
        }
    }

    pub fn lose_patience(&mut self, connection: u64) {
        let Some(&client) = self.lines.get(&connection) else { return };
        let Some(person) = self.clients.get(&client) else { return };
        let line = person.lines.iter().find(|line| line.connection == connection);
        let Some(server) = line.map(|line| line.server) else { return };
        let patience = person.patience;
        let is_silent = self.servers[server].stalled_since.is_some_and(|since| since + patience <= self.now);
        if is_silent {
            self.story
                .tell(self.now, None, || format!("client {client} leaves server {server}, which is silent"));
            self.close_line(connection);
            self.return_soon(client, 300);
        } else if self.servers[server].stalled_since.is_some() {
            self.be_impatient(connection, server, patience);
        }
    }

    fn return_soon(&mut self, client: usize, within: Ms) {
        if self.clients.get(&client).is_some_and(|person| person.lines.is_empty()) {
            let wait = self.rng.u64(1..=within);
            self.plan_in(wait, Event::Return { client });
        }
    }

    /// The client closes a connection.
    pub fn close_line(&mut self, connection: u64) {
        let Some(client) = self.lines.remove(&connection) else { return };
        let Some(person) = self.clients.get_mut(&client) else { return };
        let line = person.lines.iter().find(|line| line.connection == connection);
        let Some(server) = line.map(|line| line.server) else { return };
        let leg = person.leg;
        person.close(connection);
        self.send_to_server(leg, server, Incoming::Close(connection));
    }

    /// The server's end of a connection is gone.
    pub fn lose_line(&mut self, connection: u64) {
        let Some(client) = self.lines.remove(&connection) else { return };
        if let Some(person) = self.clients.get_mut(&client) {
            person.close(connection);
            self.return_soon(client, 800);
        }
    }

    fn ask(&mut self, connection: u64, server: usize, ask: crate::chat::Ask) {
        let leg = self.lines.get(&connection).map_or(0, |client| self.clients[client].leg);
        self.send_to_server(leg, server, Incoming::Ask(connection, ask));
    }

    fn send_to_server(&mut self, leg: Ms, server: usize, incoming: Incoming) {
        if leg == 0 {
            self.servers[server].receive(incoming);
        } else {
            self.plan_in(leg, Event::ToServer { server, incoming });
        }
    }

    fn say(&mut self, client: usize) {
        let Some(person) = self.clients.get_mut(&client) else { return };
        if person.speaks_on().is_none() || person.unacked.len() >= 50 {
            return;
        }
        // Who was told that something is missing here may have seen what this server does not know.
        let (room, floor) = (person.room, person.lowest.filter(|_| person.is_told_all));
        let in_room = |other: &&Client| other.room == room && other.was_in;
        let audience: BTreeSet<_> = self.clients.values().filter(in_room).map(|other| other.index).collect();
        let text = self.oracle.say(Said {
            room,
            at: self.now,
            audience,
            places: Vec::new(),
            acked_places: Vec::new(),
            holders: 0,
            confirmers: 0,
            promised: None,
            is_acked: false,
            is_tainted: false,
            floor,
        });
        let (now, kinds) = (self.now, self.plan.kinds);
        let Some(person) = self.clients.get_mut(&client) else { return };
        let id = person.next_id(text, kinds);
        person.unacked.push(Unacked { id, text, said: now, sent: now, times: 0 });
        let wait = person.retry_after;
        if !std::mem::replace(&mut person.is_retrying, true) {
            self.plan_in(wait, Event::Retry { client });
        }
        let last = self.clients[&client].unacked.len() - 1;
        self.send(client, last);
    }

    fn send(&mut self, client: usize, index: usize) {
        let now = self.now;
        let Some(person) = self.clients.get_mut(&client) else { return };
        let Some((connection, server)) = person.speaks_on().map(|line| (line.connection, line.server)) else {
            return;
        };
        let (room, user, nonce) = (ROOMS[person.room].into(), Arc::clone(&person.user), person.nonce);
        let unacked = &mut person.unacked[index];
        let is_again = unacked.times > 0;
        unacked.times += 1;
        unacked.sent = now;
        let (id, text) = (unacked.id.clone(), unacked.text);
        let again = if is_again { " again" } else { "" };
        self.story.tell(now, Some(text), || format!("client {client} says {text} at server {server}{again}"));
        let has_place = !self.oracle.get(text).places.is_empty();
        if self.reach.is_apart(server, self.plan.leg_max(), now) {
            let said = self.oracle.get_mut(text);
            said.is_tainted |= is_again || has_place;
            // Such a server cannot know the time of what its author has seen elsewhere.
            said.floor = None;
        }
        let pad = self.plan.text_bytes.saturating_sub(8);
        let body = if pad == 0 { text.to_string() } else { format!("{text} {}", "x".repeat(pad)) };
        self.ask(connection, server, server::send(&room, &user, nonce, &id, body));
    }

    /// All that was not acknowledged, in its order.
    pub fn send_unacked(&mut self, client: usize) {
        let count = self.clients.get(&client).map_or(0, |person| person.unacked.len());
        (0..count).for_each(|index| self.send(client, index));
    }

    pub fn retry(&mut self, client: usize) {
        let now = self.now;
        let Some(person) = self.clients.get_mut(&client) else { return };
        let Some(first) = person.unacked.first() else {
            person.is_retrying = false;
            return;
        };
        let due = first.sent + person.retry_after;
        let is_in = person.speaks_on().is_some_and(|line| line.is_in);
        let wait = if due > now { due - now } else { person.retry_after };
        if due <= now && is_in {
            self.send_unacked(client);
        }
        self.plan_in(wait, Event::Retry { client });
    }

    /// Goes to another server though its own lives.
    pub fn move_on(&mut self, client: usize) {
        let Some(person) = self.clients.get(&client) else { return };
        let Some(line) = person.lines.last().filter(|line| line.is_in && person.lines.len() == 1) else {
            return;
        };
        let connection = line.connection;
        self.story.tell(self.now, None, || format!("client {client} moves on"));
        self.close_line(connection);
        self.return_soon(client, 100);
    }

    /// Comes to another server, and only then goes from the first.
    pub fn cross(&mut self, client: usize) {
        let Some(person) = self.clients.get(&client) else { return };
        let [line] = &person.lines[..] else { return };
        let (here, is_in) = (line.server, line.is_in);
        if is_in && let Some(server) = self.choose_server(Some(here)) {
            self.open_line(client, server);
        }
    }

    /// Goes for good.
    fn part(&mut self, client: usize) {
        let Some(person) = self.clients.get(&client) else { return };
        let connections: Vec<_> = person.lines.iter().map(|line| line.connection).collect();
        self.story.tell(self.now, None, || format!("client {client} leaves"));
        connections.into_iter().for_each(|connection| self.close_line(connection));
        self.clients.remove(&client);
        self.oracle.forget_client(client);
    }
}
