//! Who is in which room.

use crate::load::plan::{Plan, Sizes};

/// The rooms of all clients. No room is empty.
#[derive(Debug)]
pub struct Layout {
    rooms: Box<[u32]>,
    members: Box<[u32]>,
}

impl Layout {
    /// The rooms that a plan asks for; the seed decides where chance does.
    pub fn new(plan: &Plan) -> Self {
        let Plan { clients, rooms, .. } = *plan;
        let mut rng = fastrand::Rng::with_seed(plan.seed);
        // The first ones go to a room each, so that none is empty.
        let rooms_of: Box<[u32]> = match plan.sizes {
            Sizes::Even => (0..clients).map(|client| client % rooms).collect(),
            Sizes::Uniform => {
                (0..clients).map(|client| if client < rooms { client } else { rng.u32(..rooms) }).collect()
            }
            Sizes::Zipf => {
                let ends = (0..rooms).scan(0.0, |sum, room| {
                    *sum += 1.0 / f64::from(room + 1);
                    Some(*sum)
                });
                let ends: Vec<f64> = ends.collect();
                let all = ends.last().copied().unwrap_or_default();
                let mut draw = || {
                    let at = rng.f64() * all;
                    (ends.partition_point(|&end| end <= at) as u32).min(rooms - 1)
                };
                (0..clients).map(|client| if client < rooms { client } else { draw() }).collect()
            }
        };
        let mut members = vec![0; rooms as usize];
        rooms_of.iter().for_each(|&room| members[room as usize] += 1);
        Self { rooms: rooms_of, members: members.into() }
    }

    /// The room of a client.
    pub fn room(&self, client: u32) -> u32 {
        self.rooms[client as usize]
    }

    /// How many members a room has.
    pub fn members(&self, room: u32) -> u32 {
        self.members[room as usize]
    }

    /// Rooms.
    pub fn rooms(&self) -> u32 {
        self.members.len() as u32
    }

    /// Clients.
    pub fn clients(&self) -> u32 {
        self.rooms.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(sizes: Sizes) -> Layout {
        Layout::new(&Plan { clients: 10_000, rooms: 100, sizes, ..Plan::default() })
    }

    #[test]
    fn everyone_is_in_one_room_and_no_room_is_empty() {
        for sizes in [Sizes::Even, Sizes::Uniform, Sizes::Zipf] {
            let layout = layout(sizes);
            let members: Vec<_> = (0..100).map(|room| layout.members(room)).collect();
            assert_eq!(members.iter().sum::<u32>(), 10_000, "{sizes:?}");
            assert!(members.iter().all(|&count| count > 0), "{sizes:?}");
        }
    }

    #[test]
    fn sizes_are_as_their_names_say() {
        let even = layout(Sizes::Even);
        assert!((0..100).all(|room| even.members(room) == 100));
        let uniform = layout(Sizes::Uniform);
        assert!((0..100).all(|room| (40..200).contains(&uniform.members(room))));
        let zipf = layout(Sizes::Zipf);
        let ratio = f64::from(zipf.members(0)) / f64::from(zipf.members(9));
        assert!((6.0..14.0).contains(&ratio), "{ratio}");
    }
}
