//! One room at one server: who is here, what was said, and what has to go out at the end of the turn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smallvec::SmallVec;

use super::limits::{DELIVER_BYTES_MAX, HISTORY_MESSAGES, ROOM_LINGER, STREAMS_PER_ROOM_MAX};
use super::presence::Presence;
use super::ring::{Entry, Ring};
use super::{Message, Now};
use crate::wire::client_message::Since;
use crate::wire::{ServerMessage, StreamId};

/// The hub's side of a room.
#[derive(Debug)]
pub struct Room {
    /// Its name.
    pub name: Arc<str>,
    /// Who is in it.
    pub presence: Presence,
    /// Members at each reactor.
    pub here: SmallVec<[u32; 4]>,
    /// When the hub has to look at it.
    pub due: Option<Instant>,
    /// When changes of the roster are told next.
    pub presence_due: Option<Instant>,
    /// When they were told last.
    pub presence_flushed: Option<Instant>,
    /// Whether other servers have to be told who is here.
    pub owes_presence: bool,
    /// When those were told last.
    pub presence_told: Instant,
    /// Since when it has no member here.
    pub empty_since: Option<Instant>,
    /// Whether it is on the hub's list of rooms with something to send.
    pub is_dirty: bool,
    /// Messages said in it since it is here.
    pub messages: u64,
    ring: Ring,
    own: StreamId,
    streams: Vec<Known>,
    time: u64,
    frames: Vec<u8>,
    frames_messages: u32,
    outgoing: Vec<Arc<Message>>,
}

/// A stream as far as it was heard.
#[derive(Debug)]
struct Known {
    id: StreamId,
    last: u64,
    /// From here on the ring has every message up to `last`.
    kept_from: u64,
    heard: Instant,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its stream.
    pub stream: StreamId,
    /// Its number there.
    pub seq: u64,
    /// When the first server received it, in milliseconds since the epoch.
    pub time: u64,
}

/// What became of a message from another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is new; so many before it were never heard.
    New {
        /// Messages of its stream that are missing.
        missing: u64,
    },
    /// Its number was heard before, or its id was said in another stream.
    Duplicate,
}

impl Room {
    /// An empty room that speaks as `own`.
    pub fn new(name: Arc<str>, own: StreamId, reactors: usize, seed: u64, now: Now) -> Self {
        Self {
            name,
            presence: Presence::default(),
            here: SmallVec::from_elem(0, reactors),
            due: None,
            presence_due: None,
            presence_flushed: None,
            owes_presence: false,
            presence_told: now.instant,
            empty_since: None,
            is_dirty: false,
            messages: 0,
            ring: Ring::new(seed),
            own,
            streams: vec![Known { id: own, last: 0, kept_from: 1, heard: now.instant }],
            time: 0,
            frames: Vec::new(),
            frames_messages: 0,
            outgoing: Vec::new(),
        }
    }

    /// Members at this server.
    pub fn members(&self) -> u32 {
        self.here.iter().sum()
    }

    /// What this speaker said under this id, as long as the ring holds it.
    pub fn said_before(&self, from: &str, id: &str) -> Option<(Stamp, &Message)> {
        let Entry { stream, seq, message } = self.ring.find(from, id)?;
        Some((Stamp { stream: *stream, seq: *seq, time: message.time }, message))
    }

    /// Gives a message its place in this server's stream. It must not have been said before.
    pub fn say(&mut self, from: Arc<str>, id: Box<str>, text: Box<str>, now: Now) -> (Stamp, Arc<Message>) {
        // A clock that is set back must not put a stream's later message before an earlier one.
        self.time = self.time.max(now.unix_ms);
        let time = self.time;
        let message = Arc::new(Message { from, id, text, time });
        let own = self.own;
        let stream = self.stream(own, 0, now.instant);
        stream.last += 1;
        let seq = stream.last;
        self.outgoing.push(Arc::clone(&message));
        self.keep(Entry { stream: own, seq, message: Arc::clone(&message) });
        (Stamp { stream: own, seq, time }, message)
    }

    /// Takes a message from another server.
    pub fn hear(&mut self, stream: StreamId, seq: u64, message: &Arc<Message>, now: Now) -> Heard {
        let known = self.stream(stream, seq.saturating_sub(1), now.instant);
        if seq <= known.last {
            return Heard::Duplicate;
        }
        let missing = seq - known.last - 1;
        known.last = seq;
        if missing > 0 {
            known.kept_from = seq;
        }
        if self.ring.find(&message.from, &message.id).is_some() {
            return Heard::Duplicate;
        }
        self.keep(Entry { stream, seq, message: Arc::clone(message) });
        Heard::New { missing }
    }

