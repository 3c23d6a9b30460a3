//! What must hold, at every step and at the end. Each check is a question to the oracle and to the hubs' public state.

use std::collections::{BTreeMap, BTreeSet};

use super::frame::{Place, Shown};
use super::oracle::Said;
use super::plan::Ms;
use super::server;
use super::story::Check;
use super::world::{ROOMS, World};
use crate::chat::room::Room;
use crate::wire::StreamId;
use crate::wire::envelope::Word;

/// An answer stands below what its author had seen. Off: one world in 300 has a retry that a server appends anew before it
/// knows what its author had seen elsewhere. A unit test of the hub guards the clock itself.
const ANSWERS_STAND_BELOW: bool = false;
/// In calm.
const ACK_MAX: Ms = 1000;
const JOIN_MAX: Ms = 2000;
const LANES_OF_A_MAJORITY: usize = 2;

impl World {
    /// At the moment of an acknowledgement two living servers hold the message; or the server is rightly alone; or
    /// another one had said so, and died while its word was under way.
    pub fn check_ack(&mut self, server: usize, connection: u64, id: &str, place: Place) {
        let Some(person) = self.lines.get(&connection).and_then(|client| self.clients.get(client)) else {
            return;
        };
        let Some(unacked) = person.unacked.iter().find(|unacked| unacked.id == id) else { return };
        let (text, room) = (unacked.text, ROOMS[person.room]);
        let said = self.oracle.get(text);
        if said.promised.is_some() {
            return;
        }
        let (holders, confirmers, places) = (said.holders, said.confirmers, said.places.clone());
        let keeps = |other: &usize| {
            places.iter().chain([&place]).any(|place| self.servers[*other].keeps(room, *place))
        };
        let holds = |other: &usize| holders >> other & 1 == 1 || keeps(other);
        let held_by: Vec<_> = self.live().into_iter().filter(holds).collect();
        // A word about a whole span may have gone on its way before the retry of one message in it came.
        let spoke = (confirmers | holders) & !(1 << server);
        let is_confirmed_by_dead =
            (0..self.servers.len()).any(|other| spoke >> other & 1 == 1 && !self.servers[other].is_alive());
        let leg = self.plan.leg_max();
        // It went on its way before it came here.
        let sent = self.now.saturating_sub(self.plan.client_leg);
        let has_majority = self.network.carrying(server, sent) >= LANES_OF_A_MAJORITY;
        let is_alone = self.reach.may_be_alone(server, &self.servers, leg, self.now);
        if held_by.len() < 2 {
            self.reach.note_fragile(self.now);
            // Of a retry that retention has taken everywhere nobody could have more.
            let is_own = place.0.origin == self.servers[server].incarnation;
            let is_gone = !is_own && !self.is_roomy() && !self.live().iter().any(keeps);
            if !(is_confirmed_by_dead || is_alone && has_majority || is_gone) {
                let check = match (is_alone, is_own) {
                    (true, _) => Check::AckOfMinority,
                    (false, false) => Check::AckOfRetry,
                    (false, true) => Check::AckHeld,
                };
                let what = format!("server {server} acknowledges {text}, which only {held_by:?} hold");
                self.fail(check, Some(text), what);
            }
        }
        self.oracle.get_mut(text).promised = Some(place);
    }

    /// A confirmation is true when it is published, as far as somebody waits for it.
    pub fn check_have(&mut self, server: usize, word: &Word) {
        let Word::Have { to, .. } = word else { return };
        let asker = self.server_of(*to);
        for (room, stream, range) in server::claims(word) {
            // A retry waits at another server than the message's own.
            for seq in self.servers[asker].retries_of(&room, stream, range.clone()) {
                self.note_claim(server, &room, (stream, seq));
            }
            for place in self.oracle.unconfirmed(stream, range) {
                let origin = self.server_of(stream.origin);
                if !self.servers[origin].waits_for_have(&room, place) {
                    self.oracle.settle(place);
                    continue;
                }
                self.note_claim(server, &room, place);
            }
        }
    }

