//! What the workers of one process have to do.

use serde::{Deserialize, Serialize};

use crate::load::plan::Plan;
use crate::load::sources::Sources;
use crate::runner::assigner::Entrance;

/// What the workers of one process have to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// What all workers have to do together.
    pub plan: Plan,
    /// Where clients begin.
    pub entrance: Entrance,
    /// Where they come from.
    pub sources: Sources,
    /// The first worker of this process.
    pub first: u32,
    /// Event loops of this process: so many workers.
    pub threads: u32,
    /// Workers of all processes.
    pub workers: u32,
}
