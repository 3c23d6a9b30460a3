//! What is true of every message: who said it, who has to see it, where it stands, who holds it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::frame::Place;
use super::plan::Ms;
use crate::wire::StreamId;

#[derive(Debug)]
pub struct Said {
    pub room: usize,
    pub at: Ms,
    /// Who was in the room then.
    pub audience: BTreeSet<usize>,
    /// Every place that it was given, and those that were told in an acknowledgement.
    pub places: Vec<Place>,
    pub acked_places: Vec<Place>,
    /// The servers that have stored it, and those that said so, a bit each.
    pub holders: u32,
    pub confirmers: u32,
    /// A server has sent an acknowledgement, of that place; the author has got one.
    pub promised: Option<Place>,
    pub is_acked: bool,
    /// It was shown by a server without a way to another, at a place that was not acknowledged.
    pub is_tainted: bool,
    /// The last thing that its author had seen.
    pub floor: Option<(u64, Place)>,
}

/// Texts are numbers from 1 on.
#[derive(Debug, Default)]
pub struct Oracle {
    said: Vec<Said>,
    places: HashMap<Place, u64>,
    /// Places that no server but the first is known to hold.
    unconfirmed: BTreeMap<StreamId, BTreeSet<u64>>,
    /// Numbers that clients were not shown.
    pub holes: Vec<(usize, Place)>,
}

impl Oracle {
    pub fn say(&mut self, said: Said) -> u64 {
        self.said.push(said);
        self.said.len() as u64
    }

    pub fn get(&self, text: u64) -> &Said {
        &self.said[text as usize - 1]
    }

    pub fn get_mut(&mut self, text: u64) -> &mut Said {
        &mut self.said[text as usize - 1]
    }

    pub fn text_at(&self, place: Place) -> Option<u64> {
        self.places.get(&place).copied()
    }

    /// How many messages there are, of all rooms.
    pub fn count(&self) -> usize {
        self.said.len()
    }

    pub fn all(&self) -> impl Iterator<Item = (u64, &Said)> {
        (1..).zip(&self.said)
    }

    /// A server publishes a message of its own stream.
    pub fn note_place(&mut self, place: Place, text: u64) -> bool {
        let is_new = self.places.insert(place, text).is_none();
        if is_new {
            self.get_mut(text).places.push(place);
            self.unconfirmed.entry(place.0).or_default().insert(place.1);
        }
        is_new
    }

    pub fn hold(&mut self, text: u64, server: usize) {
        self.get_mut(text).holders |= 1 << server;
    }

    /// A server has dropped a room: it holds no message of it any more.
    pub fn give_up(&mut self, room: usize, server: usize) {
        for said in self.said.iter_mut().filter(|said| said.room == room) {
            said.holders &= !(1 << server);
        }
    }

    /// Of these numbers those that may wait for a confirmation.
    pub fn unconfirmed(&self, stream: StreamId, range: std::ops::RangeInclusive<u64>) -> Vec<Place> {
        let seqs = self.unconfirmed.get(&stream).filter(|_| !range.is_empty());
        seqs.into_iter().flat_map(|seqs| seqs.range(range.clone())).map(|seq| (stream, *seq)).collect()
    }

    /// Nobody waits for the confirmation of that place any more.
    pub fn settle(&mut self, (stream, seq): Place) {
        if let Some(seqs) = self.unconfirmed.get_mut(&stream) {
            seqs.remove(&seq);
        }
    }

    /// Nothing more is owed to one who has gone.
    pub fn forget_client(&mut self, client: usize) {
        for said in &mut self.said {
            said.audience.remove(&client);
        }
        self.holes.retain(|(of, _)| *of != client);
    }
}
