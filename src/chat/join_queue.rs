//! Joins whose answer has to wait, since answers before it are under way.
//!
//! A `joined` may have a room's whole history. So only so many bytes of answers are on the way to a reactor at a time, and
//! only one answer on the way to a connection: the next one waits until the kernel has taken the last. Connections take
//! turns, each in the order of its joins.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::limits::{ANSWER_BYTES_IN_MAIL, ASKS_QUEUED_MAX, JOINS_PER_TURN};
use super::{Ask, Member, RoomId};

/// So many entries of a table that is empty are not worth to be given back.
const CAPACITY_KEPT: usize = 1024;

/// Those of all connections.
#[derive(Debug)]
pub struct JoinQueue {
    /// Connections that wait, or have an answer under way.
    lines: HashMap<Member, Line, FixedState>,
    reactors: Vec<Reactor>,
    /// Asks that wait.
    asks: usize,
    /// Joins that may be answered in this turn.
    left: usize,
}

#[derive(Debug, Default)]
struct Reactor {
    /// Connections that wait and have no answer under way, in the order of their turns.
    ready: VecDeque<Member>,
    /// Bytes of answers that it was handed and has not taken from its mailbox.
    in_mail: usize,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    /// An answer is on its way to the client.
    is_answered: bool,
    /// It stands in its reactor's list, maybe for a join that is wanted no longer.
    is_ready: bool,
}

impl Line {
    fn is_over(&self) -> bool {
        self.waiting.is_empty() && !self.is_answered && !self.is_ready
    }
}

/// A join, and what its connection asked of the room behind it.
#[derive(Debug)]
pub struct Waiting {
    /// The room, which stays as long as somebody waits.
    pub room: RoomId,
    /// The join first.
    pub asks: Vec<Ask>,
}

impl Waiting {
    /// Whether it is this join, and nothing was said behind it that would be lost with it.
    fn is_only(&self, room: RoomId, visit: u32) -> bool {
        let is_it = matches!(self.asks[..], [Ask::Join { visit: own, .. }] if own == visit);
        self.room == room && is_it
    }
}

impl JoinQueue {
    /// Nobody waits. `seed` is that of the hub's tables.
    pub fn new(reactors: usize, seed: u64) -> Self {
        Self {
            lines: HashMap::with_hasher(FixedState::with_seed(seed)),
            reactors: (0..reactors).map(|_| Reactor::default()).collect(),
            asks: 0,
            left: JOINS_PER_TURN,
        }
    }

    /// Whether a join of that connection may be answered at once. If so it is counted.
    pub fn take_turn(&mut self, member: Member) -> bool {
        let Reactor { ready, in_mail } = &self.reactors[member.reactor];
        let is_free = ready.is_empty() && *in_mail < ANSWER_BYTES_IN_MAIL && self.left > 0;
        if !is_free || self.lines.contains_key(&member) {
            return false;
        }
        self.left -= 1;
        self.lines.insert(member, Line { is_answered: true, ..Line::default() });
        true
    }

    /// Whether a join of that connection for the room waits, so that what it asks behind it waits too.
    pub fn is_waiting(&self, member: Member, room: RoomId) -> bool {
        // Nearly always nobody waits at all.
        self.asks > 0
            && self.lines.get(&member).is_some_and(|line| line.waiting.iter().any(|wait| wait.room == room))
    }

    /// A join waits, or what follows it. Given back when too many wait.
    pub fn push(&mut self, member: Member, room: RoomId, ask: Ask) -> Result<(), Ask> {
        if self.asks >= ASKS_QUEUED_MAX {
            return Err(ask);
        }
        self.asks += 1;
        let line = self.lines.entry(member).or_default();
        if let Some(before) = line.waiting.iter_mut().rfind(|wait| wait.room == room)
            && !matches!(ask, Ask::Join { .. })
        {
            before.asks.push(ask);
            return Ok(());
        }
        if !line.is_answered && !std::mem::replace(&mut line.is_ready, true) {
            self.reactors[member.reactor].ready.push_back(member);
        }
        line.waiting.push_back(Waiting { room, asks: vec![ask] });
        Ok(())
    }

