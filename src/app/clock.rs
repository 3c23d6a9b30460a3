//! Both clocks, read together.

use std::time::Instant;

use crate::chat::Now;
use crate::serve::clock::unix_ms;

/// Now.
pub fn now() -> Now {
    Now { instant: Instant::now(), unix_ms: unix_ms() }
}
