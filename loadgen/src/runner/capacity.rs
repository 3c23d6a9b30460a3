//! How many clients are possible on this machine, and how many processes they need.

use std::fmt;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::clients::fleet::CONNECTING_MAX;
use crate::results::number::grouped;

/// Descriptors kept for things that are not clients: pollers, timers, balancers, the terminal.
const RESERVED: u64 = 64;
/// Worker processes. More would rather wait for each other than for servers.
const PROCESSES_MAX: u32 = 64;

/// What this machine lets one run have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Descriptors of a process.
    pub descriptors: u64,
    /// Clients that a process may hold.
    pub clients_per_process: u64,
    /// Processes, at most.
    pub processes_max: u32,
}

/// It is not enough.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{clients} clients are more than are possible here: {capacity}; raise the hard limit (ulimit -Hn) for more"
)]
pub struct TooMany {
    /// Asked for.
    pub clients: u32,
    /// What there is.
    pub capacity: Capacity,
}

impl Capacity {
    /// Raises this process's soft limit to the hard one, and asks for it.
    pub fn of_this_machine(threads: u32, may_split: bool) -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        let limit = if raised.is_ok() { maximum } else { current };
        Self::new(limit.unwrap_or(u64::MAX), threads, if may_split { PROCESSES_MAX } else { 1 })
    }

    fn new(descriptors: u64, threads: u32, processes_max: u32) -> Self {
        // A client that moves has two connections while it connects.
        let reserved = RESERVED + u64::from(CONNECTING_MAX) * u64::from(threads);
        Self { descriptors, clients_per_process: descriptors.saturating_sub(reserved), processes_max }
    }

    /// Processes that so many clients need.
    pub fn processes(&self, clients: u32) -> Result<u32, TooMany> {
        let needed = u64::from(clients).div_ceil(self.clients_per_process.max(1));
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        match self.clients_per_process > 0 && needed <= self.processes_max {
            true => Ok(needed),
            false => Err(TooMany { clients, capacity: *self }),
        }
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { descriptors, clients_per_process, processes_max } = *self;
        let possible = clients_per_process.saturating_mul(processes_max.into());
        match processes_max {
            1 => write!(f, "up to {} in this process", grouped(possible))?,
            _ => write!(f, "up to {} in {processes_max} processes", grouped(possible))?,
        }
        match descriptors {
            u64::MAX => write!(f, " without a limit on descriptors"),
            _ => write!(f, " of {} descriptors", grouped(descriptors)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_split_when_descriptors_run_out() {
        let capacity = Capacity::new(20_000, 1, PROCESSES_MAX);
        assert_eq!(capacity.clients_per_process, 19_808);
        for (clients, processes) in [(1, 1), (19_808, 1), (19_809, 2), (50_000, 3)] {
            assert_eq!(capacity.processes(clients), Ok(processes), "{clients}");
        }
    }

    #[test]
    fn what_is_possible_is_told() {
        let line = |descriptors, processes_max| {
            Capacity::new(descriptors, 1, processes_max).processes(u32::MAX).unwrap_err().to_string()
        };
        assert_eq!(
            line(20_000, 64),
            "4294967295 clients are more than are possible here: up to 1,267,712 in 64 processes of 20,000 \
             descriptors; raise the hard limit (ulimit -Hn) for more"
        );
        assert!(line(100, 1).contains("up to 0 in this process of 100 descriptors"));
    }
}
