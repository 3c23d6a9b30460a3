//! Both clocks, read together.

use std::time::Instant;

use crate::chat::Now;
use crate::serve::clock::unix_ms;

/// Now.
pub fn now() -> Now {
    at(Instant::now())
}

/// Now, where the one clock was just read.
pub fn at(instant: Instant) -> Now {
    Now { instant, unix_ms: unix_ms() }
}
