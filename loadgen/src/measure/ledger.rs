//! Every message: who should have it, and who has it.
//!
//! Exact and small. What is kept of a message is 12 bytes for good, and one bit per member of its room only while it
//! is under way: from its first arrival to its last, then the bits are used for another message. So memory follows
//! what is in flight, not what was said, and yet a second copy is noticed at any time: before the last arrival by its
//! bit, afterwards by there being nobody left to expect it.
//!
//! A second copy is a fault, but for one case: on a new connection a client may be told again what it has seen, and
//! drops it by its position in the stream (docs/protocol.md, "Drop what is not beyond your position"). So two numbers
//! are kept per member and stream: the position, and how far the present connection has told. A copy is excused only
//! if it is behind the first and not behind the second; the same message in another stream never is, since no
//! position would drop it.
//!
//! A room may have members at several workers. Each ledger counts what arrives at its own; what was lost is known when
//! their [`Account`]s are put together.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::load::shard::Shard;
use crate::load::workload::Workload;
use crate::measure::account::Account;

/// Streams that may be named when coming back (docs/protocol.md, section 5).
const SINCE_STREAMS_MAX: usize = 64;
const BITS: u32 = u64::BITS;
/// In place of a row of bits: nobody has the message yet, or everybody.
const NO_ROW: u32 = u32::MAX;

/// What an arrival was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The first of this message at this member.
    First,
    /// Another one.
    Again,
    /// Nothing that was said in this room.
    Unexpected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Not by a client of this worker, at least not yet.
    Unsaid,
    Sent,
    Acknowledged,
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    /// Members that have it.
    seen: u32,
    row: u32,
    fate: Fate,
}

/// A stream in a room, and how far each member is in it.
#[derive(Debug)]
struct Stream {
    name: Box<str>,
    seen: Box<[Seen]>,
}

/// Numbers of a stream; 0 for none.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The last one that arrived.
    position: u64,
    /// The last one that arrived on the present connection.
    told: u64,
}

/// What the ledger counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Messages said.
    pub sent: u64,
    /// Of these, acknowledged.
    pub acknowledged: u64,
    /// Of these, refused by an `error`.
    pub refused: u64,
    /// First arrivals, also of messages that are not acknowledged.
    pub delivered: u64,
    /// Members of the rooms of acknowledged messages, at whichever worker.
    pub expected: u64,
    /// Arrivals of a message that the member had, and that its position does not drop or its connection had told.
    pub doubled: u64,
    /// Arrivals on a new connection of what the member had heard on another: dropped by its position.
    pub repeated: u64,
    /// First arrivals with a number that is not behind the last one of its stream.
    pub out_of_order: u64,
    /// Arrivals and acknowledgements of what was never said, or said elsewhere.
    pub unexpected: u64,
}

impl Counts {
    /// Adds the counts of another ledger.
    pub fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.delivered += other.delivered;
        self.expected += other.expected;
        self.doubled += other.doubled;
        self.repeated += other.repeated;
        self.out_of_order += other.out_of_order;
        self.unexpected += other.unexpected;
    }

    /// Messages whose fate is unknown.
    pub fn unacknowledged(&self) -> u64 {
        self.sent - self.acknowledged - self.refused
    }

    /// Whether everything has arrived that will: asked of the counts of all workers together. A message that was
    /// refused may have arrived all the same, and make up for one that has not: then only time can tell.
    pub fn is_settled(&self) -> bool {
        self.unacknowledged() == 0 && self.refused == 0 && self.delivered >= self.expected
    }
}

/// The messages that a worker's clients say and hear.
#[derive(Debug)]
pub struct Ledger {
    script: Arc<Workload>,
    share: Shard,
    /// By their numbers in the schedule.
    messages: Vec<Message>,
    /// Rows of bits, all as long as the largest room needs.
    bits: Vec<u64>,
    row_words: usize,
    free_rows: Vec<u32>,
    rooms: Vec<Vec<Stream>>,
    counts: Counts,
}

impl Ledger {
    /// An empty ledger for the clients of a share.
    pub fn new(share: Shard) -> Self {
        let script = Arc::clone(share.script());
        let rooms = (0..script.layout.rooms()).map(|_| Vec::new()).collect();
        let row_words = share.members_max().div_ceil(BITS) as usize;
        Self {
            script,
            share,
            messages: Vec::new(),
            bits: Vec::new(),
            row_words,
            free_rows: Vec::new(),
            rooms,
            counts: Counts::default(),
        }
    }

