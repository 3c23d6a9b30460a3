//! The threads and processes of a run.

pub mod assigner;
pub mod capacity;
pub mod job;
pub mod observer;
pub mod process;
pub mod rotation;
pub mod run;
pub mod worker;
pub mod worker_pool;
pub mod worker_process;
