//! Which clients a worker has.

use std::sync::Arc;

use crate::load::workload::Workload;

/// A worker's part of a plan: each `workers`-th client, so that all workers have the same to do whatever rooms look
/// like. It numbers its clients from 0, and the members of a room that are among them, too.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Which worker.
    pub worker: u32,
    /// Of how many.
    pub workers: u32,
    /// Its clients.
    pub clients: u32,
    script: Arc<Workload>,
    /// Which member of its room each client is.
    member: Arc<[u32]>,
    /// How many of them a room has.
    members: Arc<[u32]>,
}

impl Shard {
    /// What worker `worker` of `workers` has to do.
    pub fn new(script: Arc<Workload>, worker: u32, workers: u32) -> Self {
        debug_assert!(worker < workers && workers <= script.layout.clients(), "each worker has a client");
        let clients = (script.layout.clients() - worker).div_ceil(workers);
        let mut members = vec![0; script.layout.rooms() as usize];
        let member = (0..clients).map(|client| {
            let count: &mut u32 = &mut members[script.layout.room(worker + client * workers) as usize];
            *count += 1;
            *count - 1
        });
        let member = member.collect();
        Self { worker, workers, clients, script, member, members: members.into() }
    }

    /// What all workers know.
    pub fn script(&self) -> &Arc<Workload> {
        &self.script
    }

    /// The number of a client among those of all workers.
    pub fn of_all(&self, client: u32) -> u32 {
        self.worker + client * self.workers
    }

    /// A client by its number among those of all workers, if it is one of this worker's.
    pub fn own(&self, of_all: u32) -> Option<u32> {
        (of_all % self.workers == self.worker).then_some(of_all / self.workers)
    }

    /// The first message from this number on that a client of this worker sends, and which client that is.
    pub fn next_said(&self, from: u32) -> Option<(u32, u32)> {
        let schedule = &self.script.schedule;
        (from..schedule.len()).find_map(|number| Some((number, self.own(schedule.sender(number))?)))
    }

    /// The room of a client.
    pub fn room(&self, client: u32) -> u32 {
        self.script.layout.room(self.of_all(client))
    }

    /// Which member of its room a client is, among those of this worker.
    pub fn member(&self, client: u32) -> u32 {
        self.member[client as usize]
    }

    /// How many members of a room are this worker's.
    pub fn members(&self, room: u32) -> u32 {
        self.members[room as usize]
    }

    /// The most members that any room has here.
    pub fn members_max(&self) -> u32 {
        self.members.iter().copied().max().unwrap_or_default()
    }

    /// The name of a client's room, at the servers.
    pub fn room_name(&self, client: u32) -> String {
        format!("load-{:08x}-{}", self.script.plan.run, self.room(client))
    }

    /// A client's user name, at the servers.
    pub fn user_name(&self, client: u32) -> String {
        format!("user-{:08x}-{}", self.script.plan.run, self.of_all(client))
    }

    /// What a client's messages are known by at the servers. No secret: nobody wants to speak for it.
    pub fn nonce(&self, client: u32) -> String {
        format!("load-{:08x}-{:08x}", self.script.plan.run, self.of_all(client))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::load::plan::Plan;

    #[test]
    fn shares_are_disjoint_and_everyone_is_in_one() {
        for (clients, rooms, workers) in [(10, 3, 1), (10, 3, 2), (10, 3, 4), (7, 7, 2), (101, 1, 4)] {
            let script = Arc::new(Workload::new(&Plan { clients, rooms, run: 7, ..Plan::default() }));
            let (mut users, mut nonces) = (BTreeSet::new(), BTreeSet::new());
            let mut members = vec![0; rooms as usize];
            for worker in 0..workers {
                let share = Shard::new(Arc::clone(&script), worker, workers);
                for client in 0..share.clients {
                    assert!(users.insert(share.user_name(client)), "a user name is unique");
                    assert!(nonces.insert(share.nonce(client)), "and so is a nonce");
                    assert_eq!(share.own(share.of_all(client)), Some(client));
                    assert!(share.member(client) < share.members(share.room(client)));
                }
                (0..rooms).for_each(|room| members[room as usize] += share.members(room));
            }
            let expected: Vec<_> = (0..rooms).map(|room| script.layout.members(room)).collect();
            assert_eq!(members, expected);
            assert!((0..clients).all(|client| users.contains(&format!("user-00000007-{client}"))));
        }
    }

    #[test]
    fn every_message_is_said_by_one_worker() {
        let plan = Plan { clients: 10, rooms: 1, rate: 50, ..Plan::default() };
        let script = Arc::new(Workload::new(&plan));
        let mut said = vec![0; script.schedule.len() as usize];
        for worker in 0..3 {
            let share = Shard::new(Arc::clone(&script), worker, 3);
            let mut from = 0;
            while let Some((number, _)) = share.next_said(from) {
                said[number as usize] += 1;
                from = number + 1;
            }
        }
        assert!(!said.is_empty() && said.iter().all(|&times| times == 1));
    }
}