    /// A client of this worker says a message.
    pub fn send(&mut self, number: u32) {
        self.message(number).fate = Fate::Sent;
        self.counts.sent += 1;
    }

    /// The message is acknowledged: from now on all members are owed it. True for the first time.
    pub fn acknowledge(&mut self, sender: u32, number: u32) -> bool {
        let members = u64::from(self.script.layout.members(self.share.room(sender)));
        let Some(message) = self.said(sender, number) else {
            self.counts.unexpected += 1;
            return false;
        };
        let before = std::mem::replace(&mut message.fate, Fate::Acknowledged);
        if before == Fate::Acknowledged {
            return false;
        }
        self.counts.refused -= u64::from(before == Fate::Refused);
        self.counts.acknowledged += 1;
        self.counts.expected += members;
        true
    }

    /// The server will not have the message. True for the first time.
    pub fn refuse(&mut self, sender: u32, number: u32) -> bool {
        let message = self.said(sender, number).filter(|message| message.fate == Fate::Sent);
        let Some(message) = message else { return false };
        message.fate = Fate::Refused;
        self.counts.refused += 1;
        true
    }

    /// The client is in its room on another connection, where it may be told again what it has seen.
    pub fn reconnect(&mut self, client: u32) {
        let member = self.share.member(client) as usize;
        let streams = &mut self.rooms[self.share.room(client) as usize];
        streams.iter_mut().for_each(|stream| stream.seen[member].told = 0);
    }

    /// A message arrives at client `receiver` as number `seq` of a stream.
    pub fn arrive(&mut self, receiver: u32, number: u32, stream: &str, seq: u64) -> Arrival {
        self.take(receiver, number, Some((stream, seq)))
    }

    /// A message arrives at client `receiver` from a server that does not number messages.
    pub fn arrive_unnumbered(&mut self, receiver: u32, number: u32) -> Arrival {
        self.take(receiver, number, None)
    }

    fn take(&mut self, receiver: u32, number: u32, place: Option<(&str, u64)>) -> Arrival {
        let (room, member) = (self.share.room(receiver), self.share.member(receiver));
        let members = self.share.members(room);
        if number >= self.script.schedule.len() || self.script.room(number) != room {
            return self.unexpected();
        }
        let mut message = *self.message(number);
        let (is_beyond_position, was_told_here) = match place {
            Some((stream, seq)) => {
                let seen = seen(&mut self.rooms[room as usize], stream, member, members);
                let before = *seen;
                *seen = Seen { position: seq.max(seen.position), told: seq.max(seen.told) };
                (seq > before.position, seq <= before.told)
            }
            None => (true, false),
        };

        let is_first = message.seen < members && {
            if message.row == NO_ROW {
                message.row = self.free_rows.pop().unwrap_or_else(|| {
                    let row = self.bits.len() / self.row_words;
                    self.bits.resize(self.bits.len() + self.row_words, 0);
                    row as u32
                });
            }
            let row = &mut self.bits[message.row as usize * self.row_words..][..self.row_words];
            let word = &mut row[(member / BITS) as usize];
            let bit = 1 << (member % BITS);
            let is_first = *word & bit == 0;
            *word |= bit;
            message.seen += u32::from(is_first);
            if message.seen == members {
                row.fill(0);
                self.free_rows.push(std::mem::replace(&mut message.row, NO_ROW));
            }
            is_first
        };
        self.messages[number as usize] = message;
        let counts = &mut self.counts;
        if is_first {
            counts.delivered += 1;
            counts.out_of_order += u64::from(!is_beyond_position);
            return Arrival::First;
        }
        match is_beyond_position || was_told_here {
            true => counts.doubled += 1,
            false => counts.repeated += 1,
        }
        Arrival::Again
    }

    /// Something arrived that nobody said.
    pub fn unexpected(&mut self) -> Arrival {
        self.counts.unexpected += 1;
        Arrival::Unexpected
    }

    /// For coming back: the last number that a client saw of each stream of its room.
    pub fn since(&self, client: u32) -> impl Iterator<Item = (&str, u64)> {
        let member = self.share.member(client) as usize;
        let streams = self.rooms[self.share.room(client) as usize].iter().rev();
        let seen = streams.map(move |stream| (&*stream.name, stream.seen[member].position));
        seen.filter(|(_, seq)| *seq > 0).take(SINCE_STREAMS_MAX)
    }

    /// What was counted so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What the others have to know of this worker's messages.
    pub fn account(&self) -> Account {
        let acknowledged = |message: &Message| message.fate == Fate::Acknowledged;
        Account::new(self.messages.iter().map(|message| (message.seen, acknowledged(message))))
    }

