//! Distr Chat.
pub mod chat;
pub mod net;
pub mod serve;
pub mod wire;
