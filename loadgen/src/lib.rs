//! A load generator for Distr Chat: thousands of clients on a few threads, and an account of every message.
//!
//! It is an independent client: tungstenite makes the frames, serde_json reads the messages, and nothing comes from
//! the server's crate, so that the two check each other.
//!
//! ```text
//!  cli ─▶ run ─ phases ─▶ worker: poll, mail, timers, sends ─▶ crowd: its clients ─▶ ledger, tally, storm
//!                            ▲ answers                            └▶ client ─▶ socket: one connection
//!                         assigner ─ GET /assign ─▶ balancers
//! ```
//! Pure, without sockets and clocks: [`plan`], [`schedule`], [`text`], [`client_message`], [`server_message`],
//! [`ledger`], [`latency`], [`storm`], [`tally`], [`backoff`], [`url`], [`http`], [`refusal`], [`rotation`],
//! [`handshake`], [`report`], [`chart`].
//! A worker is given whole rooms, so its ledger is complete by itself: workers share nothing but counters, and more
//! of them, in other processes too, need no more than another share of the plan.

pub mod assigner;
pub mod backoff;
pub mod chart;
pub mod cli;
pub mod client;
pub mod client_message;
pub mod crowd;
pub mod descriptors;
pub mod handshake;
pub mod http;
pub mod latency;
pub mod ledger;
pub mod mail;
pub mod number;
pub mod plan;
pub mod progress;
pub mod refusal;
pub mod report;
pub mod rotation;
pub mod run;
pub mod schedule;
pub mod screen;
pub mod server_message;
pub mod socket;
pub mod storm;
pub mod tally;
pub mod text;
pub mod url;
pub mod worker;