    /// The next one that may be answered, which counts as answered.
    pub fn pop(&mut self) -> Option<(Member, Waiting)> {
        while self.left > 0 {
            let is_next = |reactor: &&mut Reactor| reactor.is_next();
            // The one with the least on its way, so that none is forgotten.
            let reactor = self.reactors.iter_mut().filter(is_next).min_by_key(|reactor| reactor.in_mail)?;
            let member = reactor.ready.pop_front()?;
            let Entry::Occupied(mut entry) = self.lines.entry(member) else { continue };
            let line = entry.get_mut();
            line.is_ready = false;
            let Some(waiting) = line.waiting.pop_front() else {
                entry.remove();
                continue;
            };
            line.is_answered = true;
            self.asks -= waiting.asks.len();
            self.left -= 1;
            return Some((member, waiting));
        }
        None
    }

    /// An answer of so many bytes was put into the mailbox of a reactor.
    pub fn note_mail(&mut self, reactor: usize, bytes: usize) {
        self.reactors[reactor].in_mail += bytes;
    }

    /// A reactor has taken answers of so many bytes from its mailbox.
    pub fn note_mail_taken(&mut self, reactor: usize, bytes: usize) {
        let in_mail = &mut self.reactors[reactor].in_mail;
        debug_assert!(bytes <= *in_mail, "it takes what it was sent");
        *in_mail = in_mail.saturating_sub(bytes);
    }

    /// A connection has taken its answer, or is gone.
    pub fn note_received(&mut self, member: Member) {
        let Entry::Occupied(mut entry) = self.lines.entry(member) else { return };
        let line = entry.get_mut();
        line.is_answered = false;
        if !line.waiting.is_empty() && !std::mem::replace(&mut line.is_ready, true) {
            self.reactors[member.reactor].ready.push_back(member);
        }
        if line.is_over() {
            entry.remove();
            self.give_back();
        }
    }

    /// A join is wanted no longer. True: it waited, and is forgotten. It stays if something was said behind it.
    pub fn withdraw(&mut self, member: Member, room: RoomId, visit: u32) -> bool {
        let Entry::Occupied(mut entry) = self.lines.entry(member) else { return false };
        let waiting = &mut entry.get_mut().waiting;
        let Some(index) = waiting.iter().position(|wait| wait.is_only(room, visit)) else { return false };
        waiting.remove(index);
        self.asks -= 1;
        if entry.get().is_over() {
            entry.remove();
            self.give_back();
        }
        true
    }

    /// A turn is over.
    pub fn begin_turn(&mut self) {
        self.left = JOINS_PER_TURN;
    }

    /// Whether somebody may be answered in the next turn.
    pub fn is_due(&self) -> bool {
        self.reactors.iter().any(Reactor::is_next)
    }

    fn give_back(&mut self) {
        if self.lines.is_empty() && self.lines.capacity() > CAPACITY_KEPT {
            self.lines.shrink_to_fit();
            self.reactors.iter_mut().for_each(|reactor| reactor.ready.shrink_to_fit());
        }
    }
}

