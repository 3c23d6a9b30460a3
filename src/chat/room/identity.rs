//! Whether a message was sent before: its client, id and text say so. It may be in the ring, be remembered by its id, wait
//! for a replica though the ring has dropped it, or wait behind a hole.

use std::sync::Arc;

use super::Room;
use crate::chat::Message;
use crate::chat::mutants::{Mutant, is_on};
use crate::chat::ring::Stamp;

impl Room {
    /// Where what this client sent under this id with this text stands, and the message as long as it is here.
    pub fn said_before(&self, client: u64, id: &str, text: &str) -> Option<(Stamp, Option<&Arc<Message>>)> {
        if let Some((stamp, kept)) = self.ring.find(client, id, text) {
            return Some((stamp, kept.map(|entry| &entry.message)));
        }
        if is_on(Mutant::OnlyTheRingKnows) {
            return None;
        }
        let is_it = |message: &Message| is_same(message, client, id, text);
        let (stream, seq, message) = self.find_waiting(is_it).or_else(|| self.find_held(is_it))?;
        Some((Stamp { stream, seq, time: message.time }, Some(message)))
    }

    /// Where a message stands already, which is shown there or will be: not what waits behind a hole, since that may never
    /// close.
    pub(super) fn place_of(&self, message: &Message) -> Option<Stamp> {
        let Message { client, id, text, .. } = message;
        let found = self.ring.find(*client, id, text).map(|(stamp, _)| stamp);
        found.or_else(|| {
            let (stream, seq, waiting) = self.find_waiting(|waiting| is_same(waiting, *client, id, text))?;
            Some(Stamp { stream, seq, time: waiting.time })
        })
    }

    /// Whether this client used the id for another text.
    pub fn is_reused(&self, client: u64, id: &str, text: &str) -> bool {
        self.ring.is_reused(client, id, text)
    }

    /// Only those are looked through that the ring has dropped: mostly none.
    fn find_waiting(&self, is_it: impl Fn(&Message) -> bool) -> Option<Found<'_>> {
        let first = self.unconfirmed.first()?;
        let own = self.streams.iter().find(|known| known.id == self.own)?;
        let mut waiting = self.unconfirmed.within(first, own.kept_from.saturating_sub(1));
        waiting.find(|(_, message)| is_it(message)).map(|(seq, message)| (self.own, seq, message))
    }

    fn find_held(&self, is_it: impl Fn(&Message) -> bool) -> Option<Found<'_>> {
        self.streams
            .iter()
            .find_map(|stream| stream.find_held(&is_it).map(|(seq, message)| (stream.id, seq, message)))
    }
}

type Found<'a> = (crate::wire::StreamId, u64, &'a Arc<Message>);

fn is_same(message: &Message, client: u64, id: &str, text: &str) -> bool {
    message.client == client && *message.id == *id && *message.text == *text
}
