//! One room at one server: who is here, what was said, what other servers lack or have more of, and what has to go out
//! at the end of the turn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smallvec::SmallVec;

use super::fetch::Fetch;
use super::forerunners::Forerunners;
use super::limits::{DELIVER_BYTES_MAX, DIGEST_GRID_MS, DIGEST_REPEATS, Limits, PRESENCE_REFRESH};
use super::mutants::{Mutant, is_on};
use super::presence::Presence;
use super::ring::{Entry, Ring, Stamp};
use super::stream::{Lack, Offer, Stream, Verdict};
use super::unconfirmed::{Retry, Unconfirmed, Waiting};
use super::{Member, Message, Now};
use crate::wire::client_message::Since;
use crate::wire::envelope::Span;
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
    /// What is still being learned from other servers; boxed, since mostly nothing is.
    pub fetch: Option<Box<Fetch>>,
    /// Members that have seen more of it than is known here; boxed, since mostly there are none.
    pub forerunners: Option<Box<Forerunners>>,
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
    digest_due: Option<Instant>,
    digest_repeats: usize,
    clock: Clock,
    frames: Vec<u8>,
    frames_messages: u32,
    outgoing: Vec<Arc<Message>>,
}

/// A hybrid logical clock (Kulkarni 2014): who has seen a message and answers it stands below it, whatever the clocks say.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    /// The newest stamp of our own.
    own: u64,
    /// The newest stamp of another server. Of equal stamps the order is the streams', so ours is greater.
    others: u64,
}

impl Clock {
    /// The stamp of a message that is appended here, in milliseconds since the epoch.
    fn stamp(&mut self, wall_ms: u64) -> u64 {
        let time =
            if is_on(Mutant::WallClock) { wall_ms } else { wall_ms.max(self.own).max(self.others + 1) };
        self.own = time;
        time
    }

    /// A message of another server is known here.
    fn note(&mut self, time: u64) {
        self.others = self.others.max(time);
    }
}

