//! What a server decides about Redis: on which nodes it hears a room, where it publishes, whom it still trusts. Pure:
//! sockets, clocks and names are the shell's (`app::redis`).
//!
//! A **lane** is one Redis node with one hash tag. Every room has a channel on each of its lanes; a server hears all of
//! them and publishes on one. So nothing has to be moved when a node dies: the next envelope takes another lane.

pub mod bundle;
pub mod channel;
pub mod contract;
pub mod set;
pub mod status;
pub mod timings;

mod failure;
mod lane;
mod link;
mod parcel;
mod peers;
mod publisher;
mod relay;
mod rendezvous;
mod rooms;
mod route;
mod subscriber;

pub use bundle::Lanes;
pub use contract::{Command, Event, Notice, ROLES, Role, Settings};
pub use failure::refusal;
pub use link::CLIENT_NAME;
pub use set::LaneSet;
pub use status::{LaneStatus, State, Totals};
pub use timings::Timings;