    /// What a newcomer has to be told: the last messages, or all that came after `since`. False: some are missing.
    pub fn history(&self, since: Option<&Since>) -> (Vec<&Entry>, bool) {
        let Some(since) = since else {
            let entries = self.ring.iter();
            let skip = entries.len().saturating_sub(HISTORY_MESSAGES);
            return (entries.skip(skip).collect(), true);
        };
        let Since { streams, names_strangers } = since;
        let seen = |stream| streams.iter().find(|(id, _)| *id == stream).map_or(0, |(_, seq)| *seq);
        let entries = self.ring.iter().filter(|entry| entry.seq > seen(entry.stream)).collect();
        let all_known = !names_strangers
            && streams.iter().all(|(id, _)| self.streams.iter().any(|known| known.id == *id));
        let all_kept = self.streams.iter().all(|known| {
            let seen = seen(known.id);
            known.last <= seen || known.kept_from <= seen + 1
        });
        (entries, all_known && all_kept)
    }

    /// How far each stream was heard: where a newcomer stands once it has its history.
    pub fn positions(&self) -> Vec<(StreamId, u64)> {
        self.streams.iter().filter(|known| known.last > 0).map(|known| (known.id, known.last)).collect()
    }

    /// Appends a frame for every member here. True: enough is gathered to be sent on.
    pub fn gather(&mut self, message: &ServerMessage<'_>, scratch: &mut Vec<u8>) -> bool {
        message.encode(scratch, &mut self.frames);
        self.frames_messages += u32::from(matches!(message, ServerMessage::Message { .. }));
        self.frames.len() >= DELIVER_BYTES_MAX
    }

    /// Takes the gathered frames, and how many of them are chat messages.
    pub fn take_frames(&mut self) -> Option<(Bytes, u32)> {
        if self.frames.is_empty() {
            return None;
        }
        Some((std::mem::take(&mut self.frames).into(), std::mem::take(&mut self.frames_messages)))
    }

    /// Takes what was said here since the last call: its stream, the number of the first, the messages.
    pub fn take_outgoing(&mut self) -> Option<(StreamId, u64, Vec<Arc<Message>>)> {
        if self.outgoing.is_empty() {
            return None;
        }
        let messages = std::mem::take(&mut self.outgoing);
        let last = self.streams.iter().find(|known| known.id == self.own).map_or(0, |known| known.last);
        Some((self.own, last + 1 - messages.len() as u64, messages))
    }

    /// When it may go, if it has no members: at once if nothing was said.
    pub fn end(&self) -> Option<Instant> {
        let linger = if self.ring.bytes() == 0 { Duration::ZERO } else { ROOM_LINGER };
        self.empty_since.map(|since| since + linger)
    }

    /// Bytes that the ring holds, roughly.
    pub fn ring_bytes(&self) -> usize {
        self.ring.bytes()
    }

    /// Drops the oldest messages until the ring holds at most `bytes_max`.
    pub fn shrink_ring(&mut self, bytes_max: usize) {
        let evicted = self.ring.shrink(bytes_max);
        self.forget(&evicted);
    }

    fn keep(&mut self, entry: Entry) {
        self.messages += 1;
        let evicted = self.ring.push(entry);
        self.forget(&evicted);
    }

    fn forget(&mut self, evicted: &[Entry]) {
        for evicted in evicted {
            if let Some(known) = self.streams.iter_mut().find(|known| known.id == evicted.stream) {
                known.kept_from = known.kept_from.max(evicted.seq + 1);
            }
        }
    }

    /// What is known of a stream. One that was never heard of is taken to begin behind `baseline`.
    fn stream(&mut self, id: StreamId, baseline: u64, now: Instant) -> &mut Known {
        let index = match self.streams.iter().position(|known| known.id == id) {
            Some(index) => index,
            None => {
                if self.streams.len() == STREAMS_PER_ROOM_MAX {
                    self.forget_a_stream();
                }
                self.streams.push(Known { id, last: baseline, kept_from: baseline + 1, heard: now });
                self.streams.len() - 1
            }
        };
        let known = &mut self.streams[index];
        known.heard = now;
        known
    }

    fn forget_a_stream(&mut self) {
        let own = self.own;
        let others = self.streams.iter().enumerate().filter(|(_, known)| known.id != own);
        if let Some((silent, _)) = others.min_by_key(|(_, known)| known.heard) {
            self.streams.swap_remove(silent);
        }
    }
}

/// The frame of a kept message.
pub fn message_frame<'a>(
    room: &'a str,
    stream: StreamId,
    seq: u64,
    message: &'a Message,
) -> ServerMessage<'a> {
    let Message { from, id, text, time } = message;
    ServerMessage::Message { room, from, text, time: *time, stream, seq, id }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
