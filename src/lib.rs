//! Distr Chat.
pub mod net;
pub mod wire;
