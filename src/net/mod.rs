//! The event-loop toolbox on mio: it knows bytes and descriptors, and no protocol.
//!
//! Every socket belongs to one thread for life. Threads meet in [`mailbox`] only.

pub mod buffers;
pub mod connection;
pub mod descriptors;
pub mod dial;
pub mod doorbell;
pub mod host;
pub mod listener;
pub mod mailbox;
pub mod outbox;
pub mod poller;
pub mod slots;
pub mod timer_wheel;

pub use connection::{Connection, Received};
pub use listener::Listener;
pub use mailbox::{Mailbox, Post};
pub use outbox::{Flush, Outbox};
pub use poller::{Poller, Readiness};
pub use slots::{Key, Slots};
pub use timer_wheel::TimerWheel;
