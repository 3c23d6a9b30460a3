//! The heartbeat datagram: all that a balancer knows of a server, and the whole contract between the two.
//!
//! ```text
//! offset  bytes
//!      0      4  magic "DCHB"
//!      4      1  version, 2
//!      5      1  flags: 1 draining, 2 deaf, 4 full, 8 signed; others zero
//!      6      8  incarnation: milliseconds since the epoch at start << 22 | 22 random bits
//!     14      8  number: counts the heartbeats of this incarnation from 1
//!     22      8  the server's clock: milliseconds since the epoch
//!     30      4  connections now
//!     34      4  connections that it may hold
//!     38      4  loop lag: the longest turn of an event loop since the last heartbeat, in microseconds
//!     42    1+n  name of the server
//!      …    1+n  public URL of its WebSocket; `{host}` stands for the host that the client used
//!      …      1  how many balancers follow, each:
//!      …    1+n    name of the balancer
//!      …      8    clients accepted in this incarnation that this balancer sent
//!      …     32  only where signed: HMAC-SHA-256 of all before it
//! ```
//! Integers are big-endian, texts UTF-8 without control characters. Nothing may follow.
//!
//! A balancer that has the cluster's key takes only what is signed with it; one without a key takes everything, so that
//! keys can be introduced while the cluster runs, servers first. An old datagram that is sent again is taken for stale by
//! its incarnation and number.

use std::time::Duration;

use super::cluster_key::{ClusterKey, Purpose, SIGNATURE_BYTES};
use super::name::{Kind, Name};

/// Longest time between two heartbeats of a server.
pub const INTERVAL: Duration = Duration::from_millis(200);
/// Largest datagram: fits the smallest MTU that IPv6 allows.
pub const DATAGRAM_BYTES_MAX: usize = 1200;
/// Most balancers that one server tells its counts to.
pub const BALANCERS_MAX: usize = 10;
/// Longest public URL, in bytes.
pub const URL_BYTES_MAX: usize = 200;

const MAGIC: &[u8; 4] = b"DCHB";
const VERSION: u8 = 2;
const DRAINING: u8 = 1;
const DEAF: u8 = 2;
const FULL: u8 = 4;
const SIGNED: u8 = 8;

/// One heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The server's name, unique in the cluster.
    pub name: String,
    /// Orders the runs of a server's process: a restart has a greater one.
    pub incarnation: u64,
    /// Orders the heartbeats of a run.
    pub number: u64,
    /// What its clock says, in milliseconds since the epoch: tickets for it end by this clock.
    pub time_ms: u64,
    /// Where its WebSocket is.
    pub url: String,
    /// Connections that it holds.
    pub connections: u32,
    /// Connections that it may hold.
    pub capacity: u32,
    /// The longest turn of one of its event loops of late, in microseconds.
    pub loop_lag_us: u32,
    /// For each balancer, how many of the clients that it sent have arrived in this incarnation.
    pub accepted: Vec<(String, u64)>,
    /// It is leaving and wants no more clients.
    pub draining: bool,
    /// It does not hear the backplane.
    pub deaf: bool,
    /// It is at its connection limit.
    pub full: bool,
}

/// Why a datagram is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HeartbeatError {
    /// Not one of ours, or cut short, or with something behind it.
    #[error("the datagram is not a whole heartbeat")]
    Malformed,
    /// From a newer or older release.
    #[error("the heartbeat has a version that is not spoken here")]
    Version,
    /// Not signed with the cluster's key.
    #[error("the heartbeat is not signed with the cluster's key")]
    Forged,
}

