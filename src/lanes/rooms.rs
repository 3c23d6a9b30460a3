//! The rooms that are heard, and on which lanes that is certain.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::rendezvous;
use super::set::LaneSet;

#[derive(Debug)]
pub struct Rooms {
    lanes: usize,
    rooms: HashMap<Arc<str>, Heard, FixedState>,
    /// Those of which it was not told yet that they are heard.
    untold: HashSet<Arc<str>, FixedState>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    lanes: LaneSet,
    confirmed: LaneSet,
}

impl Rooms {
    pub fn new(lanes: usize) -> Self {
        Self { lanes, rooms: HashMap::default(), untold: HashSet::default() }
    }

    /// A room is to be heard; its lanes, unless it is already.
    pub fn insert(&mut self, room: &Arc<str>) -> LaneSet {
        if self.rooms.contains_key(room) {
            return LaneSet::EMPTY;
        }
        let lanes = rendezvous::lanes_of(room, self.lanes);
        self.rooms.insert(Arc::clone(room), Heard { lanes, confirmed: LaneSet::EMPTY });
        self.untold.insert(Arc::clone(room));
        lanes
    }

    /// No longer; its lanes.
    pub fn remove(&mut self, room: &str) -> LaneSet {
        self.untold.remove(room);
        self.rooms.remove(room).map_or(LaneSet::EMPTY, |heard| heard.lanes)
    }

    pub fn of_lane(&self, lane: usize) -> impl Iterator<Item = &Arc<str>> {
        self.rooms.iter().filter(move |(_, heard)| heard.lanes.contains(lane)).map(|(room, _)| room)
    }

    pub fn confirm(&mut self, room: &str, lane: usize) {
        if let Some(heard) = self.rooms.get_mut(room) {
            heard.confirmed.insert(lane);
        }
    }

    /// Nothing is heard on that lane any more.
    pub fn lose(&mut self, lane: usize) {
        self.rooms.values_mut().for_each(|heard| heard.confirmed.remove(lane));
    }

    /// Rooms that have become certain: confirmed on all of their lanes that are open, at least one.
    pub fn take_certain(&mut self, open: LaneSet) -> Vec<Arc<str>> {
        let is_certain = |room: &Arc<str>| {
            let Heard { lanes, confirmed } = self.rooms[room];
            let lanes = lanes.and(open);
            !lanes.is_empty() && confirmed.contains_all(lanes)
        };
        self.untold.extract_if(is_certain).collect()
    }

    /// Whether a room was not heard at all while these lanes alone were open.
    pub fn is_any_unheard(&self, open: LaneSet) -> bool {
        let is_told = |room: &Arc<str>| !self.untold.contains(room);
        self.rooms.iter().any(|(room, heard)| heard.lanes.is_disjoint(open) && is_told(room))
    }
}
