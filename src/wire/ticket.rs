//! Tickets: what a balancer gives a client for a server, and an operator's tool for `POST /drain`.
//!
//! ```text
//! balancer "." expiry "." nonce "." signature        lb-1.18bcfe56800.9f3a61c0d2e4b817.4b1d…
//! ```
//! Expiry (milliseconds since the epoch, by the clock of the *server*, which its heartbeats tell), nonce (8 bytes) and
//! signature (the first 16 bytes of the whole one) are hexadecimal. The server's name is signed and not written: a
//! ticket for one server is none for another.

use std::time::Duration;

use super::cluster_key::{ClusterKey, Purpose};
use super::name::{Kind, Name};
use super::response::Status;

/// How long a balancer's ticket holds.
pub const LIFE: Duration = Duration::from_secs(15);
/// The longest that any ticket may hold: a server remembers those that were used for so long.
pub const LIFE_MAX: Duration = Duration::from_secs(300);

const SIGNATURE_BYTES: usize = 16;

/// One that is in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Who issued it.
    pub issuer: String,
    /// When it ends, in milliseconds since the epoch of the server's clock.
    pub expires_ms: u64,
    /// Tells it from all others.
    pub nonce: u64,
}

/// Why one is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TicketError {
    /// It is asked for and not there.
    #[error("this server lets in only clients with a ticket: ask a balancer")]
    Missing,
    /// Not four parts, or parts that are not what they should be.
    #[error("the ticket is not well-formed")]
    Malformed,
    /// Signed with another key, for another server or purpose, or changed.
    #[error("the ticket was not issued for this")]
    Forged,
    /// Its time is over.
    #[error("the ticket has expired: ask a balancer for another")]
    Expired,
    /// It would hold for longer than is allowed.
    #[error("the ticket holds for longer than 5 minutes")]
    TooLong,
    /// Somebody has come with it before.
    #[error("the ticket was used before: ask a balancer for another")]
    Used,
    /// More tickets are remembered than may be.
    #[error("too many tickets were used of late: come back in a moment")]
    Crowded,
}

impl TicketError {
    /// The status that answers it.
    pub fn status(self) -> Status {
        match self {
            Self::Missing => Status::UNAUTHORIZED,
            Self::Crowded => Status::UNAVAILABLE,
            _ => Status::FORBIDDEN,
        }
    }

    /// Its name in answers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "ticket_missing",
            Self::Malformed => "ticket_malformed",
            Self::Forged => "ticket_forged",
            Self::Expired => "ticket_expired",
            Self::TooLong => "ticket_too_long",
            Self::Used => "ticket_used",
            Self::Crowded => "ticket_crowded",
        }
    }
}

impl Ticket {
    /// The text of it, for the server `node`.
    pub fn encode(&self, key: &ClusterKey, purpose: Purpose, node: &str) -> String {
        let Self { issuer, expires_ms, nonce } = self;
        let mut text = format!("{issuer}.{expires_ms:x}.{nonce:016x}");
        let signature = key.sign(purpose, &[node.as_bytes(), b"\n", text.as_bytes()]);
        text.push('.');
        signature[..SIGNATURE_BYTES].iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
        text
    }

    /// Reads one at the server `node`, whose clock says `now_ms`. Whether it was used before is for the server to know.
    pub fn parse(
        text: &str,
        key: &ClusterKey,
        purpose: Purpose,
        node: &str,
        now_ms: u64,
    ) -> Result<Self, TicketError> {
        let (signed, signature) = text.rsplit_once('.').ok_or(TicketError::Malformed)?;
        let signature = parse_signature(signature).ok_or(TicketError::Malformed)?;
        let ticket = Self::parse_signed(signed).ok_or(TicketError::Malformed)?;
        if !key.has_signed(purpose, &[node.as_bytes(), b"\n", signed.as_bytes()], &signature) {
            return Err(TicketError::Forged);
        }
        match ticket.expires_ms.checked_sub(now_ms) {
            None | Some(0) => Err(TicketError::Expired),
            Some(left) if u128::from(left) > LIFE_MAX.as_millis() => Err(TicketError::TooLong),
            Some(_) => Ok(ticket),
        }
    }

    fn parse_signed(signed: &str) -> Option<Self> {
        // A name may have dots in it.
        let mut parts = signed.rsplitn(3, '.');
        let nonce = parse_hex(parts.next()?)?;
        let expires_ms = parse_hex(parts.next()?)?;
        let issuer = parts.next()?;
        Name::check(Kind::User, issuer).ok()?;
        Some(Self { issuer: issuer.to_owned(), expires_ms, nonce })
    }
}

/// `from_str_radix` alone would take a sign.
fn parse_hex(text: &str) -> Option<u64> {
    let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| is_hex)
}

fn parse_signature(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let mut signature = [0; SIGNATURE_BYTES];
    if text.len() != 2 * SIGNATURE_BYTES || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in signature.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = parse_hex(std::str::from_utf8(digits).ok()?)? as u8;
    }
    Some(signature)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn key() -> ClusterKey {
        ClusterKey::parse("a-key-for-the-tests").unwrap()
    }

    fn ticket() -> Ticket {
        Ticket { issuer: "lb.eu-1".into(), expires_ms: NOW + 15_000, nonce: 7 }
    }

    fn parse(text: &str, node: &str, now_ms: u64) -> Result<Ticket, TicketError> {
        Ticket::parse(text, &key(), Purpose::Enter, node, now_ms)
    }

    #[test]
    fn there_and_back() {
        let text = ticket().encode(&key(), Purpose::Enter, "app-1");
        assert_eq!(parse(&text, "app-1", NOW), Ok(ticket()));
        assert!(
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
            "fit for a URL"
        );
    }

    #[test]
    fn it_holds_for_one_server_one_purpose_one_key_and_its_time() {
        let text = ticket().encode(&key(), Purpose::Enter, "app-1");
        assert_eq!(parse(&text, "app-2", NOW), Err(TicketError::Forged));
        assert_eq!(parse(&text, "app-1", NOW + 15_000), Err(TicketError::Expired));
        assert_eq!(parse(&text, "app-1", NOW - 300_000), Err(TicketError::TooLong));
        let drain = ticket().encode(&key(), Purpose::Drain, "app-1");
        assert_eq!(parse(&drain, "app-1", NOW), Err(TicketError::Forged));
        let other = ClusterKey::parse("another-key-entirely").unwrap();
        let text = ticket().encode(&other, Purpose::Enter, "app-1");
        assert_eq!(parse(&text, "app-1", NOW), Err(TicketError::Forged));
    }

    #[test]
    fn no_other_form_is_taken() {
        let signature = "0".repeat(32);
        for text in
            ["", "....", "a.b", "lb.1.2", &format!("lb.+1.2.{signature}"), &format!(".1.2.{signature}")]
        {
            assert_eq!(parse(text, "app-1", NOW), Err(TicketError::Malformed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_character_is_noticed(at in 0_usize..70, with in "[0-9a-z.]") {
            let text = ticket().encode(&key(), Purpose::Enter, "app-1");
            let at = at % text.len();
            let changed = format!("{}{with}{}", &text[..at], &text[at + 1..]);
            prop_assume!(changed.to_lowercase() != text);
            prop_assert!(parse(&changed, "app-1", NOW).is_err());
        }

        #[test]
        fn garbage_never_panics(text in any::<String>()) {
            prop_assert!(parse(&text, "app-1", NOW).is_err());
        }
    }
}