impl Reactor {
    fn is_next(&self) -> bool {
        self.in_mail < ANSWER_BYTES_IN_MAIL && !self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ClientNonce;

    const ANN: Member = Member { reactor: 0, connection: 1 };
    const BOB: Member = Member { reactor: 0, connection: 2 };
    const CAT: Member = Member { reactor: 1, connection: 1 };
    const ROOM: RoomId = RoomId(7);

    fn join(visit: u32) -> Ask {
        let client = ClientNonce::from_seed(1);
        Ask::Join { room: "r".into(), user: "ann".into(), client, visit, since: None }
    }

    fn typing() -> Ask {
        Ask::Typing { room: "r".into(), user: "ann".into() }
    }

    fn queue() -> JoinQueue {
        JoinQueue::new(2, 7)
    }

    fn push(queue: &mut JoinQueue, member: Member, visits: std::ops::Range<u32>) {
        visits.for_each(|visit| queue.push(member, RoomId(visit), join(visit)).unwrap());
    }

    fn popped(queue: &mut JoinQueue) -> Vec<(u64, u32)> {
        std::iter::from_fn(|| queue.pop()).map(|(by, wait)| (by.connection, wait.room.0)).collect()
    }

    #[test]
    fn connections_take_turns_and_have_one_answer_under_way() {
        let mut queue = queue();
        push(&mut queue, ANN, 0..3);
        push(&mut queue, BOB, 3..4);
        assert_eq!(popped(&mut queue), [(1, 0), (2, 3)], "bob does not wait for all of ann's");
        assert!(!queue.take_turn(ANN), "she has not taken her answer");
        queue.note_received(ANN);
        queue.note_received(ANN);
        assert_eq!(popped(&mut queue), [(1, 1)]);
        queue.note_received(ANN);
        assert_eq!(popped(&mut queue), [(1, 2)]);
        queue.note_received(ANN);
        queue.note_received(BOB);
        assert!(
            queue.lines.is_empty() && queue.asks == 0,
            "nothing is kept of those who have all: {queue:?}"
        );
        assert!(queue.take_turn(ANN) && !queue.take_turn(ANN));
    }

    #[test]
    fn a_reactor_is_sent_no_more_than_it_takes_and_others_do_not_wait_for_it() {
        let mut queue = queue();
        queue.note_mail(0, ANSWER_BYTES_IN_MAIL);
        assert!(!queue.take_turn(ANN));
        push(&mut queue, ANN, 0..1);
        push(&mut queue, CAT, 1..2);
        assert_eq!(popped(&mut queue), [(1, 1)]);
        assert!(!queue.is_due());
        queue.note_mail_taken(0, 1);
        assert!(queue.is_due() && !queue.take_turn(BOB), "ann was first");
        assert_eq!(popped(&mut queue), [(1, 0)]);
    }

    #[test]
    fn a_turn_has_so_many_joins() {
        let mut queue = queue();
        for connection in 0..=JOINS_PER_TURN as u64 {
            let member = Member { reactor: 0, connection };
            assert_eq!(queue.take_turn(member), connection < JOINS_PER_TURN as u64);
        }
        push(&mut queue, BOB, 0..1);
        assert!(queue.pop().is_none());
        queue.note_received(BOB);
        queue.begin_turn();
        assert!(queue.is_due() && queue.pop().is_some());
    }

    #[test]
    fn who_withdraws_is_forgotten_unless_something_was_said_behind_it() {
        let mut queue = queue();
        for visit in 0..1000 {
            queue.push(ANN, ROOM, join(visit)).unwrap();
            assert!(queue.withdraw(ANN, ROOM, visit) && !queue.withdraw(ANN, ROOM, visit));
        }
        assert_eq!((queue.reactors[0].ready.len(), queue.asks), (1, 0), "she stands there once");
        queue.push(ANN, ROOM, join(1000)).unwrap();
        queue.push(ANN, ROOM, typing()).unwrap();
        assert!(queue.is_waiting(ANN, ROOM) && !queue.is_waiting(BOB, ROOM));
        assert!(!queue.withdraw(ANN, ROOM, 1000));
        assert_eq!(queue.pop().map(|(_, wait)| wait.asks.len()), Some(2));
        queue.note_received(ANN);
        assert!(queue.lines.is_empty());
    }

    #[test]
    fn what_waits_is_bounded_and_given_back() {
        let mut queue = queue();
        let member = |connection| Member { reactor: 0, connection };
        (0..ASKS_QUEUED_MAX as u64).for_each(|by| queue.push(member(by), ROOM, join(0)).unwrap());
        assert!(matches!(queue.push(CAT, ROOM, join(0)), Err(Ask::Join { .. })));
        while queue.pop().map(|(by, _)| queue.note_received(by)).is_some() || queue.is_due() {
            queue.begin_turn();
        }
        assert!(queue.lines.capacity() <= CAPACITY_KEPT && queue.reactors[0].ready.capacity() == 0);
        assert!(queue.push(CAT, ROOM, join(0)).is_ok());
    }
}
