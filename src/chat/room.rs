//! One room at one server: who is here, what was said, what other servers lack or have more of, and what has to go out
//! at the end of the turn.

mod clock;
mod digests;
mod history;
mod holes;
mod identity;
mod places;
mod takeover;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smallvec::SmallVec;

use super::branches::{Branch, entered};
use super::encoded::Encoded;
use super::fetch::Fetch;
use super::forerunners::Forerunners;
use super::limits::{DELIVER_BYTES_MAX, DIGEST_GRID_MS, DIGEST_REPEATS, Limits, PRESENCE_REFRESH};
use super::mutants::{Mutant, is_on};
use super::presence::Presence;
use super::ring::{Entry, Ring, Stamp};
use super::stream::{Offer, Stream};
use super::unconfirmed::{Retry, Unconfirmed, Waiting};
use super::{Member, Message, Now};
use crate::wire::envelope::{Place, Span};
use crate::wire::{ServerMessage, StreamId};

pub use holes::Supply;

use clock::Clock;
use places::Places;
use takeover::Takeover;

/// The hub's side of a room.
#[derive(Debug)]
pub struct Room {
    /// Its name.
    pub name: Arc<str>,
    /// Who is in it.
    pub presence: Presence,
    /// Members at each reactor.
    pub here: SmallVec<[u32; 4]>,
    /// What is still being learned from other servers; boxed, since mostly nothing is.
    pub fetch: Option<Box<Fetch>>,
    /// Members that have seen more of it than is known here; boxed, since mostly there are none.
    pub forerunners: Option<Box<Forerunners>>,
    /// The bus was asked to hear it.
    pub is_heard: bool,
    /// It is about to be dropped.
    pub is_ending: bool,
    /// Joins that wait for their turn to be answered.
    pub queued_joins: u32,
    /// When somebody was last told its history, as long as that is kept encoded.
    pub encoded_used: Option<Instant>,
    /// What no other server has confirmed yet.
    pub unconfirmed: Unconfirmed,
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
    /// Until when another server wants it to be held here.
    pub held_until: Option<Instant>,
    /// Whether it is on the hub's list of rooms with something to send.
    pub is_dirty: bool,
    /// When what was said has to be published, where that may wait.
    pub outgoing_due: Option<Instant>,
    /// Streams of which another server waits to hear that they are kept here.
    pub owes_have: Vec<(u64, StreamId)>,
    /// Messages said in it since it is here.
    pub messages: u64,
    limits: Arc<Limits>,
    ring: Ring,
    own: StreamId,
    streams: Vec<Stream>,
    /// Those that had to go, the newest last.
    forgotten: VecDeque<StreamId>,
    digest_due: Option<Instant>,
    digest_repeats: usize,
    clock: Clock,
    places: Places,
    frames: Vec<u8>,
    frames_messages: u32,
    outgoing: Vec<Arc<Message>>,
    encoded: Encoded,
    /// While this server leaves.
    takeover: Option<Box<Takeover>>,
}

/// Where a stream begins of which another server tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Its origin has not told yet, which may keep more.
    Later,
    /// At the first number that is told: it is older than what this server knows of the room.
    AtTold,
    /// At 1, if nothing was told of it before: this server knew all of the room when its origin began it.
    AtOne,
}

/// What became of a message from another server.
#[derive(Debug, Default)]
pub struct Heard {
    /// What is to be shown now, in its order: this one, and those that had waited for it.
    pub shown: SmallVec<[Entry; 1]>,
    /// Messages whose number or id was known.
    pub known: u64,
}

impl Room {
    /// An empty room that speaks as `own`, and has to be fetched.
    pub fn new(
        name: Arc<str>,
        own: StreamId,
        reactors: usize,
        seed: u64,
        limits: Arc<Limits>,
        now: Now,
    ) -> Self {
        let mut ring = Ring::new(seed, &limits);
        ring.fill();
        let places = Places::new(limits.ring_messages);
        Self {
            name,
            presence: Presence::default(),
            here: SmallVec::from_elem(0, reactors),
            fetch: Some(Box::new(Fetch::new(now.instant, &limits))),
            forerunners: None,
            is_heard: false,
            is_ending: false,
            queued_joins: 0,
            encoded_used: None,
            unconfirmed: Unconfirmed::default(),
            due: None,
            presence_due: None,
            presence_flushed: None,
            owes_presence: false,
            presence_told: now.instant,
            empty_since: Some(now.instant),
            held_until: None,
            is_dirty: false,
            outgoing_due: None,
            owes_have: Vec::new(),
            messages: 0,
            limits,
            ring,
            own,
            streams: vec![Stream::own(own, now.instant)],
            forgotten: VecDeque::new(),
            digest_due: None,
            digest_repeats: 0,
            clock: Clock::default(),
            places,
            frames: Vec::new(),
            frames_messages: 0,
            outgoing: Vec::new(),
            encoded: Encoded::default(),
            takeover: None,
        }
    }

