//! What every worker knows: the plan, and all that follows from it.

use crate::load::layout::Layout;
use crate::load::plan::Plan;
use crate::load::schedule::Schedule;

/// The same in all workers of all processes, because everything in it comes from the plan.
#[derive(Debug)]
pub struct Workload {
    /// What is to be done.
    pub plan: Plan,
    /// Who is in which room.
    pub layout: Layout,
    /// Who says something when.
    pub schedule: Schedule,
}

impl Workload {
    /// What follows from a plan.
    pub fn new(plan: &Plan) -> Self {
        Self { plan: plan.clone(), layout: Layout::new(plan), schedule: Schedule::new(plan) }
    }

    /// How many clients a message is for.
    pub fn members(&self, number: u32) -> u32 {
        self.layout.members(self.room(number))
    }

    /// The room that a message is said in.
    pub fn room(&self, number: u32) -> u32 {
        self.layout.room(self.schedule.sender(number))
    }
}
