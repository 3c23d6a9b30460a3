//! What came out, for people and for programs: pure.

pub mod chart;
pub mod exposition;
pub mod number;
pub mod page;
pub mod plot;
pub mod report;
pub mod usage;
