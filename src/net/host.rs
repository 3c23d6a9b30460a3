//! This machine.

/// What it is called; empty where it has no name that is text.
pub fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
