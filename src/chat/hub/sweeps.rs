//! What has to be done in every room: some rooms in a turn, so that nobody waits for all of them.

use std::sync::Arc;

use super::Hub;
use crate::chat::fetch::Fetch;
use crate::chat::limits::SWEPT_ROOMS_PER_TURN;
use crate::chat::{Now, RoomId};

/// What is done in each room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Nobody waits for a server that is suspect or leaves.
    TurnToOthers,
    /// A server lives that may have what is missing.
    Unpark(u64),
    /// A server is gone.
    EndLease(u64),
    /// This server is alone.
    ConfirmAll,
    /// This server is by itself, as far as it can tell.
    GoOnAlone,
    /// The bus does not carry.
    PauseFetch,
    /// The bus carries again.
    FetchAnew,
}

/// One of them, and how far it has come.
#[derive(Debug)]
pub(super) struct Sweep {
    task: Task,
    /// The next room by its index, and the first that was not there when it began.
    next: usize,
    end: usize,
}

impl Hub {
    /// Does this in every room, after what was to be done before. Some of it at once.
    pub(super) fn sweep(&mut self, task: Task, now: Now) {
        let end = self.rooms.iter().next_back().map_or(0, |(last, _)| last + 1);
        let is_same = |sweep: &Sweep| sweep.task == task && sweep.next == 0;
        match self.sweeps.back_mut().filter(|sweep| is_same(sweep)) {
            Some(same) => same.end = end,
            None => self.sweeps.push_back(Sweep { task, next: 0, end }),
        }
        self.continue_sweeps(now);
    }

    pub(super) fn continue_sweeps(&mut self, now: Now) {
        while self.swept < SWEPT_ROOMS_PER_TURN {
            let Some(sweep) = self.sweeps.front_mut() else { return };
            if sweep.next >= sweep.end {
                self.sweeps.pop_front();
                continue;
            }
            let (task, index) = (sweep.task, sweep.next);
            sweep.next += 1;
            self.swept += 1;
            if self.rooms.contains(index) {
                self.carry_out_task(task, RoomId(index as u32), now);
            }
        }
    }

    fn carry_out_task(&mut self, task: Task, id: RoomId, now: Now) {
        match task {
            Task::TurnToOthers => self.turn_to_others(id, now),
            Task::Unpark(server) => self.unpark(id, server, now),
            Task::EndLease(server) => self.end_lease_in(id, server, now),
            Task::ConfirmAll => self.confirm_all(id),
            Task::GoOnAlone => self.go_on_alone(id, now),
            Task::PauseFetch => {
                let limits = Arc::clone(&self.settings.limits);
                if let Some(fetch) = &mut self.room_mut(id).fetch {
                    fetch.pause(now.instant, &limits);
                    self.reschedule(id);
                }
            }
            Task::FetchAnew => {
                if self.room(id).fetch.as_deref().is_some_and(Fetch::is_subscribed) {
                    self.fresh.push_back(id);
                }
            }
        }
    }
}
