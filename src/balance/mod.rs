//! How load is spread: which servers live, which of them a client is sent to and when, and which clients move. No
//! sockets, no clock, no randomness of its own.

pub mod admission;
pub mod events;
pub mod exodus;
pub mod health;
pub mod in_flight;
pub mod rebalance;
#[cfg(test)]
mod simulation;
pub mod table;

pub use admission::Admission;
pub use events::{Event, EventLog};
pub use exodus::Exodus;
pub use health::Health;
pub use table::{Pick, Refused, Server, Table};
