//! Distr Chat.
pub mod wire;