    /// A message that this client has said.
    fn said(&mut self, sender: u32, number: u32) -> Option<&mut Message> {
        let message = self.messages.get_mut(number as usize)?;
        let is_said = self.share.own(self.script.schedule.sender(number)) == Some(sender);
        (is_said && message.fate != Fate::Unsaid).then_some(message)
    }

    /// A message of the schedule, whoever says it.
    fn message(&mut self, number: u32) -> &mut Message {
        let index = number as usize;
        if self.messages.len() <= index {
            self.messages.resize(index + 1, Message { seen: 0, row: NO_ROW, fate: Fate::Unsaid });
        }
        &mut self.messages[index]
    }
}

fn seen<'a>(streams: &'a mut Vec<Stream>, name: &str, member: u32, members: u32) -> &'a mut Seen {
    // A room has a stream for each server, so that looking through all of them is the fastest.
    let index = streams.iter().position(|stream| *stream.name == *name).unwrap_or_else(|| {
        let seen = vec![Seen::default(); members as usize].into();
        streams.push(Stream { name: name.into(), seen });
        streams.len() - 1
    });
    &mut streams[index].seen[member as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::Plan;

    /// The ledger of the first of so many workers.
    fn ledger_of(clients: u32, rooms: u32, workers: u32) -> Ledger {
        let script = Arc::new(Workload::new(&Plan { clients, rooms, ..Plan::default() }));
        Ledger::new(Shard::new(script, 0, workers))
    }

    fn ledger(clients: u32, rooms: u32) -> Ledger {
        ledger_of(clients, rooms, 1)
    }

    /// Says the next message of the schedule; its sender and its number.
    fn say(ledger: &mut Ledger) -> (u32, u32) {
        let (number, client) = ledger.share.next_said(ledger.messages.len() as u32).unwrap();
        ledger.send(number);
        (client, number)
    }

    #[test]
    fn a_message_is_owed_to_all_members_once_it_is_acknowledged() {
        let mut ledger = ledger(6, 2);
        let (sender, number) = say(&mut ledger);
        let room: Vec<_> = (0..6).filter(|client| client % 2 == sender % 2).collect();
        assert_eq!(ledger.arrive(room[0], number, "a", 1), Arrival::First);
        assert_eq!(
            (ledger.counts().expected, ledger.counts().is_settled()),
            (0, false),
            "not acknowledged yet"
        );
        assert!(ledger.acknowledge(sender, number));
        assert!(!ledger.acknowledge(sender, number), "the answer to a retry");
        assert_eq!((ledger.counts().expected, ledger.account().lost(&ledger.script)), (3, 2));
        ledger.arrive(room[1], number, "a", 1);
        assert!(!ledger.counts().is_settled());
        ledger.arrive(room[2], number, "a", 1);
        let settled = Counts { sent: 1, acknowledged: 1, delivered: 3, expected: 3, ..Counts::default() };
        assert_eq!(*ledger.counts(), settled);
        assert!(settled.is_settled() && ledger.account().lost(&ledger.script) == 0);
    }

    #[test]
    fn a_room_may_have_members_at_several_workers() {
        // Clients 0, 3, 6 and 9 of all.
        let mut ledger = ledger_of(10, 1, 3);
        let (sender, number) = say(&mut ledger);
        ledger.acknowledge(sender, number);
        assert_eq!(ledger.counts().expected, 10);
        (0..4).for_each(|client| assert_eq!(ledger.arrive(client, number, "a", 1), Arrival::First));
        assert_eq!(ledger.arrive(1, number, "a", 1), Arrival::Again, "all of its own have it");
        assert_eq!(ledger.account().lost(&ledger.script), 6);
        let elsewhere =
            (0..).find(|&n| ledger.share.own(ledger.script.schedule.sender(n)).is_none()).unwrap();
        assert_eq!(ledger.arrive(0, elsewhere, "a", 2), Arrival::First);
        assert!(!ledger.acknowledge(0, elsewhere), "said by no client of this worker");
    }

    #[test]
    fn a_second_copy_is_noticed_before_and_after_the_last_arrival() {
        let mut ledger = ledger(2, 1);
        let (_, number) = say(&mut ledger);
        ledger.arrive(0, number, "a", 1);
        assert_eq!(ledger.arrive(0, number, "a", 1), Arrival::Again);
        ledger.arrive(1, number, "a", 1);
        assert_eq!(ledger.arrive(1, number, "a", 1), Arrival::Again);
        let Counts { delivered, doubled, repeated, out_of_order, .. } = *ledger.counts();
        assert_eq!((delivered, doubled, repeated, out_of_order), (2, 2, 0, 0));
    }

    #[test]
    fn what_was_seen_may_be_told_again_once_by_each_connection() {
        let mut ledger = ledger(1, 1);
        let numbers = [say(&mut ledger).1, say(&mut ledger).1];
        for connection in 0..3 {
            for (number, seq) in numbers.into_iter().zip(1..) {
                ledger.arrive(0, number, "a", seq);
            }
            let Counts { delivered, doubled, repeated, out_of_order, .. } = *ledger.counts();
            assert_eq!((delivered, doubled, repeated, out_of_order), (2, 0, 2 * connection, 0));
            ledger.reconnect(0);
        }
        assert_eq!([(); 2].map(|()| ledger.arrive(0, numbers[1], "a", 2)), [Arrival::Again; 2]);
        assert_eq!(ledger.counts().doubled, 1, "twice on one connection");
    }

    #[test]
    fn no_position_drops_a_message_that_comes_in_another_stream() {
        let mut ledger = ledger(1, 1);
        let (_, number) = say(&mut ledger);
        ledger.arrive(0, number, "a", 1);
        ledger.reconnect(0);
        assert_eq!(ledger.arrive(0, number, "b", 1), Arrival::Again);
        assert_eq!((ledger.counts().doubled, ledger.counts().repeated), (1, 0));
    }

    #[test]
    fn order_is_checked_for_each_member_and_stream() {
        let mut ledger = ledger(2, 1);
        let [one, two, three] = [(); 3].map(|()| say(&mut ledger).1);
        ledger.arrive(0, one, "a", 1);
        ledger.arrive(0, three, "a", 3);
        ledger.arrive(0, two, "a", 2);
        assert_eq!(ledger.counts().out_of_order, 1);
        ledger.arrive(1, two, "a", 2);
        ledger.arrive(1, one, "b", 1);
        ledger.arrive(1, three, "a", 3);
        assert_eq!((ledger.counts().out_of_order, ledger.counts().delivered), (1, 6));
    }

    #[test]
    fn what_was_never_said_is_unexpected() {
        let mut ledger = ledger(4, 2);
        let (sender, number) = say(&mut ledger);
        let beyond = ledger.script.schedule.len();
        assert_eq!(ledger.arrive(0, beyond, "a", 1), Arrival::Unexpected);
        assert_eq!(
            ledger.arrive((sender + 1) % 4, number, "a", 1),
            Arrival::Unexpected,
            "said in the other room"
        );
        assert!(!ledger.acknowledge((sender + 1) % 4, number), "said by another client");
        assert_eq!(ledger.counts().unexpected, 3);
    }

    #[test]
    fn a_refused_message_is_owed_to_nobody() {
        let mut ledger = ledger(2, 1);
        let (sender, number) = say(&mut ledger);
        assert!(ledger.refuse(sender, number));
        assert!(!ledger.refuse(sender, number));
        assert_eq!(ledger.account().lost(&ledger.script), 0);
        assert!(ledger.acknowledge(sender, number), "a retry went through after all");
        assert_eq!((ledger.counts().refused, ledger.counts().acknowledged), (0, 1));
        assert_eq!(ledger.account().lost(&ledger.script), 2);
    }

    #[test]
    fn a_client_comes_back_with_what_it_saw() {
        let mut ledger = ledger(4, 1);
        let numbers = [say(&mut ledger).1, say(&mut ledger).1];
        ledger.arrive(0, numbers[0], "a", 5);
        ledger.arrive(2, numbers[1], "b", 7);
        assert_eq!(ledger.since(0).collect::<Vec<_>>(), [("a", 5)]);
        assert_eq!(ledger.since(2).collect::<Vec<_>>(), [("b", 7)]);
        assert_eq!(ledger.since(1).count(), 0);
    }

    #[test]
    fn memory_follows_what_is_in_flight() {
        let mut ledger = ledger(130, 1);
        for seq in 0..1000 {
            let (sender, number) = say(&mut ledger);
            ledger.acknowledge(sender, number);
            (0..130).for_each(|member| assert_eq!(ledger.arrive(member, number, "a", seq), Arrival::First));
        }
        assert_eq!(ledger.bits.len(), 3, "one row of three words");
        assert_eq!(ledger.counts().delivered, 130_000);
        assert_eq!(std::mem::size_of::<Message>(), 12);
    }
}