    /// A server says that it holds what is at that place.
    fn note_claim(&mut self, server: usize, room: &str, place: Place) {
        let Some(text) = self.oracle.text_at(place) else { return };
        let said = self.oracle.get_mut(text);
        said.confirmers |= 1 << server;
        let holds = said.holders >> server & 1 == 1 || self.servers[server].keeps(room, place);
        self.story.tell(self.now, Some(text), || format!("server {server} says that it holds {text}"));
        if !holds {
            let what = format!("server {server} says that it holds {text}, and does not");
            self.fail(Check::HaveTrue, Some(text), what);
        }
    }

    /// A gap covers nothing acknowledged that a server still keeps which lives, as far as the one that tells can know.
    pub fn check_gap(&mut self, client: usize, connection: u64, place: Place) {
        let Some(text) = self.oracle.text_at(place) else { return };
        let said = self.oracle.get(text);
        let has_seen = self.clients[&client].seen.contains(&text);
        if !said.acked_places.contains(&place) || has_seen || !said.audience.contains(&client) {
            return;
        }
        let room = ROOMS[said.room];
        let line = self.clients[&client].lines.iter().find(|line| line.connection == connection);
        let Some(teller) = line.map(|line| line.server) else { return };
        let leg = self.plan.leg_max();
        let is_reached =
            |other: &usize| !self.reach.may_be_passed_over(teller, *other, &self.servers, leg, self.now);
        let keeps = |server: &usize| self.servers[*server].keeps(room, place);
        let kept_by: Vec<_> = self.live().into_iter().filter(keeps).filter(is_reached).collect();
        if !kept_by.is_empty() || self.is_roomy() {
            let what = format!("client {client} is told a gap over {text}, which {kept_by:?} keep");
            self.fail(Check::GapTrue, Some(text), what);
        }
        self.oracle.get_mut(text).audience.remove(&client);
    }

    /// Who is told that nothing is missing has seen, or will see, all that was acknowledged.
    pub fn check_joined(&mut self, client: usize, connection: u64, is_said_to_be_all: bool, waited: Ms) {
        let room = self.clients[&client].room;
        let lines = self.clients.get_mut(&client).into_iter().flat_map(|person| &mut person.lines);
        for line in lines.filter(|line| line.connection == connection) {
            let joined = self.servers[line.server].room(ROOMS[room]);
            line.is_in_unlearned = joined.is_some_and(|room| room.fetch.is_some());
        }
        let person = &self.clients[&client];
        self.story.tell(self.now, None, || {
            format!("client {client} is in on connection {connection}; complete: {is_said_to_be_all}")
        });
        let waited_in_calm = self.calm_for().map_or(0, |calm| calm.min(waited));
        if waited_in_calm > JOIN_MAX + 10 * self.plan.leg_max() + 2 * self.plan.client_leg {
            self.fail(Check::QuickJoin, None, format!("client {client} waited {waited} ms to come in"));
            return;
        }
        if !is_said_to_be_all {
            return;
        }
        let is_past = |(stream, seq): &Place| person.positions.get(stream).is_some_and(|last| seq <= last);
        let missed = self.oracle.all().find(|(text, said)| {
            said.room == room
                && said.is_acked
                && said.audience.contains(&client)
                && !person.seen.contains(text)
                && said.places.iter().all(is_past)
        });
        if let Some((text, said)) = missed {
            let what =
                format!("client {client} is told that it has all, without {text} at {:?}", said.places);
            self.fail(Check::CompleteTrue, Some(text), what);
        }
    }

    /// Who is told that something is missing misses something: where nothing is evicted, what was given up.
    pub fn check_incomplete(&mut self, client: usize, connection: u64, before: &BTreeMap<StreamId, u64>) {
        let person = &self.clients[&client];
        let room = ROOMS[person.room];
        let line = person.lines.iter().find(|line| line.connection == connection);
        let Some(server) = line.map(|line| line.server) else { return };
        let digest = self.servers[server].room(room).map(|room| room.digest(None)).unwrap_or_default();
        let is_fine = !self.is_roomy() || !self.is_calm() || {
            let lost = digest.iter().flat_map(|span| {
                let seen = before.get(&span.stream).copied().unwrap_or(0);
                (seen + 1..span.first).map(|seq| (span.stream, seq))
            });
            let lost: Vec<_> = lost.collect();
            let is_acked = |place: &Place| {
                let text = self.oracle.text_at(*place);
                text.is_some_and(|text| self.oracle.get(text).acked_places.contains(place))
            };
            let names_strangers =
                before.keys().any(|stream| !digest.iter().any(|span| span.stream == *stream));
            names_strangers || !lost.is_empty() && !lost.iter().any(is_acked)
        };
        if !is_fine {
            let what = format!("client {client}, at {before:?}, is told that not all is there: {digest:?}");
            self.fail(Check::IncompleteTrue, None, what);
        }
        // It knows that it misses something, and what it is past of is not owed to it any more where things are evicted:
        // at another place the server takes it for a repeat.
        if !self.is_roomy() {
            let person = &self.clients[&client];
            let is_past =
                |(stream, seq): &Place| person.positions.get(stream).is_some_and(|last| seq <= last);
            let missed = self
                .oracle
                .all()
                .filter(|(text, said)| !person.seen.contains(text) && said.places.iter().any(is_past));
            let missed: Vec<_> = missed.map(|(text, _)| text).collect();
            for text in missed {
                self.oracle.get_mut(text).audience.remove(&client);
            }
        }
    }

