//! The limit on open descriptors of this process, and how many of them are connections.

use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit is the process's, so all of its nodes and threads count together.
static CONNECTIONS: AtomicU32 = AtomicU32::new(0);

/// One connection, counted as long as it lives.
#[derive(Debug)]
pub struct Counted(());

impl Counted {
    /// One more.
    pub fn new() -> Self {
        CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Default for Counted {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        CONNECTIONS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connections that this process has open now, of clients and to servers.
pub fn connections() -> u32 {
    CONNECTIONS.load(Ordering::Relaxed)
}

/// Raises the soft limit to the hard one and says how many descriptors the process may have open.
pub fn raise_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        return maximum.unwrap_or(u64::MAX);
    }
    current.unwrap_or(u64::MAX)
}
