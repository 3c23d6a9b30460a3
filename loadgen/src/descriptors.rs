//! The limit on open descriptors of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::crowd::CONNECTING_MAX;

/// Descriptors kept for things that are not clients: pollers, timers, balancers, the terminal.
const RESERVED: u64 = 64;

/// Raises the soft limit to the hard one and says how many clients the process may hold on so many event loops.
pub fn clients_max(threads: u32) -> u64 {
    // A client that moves has two connections while it connects.
    let reserved = RESERVED + u64::from(CONNECTING_MAX) * u64::from(threads);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    limit.unwrap_or(u64::MAX).saturating_sub(reserved)
}