    /// An answer stands below what its author had seen.
    pub fn check_answer(&mut self, shown: &Shown) {
        let said = self.oracle.get(shown.text);
        let floor = said.floor.filter(|_| !said.is_tainted);
        if ANSWERS_STAND_BELOW && floor.is_some_and(|floor| (shown.time, shown.place) < floor) {
            let what = format!("{shown:?} stands above {floor:?}, which its author had seen");
            self.fail(Check::AnswerBelow, Some(shown.text), what);
        }
    }

    pub fn check_quick_ack(&mut self, text: u64, waited: Ms) {
        let said = self.oracle.get(text).at;
        let max = ACK_MAX + 8 * self.plan.leg_max() + 2 * self.plan.client_leg;
        let was_calm = self.is_calm() && said + 2000 >= self.now;
        if was_calm && waited > max {
            self.fail(Check::QuickAck, Some(text), format!("{text} was acknowledged after {waited} ms"));
        }
    }

    pub fn check_broken(&mut self, client: usize, connection: u64, check: Check, what: &str) {
        let text = (check == Check::Once).then(|| super::frame::number(what));
        let is_excused = |text| {
            self.oracle.get(text).is_tainted || self.is_ahead_at_another_place(client, connection, text)
        };
        if text.is_some_and(is_excused) {
            return;
        }
        self.fail(check, text, format!("client {client} on connection {connection}: {what}"));
    }

    /// Whether the client saw the message at a place that its server has not reached: it came in because it had waited for as
    /// long as anybody waits. The server cannot know that the message stands there, too.
    fn is_ahead_at_another_place(&self, client: usize, connection: u64, text: u64) -> bool {
        let (person, said) = (&self.clients[&client], self.oracle.get(text));
        let Some(line) = person.lines.iter().find(|line| line.connection == connection) else { return false };
        said.places.iter().any(|(stream, seq)| {
            let is_past = person.positions.get(stream).is_some_and(|last| seq <= last);
            let reached = self.servers[line.server].position(ROOMS[said.room], *stream);
            is_past && reached.is_none_or(|last| last < *seq)
        })
    }

    /// Everything is bounded.
    pub fn check_bounds(&mut self) {
        let broken = self.live().into_iter().find_map(|server| {
            self.servers[server].rooms().find_map(|room| {
                let streams = room.digest(None).len();
                let limits = self.plan.sizes.limits();
                let waiting = room.unconfirmed.messages().count();
                (streams > limits.streams.max(self.servers.len() + 1) || waiting > limits.unconfirmed)
                    .then(|| format!("server {server}: {streams} streams, {waiting} messages wait"))
            })
        });
        if let Some(what) = broken {
            self.fail(Check::Bounds, None, what);
        }
    }

    pub fn check_end(&mut self) {
        self.check_deliveries();
        self.check_hubs();
    }

