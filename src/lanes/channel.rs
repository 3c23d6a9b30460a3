//! The names of channels.
//!
//! ```text
//! distr:{TAG}ROOM                 a room. The tag comes first: a room's name may have braces of its own
//! distr:all:{TAG}                 every server
//! distr:in:INCARNATION:{TAG}      one server; 16 hex digits
//! ```

use std::sync::Arc;

use crate::wire::envelope::Target;
use crate::wire::slot;

const ALL: &str = "distr:all:";
const INBOX: &str = "distr:in:";
const ROOM: &str = "distr:";

/// For whom something is, to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// Every server.
    All,
    /// Those that hold a room.
    Room(Arc<str>),
    /// The server of that incarnation.
    Server(u64),
}

impl From<Target<'_>> for Address {
    fn from(target: Target<'_>) -> Self {
        match target {
            Target::All => Self::All,
            Target::Room(room) => Self::Room(Arc::clone(room)),
            Target::Server(incarnation) => Self::Server(incarnation),
        }
    }
}

/// The channels of one lane.
#[derive(Debug)]
pub struct Channels {
    /// With its braces.
    tag: String,
    room_head: String,
}

impl Channels {
    /// Those of lane `lane` out of `lanes`.
    pub fn new(lane: usize, lanes: usize) -> Self {
        let tag = format!("{{{}}}", slot::tag(lane, lanes));
        Self { room_head: format!("{ROOM}{tag}"), tag }
    }

    /// The name, in two parts.
    pub fn with_parts<R>(&self, address: &Address, handle: impl FnOnce(&[&[u8]]) -> R) -> R {
        match address {
            Address::Room(room) => handle(&[self.room_head.as_bytes(), room.as_bytes()]),
            Address::All => handle(&[ALL.as_bytes(), self.tag.as_bytes()]),
            Address::Server(incarnation) => {
                handle(&[format!("{INBOX}{incarnation:016x}:").as_bytes(), self.tag.as_bytes()])
            }
        }
    }

    /// The name.
    pub fn name(&self, address: &Address) -> Vec<u8> {
        self.with_parts(address, |parts| parts.concat())
    }

    /// Whose channel this is; `None`: not one of this lane's.
    pub fn parse(&self, channel: &[u8]) -> Option<Address> {
        let channel = std::str::from_utf8(channel).ok()?;
        if let Some(room) = channel.strip_prefix(&self.room_head) {
            return Some(Address::Room(room.into()));
        }
        let untagged = channel.strip_suffix(&self.tag)?;
        if untagged == ALL {
            return Some(Address::All);
        }
        let hex = untagged.strip_prefix(INBOX)?.strip_suffix(':')?;
        u64::from_str_radix(hex, 16).ok().map(Address::Server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_all_have_the_lane_s_slot() {
        for (lane, tag) in ["L3", "L2", "L0"].into_iter().enumerate() {
            let channels = Channels::new(lane, 3);
            let rooms = ["lobby", "{other}", "}{", "all:", "安 }"].map(|room| Address::Room(room.into()));
            for address in rooms.into_iter().chain([Address::All, Address::Server(0x1933_d8a0)]) {
                let name = channels.name(&address);
                assert_eq!(channels.parse(&name), Some(address));
                assert_eq!(slot::key_slot(&name), slot::key_slot(tag.as_bytes()));
            }
        }
        let channels = Channels::new(0, 3);
        assert_eq!(channels.name(&Address::Room("lobby".into())), b"distr:{L3}lobby");
        assert_eq!(channels.name(&Address::Server(1)), b"distr:in:0000000000000001:{L3}");
        assert_eq!(channels.parse(b"distr:{L2}lobby"), None);
        assert_eq!(channels.parse(b"distr:in:xyz:{L3}"), None);
        assert_eq!(channels.parse(b"\xff"), None);
    }
}