    /// What other servers keep of it is here, or is waited for no longer: streams begin, and what can be shown is. Only those
    /// whose origin `may_begin`: while it lives and is silent, it alone may keep what nobody has confirmed.
    pub fn begin_streams(&mut self, may_begin: impl Fn(u64) -> bool, now: Now) -> Heard {
        let ready = self.streams.iter_mut().filter(|stream| may_begin(stream.id.origin));
        ready.for_each(Stream::begin);
        let mut heard = Heard::default();
        for id in self.streams.iter().map(|stream| stream.id).collect::<Vec<_>>() {
            self.take_waiting(id, &mut heard, now);
        }
        heard
    }

    /// Who comes in is told what was said last, oldest first, though not all may be learned yet.
    pub fn order(&mut self) {
        self.ring.order();
    }

    /// Everything is learned that other servers know of it.
    pub fn settle(&mut self) {
        let evicted = self.ring.settle();
        self.forget(&evicted);
    }

    /// Members at this server.
    pub fn members(&self) -> u32 {
        self.here.iter().sum()
    }

    /// This server's own stream.
    pub fn own(&self) -> StreamId {
        self.own
    }

    /// Gives a message its place in this server's stream. It must not have been said before.
    pub fn say(
        &mut self,
        from: Arc<str>,
        client: u64,
        id: Box<str>,
        text: Box<str>,
        sender: Member,
        now: Now,
    ) -> Stamp {
        let message = Message { from, client, id, text, time: 0 };
        self.append(message, SmallVec::from_elem(sender, 1), false, now)
    }

    /// Gives a message its place and its stamp: the stamps of a stream never go back. `is_repeat`: members here have seen it
    /// in another place.
    fn append(
        &mut self,
        message: Message,
        senders: SmallVec<[Member; 1]>,
        is_repeat: bool,
        now: Now,
    ) -> Stamp {
        let (own, time) = (self.own, self.clock.stamp(now.unix_ms));
        let message = Arc::new(Message { time, ..message });
        let limits = Arc::clone(&self.limits);
        let stream = self.stream(own, now.instant);
        let seq = stream.last + 1;
        let offer = stream.offer(seq, &message, own.origin, now.instant, &limits);
        debug_assert_eq!(offer, Offer::Next, "our own stream has no holes");
        self.outgoing.push(Arc::clone(&message));
        self.reopen_takeover(None);
        self.unconfirmed.push(seq, Arc::clone(&message), senders, now.instant);
        if is_repeat {
            self.unconfirmed.supersede(seq);
            if let Some(first) = self.place_of(&message) {
                self.places.join(first.into(), Place { stream: own, seq });
            }
        }
        self.keep(Entry { stream: own, seq, message }, is_repeat);
        self.note_change(now);
        Stamp { stream: own, seq, time }
    }

    /// Our own messages that no replica will hold at their places, since every one begins behind them, are appended anew:
    /// nobody else has them there. So are other servers' messages of which this server has the only copy.
    pub fn append_rejected(&mut self, holders: &[u64], now: Now) {
        for Waiting { seq, message, senders, is_superseded, .. } in
            self.unconfirmed.take_rejected(self.own, holders)
        {
            entered(Branch::RejectedAppendedAnew);
            if !is_superseded {
                self.ring.give_way(message.client, &message.id, &message.text);
            }
            let again = self.append(Arc::unwrap_or_clone(message), senders, is_superseded, now);
            // A server that is away may have shown it where it stood.
            self.places.join(Place { stream: self.own, seq }, again.into());
        }
        let ring = &self.ring;
        let kept = self.unconfirmed.take_rejected_retries(holders, |message| is_kept(ring, message));
        for Retry { message, sender, .. } in kept {
            entered(Branch::RetryAppendedAnew);
            self.append(Arc::unwrap_or_clone(message), SmallVec::from_elem(sender, 1), true, now);
        }
    }

    /// Retries of other servers' messages that retention has taken here and at `holders`.
    pub fn take_gone_retries(&mut self, holders: &[u64]) -> Vec<Retry> {
        let ring = &self.ring;
        self.unconfirmed.take_rejected_retries(holders, |message| !is_kept(ring, message))
    }