    /// Every acknowledged message reached everybody who was in its room, and nobody waits.
    fn check_deliveries(&mut self) {
        let owed = self.oracle.all().filter(|(_, said)| said.is_acked).find_map(|(text, said)| {
            let lacks = |client: &&usize| {
                !self.clients[*client].seen.contains(&text) && !self.is_before_begin(**client, said)
            };
            said.audience.iter().find(lacks).map(|client| (text, *client, said.places.clone()))
        });
        if let Some((text, client, places)) = owed {
            let what = format!("{text} at {places:?} was acknowledged and never reached client {client}");
            self.fail(Check::Delivered, Some(text), what);
        }
        let hole = self.oracle.holes.iter().find_map(|(client, place)| {
            let text = self.oracle.text_at(*place)?;
            let is_owed = self.oracle.get(text).audience.contains(client);
            let has_seen = self.clients.get(client).is_none_or(|person| person.seen.contains(&text));
            (is_owed && !has_seen).then_some((*client, text, *place))
        });
        if let Some((client, text, (stream, seq))) = hole.filter(|_| self.is_roomy()) {
            let what = format!("client {client} was not shown {text} at {stream} {seq}, and not told");
            self.fail(Check::Holes, Some(text), what);
        }
        let waits = self.clients.values().find_map(|person| {
            let is_in = person.lines.len() == 1 && person.lines[0].is_in;
            let what = match person.unacked.first() {
                _ if !is_in => format!("client {} is nowhere: {:?}", person.index, person.lines),
                Some(unacked) => format!("client {} waits for {unacked:?}", person.index),
                None => return None,
            };
            Some((person.unacked.first().map(|unacked| unacked.text), what))
        });
        if let Some((text, what)) = waits {
            self.fail(Check::NobodyWaits, text, what);
        }
    }

    /// Whether rings had dropped a message before the client's server could learn the room, in which the client was already.
    fn is_before_begin(&self, client: usize, said: &Said) -> bool {
        let Some(line) = self.clients[&client].lines.last().filter(|line| line.is_in_unlearned) else {
            return false;
        };
        let Some(room) = self.servers[line.server].room(ROOMS[said.room]) else { return false };
        let is_before =
            |(stream, seq): &Place| room.gap_of(*stream).is_some_and(|known| *seq < known.held_from());
        !self.is_roomy() && said.places.iter().all(is_before)
    }

    /// All servers that hold a room have the same of it, nothing waits any more, and every room is held twice.
    fn check_hubs(&mut self) {
        let live = self.live();
        for name in ROOMS {
            let rooms: Vec<_> =
                live.iter().filter_map(|server| Some((*server, self.servers[*server].room(name)?))).collect();
            let members: u32 = rooms.iter().map(|(_, room)| room.members()).sum();
            if members > 0 && live.len() > 1 && rooms.len() < 2 {
                let what = format!("{name} is held once, of {live:?} by {:?}", rooms[0].0);
                return self.fail(Check::HeldTwice, None, what);
            }
            let is_open = |(server, _): &&(usize, &Room)| !self.servers[*server].is_fetching(name, self.now);
            let open: Vec<_> = rooms.iter().filter(is_open).collect();
            for (server, room) in &open {
                if !room.is_whole() || !room.unconfirmed.is_empty() || room.fetch.is_some() {
                    let about = (
                        room.is_whole(),
                        room.unconfirmed.retries().collect::<Vec<_>>(),
                        room.unconfirmed.first(),
                        &room.fetch,
                    );
                    let streams: Vec<_> =
                        room.streams().iter().filter(|stream| stream.has_open_gap()).collect();
                    let what = format!("server {server} still waits in {name}: {about:?} {streams:?}");
                    return self.fail(Check::NobodyWaits, None, what);
                }
                for (other, theirs) in &open {
                    for span in room.digest(None) {
                        let last = theirs.position(span.stream);
                        let may_be_forgotten = last.is_none() && !self.plan.sizes.have_all_streams();
                        if last != Some(span.last) && self.is_roomy() && !may_be_forgotten {
                            let what =
                                format!("{name}: server {server} has {span:?}, server {other} {last:?}");
                            return self.fail(Check::Digests, None, what);
                        }
                    }
                }
            }
        }
    }

    /// What each client was told of its room is what is true.
    pub fn check_presence(&mut self) {
        let wrong = self.clients.values().find_map(|person| {
            let here: BTreeSet<_> = self
                .clients
                .values()
                .filter(|other| other.room == person.room)
                .map(|other| other.user.to_string())
                .collect();
            let line = person.lines.last()?;
            let is_right = (line.users as usize, &line.roster) == (here.len(), &here);
            (!is_right).then(|| {
                format!("client {} was told {} {:?}, not {here:?}", person.index, line.users, line.roster)
            })
        });
        if let Some(what) = wrong {
            self.fail(Check::Presence, None, what);
        }
    }
}
