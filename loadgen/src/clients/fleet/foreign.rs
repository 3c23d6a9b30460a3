//! Clients of a server that does not speak our protocol: in their rooms once they have said so, and hearing messages by
//! the marks in them.

use std::time::Instant;

use super::Fleet;
use crate::clients::client::{Line, Standing};
use crate::clients::socket::End;
use crate::measure::ledger::Arrival;
use crate::wire::handshake::PROTOCOL;
use crate::wire::protocol::{Protocol, Values};
use crate::wire::text::Mark;

impl Fleet {
    /// The sub-protocol that clients ask for.
    pub(super) fn protocol(&self) -> Option<&'static str> {
        (self.script.plan.dialect == Protocol::DistrChat).then_some(PROTOCOL)
    }

    /// A connection is open that was not before: on it the client joins, and nobody answers.
    pub(super) fn join_foreign(&mut self, client: u32, line: &mut Line, now: Instant) -> Result<(), End> {
        let Protocol::Foreign { join, .. } = &self.script.plan.dialect else { return Ok(()) };
        if line.standing == Standing::In || !line.socket.is_open() {
            return Ok(());
        }
        if let Some(join) = join {
            let (room, user) = (self.share.room_name(client), self.share.user_name(client));
            line.socket.send(join.fill(&Values { room: &room, user: &user, ..Values::default() }))?;
        }
        line.node = Some(self.node(&line.server.authority.clone()));
        self.handle_joined(client, line, &[], true, now)
    }

    /// A frame: every mark in it is an arrival.
    pub(super) fn handle_foreign(&mut self, client: u32, frame: &str, now: Instant) {
        let plan = &self.script.plan;
        let (name, bytes) = (format!("{:08x}-", plan.run), plan.payload_bytes);
        let marks: Vec<Mark> = frame
            .match_indices(&name)
            .filter_map(|(start, _)| {
                let rest = &frame[start..];
                let end = rest.find(|c: char| !matches!(c, '0'..='9' | 'a'..='f' | '-' | '.'));
                Mark::read(&rest[..end.unwrap_or(rest.len())], bytes)
            })
            .collect();
        for mark in marks {
            let arrival = match self.is_planned(&mark) {
                true => self.ledger.arrive_unnumbered(client, mark.number),
                false => self.ledger.unexpected(),
            };
            if arrival == Arrival::First {
                self.time_arrival(client, mark, now);
            }
        }
    }
}