    /// Takes a message from another server, as told by `teller`.
    pub fn hear(
        &mut self,
        stream: StreamId,
        seq: u64,
        message: &Arc<Message>,
        teller: u64,
        now: Now,
    ) -> Heard {
        let mut heard = Heard::default();
        if self.has_forgotten(stream) {
            heard.known = 1;
            return heard;
        }
        let limits = Arc::clone(&self.limits);
        match self.stream(stream, now.instant).offer(seq, message, teller, now.instant, &limits) {
            Offer::Known => heard.known = 1,
            // The other place may be forgotten by the time at which the hole closes.
            Offer::Held => {
                if let Some(first) = self.place_of(message) {
                    self.places.join(first.into(), Place { stream, seq });
                }
            }
            Offer::Next => {
                self.take(stream, seq, Arc::clone(message), &mut heard);
                self.take_waiting(stream, &mut heard, now);
                self.note_change(now);
            }
        }
        heard
    }

    /// Another server says what it has of a stream. Where that is where the stream begins, what came before it was said can be
    /// shown.
    pub fn announce(&mut self, span: Span, teller: u64, begin: Begin, now: Now) -> Heard {
        let mut heard = Heard::default();
        let Span { stream, first, last } = span;
        if stream == self.own || self.has_forgotten(stream) {
            return heard;
        }
        let is_fetched = !self.is_open();
        let patience = if is_fetched { Duration::ZERO } else { self.limits.gap_patience };
        let known = self.stream(stream, now.instant);
        if begin == Begin::AtOne {
            known.begin_at_one();
        }
        known.note_first(first);
        if !is_fetched && begin != Begin::Later {
            known.begin();
        }
        known.announce(last, teller, now.instant, patience);
        self.take_waiting(stream, &mut heard, now);
        heard
    }

    /// Whether anything was received of that stream, or it was forgotten.
    pub fn has_heard_of(&self, stream: StreamId) -> bool {
        self.streams.iter().any(|known| known.id == stream) || self.has_forgotten(stream)
    }

    /// A stream of which nothing was received yet begins at 1: its origin began it while this server knew all of the room.
    pub fn begin_at_one(&mut self, stream: StreamId, now: Now) {
        self.stream(stream, now.instant).begin_at_one();
    }

    /// Whether clients are let in.
    pub fn is_open(&self) -> bool {
        self.fetch.as_ref().is_none_or(|fetch| !fetch.is_awaited())
    }

    /// Whether nobody is in it, or is about to come.
    pub fn is_idle(&self) -> bool {
        self.is_open() && self.members() == 0 && self.forerunners.is_none() && self.queued_joins == 0
    }

    /// Whether nothing was said in it, and nobody is ahead of it.
    pub fn is_quiet(&self) -> bool {
        self.ring.bytes() == 0 && self.unconfirmed.is_empty() && self.forerunners.is_none()
    }

    /// How far a stream is known here, without a hole.
    pub fn position(&self, stream: StreamId) -> Option<u64> {
        self.streams.iter().find(|known| known.id == stream).map(|known| known.last)
    }

    /// The newest stamp of a message in the room.
    pub fn newest(&self) -> u64 {
        self.clock.own.max(self.clock.others)
    }