impl Heartbeat {
    /// The datagram, signed where there is a key. Names and URL must be within their limits; the caller's configuration
    /// sees to that.
    pub fn encode(&self, key: Option<&ClusterKey>) -> Vec<u8> {
        debug_assert!(self.accepted.len() <= BALANCERS_MAX && self.url.len() <= URL_BYTES_MAX);
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        let flags =
            [(self.draining, DRAINING), (self.deaf, DEAF), (self.full, FULL), (key.is_some(), SIGNED)];
        out.push(flags.into_iter().map(|(is_set, flag)| u8::from(is_set) * flag).sum());
        out.extend_from_slice(&self.incarnation.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.time_ms.to_be_bytes());
        out.extend_from_slice(&self.connections.to_be_bytes());
        out.extend_from_slice(&self.capacity.to_be_bytes());
        out.extend_from_slice(&self.loop_lag_us.to_be_bytes());
        put_text(&mut out, &self.name);
        put_text(&mut out, &self.url);
        out.push(self.accepted.len() as u8);
        for (balancer, count) in &self.accepted {
            put_text(&mut out, balancer);
            out.extend_from_slice(&count.to_be_bytes());
        }
        if let Some(key) = key {
            out.extend_from_slice(&key.sign(Purpose::Heartbeat, &[&out]));
        }
        out
    }

    /// Reads one datagram, which must be signed where there is a key.
    pub fn parse(datagram: &[u8], key: Option<&ClusterKey>) -> Result<Self, HeartbeatError> {
        let mut rest = datagram;
        if take(&mut rest)? != *MAGIC || datagram.len() > DATAGRAM_BYTES_MAX {
            return Err(HeartbeatError::Malformed);
        }
        let [version, flags] = take(&mut rest)?;
        if version != VERSION || flags & !(DRAINING | DEAF | FULL | SIGNED) != 0 {
            return Err(HeartbeatError::Version);
        }
        if flags & SIGNED != 0 {
            let (body, signature) =
                rest.split_last_chunk::<SIGNATURE_BYTES>().ok_or(HeartbeatError::Malformed)?;
            let signed = &datagram[..datagram.len() - SIGNATURE_BYTES];
            if key.is_some_and(|key| !key.has_signed(Purpose::Heartbeat, &[signed], signature)) {
                return Err(HeartbeatError::Forged);
            }
            rest = body;
        } else if key.is_some() {
            return Err(HeartbeatError::Forged);
        }
        let heartbeat = Self {
            incarnation: u64::from_be_bytes(take(&mut rest)?),
            number: u64::from_be_bytes(take(&mut rest)?),
            time_ms: u64::from_be_bytes(take(&mut rest)?),
            connections: u32::from_be_bytes(take(&mut rest)?),
            capacity: u32::from_be_bytes(take(&mut rest)?),
            loop_lag_us: u32::from_be_bytes(take(&mut rest)?),
            name: take_name(&mut rest)?,
            url: take_url(&mut rest)?,
            accepted: take_accepted(&mut rest)?,
            draining: flags & DRAINING != 0,
            deaf: flags & DEAF != 0,
            full: flags & FULL != 0,
        };
        if rest.is_empty() { Ok(heartbeat) } else { Err(HeartbeatError::Malformed) }
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    debug_assert!(text.len() <= usize::from(u8::MAX));
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], HeartbeatError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(HeartbeatError::Malformed)?;
    *rest = tail;
    Ok(*head)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, HeartbeatError> {
    let [length] = take(rest)?;
    let (text, tail) = rest.split_at_checked(usize::from(length)).ok_or(HeartbeatError::Malformed)?;
    *rest = tail;
    std::str::from_utf8(text).map_err(|_| HeartbeatError::Malformed)
}

fn take_name(rest: &mut &[u8]) -> Result<String, HeartbeatError> {
    let name = Name::parse(Kind::User, take_text(rest)?.into()).map_err(|_| HeartbeatError::Malformed)?;
    Ok(name.as_str().to_owned())
}

fn take_url(rest: &mut &[u8]) -> Result<String, HeartbeatError> {
    let url = take_text(rest)?;
    let is_websocket = url.starts_with("ws://") || url.starts_with("wss://");
    if url.len() > URL_BYTES_MAX || !is_websocket || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(HeartbeatError::Malformed);
    }
    Ok(url.to_owned())
}

