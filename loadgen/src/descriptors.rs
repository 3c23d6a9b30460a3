//! The limit on open descriptors of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept for things that are not clients: pollers, timers, balancers, the terminal.
const RESERVED: u64 = 64;

/// Raises the soft limit to the hard one and says how many clients the process may hold.
pub fn clients_max() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    limit.unwrap_or(u64::MAX).saturating_sub(RESERVED)
}
