//! Who may open a WebSocket: anybody, or only those with a ticket from a balancer.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::wire::cluster_key::{ClusterKey, Purpose};
use crate::wire::name::is_node_name;
use crate::wire::{Request, Ticket, TicketError};

/// Tickets remembered as used, until they expire. At the rate at which balancers let clients in that is far more than
/// live at a time.
const USED_MAX: usize = 131_072;

/// Checks tickets. One for all reactors, since a ticket that was used at one is used at all: they share it under a lock,
/// which is held for one look into a small tree at the opening of a connection.
#[derive(Debug)]
pub struct Gate {
    node: String,
    key: Option<ClusterKey>,
    is_ticket_required: bool,
    used: Mutex<BTreeSet<(u64, u64)>>,
}

impl Gate {
    /// The gate of the server `node`. Without a key no ticket can be checked, and none is asked for.
    pub fn new(node: String, key: Option<ClusterKey>, is_ticket_required: bool) -> Self {
        Self { node, key, is_ticket_required, used: Mutex::default() }
    }

    /// Whether the client may come in. Tells the balancer that sent it, if one did.
    pub fn enter(&self, request: &Request<'_>, now_ms: u64) -> Result<Option<String>, TicketError> {
        let Some(key) = &self.key else {
            // Nobody vouches for it; it serves the balancer's account of clients under way.
            return Ok(request.query_value("via").filter(|name| is_node_name(name)).map(str::to_owned));
        };
        match request.query_value("ticket") {
            Some(text) => self.redeem(text, key, Purpose::Enter, now_ms).map(Some),
            None if self.is_ticket_required => Err(TicketError::Missing),
            None => Ok(None),
        }
    }

    /// Whether an operator may have the server drain; it says so by `Authorization: Bearer TICKET` (RFC 6750).
    pub fn may_drain(&self, request: &Request<'_>, now_ms: u64) -> Result<(), TicketError> {
        let key = self.key.as_ref().ok_or(TicketError::Forged)?;
        let bearer = request.values("authorization").find_map(|value| value.strip_prefix(b"Bearer "));
        let text = std::str::from_utf8(bearer.ok_or(TicketError::Missing)?);
        let text = text.map_err(|_| TicketError::Malformed)?;
        self.redeem(text, key, Purpose::Drain, now_ms).map(|_| ())
    }

    fn redeem(
        &self,
        text: &str,
        key: &ClusterKey,
        purpose: Purpose,
        now_ms: u64,
    ) -> Result<String, TicketError> {
        let ticket = Ticket::parse(text, key, purpose, &self.node, now_ms)?;
        // What a thread that panicked left behind is whole: nothing here can fail half-way.
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while used.first().is_some_and(|(expires_ms, _)| *expires_ms <= now_ms) {
            used.pop_first();
        }
        if used.len() >= USED_MAX {
            return Err(TicketError::Crowded);
        }
        match used.insert((ticket.expires_ms, ticket.nonce)) {
            true => Ok(ticket.issuer),
            false => Err(TicketError::Used),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn key() -> ClusterKey {
        ClusterKey::parse("a-key-for-the-tests").unwrap()
    }

    fn head(query: &str, header: &str) -> String {
        format!("GET /ws?{query} HTTP/1.1\r\nHost: a\r\n{header}\r\n")
    }

    fn enter(gate: &Gate, query: &str, now_ms: u64) -> Result<Option<String>, TicketError> {
        gate.enter(&Request::parse(head(query, "").as_bytes()).unwrap(), now_ms)
    }

    fn ticket(purpose: Purpose, nonce: u64) -> String {
        let ticket = Ticket { issuer: "lb-1".into(), expires_ms: NOW + 15_000, nonce };
        ticket.encode(&key(), purpose, "app-1")
    }

    #[test]
    fn a_ticket_lets_one_client_in_once_and_names_its_balancer() {
        let gate = Gate::new("app-1".into(), Some(key()), true);
        let query = format!("ticket={}", ticket(Purpose::Enter, 1));
        assert_eq!(enter(&gate, &query, NOW), Ok(Some("lb-1".into())));
        assert_eq!(enter(&gate, &query, NOW), Err(TicketError::Used));
        assert_eq!(enter(&gate, &query, NOW + 15_000), Err(TicketError::Expired));
        assert_eq!(enter(&gate, "", NOW), Err(TicketError::Missing));
        let next = format!("ticket={}", ticket(Purpose::Enter, 2));
        assert_eq!(enter(&gate, &next, NOW), Ok(Some("lb-1".into())));
        assert_eq!(gate.used.lock().unwrap().len(), 2);
        assert_eq!(
            enter(&gate, &format!("ticket={}", ticket(Purpose::Drain, 3)), NOW),
            Err(TicketError::Forged)
        );
    }

    #[test]
    fn used_ones_are_forgotten_when_they_would_not_be_taken_any_more() {
        let gate = Gate::new("app-1".into(), Some(key()), true);
        enter(&gate, &format!("ticket={}", ticket(Purpose::Enter, 1)), NOW).unwrap();
        let later = Ticket { issuer: "lb-1".into(), expires_ms: NOW + 30_000, nonce: 2 };
        let later = format!("ticket={}", later.encode(&key(), Purpose::Enter, "app-1"));
        enter(&gate, &later, NOW + 15_000).unwrap();
        assert_eq!(gate.used.lock().unwrap().len(), 1);
    }

    #[test]
    fn where_tickets_are_not_required_anybody_comes_in_but_not_with_a_bad_one() {
        let gate = Gate::new("app-1".into(), Some(key()), false);
        assert_eq!(enter(&gate, "via=lb-1", NOW), Ok(None), "nobody vouches for that name");
        assert_eq!(enter(&gate, "ticket=x", NOW), Err(TicketError::Malformed));
        let open = Gate::new("app-1".into(), None, false);
        assert_eq!(enter(&open, "via=lb-1", NOW), Ok(Some("lb-1".into())));
        assert_eq!(enter(&open, "via=l%20b", NOW), Ok(None));
    }

    #[test]
    fn draining_takes_a_ticket_of_its_own_kind() {
        let gate = Gate::new("app-1".into(), Some(key()), false);
        let may = |gate: &Gate, header: &str| {
            gate.may_drain(&Request::parse(head("", header).as_bytes()).unwrap(), NOW)
        };
        let bearer = |purpose| format!("Authorization: Bearer {}\r\n", ticket(purpose, 9));
        assert_eq!(may(&gate, ""), Err(TicketError::Missing));
        assert_eq!(may(&gate, &bearer(Purpose::Enter)), Err(TicketError::Forged));
        assert_eq!(may(&gate, &bearer(Purpose::Drain)), Ok(()));
        assert_eq!(may(&gate, &bearer(Purpose::Drain)), Err(TicketError::Used));
        assert!(may(&Gate::new("app-1".into(), None, false), &bearer(Purpose::Drain)).is_err());
    }
}
