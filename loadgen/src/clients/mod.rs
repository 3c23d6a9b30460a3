//! Connections and what the clients of one worker do with them.

pub mod backoff;
pub mod client;
pub mod fleet;
pub mod mail;
pub mod socket;
