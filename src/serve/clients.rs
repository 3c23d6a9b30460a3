//! The connections of one reactor, as its service sees them: send now, written at the end of the turn.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::net::TcpStream;

use crate::net::{Connection, Flush, Key, Poller, Slots, TimerWheel, outbox::Overflow};
use crate::wire::{CloseReason, Decoder, Response, Status, frame};

use super::backlog::Backlog;
use super::limits::{Limits, NEWCOMERS_KEPT, TICK};
use super::metrics::{Metrics, Tally};
use super::newcomers::{Found, Look, Newcomers, Standing};
use super::work::Work;

/// Where a connection is in its life.
#[derive(Debug)]
pub(super) enum Phase {
    /// A request head is arriving; so many of the held bytes are known not to end it.
    Head { searched: usize },
    /// The answer comes later.
    Waiting { head_only: bool, keep_alive: bool },
    /// A WebSocket.
    Open { decoder: Decoder },
    /// Our last bytes are on their way, and what the peer sends is thrown away until it ends its side too: closing
    /// at once would make the kernel tell it "reset" and throw away what it has not read yet.
    Ending,
    /// Broken; it stays until the service was told of its session.
    Dead,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Client<S> {
    pub(super) connection: Connection,
    pub(super) phase: Phase,
    /// Kept until the service was told of its end, for which other members of its rooms may still change it.
    pub(super) session: Option<S>,
    pub(super) deadline: Instant,
    pub(super) heard: Instant,
    pub(super) work: Work,
    /// When its entry in the wheel comes round; one that comes round earlier is left over from a later deadline.
    scheduled: Instant,
    is_dirty: bool,
    /// The service waits until all is sent.
    is_awaited: bool,
    /// Whether it has sent a whole request.
    has_asked: bool,
    /// Whether it is on the reactor's list of those that have something to read.
    pub(super) is_listed: bool,
}

impl<S> Client<S> {
    fn standing(&self) -> Option<Standing> {
        match self.phase {
            Phase::Head { .. } if !self.has_asked => Some(Standing::Silent),
            Phase::Head { .. } | Phase::Waiting { .. } => Some(Standing::Asked),
            Phase::Open { .. } => Some(Standing::Open),
            Phase::Ending => Some(Standing::Ending),
            Phase::Dead => None,
        }
    }
}

/// All connections of one reactor.
#[derive(Debug)]
pub struct Clients<S> {
    pub(super) slots: Slots<Client<S>>,
    pub(super) wheel: TimerWheel<Key>,
    pub(super) limits: Limits,
    pub(super) tally: Tally,
    dirty: Vec<Key>,
    backlog: Backlog,
    relieved: Vec<Key>,
    sent: Vec<Key>,
    gone: Vec<Key>,
    newcomers: Newcomers,
    metrics: Arc<Metrics>,
    now: Instant,
}

impl<S> Clients<S> {
    pub(super) fn new(limits: Limits, metrics: Arc<Metrics>, now: Instant) -> Self {
        Self {
            slots: Slots::default(),
            wheel: TimerWheel::new(TICK, now),
            limits,
            tally: Tally::default(),
            dirty: Vec::new(),
            backlog: Backlog::default(),
            relieved: Vec::new(),
            sent: Vec::new(),
            gone: Vec::new(),
            newcomers: Newcomers::default(),
            metrics,
            now,
        }
    }

    pub(super) fn begin_turn(&mut self, now: Instant) {
        self.now = now;
    }

    /// What the service keeps for a client, until it was told that it is gone.
    pub fn session(&mut self, id: Key) -> Option<&mut S> {
        self.slots.get_mut(id)?.session.as_mut()
    }

    /// The other end of its socket, unless that is gone.
    pub fn peer(&self, id: Key) -> Option<SocketAddr> {
        self.slots.get(id)?.connection.peer()
    }

