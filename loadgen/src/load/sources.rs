//! Where clients come from: an address has only so many ports.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Clients from one loopback address. Far fewer than it has ports, so that those that come back find one although the
/// ports of their old connections rest for a minute.
const LOOPBACK_CLIENTS: u32 = 8192;
/// 127.0.0.2 is the first address that clients come from where they need more than one.
const LOOPBACK_FIRST: u32 = 0x7f00_0002;
/// Addresses of the loopback network are not needed in larger numbers.
const LOOPBACK_SOURCES_MAX: u32 = 0xffff;

/// Addresses to connect from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sources {
    /// To servers of this machine, from so many addresses; to others, from whatever the system chooses.
    Chosen(u32),
    /// From these.
    Given(Vec<IpAddr>),
}

impl Sources {
    /// What so many clients need.
    pub fn for_clients(clients: u32) -> Self {
        Self::Chosen(clients.div_ceil(LOOPBACK_CLIENTS).min(LOOPBACK_SOURCES_MAX))
    }

    /// The address that this try of a client comes from; none: the system chooses.
    pub fn of(&self, client: u32, to: &SocketAddr) -> Option<IpAddr> {
        match self {
            Self::Chosen(count) if *count > 1 && to.is_ipv4() && to.ip().is_loopback() => {
                Some(Ipv4Addr::from_bits(LOOPBACK_FIRST + client % count).into())
            }
            Self::Chosen(_) => None,
            Self::Given(addresses) => addresses.get(client as usize % addresses.len().max(1)).copied(),
        }
    }
}

/// Nothing where the system chooses.
impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen(..=1) => Ok(()),
            Self::Chosen(count) => {
                let last = Ipv4Addr::from_bits(LOOPBACK_FIRST + count - 1);
                let first = Ipv4Addr::from_bits(LOOPBACK_FIRST);
                write!(f, ", on this machine from {first} to {last}")
            }
            Self::Given(addresses) => write!(f, ", from {} addresses", addresses.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_clients_of_this_machine_come_from_several_addresses() {
        let local = "127.0.0.1:5001".parse().unwrap();
        let few = Sources::for_clients(1000);
        assert_eq!(few.of(7, &local), None);
        let many = Sources::for_clients(50_000);
        let sources: Vec<_> = (0..8).map(|client| many.of(client, &local).unwrap().to_string()).collect();
        assert_eq!((&*sources[0], &*sources[6], &*sources[7]), ("127.0.0.2", "127.0.0.8", "127.0.0.2"));
        for elsewhere in ["10.0.0.1:5001", "[::1]:5001"] {
            assert_eq!(many.of(0, &elsewhere.parse().unwrap()), None);
        }
    }

    #[test]
    fn given_addresses_are_used_for_all_servers() {
        let given = Sources::Given(vec!["10.0.0.2".parse().unwrap(), "10.0.0.3".parse().unwrap()]);
        assert_eq!(given.of(3, &"10.0.0.1:1".parse().unwrap()), Some("10.0.0.3".parse().unwrap()));
    }
}
