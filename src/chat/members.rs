//! Who is in which room, at one reactor: contiguous lists, since each message walks one from end to end.

use super::RoomId;

/// Member lists by room. `K` names a connection.
#[derive(Debug)]
pub struct Members<K> {
    rooms: Vec<Vec<K>>,
}

impl<K> Default for Members<K> {
    fn default() -> Self {
        Self { rooms: Vec::new() }
    }
}

impl<K: Copy + PartialEq> Members<K> {
    /// Adds a member and says where in the list it is.
    pub fn add(&mut self, room: RoomId, key: K) -> u32 {
        let index = room.0 as usize;
        if self.rooms.len() <= index {
            self.rooms.resize_with(index + 1, Vec::new);
        }
        self.rooms[index].push(key);
        (self.rooms[index].len() - 1) as u32
    }

    /// Removes the member at `place`. The last of the list takes its place, and is returned if there was another.
    pub fn remove(&mut self, room: RoomId, place: u32) -> Option<K> {
        let list = &mut self.rooms[room.0 as usize];
        list.swap_remove(place as usize);
        if list.len() * 4 < list.capacity() {
            list.shrink_to(list.len() * 2);
        }
        list.get(place as usize).copied()
    }

    /// The members of a room.
    pub fn of(&self, room: RoomId) -> &[K] {
        self.rooms.get(room.0 as usize).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_takes_the_place_of_the_one_that_goes() {
        let mut members = Members::default();
        let room = RoomId(3);
        let places: Vec<_> = ['a', 'b', 'c'].map(|key| members.add(room, key)).to_vec();
        assert_eq!(places, [0, 1, 2]);
        assert_eq!(members.remove(room, 0), Some('c'));
        assert_eq!(members.of(room), ['c', 'b']);
        assert_eq!(members.remove(room, 1), None);
        assert_eq!(members.of(room), ['c']);
        assert!(members.of(RoomId(9)).is_empty());
    }
}