    /// Queues a frame. A client that is gone is passed over; one whose queue is full is closed as slow.
    pub fn send(&mut self, id: Key, frame: &Bytes) {
        let bytes_max = self.limits.queue_bytes_max;
        self.queue(id, |connection| connection.queue(frame.clone(), bytes_max));
    }

    /// Queues something large that the client has asked for, one frame in parts, which has a bound of its own.
    pub fn send_answer(&mut self, id: Key, parts: &[Bytes]) {
        let answers_max = self.limits.answer_bytes_max;
        self.queue(id, |connection| connection.queue_answer(parts, answers_max));
    }

    /// [`super::Service::handle_sent`] is called when the kernel has taken all that is queued now.
    pub fn note_when_sent(&mut self, id: Key) {
        let Some(client) = self.slots.get_mut(id) else { return };
        client.is_awaited = true;
        mark_dirty(client, id, &mut self.dirty);
    }

    /// Those of which all was sent that the service waits for.
    pub(super) fn take_sent(&mut self) -> Vec<Key> {
        mem::take(&mut self.sent)
    }

    /// Whether the service has to be told of some.
    pub(super) fn has_sent(&self) -> bool {
        !self.sent.is_empty()
    }

    fn queue(&mut self, id: Key, queue: impl Fn(&mut Connection) -> Result<(), Overflow>) {
        let Some(client) = self.slots.get_mut(id) else { return };
        if !matches!(client.phase, Phase::Open { .. }) {
            return;
        }
        mark_dirty(client, id, &mut self.dirty);
        if queue(&mut client.connection).is_ok() {
            return;
        }
        // A turn may bring more than the bound: only what the socket does not take makes a client slow.
        if client.connection.flush(&mut self.tally.writes).is_err() {
            self.remove(id);
        } else if queue(&mut client.connection).is_err() {
            client.connection.drop_unsent();
            self.close(id, CloseReason::SlowConsumer, "the client reads too slowly");
        }
    }

    /// Queues the same frames, `messages` in number, for many clients.
    pub fn send_to_all(&mut self, ids: &[Key], frames: &Bytes, messages: u64) {
        for &id in ids {
            self.send(id, frames);
        }
        self.tally.deliveries += messages * ids.len() as u64;
    }

    /// Answers a request that was told [`super::Answer::Later`]. A connection that is gone is passed over.
    pub fn respond(&mut self, id: Key, response: &Response) {
        if let Some(Client { phase: Phase::Waiting { head_only, keep_alive }, .. }) = self.slots.get(id) {
            let (head_only, keep_alive) = (*head_only, *keep_alive);
            self.answer(id, response, head_only, keep_alive);
        }
    }

    /// Ends a WebSocket with a close frame.
    pub fn close(&mut self, id: Key, reason: CloseReason, detail: &str) {
        let Some(client) = self.slots.get_mut(id) else { return };
        if !matches!(client.phase, Phase::Open { .. }) {
            return;
        }
        self.metrics.closed(reason);
        self.end_websocket(id, frame::close(reason, detail));
    }

    /// A client that sends far more than it may, none of which is a message.
    pub(super) fn end_flood(&mut self, id: Key) {
        let Some(client) = self.slots.get(id) else { return };
        match client.phase {
            Phase::Open { .. } => {
                self.metrics.flooded("open");
                self.close(id, CloseReason::Policy, "far too many pings, fragments or small segments");
            }
            Phase::Head { .. } | Phase::Waiting { .. } => {
                self.metrics.flooded("waiting");
                self.remove(id);
            }
            Phase::Ending => {
                self.metrics.flooded("ending");
                self.remove(id);
            }
            Phase::Dead => {}
        }
    }

    /// Answers the peer's close frame.
    pub(super) fn closed_by_peer(&mut self, id: Key, code: Option<u16>) {
        self.metrics.closed(CloseReason::Normal);
        self.end_websocket(id, frame::close_echo(code));
    }

