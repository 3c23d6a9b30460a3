//! What a balancer decides: which servers live, and which of them a client is sent to. No sockets, no clock, no
//! randomness of its own.

pub mod events;
pub mod health;
pub mod in_flight;
pub mod table;

pub use events::{Event, EventLog};
pub use health::Health;
pub use table::{Pick, Refused, Server, Table};