fn take_accepted(rest: &mut &[u8]) -> Result<Vec<(String, u64)>, HeartbeatError> {
    let [count] = take(rest)?;
    if usize::from(count) > BALANCERS_MAX {
        return Err(HeartbeatError::Malformed);
    }
    (0..count).map(|_| Ok((take_name(rest)?, u64::from_be_bytes(take(rest)?)))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> ClusterKey {
        ClusterKey::parse(&format!("{text}-key-long-enough")).unwrap()
    }

    fn example() -> Heartbeat {
        Heartbeat {
            name: "app-1".into(),
            incarnation: 0x1933_d8a0_c8c0_0001,
            number: 7,
            time_ms: 1_700_000_000_000,
            url: "ws://{host}:5001/ws".into(),
            connections: 300,
            capacity: 20_000,
            loop_lag_us: 400,
            accepted: vec![("lb-1".into(), 100), ("lb-2".into(), 200)],
            draining: false,
            deaf: true,
            full: false,
        }
    }

    #[test]
    fn there_and_back() {
        let bytes = example().encode(None);
        assert_eq!(&bytes[..6], b"DCHB\x02\x02");
        assert_eq!(Heartbeat::parse(&bytes, None), Ok(example()));
    }

    #[test]
    fn every_cut_and_every_addition_is_refused() {
        let mut bytes = example().encode(None);
        for length in 0..bytes.len() {
            assert_eq!(Heartbeat::parse(&bytes[..length], None), Err(HeartbeatError::Malformed), "{length}");
        }
        bytes.push(0);
        assert_eq!(Heartbeat::parse(&bytes, None), Err(HeartbeatError::Malformed));
    }

    #[test]
    fn another_version_and_unknown_flags_say_so() {
        let mut bytes = example().encode(None);
        bytes[4] = 1;
        assert_eq!(Heartbeat::parse(&bytes, None), Err(HeartbeatError::Version));
        bytes[4] = 2;
        bytes[5] = 0x80;
        assert_eq!(Heartbeat::parse(&bytes, None), Err(HeartbeatError::Version));
    }

    #[test]
    fn a_url_must_be_a_websocket_and_visible() {
        for url in ["http://h/ws", "ws://h/a b", "ws://h/\n", ""] {
            let heartbeat = Heartbeat { url: url.into(), ..example() };
            assert_eq!(
                Heartbeat::parse(&heartbeat.encode(None), None),
                Err(HeartbeatError::Malformed),
                "{url:?}"
            );
        }
    }

    #[test]
    fn the_largest_fits_a_datagram() {
        let accepted = (0..BALANCERS_MAX).map(|i| (format!("{i:0>64}"), u64::MAX)).collect();
        let url = format!("ws://{}", "h".repeat(URL_BYTES_MAX - 5));
        let largest = Heartbeat { name: "n".repeat(64), url, accepted, ..example() };
        let datagram = largest.encode(Some(&key("ours")));
        assert!(datagram.len() <= DATAGRAM_BYTES_MAX);
        assert_eq!(Heartbeat::parse(&datagram, None), Ok(largest));
    }

    #[test]
    fn with_a_key_only_what_is_signed_with_it_is_taken() {
        let (ours, other) = (key("ours"), key("somebody-else's"));
        let mut bytes = example().encode(Some(&ours));
        assert_eq!(Heartbeat::parse(&bytes, Some(&ours)), Ok(example()));
        assert_eq!(Heartbeat::parse(&bytes, None), Ok(example()), "keys can be introduced, servers first");
        assert_eq!(Heartbeat::parse(&bytes, Some(&other)), Err(HeartbeatError::Forged));
        assert_eq!(Heartbeat::parse(&example().encode(None), Some(&ours)), Err(HeartbeatError::Forged));
        for at in 6..bytes.len() {
            bytes[at] ^= 1;
            assert_eq!(Heartbeat::parse(&bytes, Some(&ours)), Err(HeartbeatError::Forged), "{at}");
            bytes[at] ^= 1;
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut datagram = example().encode(None);
            datagram.truncate(6);
            datagram.extend_from_slice(&bytes);
            let _ = (Heartbeat::parse(&bytes, None), Heartbeat::parse(&datagram, None));
        }
    }
}
