//! A load generator for Distr Chat: thousands of clients on a few threads, and an account of every message.
//!
//! It is an independent client: handshakes and frame heads are tungstenite's, serde_json reads the messages, and nothing
//! comes from the server's crate, so that the two check each other.
//!
//! ```text
//!  cli ─▶ runner::run ─ phases ─▶ worker_pool ─ orders ─▶ worker: poll, mail, timers ─▶ fleet: its clients ─▶ ledger, stats
//!          │                       │ ▲ news               ▲ answers                    └▶ client ─▶ socket: one connection
//!          │                       ▼ │                 assigner ─ GET /assign ─▶ balancers
//!          │                      process ═ pipe ═ worker_process: a worker_pool in another process
//!          └─▶ observer ─ GET /metrics ─▶ servers
//! ```
//! Layers, of which each may import only those above it:
//!
//! - [`wire`]: protocol, handshake and HTTP as bytes and values (pure)
//! - [`load`]: what is to be done, fixed from the seed (pure)
//! - [`measure`]: ledger, latencies, counters (pure)
//! - [`clients`]: connections, and what clients do with them
//! - [`results`]: report, page and plots (pure)
//! - [`runner`]: threads and processes
//! - [`cli`]: flags, scenario files, screen
//!
//! All workers know the whole plan, so they need not talk to each other: which client says message 17, to which room,
//! and when, follows from the plan in each of them. What one counts is added to what others count, and only what was
//! lost has to wait for the end ([`account`]).

pub mod cli;
pub mod clients;
pub mod load;
pub mod measure;
pub mod results;
pub mod runner;
pub mod wire;