    /// Another server knows of a message with that stamp.
    pub fn note_time(&mut self, time: u64) {
        self.clock.note(time);
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

    /// Takes what was said here since the last call: the number of the first, and the messages.
    pub fn take_outgoing(&mut self) -> Option<(u64, Vec<Arc<Message>>)> {
        self.outgoing_due = None;
        if self.outgoing.is_empty() {
            return None;
        }
        let messages = std::mem::take(&mut self.outgoing);
        let last = self.position(self.own).unwrap_or(0);
        Some((last + 1 - messages.len() as u64, messages))
    }

    /// Whether it may go.
    pub fn has_ended(&self, now: Instant) -> bool {
        self.end().is_some_and(|end| end <= now)
    }

    /// When it may go, if it has no members: at once if nothing was said. Its last roster is told before.
    fn end(&self) -> Option<Instant> {
        if !self.is_idle() || self.presence_due.is_some() || !self.is_heard {
            return None;
        }
        let linger = if self.ring.bytes() == 0 { Duration::ZERO } else { self.limits.room_linger };
        let end = self.empty_since? + linger;
        Some(self.held_until.map_or(end, |held| held.max(end)))
    }

    /// When the hub has to look at it next.
    pub fn next_due(&self) -> Instant {
        let refresh = self.presence_told + PRESENCE_REFRESH;
        let others = [
            self.presence_due,
            self.end().filter(|_| !self.is_ending),
            self.digest_due,
            self.outgoing_due,
            self.unconfirmed.publish_due(&self.limits),
            self.fetch.as_deref().and_then(Fetch::due),
            self.forerunners.as_deref().and_then(Forerunners::due),
        ];
        let gaps = self.streams.iter().filter_map(Stream::due);
        others.into_iter().flatten().chain(gaps).fold(refresh, Instant::min)
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

    /// Streams that are known.
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// The last of our own messages that members here have seen.
    fn shown(&self) -> u64 {
        self.position(self.own).unwrap_or(0) - self.unconfirmed.hidden()
    }

    /// The digest is told soon, and a few times more.
    fn note_change(&mut self, now: Now) {
        self.digest_repeats = 0;
        // One that is due anyway within the first repeat's time is soon enough in a room that is busy.
        if self.digest_due.is_none_or(|due| due > now.instant + DIGEST_REPEATS[0]) {
            let to_grid = DIGEST_GRID_MS - now.unix_ms % DIGEST_GRID_MS;
            self.digest_due = Some(now.instant + self.limits.digest_delay + Duration::from_millis(to_grid));
        }
    }

    /// Keeps the next message of a stream; it is shown unless it was said in another stream before, and shown.
    fn take(&mut self, stream: StreamId, seq: u64, message: Arc<Message>, heard: &mut Heard) {
        // Another text under the same id is another message: both servers show both.
        let first = self.place_of(&message);
        let is_hidden = |first: &Stamp| {
            first.stream == self.own && first.seq > self.shown() && !is_on(Mutant::NoSupersede)
        };
        let hidden = first.filter(is_hidden);
        if let Some(first) = first {
            self.places.join(first.into(), Place { stream, seq });
        }
        let was_shown = first.is_some() || self.was_shown_elsewhere(Place { stream, seq });
        let is_repeat = was_shown && hidden.is_none();
        if let Some(first) = hidden {
            // Whoever sees a stream go past this place has seen the message, wherever it goes on from here: so it cannot
            // wait for our own place to be confirmed.
            entered(Branch::Superseded);
            self.unconfirmed.supersede(first.seq);
            self.ring.give_way(message.client, &message.id, &message.text);
        }
        self.clock.note(message.time);
        let entry = Entry { stream, seq, message };
        self.keep(entry.clone(), is_repeat);
        if is_repeat {
            entered(Branch::RepeatKept);
            heard.known += 1;
        } else {
            heard.shown.push(entry);
        }
    }

    /// Whether members here have seen the message at another place, which the ring may have dropped since.
    fn was_shown_elsewhere(&self, place: Place) -> bool {
        let was_shown = |other: Place| {
            let is_held = |known: &&Stream| (known.held_from()..=known.last).contains(&other.seq);
            let known = self.streams.iter().find(|known| known.id == other.stream).filter(is_held);
            known.is_some() && (other.stream != self.own || other.seq <= self.shown())
        };
        self.places.of(place).any(was_shown) && !is_on(Mutant::OnlyIdsTellRepeats)
    }

    fn take_waiting(&mut self, stream: StreamId, heard: &mut Heard, now: Now) {
        let limits = Arc::clone(&self.limits);
        while let Some((seq, message)) = self.stream(stream, now.instant).take_next(now.instant, &limits) {
            self.take(stream, seq, message, heard);
        }
    }

    fn keep(&mut self, entry: Entry, is_repeat: bool) {
        self.messages += 1;
        let evicted = self.ring.push(entry, is_repeat);
        self.forget(&evicted);
    }

    fn forget(&mut self, evicted: &[Entry]) {
        for evicted in evicted {
            if let Some(known) = self.streams.iter_mut().find(|known| known.id == evicted.stream) {
                let floor = if is_on(Mutant::KeptFromStays) { 0 } else { evicted.seq + 1 };
                known.kept_from = known.kept_from.max(floor);
            }
            self.places.forget(Place { stream: evicted.stream, seq: evicted.seq });
        }
    }

    /// What is known of a stream; one that was never heard of begins at 1.
    fn stream(&mut self, id: StreamId, now: Instant) -> &mut Stream {
        let index = match self.streams.iter().position(|known| known.id == id) {
            Some(index) => index,
            None => {
                self.streams.push(Stream::new(id, now));
                self.streams.len() - 1
            }
        };
        &mut self.streams[index]
    }
}

fn is_kept(ring: &Ring, message: &Message) -> bool {
    ring.find(message.client, &message.id, &message.text).is_some_and(|(_, kept)| kept.is_some())
}

#[cfg(test)]
#[path = "room_tests.rs"]
pub(super) mod tests;
