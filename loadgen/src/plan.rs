//! What is to be done: how many clients in how many rooms say how much, and which worker has which of them.

use std::time::Duration;

/// What a server allows a client by default (docs/protocol.md, section 5).
const FRAMES_PER_SECOND_MAX: u32 = 50;
/// Bytes of text that a server takes.
const TEXT_BYTES_MAX: usize = 4096;

/// The whole run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Clients, all in all.
    pub clients: u32,
    /// Rooms; client `i` is in room `i % rooms`.
    pub rooms: u32,
    /// Messages per second of all clients together.
    pub rate: u32,
    /// For how long they are said.
    pub duration: Duration,
    /// Bytes of text of a message.
    pub payload_bytes: usize,
    /// Decides who speaks when, and every random delay.
    pub seed: u64,
    /// Names this run, in rooms, users and texts, so that no other is mistaken for it. Not from the seed: a server
    /// remembers the rooms of the last run.
    pub run: u32,
}

/// The plan cannot be carried out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No clients or no rooms.
    #[error("there must be at least one client and one room")]
    Nobody,
    /// Rooms would be empty.
    #[error("{rooms} rooms for {clients} clients leave rooms empty: ask for at most {clients} rooms")]
    EmptyRooms {
        /// Asked for.
        rooms: u32,
        /// Asked for.
        clients: u32,
    },
    /// Servers would refuse the frames.
    #[error(
        "{rate} messages/s of {clients} clients are more than the {FRAMES_PER_SECOND_MAX} per second and client that \
         servers allow: ask for at least {needed} clients"
    )]
    TooFast {
        /// Asked for.
        rate: u32,
        /// Asked for.
        clients: u32,
        /// As many could do it.
        needed: u32,
    },
    /// Servers would refuse the texts.
    #[error("a text of {0} bytes is longer than the {TEXT_BYTES_MAX} that servers allow")]
    TooLong(usize),
}

impl Plan {
    /// Whether servers would take part.
    pub fn check(&self) -> Result<(), PlanError> {
        let Self { clients, rooms, rate, payload_bytes, .. } = *self;
        if clients == 0 || rooms == 0 {
            return Err(PlanError::Nobody);
        }
        if rooms > clients {
            return Err(PlanError::EmptyRooms { rooms, clients });
        }
        let needed = rate.div_ceil(FRAMES_PER_SECOND_MAX);
        if clients < needed {
            return Err(PlanError::TooFast { rate, clients, needed });
        }
        if payload_bytes > TEXT_BYTES_MAX {
            return Err(PlanError::TooLong(payload_bytes));
        }
        Ok(())
    }

    /// What worker `worker` of `workers` has to do: the rooms `worker`, `worker + workers`, … with everyone in them.
    pub fn share(&self, worker: u32, workers: u32) -> Share {
        debug_assert!(worker < workers && workers <= self.rooms, "each worker has a room");
        let rooms = (self.rooms - worker).div_ceil(workers);
        let members = |room| self.clients / self.rooms + u32::from(room < self.clients % self.rooms);
        let clients = (0..rooms).map(|room| members(worker + room * workers)).sum();
        Share { worker, workers, rooms, clients, rooms_of_all: self.rooms, run: self.run }
    }
}

/// A worker's part of a plan. It numbers its clients and rooms from 0: client `c` is in room `c % rooms`, where it is
/// member `c / rooms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which worker.
    pub worker: u32,
    /// Of how many.
    pub workers: u32,
    /// Its rooms.
    pub rooms: u32,
    /// Its clients.
    pub clients: u32,
    rooms_of_all: u32,
    run: u32,
}

impl Share {
    /// The room of a client.
    pub fn room(&self, client: u32) -> u32 {
        client % self.rooms
    }

    /// Which member of its room a client is.
    pub fn member(&self, client: u32) -> u32 {
        client / self.rooms
    }

    /// How many members a room has.
    pub fn members(&self, room: u32) -> u32 {
        self.clients / self.rooms + u32::from(room < self.clients % self.rooms)
    }

    /// A room's name, at the servers.
    pub fn room_name(&self, room: u32) -> String {
        format!("load-{:08x}-{}", self.run, self.room_of_all(room))
    }

    /// A client's user name, at the servers.
    pub fn user_name(&self, client: u32) -> String {
        let number = self.member(client) * self.rooms_of_all + self.room_of_all(self.room(client));
        format!("user-{:08x}-{number}", self.run)
    }

    fn room_of_all(&self, room: u32) -> u32 {
        self.worker + room * self.workers
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn plan(clients: u32, rooms: u32, rate: u32) -> Plan {
        let duration = Duration::from_secs(1);
        Plan { clients, rooms, rate, duration, payload_bytes: 32, seed: 1, run: 7 }
    }

    #[test]
    fn a_plan_that_servers_would_refuse_is_refused() {
        assert_eq!(plan(2, 1, 100).check(), Ok(()));
        assert_eq!(plan(2, 1, 101).check(), Err(PlanError::TooFast { rate: 101, clients: 2, needed: 3 }));
        assert_eq!(plan(2, 3, 1).check(), Err(PlanError::EmptyRooms { rooms: 3, clients: 2 }));
        assert_eq!(plan(0, 0, 0).check(), Err(PlanError::Nobody));
        assert_eq!(Plan { payload_bytes: 4097, ..plan(2, 1, 1) }.check(), Err(PlanError::TooLong(4097)));
    }

    #[test]
    fn shares_are_disjoint_and_whole_rooms() {
        for (clients, rooms, workers) in [(10, 3, 1), (10, 3, 2), (10, 3, 3), (7, 7, 2), (101, 10, 4)] {
            let plan = plan(clients, rooms, 1);
            let mut users = BTreeSet::new();
            let mut members = BTreeMap::<String, u32>::new();
            for worker in 0..workers {
                let share = plan.share(worker, workers);
                for client in 0..share.clients {
                    assert!(users.insert(share.user_name(client)), "a user name is unique");
                    let room = share.room(client);
                    assert!(share.member(client) < share.members(room));
                    *members.entry(share.room_name(room)).or_default() += 1;
                }
                for room in 0..share.rooms {
                    assert_eq!(members[&share.room_name(room)], share.members(room));
                }
            }
            assert_eq!((users.len(), members.len()), (clients as usize, rooms as usize));
            for client in 0..clients {
                assert!(users.contains(&format!("user-00000007-{client}")));
            }
        }
    }
}