    fn end_websocket(&mut self, id: Key, close_frame: Bytes) {
        let Some(client) = self.slots.get_mut(id) else { return };
        client.phase = Phase::Ending;
        self.gone.push(id);
        // The queue's bound does not hold for the one frame that ends it.
        let _ = client.connection.queue(close_frame, usize::MAX);
        self.end(id, self.limits.linger);
    }

    /// Every client that has an open WebSocket.
    pub fn open(&self) -> Vec<Key> {
        let is_open =
            |key: &Key| matches!(self.slots.get(*key), Some(Client { phase: Phase::Open { .. }, .. }));
        self.slots.keys().filter(is_open).collect()
    }

    /// Whether nobody is left who should be told goodbye or is being told.
    pub(super) fn all_have_ended(&self) -> bool {
        self.slots
            .keys()
            .filter_map(|key| self.slots.get(key))
            .all(|client| matches!(client.phase, Phase::Head { .. } | Phase::Waiting { .. } | Phase::Dead))
    }

    pub(super) fn add(&mut self, stream: TcpStream, poller: &Poller) -> std::io::Result<()> {
        let key = self.slots.next_key();
        let mut connection = Connection::new(stream);
        poller.add_connection(connection.source(), key)?;
        let deadline = self.now + self.limits.head_timeout;
        self.slots.insert(Client {
            connection,
            phase: Phase::Head { searched: 0 },
            session: None,
            deadline,
            heard: self.now,
            work: Work::default(),
            scheduled: deadline,
            is_dirty: false,
            is_awaited: false,
            has_asked: false,
            is_listed: false,
        });
        self.wheel.schedule(key, deadline);
        self.note_standing(key);
        Ok(())
    }

    /// Connections that are no WebSockets, of which there are so many.
    pub(super) fn newcomers(&self, websockets: usize) -> usize {
        self.slots.len().saturating_sub(websockets)
    }

    /// Closes the connection that is missed least; tells how it stood. One that came in this turn, or of which the first
    /// bytes are not read yet, may have something to say: those who are missed more do not go for it either.
    pub(super) fn evict(&mut self) -> Option<&'static str> {
        let (slots, now) = (&self.slots, self.now);
        let is_silent = |key| slots.get(key).and_then(Client::standing) == Some(Standing::Silent);
        let are_many = self.newcomers.are_more(Standing::Silent, NEWCOMERS_KEPT, is_silent);
        for standing in Standing::evicted(are_many) {
            let look = |key| match slots.get(key) {
                Some(client) if client.standing() == Some(standing) => {
                    let is_unread = client.is_listed && client.connection.held() == 0;
                    if is_unread || client.heard >= now { Look::Spare } else { Look::Take }
                }
                _ => Look::Forget,
            };
            match self.newcomers.take(standing, look) {
                Found::One(id) => {
                    self.remove(id);
                    return Some(standing.name());
                }
                Found::Spared => return None,
                Found::None => {}
            }
        }
        None
    }

    /// The WebSocket of which it was first noted that it is not used, and still is not.
    pub(super) fn oldest_unused(&mut self, is_used: impl Fn(&S) -> bool) -> Option<Key> {
        let slots = &self.slots;
        let found = self.newcomers.take(Standing::Open, |key| match slots.get(key) {
            Some(Client { phase: Phase::Open { .. }, session: Some(session), .. }) if !is_used(session) => {
                Look::Take
            }
            _ => Look::Forget,
        });
        if let Found::One(id) = found { Some(id) } else { None }
    }

    /// A WebSocket is not used: it may be closed for another.
    pub(super) fn note_unused(&mut self, id: Key) {
        self.note_standing(id);
    }

    fn note_standing(&mut self, id: Key) {
        let slots = &self.slots;
        let Some(standing) = slots.get(id).and_then(Client::standing) else { return };
        let is_so = |key| slots.get(key).and_then(Client::standing) == Some(standing);
        self.newcomers.note(id, standing, is_so);
    }

    fn note_asked(&mut self, id: Key) {
        if let Some(client) = self.slots.get_mut(id)
            && !mem::replace(&mut client.has_asked, true)
        {
            self.note_standing(id);
        }
    }

