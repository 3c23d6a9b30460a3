//! A load generator for Distr Chat: thousands of clients on a few threads, and an account of every message.
//!
//! It is an independent client: handshakes and frame heads are tungstenite's, serde_json reads the messages, and nothing
//! comes from the server's crate, so that the two check each other.
//!
//! ```text
//!  cli ─▶ run ─ phases ─▶ team ─ orders ─▶ worker: poll, mail, timers, sends ─▶ crowd: its clients ─▶ ledger, tally
//!          │               │ ▲ news           ▲ answers                           └▶ client ─▶ socket: one connection
//!          │               ▼ │             assigner ─ GET /assign ─▶ balancers
//!          │              process: the same team in another process, over a pipe
//!          └─▶ observer ─ GET /metrics ─▶ servers
//! ```
//! Pure, without sockets and clocks: [`plan`], [`layout`], [`schedule`], [`script`], [`share`], [`mischief`],
//! [`sources`], [`text`], [`client_message`], [`server_message`], [`ledger`], [`account`], [`latency`], [`storm`],
//! [`tally`], [`film`], [`backoff`], [`url`], [`http`], [`refusal`], [`rotation`], [`handshake`], [`report`], [`chart`], [`plot`],
//! [`page`], [`exposition`], [`usage`], [`frames`], [`recall`].
//!
//! All workers know the whole plan, so they need not talk to each other: which client says message 17, to which room,
//! and when, follows from the plan in each of them. What one counts is added to what others count, and only what was
//! lost has to wait for the end ([`account`]).

pub mod account;
pub mod assigner;
pub mod backoff;
pub mod capacity;
pub mod chart;
pub mod cli;
pub mod client;
pub mod client_message;
pub mod clock;
pub mod crowd;
pub mod dialect;
pub mod exposition;
pub mod film;
pub mod flags;
pub mod frames;
pub mod handshake;
pub mod http;
pub mod latency;
pub mod layout;
pub mod ledger;
pub mod mail;
pub mod mischief;
pub mod number;
pub mod observer;
pub mod outcome;
pub mod page;
pub mod plan;
pub mod plot;
pub mod process;
pub mod progress;
pub mod recall;
pub mod refusal;
pub mod report;
pub mod rotation;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod screen;
pub mod script;
pub mod server_message;
pub mod share;
pub mod socket;
pub mod sources;
pub mod storm;
pub mod tally;
pub mod team;
pub mod text;
pub mod url;
pub mod usage;
pub mod worker;
