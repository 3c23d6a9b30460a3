//! Distr Chat: a real-time chat backend that scales out and stays up.
//!
//! ```text
//!  client ──▶ lb ─ assigns ─▶ app: reactors ◀─ mailboxes ─▶ backplane thread (hub, bus) ◀──▶ other servers
//!                ◀─ heartbeats ─┘
//! ```
//! A message goes one way: [`net`] reads bytes, [`wire`] makes frames and messages of them, [`serve`] hands them to
//! the [`app`]'s service, [`chat`] decides, and back down. [`lb`] does the same for requests with [`balance`].
//! Layers, from the bottom: `wire` and `net` know nothing of each other, nor do `chat` and `net`; `app`, `lb` and
//! `web` never import each other. docs/architecture.md has the map, tests/architecture.rs keeps it true.

pub mod app;
pub mod backplane;
pub mod balance;
pub mod chat;
pub mod cli;
pub mod lanes;
pub mod lb;
pub mod net;
pub mod serve;
pub mod up;
pub mod web;
pub mod wire;