    /// Lets go of a connection that is no WebSocket.
    pub(super) fn release(&mut self, id: Key, poller: &Poller) -> Option<TcpStream> {
        let mut stream = self.slots.remove(id)?.connection.into_stream();
        // It fails only for a socket that is not watched, which is what is wanted.
        let _ = poller.remove_connection(&mut stream);
        Some(stream)
    }

    /// The peer will send no more. What it was sent, or will be, is still written if it waits for that.
    pub(super) fn ended_by_peer(&mut self, id: Key) {
        let Some(client) = self.slots.get_mut(id) else { return };
        match &mut client.phase {
            Phase::Waiting { keep_alive, .. } => *keep_alive = false,
            Phase::Head { .. } | Phase::Ending if !client.connection.is_flushed() => {
                client.phase = Phase::Ending;
                self.end(id, self.limits.send_timeout);
            }
            _ => self.remove(id),
        }
    }

    /// Connections whose deadline has come. Each ends, or has its deadline set anew.
    pub(super) fn take_due(&mut self) -> Vec<Key> {
        let (slots, now) = (&mut self.slots, self.now);
        let mut due = Vec::new();
        self.wheel.expire(now, |key| {
            let client = slots.get_mut(key)?;
            if client.scheduled > now {
                return None;
            }
            client.scheduled = client.deadline;
            if client.deadline > now {
                return Some(client.deadline);
            }
            due.push(key);
            None
        });
        due
    }

    /// Sets when a connection is looked at next.
    pub(super) fn set_deadline(&mut self, id: Key, deadline: Instant) {
        let Some(client) = self.slots.get_mut(id) else { return };
        client.deadline = deadline;
        // A later deadline needs no new entry: the one there is comes round first and moves.
        if deadline < client.scheduled || client.scheduled <= self.now {
            client.scheduled = deadline;
            self.wheel.schedule(id, deadline);
        }
    }

    /// Forgets a connection; its socket closes.
    pub(super) fn remove(&mut self, id: Key) {
        let Some(client) = self.slots.get_mut(id) else { return };
        if client.session.is_none() {
            self.slots.remove(id);
            return;
        }
        if matches!(client.phase, Phase::Open { .. }) {
            self.metrics.lost();
            self.gone.push(id);
        }
        client.phase = Phase::Dead;
    }

    /// A session that ended and that the service was not told of.
    pub(super) fn take_gone(&mut self) -> Option<(Key, S)> {
        let id = self.gone.pop()?;
        let client = self.slots.get_mut(id).expect("a client stays until its session is taken");
        let session = client.session.take().expect("a session is taken once");
        if matches!(client.phase, Phase::Dead) {
            self.slots.remove(id);
        }
        Some((id, session))
    }

    /// Whether the service has to be told of sessions that ended.
    pub(super) fn has_gone(&self) -> bool {
        !self.gone.is_empty()
    }

    /// Queues an answer; `close` follows it unless the client may ask again.
    pub(super) fn answer(&mut self, id: Key, response: &Response, head_only: bool, keep_alive: bool) {
        let Some(client) = self.slots.get_mut(id) else { return };
        let bytes_max = self.limits.answer_bytes_max;
        let mut queued = client.connection.queue_answer(&[response.head(keep_alive)], bytes_max);
        if queued.is_ok() && !head_only && !response.body.is_empty() {
            queued = client.connection.queue_answer(std::slice::from_ref(&response.body), bytes_max);
        }
        if queued.is_err() {
            log::warn!(
                "answers over {bytes_max} bytes wait for a client that asks on without reading: closed"
            );
            self.remove(id);
            return;
        }
        if response.status.0 >= 400 {
            self.metrics.answered_with_error(response.status);
        }
        if keep_alive {
            client.phase = Phase::Head { searched: 0 };
            mark_dirty(client, id, &mut self.dirty);
            self.note_asked(id);
            self.set_deadline(id, self.now + self.limits.keep_alive_timeout);
        } else {
            client.phase = Phase::Ending;
            self.end(id, self.limits.send_timeout);
        }
    }