/// What a server has of what another one misses.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Supply {
    /// Messages that are kept.
    pub entries: Vec<Entry>,
    /// Numbers that it never had.
    pub lacks: Vec<Span>,
    /// Numbers that retention has taken.
    pub expired: Vec<Span>,
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
        Self {
            name,
            presence: Presence::default(),
            here: SmallVec::from_elem(0, reactors),
            fetch: Some(Box::new(Fetch::new(now.instant, &limits))),
            forerunners: None,
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
            digest_due: None,
            digest_repeats: 0,
            clock: Clock::default(),
            frames: Vec::new(),
            frames_messages: 0,
            outgoing: Vec::new(),
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

    /// What this client said under this id with this text, and the message as long as it is kept.
    pub fn said_before(&self, client: u64, id: &str, text: &str) -> Option<(Stamp, Option<&Arc<Message>>)> {
        let (stamp, kept) = self.ring.find(client, id, text)?;
        Some((stamp, kept.map(|entry| &entry.message)))
    }

    /// Whether this client used the id for another text.
    pub fn is_reused(&self, client: u64, id: &str, text: &str) -> bool {
        self.ring.is_reused(client, id, text)
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
        let time = self.clock.stamp(now.unix_ms);
        let message = Arc::new(Message { from, client, id, text, time });
        self.append(message, SmallVec::from_elem(sender, 1), false, now)
    }

    /// Gives a message its place; `is_repeat`: members here have seen it in another place.
    fn append(
        &mut self,
        message: Arc<Message>,
        senders: SmallVec<[Member; 1]>,
        is_repeat: bool,
        now: Now,
    ) -> Stamp {
        let (own, time) = (self.own, message.time);
        let limits = Arc::clone(&self.limits);
        let stream = self.stream(own, now.instant);
        let seq = stream.last + 1;
        let offer = stream.offer(seq, &message, own.origin, now.instant, &limits);
        debug_assert_eq!(offer, Offer::Next, "our own stream has no holes");
        self.outgoing.push(Arc::clone(&message));
        self.unconfirmed.push(seq, Arc::clone(&message), senders, now.instant);
        if is_repeat {
            self.unconfirmed.supersede(seq);
        }
        self.keep(Entry { stream: own, seq, message }, is_repeat);
        self.note_change(now);
        Stamp { stream: own, seq, time }
    }

    /// A client sends again what another server appended and no ring has any more: it gets a place here, at which nobody is
    /// shown it who knows it.
    pub fn append_again(&mut self, message: Message, sender: Member, now: Now) -> Stamp {
        self.append(Arc::new(message), SmallVec::from_elem(sender, 1), true, now)
    }

    /// Our own messages that no replica will hold at their places, since every one begins behind them, are appended anew.
    /// Nobody else has them there. The rest of what `holders` reject are other servers' messages, of which this server has
    /// the only copy: they get a second place in our stream.
    pub fn append_rejected(&mut self, holders: &[u64], now: Now) -> bool {
        let rejected = self.unconfirmed.take_rejected(self.own, holders);
        let retries = self.unconfirmed.take_rejected_retries(holders);
        let has_any = !rejected.is_empty() || !retries.is_empty();
        for Waiting { message, senders, is_superseded, .. } in rejected {
            if !is_superseded {
                self.ring.give_way(message.client, &message.id, &message.text);
            }
            self.append(message, senders, is_superseded, now);
        }
        for Retry { message, sender, .. } in retries {
            self.append(message, SmallVec::from_elem(sender, 1), true, now);
        }
        has_any
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
        let limits = Arc::clone(&self.limits);
        match self.stream(stream, now.instant).offer(seq, message, teller, now.instant, &limits) {
            Offer::Known => heard.known = 1,
            Offer::Held => {}
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
    /// `may_begin`: no lower beginning of the stream will be told, since its origin has told, or does not live.
    pub fn announce(&mut self, span: Span, teller: u64, may_begin: bool, now: Now) -> Heard {
        let mut heard = Heard::default();
        let Span { stream, first, last } = span;
        if stream == self.own {
            return heard;
        }
        let is_fetched = !self.is_open();
        let patience = if is_fetched { Duration::ZERO } else { self.limits.gap_patience };
        let known = self.stream(stream, now.instant);
        known.note_first(first);
        if !is_fetched && may_begin {
            known.begin();
        }
        known.announce(last, teller, now.instant, patience);
        self.take_waiting(stream, &mut heard, now);
        heard
    }

    /// Another server does not have these.
    pub fn lack(&mut self, span: Span, lack: Lack, question: u64, now: Instant) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == span.stream) {
            stream.lack(span, lack, question, now);
        }
    }

    /// A server lives (again), which may have what everybody else lacked.
    pub fn unpark(&mut self, server: u64, now: Instant) {
        if !is_on(Mutant::StayParked) {
            let patience = self.limits.gap_patience;
            self.streams.iter_mut().for_each(|stream| stream.unpark(server, now, patience));
        }
    }

    /// The streams with holes that are due to be asked for.
    pub fn due_gaps(&mut self, now: Instant) -> impl Iterator<Item = &mut Stream> {
        self.streams.iter_mut().filter(move |stream| stream.due().is_some_and(|due| due <= now))
    }

    /// Decides about the hole of a stream, which no server in `live` has if each has said so; and what can be shown at last.
    pub fn judge(
        &mut self,
        stream: StreamId,
        live: &[u64],
        is_any_missing: bool,
        now: Now,
    ) -> (Verdict, Heard) {
        let mut heard = Heard::default();
        let is_open = self.is_open();
        let limits = Arc::clone(&self.limits);
        let Some(known) = self.streams.iter_mut().find(|known| known.id == stream) else {
            return (Verdict::Ask, heard);
        };
        let verdict = known.judge(live, is_any_missing, now.instant, &limits);
        if matches!(verdict, Verdict::Expired { .. }) {
            if is_open {
                known.begin();
            }
            self.take_waiting(stream, &mut heard, now);
        }
        (verdict, heard)
    }

    /// Which servers have said that they lack what the stream misses next, and whether retention may have taken it.
    pub fn gap_of(&self, stream: StreamId) -> Option<&Stream> {
        self.streams.iter().find(|known| known.id == stream)
    }

    /// Whether nothing is missing that could still come from a server that lives.
    pub fn is_whole(&self) -> bool {
        self.streams.iter().all(|stream| !stream.has_open_gap())
    }

    /// Whether a stream has a hole.
    pub fn has_gap(&self) -> bool {
        self.streams.iter().any(Stream::has_gap)
    }

    /// Whether clients are let in.
    pub fn is_open(&self) -> bool {
        self.fetch.as_ref().is_none_or(|fetch| !fetch.is_awaited())
    }

    /// Whether nobody is in it, or is about to come.
    pub fn is_idle(&self) -> bool {
        self.is_open() && self.members() == 0 && self.forerunners.is_none()
    }

    /// Whether somebody has seen at another server what is not shown here yet. It would be shown to them again if it gave way
    /// to another place.
    pub fn hides(&self, since: &Since) -> bool {
        let seen = since.streams.iter().find(|(stream, _)| *stream == self.own).map_or(0, |(_, seen)| *seen);
        let last = self.position(self.own).unwrap_or(0);
        self.shown() < seen && seen <= last
    }

    /// What a replica's ack of a stream may cover.
    pub fn claim(&self, stream: StreamId) -> Option<Span> {
        self.streams.iter().find(|known| known.id == stream).and_then(Stream::claim)
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

    /// What is kept of each stream; `changed_since`: only of those that changed.
    pub fn digest(&self, changed_since: Option<Instant>) -> Vec<Span> {
        let is_told =
            |stream: &&Stream| changed_since.is_none_or(|since| stream.changed >= since) && stream.last > 0;
        let span =
            |stream: &Stream| Span { stream: stream.id, first: self.first_of(stream), last: stream.last };
        self.streams.iter().filter(is_told).map(span).collect()
    }

    /// From here on a stream can be had here: what waits for a replica is kept though the ring has no room for it.
    fn first_of(&self, stream: &Stream) -> u64 {
        let waiting =
            self.unconfirmed.first().filter(|_| stream.id == self.own && !is_on(Mutant::EvictUnconfirmed));
        waiting.map_or(stream.kept_from, |first| first.min(stream.kept_from))
    }

    /// Those of the wanted that are kept, in the order of their arrival; those that this server never had; and those
    /// that retention has taken, here or where this server had its copy from.
    pub fn supply(&self, wanted: &[Span]) -> Supply {
        let covers = |span: &Span, entry: &Entry| {
            span.stream == entry.stream && (span.first..=span.last).contains(&entry.seq)
        };
        let is_wanted = |entry: &&Entry| wanted.iter().any(|span| covers(span, entry));
        let mut entries: Vec<_> = self.ring.kept().filter(is_wanted).cloned().collect();
        for span in wanted.iter().filter(|span| span.stream == self.own && !is_on(Mutant::EvictUnconfirmed)) {
            let kept_from =
                self.streams.iter().find(|known| known.id == self.own).map_or(1, |own| own.kept_from);
            let waiting = self.unconfirmed.within(span.first, span.last.min(kept_from - 1));
            let entry = |(seq, message): (u64, &Arc<Message>)| Entry {
                stream: self.own,
                seq,
                message: Arc::clone(message),
            };
            // They are older than what the ring has.
            entries.splice(..0, waiting.map(entry));
        }
        // What waits here behind a hole may be the next one's missing piece.
        for span in wanted {
            let stream = self.streams.iter().find(|stream| stream.id == span.stream);
            entries.extend(
                stream.into_iter().flat_map(|stream| stream.held_in(*span)).map(|(seq, message)| Entry {
                    stream: span.stream,
                    seq,
                    message: Arc::clone(message),
                }),
            );
        }
        let mut missing = Vec::new();
        for span in wanted {
            let mut next = span.first;
            for entry in entries.iter().filter(|entry| covers(span, entry)) {
                if next < entry.seq {
                    missing.push(Span { first: next, last: entry.seq - 1, ..*span });
                }
                next = next.max(entry.seq + 1);
            }
            if next <= span.last {
                missing.push(Span { first: next, ..*span });
            }
        }
        let (mut lacks, mut expired) = (Vec::new(), Vec::new());
        for span in missing {
            let cursor = self.position(span.stream).unwrap_or(0);
            let (gone, never) = (
                Span { last: span.last.min(cursor), ..span },
                Span { first: span.first.max(cursor + 1), ..span },
            );
            expired.extend(Some(gone).filter(|gone| gone.first <= gone.last));
            lacks.extend(Some(never).filter(|never| never.first <= never.last));
        }
        Supply { entries, lacks, expired }
    }

    /// What a newcomer has to be told: the last messages, or all that came after `since`. False: some are missing.
    pub fn history(&self, since: Option<&Since>) -> (Vec<&Entry>, bool) {
        let shown = self.shown();
        let is_shown = |entry: &&Entry| {
            entry.stream != self.own || entry.seq <= shown || is_on(Mutant::HistoryShowsHidden)
        };
        let Some(since) = since else {
            let mut entries: Vec<_> =
                self.ring.iter().filter(is_shown).rev().take(self.limits.history_messages).collect();
            entries.reverse();
            return (entries, true);
        };
        let Since { streams, names_strangers } = since;
        let seen = |stream| streams.iter().find(|(id, _)| *id == stream).map_or(0, |(_, seq)| *seq);
        // Servers may differ in which of its two places a message was shown at: where the client was, it may have been
        // the other one.
        let was_shown_elsewhere: Vec<_> = self
            .ring
            .repeats()
            .filter(|repeat| repeat.seq <= seen(repeat.stream) && !is_on(Mutant::HistoryIgnoresRepeats))
            .map(|Entry { message, .. }| (message.client, &message.id, &message.text))
            .collect();
        let is_news = |entry: &&Entry| {
            let Message { client, id, text, .. } = &*entry.message;
            entry.seq > seen(entry.stream) && !was_shown_elsewhere.contains(&(*client, id, text))
        };
        let entries = self.ring.iter().filter(is_shown).filter(is_news).collect();
        // Who names a stream that nobody here knows has been in another life of the room, and was told so when it came from
        // there: not again, once it names one of this life as well.
        let is_known = |(id, seen): &(StreamId, u64)| *seen > 0 && self.position(*id).is_some();
        let all_known = !names_strangers && (streams.iter().all(is_known) || streams.iter().any(is_known));
        let all_kept = self.streams.iter().all(|known| {
            let seen = seen(known.id);
            known.last <= seen || known.kept_from.max(known.held_from()) <= seen + 1
        });
        let is_learned = self.fetch.as_deref().is_none_or(Fetch::is_sufficient);
        (entries, all_known && all_kept && is_learned || is_on(Mutant::AlwaysComplete))
    }

    /// How far each stream was shown: where a newcomer stands once it has its history. Where it has seen further elsewhere,
    /// it stands there, so that it is not shown again what comes here later.
    pub fn positions(&self, since: Option<&Since>) -> Vec<(StreamId, u64)> {
        let shown = if is_on(Mutant::PositionsAheadOfShown) { u64::MAX } else { self.shown() };
        let position = |known: &Stream| {
            (known.id, if known.id == self.own { known.last.min(shown) } else { known.last })
        };
        let mut positions: Vec<_> = self.streams.iter().map(position).collect();
        for (stream, seen) in since.into_iter().flat_map(|since| &since.streams) {
            match positions.iter_mut().find(|(id, _)| id == stream) {
                Some((_, last)) => *last = (*last).max(*seen),
                None => positions.push((*stream, *seen)),
            }
        }
        positions.retain(|(_, last)| *last > 0);
        positions
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
        if !self.is_idle() || self.presence_due.is_some() {
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
            self.end(),
            self.digest_due,
            self.outgoing_due,
            self.unconfirmed.publish_due(&self.limits),
            self.fetch.as_deref().and_then(Fetch::due),
            self.forerunners.as_deref().and_then(Forerunners::due),
        ];
        let gaps = self.streams.iter().filter_map(Stream::due);
        others.into_iter().flatten().chain(gaps).fold(refresh, Instant::min)
    }

    /// Takes the digest that is due, if it is.
    pub fn take_due_digest(&mut self, now: Instant) -> Option<Vec<Span>> {
        let due = self.digest_due.take_if(|due| *due <= now)?;
        let repeat = DIGEST_REPEATS.get(self.digest_repeats).filter(|_| !is_on(Mutant::NoDigestRepeats));
        if let Some(&wait) = repeat {
            // From when it was due, so that it stays on the grid.
            self.digest_due = Some(if due + wait > now { due + wait } else { now + wait });
            self.digest_repeats += 1;
        }
        let since = now.checked_sub(self.limits.digest_stream_age).unwrap_or(now);
        Some(self.digest(Some(since))).filter(|spans| !spans.is_empty())
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

    /// Forgets streams of servers that are gone, the oldest first and those of which nothing is kept before others, until
    /// there are no more than may be. One of a server that lives stays.
    pub fn trim_streams(&mut self, is_known: impl Fn(u64) -> bool) {
        let max = if is_on(Mutant::ForgetLiveStreams) { 4 } else { self.limits.streams };
        while self.streams.len() > max {
            let newest = |origin| {
                let of_origin = self.streams.iter().filter(|known| known.id.origin == origin);
                of_origin.map(|known| known.id.generation).max()
            };
            let has_ended = |known: &&Stream| {
                let is_superseded = newest(known.id.origin) > Some(known.id.generation);
                known.id != self.own
                    && (is_superseded || !is_known(known.id.origin) || is_on(Mutant::ForgetLiveStreams))
            };
            let age = |known: &&Stream| {
                (known.kept_from <= known.last || known.held() > 0, known.changed, known.id)
            };
            let Some(id) = self.streams.iter().filter(has_ended).min_by_key(age).map(|known| known.id) else {
                return;
            };
            self.streams.retain(|known| known.id != id);
            self.ring.forget_stream(id);
        }
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
        let first = self.ring.find(message.client, &message.id, &message.text).map(|(first, _)| first);
        let is_hidden = |first: &Stamp| {
            first.stream == self.own && first.seq > self.shown() && !is_on(Mutant::NoSupersede)
        };
        let hidden = first.filter(is_hidden);
        let is_repeat = first.is_some() && hidden.is_none();
        if let Some(first) = hidden {
            // Whoever sees a stream go past this place has seen the message, wherever it goes on from here: so it cannot
            // wait for our own place to be confirmed.
            self.unconfirmed.supersede(first.seq);
            self.ring.give_way(message.client, &message.id, &message.text);
        }
        self.clock.note(message.time);
        let entry = Entry { stream, seq, message };
        self.keep(entry.clone(), is_repeat);
        if is_repeat {
            heard.known += 1;
        } else {
            heard.shown.push(entry);
        }
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

/// The frame of a kept message.
pub fn message_frame<'a>(
    room: &'a str,
    stream: StreamId,
    seq: u64,
    message: &'a Message,
) -> ServerMessage<'a> {
    let Message { from, client: _, id, text, time } = message;
    ServerMessage::Message { room, from, text, time: *time, stream, seq, id }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
