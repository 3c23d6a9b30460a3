//! What keeps a node from outliving the supervisor that started it, whatever kills that.

use std::io;

use rustix::process::getppid;
#[cfg(target_os = "linux")]
use rustix::process::{Signal, set_parent_process_death_signal};

/// From now on the kernel kills this process when the thread that started it ends, also when it has become another
/// program. Fails if `parent` is gone already. Outside Linux only that is looked at.
pub fn tie_to(parent: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let now = getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
    match now == Some(parent) {
        true => Ok(()),
        false => Err(io::Error::other("the supervisor that started this node is gone")),
    }
}