    /// The answer comes later, through [`Clients::respond`].
    pub(super) fn wait_for_answer(&mut self, id: Key, head_only: bool, keep_alive: bool) {
        if let Some(client) = self.slots.get_mut(id) {
            client.phase = Phase::Waiting { head_only, keep_alive };
            self.note_asked(id);
            self.set_deadline(id, self.now + self.limits.answer_timeout);
        }
    }

    /// Opens the WebSocket.
    pub(super) fn open_websocket(&mut self, id: Key, response: Bytes, session: S) {
        let Some(client) = self.slots.get_mut(id) else { return };
        client.phase = Phase::Open { decoder: Decoder::default() };
        client.session = Some(session);
        let _ = client.connection.queue(response, usize::MAX);
        mark_dirty(client, id, &mut self.dirty);
        // Then it is seen whether it is used.
        self.set_deadline(id, self.now + self.limits.ping_after.min(self.limits.head_timeout));
    }

    /// Asks a silent client for a sign of life.
    pub(super) fn ping(&mut self, id: Key) {
        self.send(id, &Bytes::from_static(frame::PING));
    }

    /// An answer of our own making that ends the connection.
    pub(super) fn refuse(&mut self, id: Key, status: Status, error: &str, message: &str, head_only: bool) {
        self.answer(id, &Response::error(status, error, message), head_only, false);
    }

    /// Writes what the turn queued, one call per connection, and forgets those that are broken. Those for whom much
    /// waits take turns.
    pub(super) fn flush(&mut self) {
        let mut dirty = mem::take(&mut self.dirty);
        let queued = |id| self.slots.get(id).map(|client| client.connection.queued());
        self.backlog.choose(&mut dirty, queued);
        for id in dirty.drain(..) {
            let Some(client) = self.slots.get_mut(id) else { continue };
            client.is_dirty = false;
            if matches!(client.phase, Phase::Dead) {
                continue;
            }
            let flush = client.connection.flush(&mut self.tally.writes);
            if client.connection.is_flushed() && mem::take(&mut client.is_awaited) {
                self.sent.push(id);
            }
            match flush {
                Ok(Flush::Empty) if matches!(client.phase, Phase::Ending) => {
                    let until = client.deadline.min(self.now + self.limits.linger);
                    match client.connection.finish() {
                        Ok(()) => self.set_deadline(id, until),
                        Err(_) => self.remove(id),
                    }
                }
                Ok(Flush::Empty) if client.connection.is_readable() && !client.is_listed => {
                    client.is_listed = true;
                    self.relieved.push(id);
                }
                Ok(_) => {}
                Err(_) => self.remove(id),
            }
        }
        self.dirty = dirty;
    }

    /// Whether some have to be written to in the next turn.
    pub(super) fn is_behind(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Those who have taken what waited for them and may be read from again.
    pub(super) fn take_relieved(&mut self) -> impl Iterator<Item = Key> {
        self.relieved.drain(..)
    }

    /// A socket that was full has room again.
    pub(super) fn mark_writable(&mut self, id: Key) {
        if let Some(client) = self.slots.get_mut(id)
            && !client.connection.is_flushed()
        {
            mark_dirty(client, id, &mut self.dirty);
        }
    }

    /// What is queued may take `patience` to go; then the peer has [`Limits::linger`] to end its side.
    fn end(&mut self, id: Key, patience: Duration) {
        let Some(client) = self.slots.get_mut(id) else { return };
        client.work.end(self.limits.work);
        mark_dirty(client, id, &mut self.dirty);
        self.note_standing(id);
        self.set_deadline(id, self.now + patience);
    }
}

fn mark_dirty<S>(client: &mut Client<S>, id: Key, dirty: &mut Vec<Key>) {
    if !mem::replace(&mut client.is_dirty, true) {
        dirty.push(id);
    }
}
