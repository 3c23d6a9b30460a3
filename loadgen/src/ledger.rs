//! The account of every message: who should have it, and who has it.
//!
//! Exact and small. What is kept of a message is 16 bytes for good, and one bit per member of its room only while it
//! is under way: from its first arrival to its last, then the bits are used for another message. So memory follows
//! what is in flight, not what was said, and yet a second copy is noticed at any time: before the last arrival by its
//! bit, afterwards by there being nobody left to expect it.
//!
//! A second copy is a fault, but for one case: on a new connection a client may be told again what it has seen, and
//! drops it by its position in the stream (docs/protocol.md, "Drop what is not beyond your position"). So two numbers
//! are kept per member and stream: the position, and how far the present connection has told. A copy is excused only
//! if it is behind the first and not behind the second; the same message in another stream never is, since no
//! position would drop it.

use crate::plan::Share;

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
    Sent,
    Acknowledged,
    Refused,
}

#[derive(Debug)]
struct Message {
    sender: u32,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages said.
    pub sent: u64,
    /// Of these, acknowledged.
    pub acknowledged: u64,
    /// Of these, refused by an `error`.
    pub refused: u64,
    /// First arrivals, also of messages that are not acknowledged.
    pub delivered: u64,
    /// Members of the rooms of acknowledged messages.
    pub expected: u64,
    /// Of these, those that do not have the message (yet).
    pub missing: u64,
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
        self.missing += other.missing;
        self.doubled += other.doubled;
        self.repeated += other.repeated;
        self.out_of_order += other.out_of_order;
        self.unexpected += other.unexpected;
    }

    /// Messages whose fate is unknown.
    pub fn unacknowledged(&self) -> u64 {
        self.sent - self.acknowledged - self.refused
    }

    /// Whether everything has arrived that will.
    pub fn is_settled(&self) -> bool {
        self.unacknowledged() == 0 && self.missing == 0
    }
}

/// The messages of a worker.
#[derive(Debug)]
pub struct Ledger {
    share: Share,
    messages: Vec<Message>,
    /// Rows of bits, all as long as the largest room needs.
    bits: Vec<u64>,
    row_words: usize,
    free_rows: Vec<u32>,
    rooms: Vec<Vec<Stream>>,
    counts: Counts,
}

impl Ledger {
    /// An empty ledger for the rooms of a share.
    pub fn new(share: Share) -> Self {
        let rooms = (0..share.rooms).map(|_| Vec::new()).collect();
        let row_words = share.members(0).div_ceil(BITS) as usize;
        Self {
            share,
            messages: Vec::new(),
            bits: Vec::new(),
            row_words,
            free_rows: Vec::new(),
            rooms,
            counts: Counts::default(),
        }
    }

    /// Client `sender` says the next message.
    pub fn send(&mut self, sender: u32) {
        self.messages.push(Message { sender, seen: 0, row: NO_ROW, fate: Fate::Sent });
        self.counts.sent += 1;
    }

    /// The message is acknowledged: from now on all members are owed it. True for the first time.
    pub fn acknowledge(&mut self, sender: u32, number: u32) -> bool {
        let Some(message) = self.messages.get_mut(number as usize).filter(|message| message.sender == sender)
        else {
            self.counts.unexpected += 1;
            return false;
        };
        if message.fate == Fate::Acknowledged {
            return false;
        }
        if message.fate == Fate::Refused {
            self.counts.refused -= 1;
        }
        message.fate = Fate::Acknowledged;
        let members = self.share.members(self.share.room(sender));
        self.counts.acknowledged += 1;
        self.counts.expected += u64::from(members);
        self.counts.missing += u64::from(members - message.seen);
        true
    }

    /// The server will not have the message. True for the first time.
    pub fn refuse(&mut self, sender: u32, number: u32) -> bool {
        let message = self.messages.get_mut(number as usize).filter(|message| message.sender == sender);
        let Some(message) = message.filter(|message| message.fate == Fate::Sent) else { return false };
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
        let (room, member) = (self.share.room(receiver), self.share.member(receiver));
        let members = self.share.members(room);
        let message = self.messages.get_mut(number as usize);
        let Some(message) = message.filter(|message| self.share.room(message.sender) == room) else {
            return self.unexpected();
        };
        let seen = seen(&mut self.rooms[room as usize], stream, member, members);
        let is_beyond_position = seq > seen.position;
        let was_told_here = seq <= seen.told;
        *seen = Seen { position: seq.max(seen.position), told: seq.max(seen.told) };

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
        let counts = &mut self.counts;
        if is_first {
            counts.delivered += 1;
            counts.missing -= u64::from(message.fate == Fate::Acknowledged);
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
    use std::time::Duration;

    use super::*;
    use crate::plan::Plan;

    fn ledger(clients: u32, rooms: u32) -> Ledger {
        let duration = Duration::from_secs(1);
        let plan = Plan { clients, rooms, rate: 1, duration, payload_bytes: 0, seed: 0, run: 0 };
        Ledger::new(plan.share(0, 1))
    }

    #[test]
    fn a_message_is_owed_to_all_members_once_it_is_acknowledged() {
        let mut ledger = ledger(6, 2);
        ledger.send(0);
        assert_eq!(ledger.arrive(0, 0, "a", 1), Arrival::First);
        assert_eq!(
            (ledger.counts().missing, ledger.counts().is_settled()),
            (0, false),
            "not acknowledged yet"
        );
        assert!(ledger.acknowledge(0, 0));
        assert!(!ledger.acknowledge(0, 0), "the answer to a retry");
        assert_eq!((ledger.counts().expected, ledger.counts().missing), (3, 2));
        ledger.arrive(2, 0, "a", 1);
        assert!(!ledger.counts().is_settled());
        ledger.arrive(4, 0, "a", 1);
        let settled = Counts { sent: 1, acknowledged: 1, delivered: 3, expected: 3, ..Counts::default() };
        assert_eq!(*ledger.counts(), settled);
        assert!(settled.is_settled());
    }

    #[test]
    fn a_second_copy_is_noticed_before_and_after_the_last_arrival() {
        let mut ledger = ledger(2, 1);
        ledger.send(0);
        ledger.arrive(0, 0, "a", 1);
        assert_eq!(ledger.arrive(0, 0, "a", 1), Arrival::Again);
        ledger.arrive(1, 0, "a", 1);
        assert_eq!(ledger.arrive(1, 0, "a", 1), Arrival::Again);
        let Counts { delivered, doubled, repeated, out_of_order, .. } = *ledger.counts();
        assert_eq!((delivered, doubled, repeated, out_of_order), (2, 2, 0, 0));
    }

    #[test]
    fn what_was_seen_may_be_told_again_once_by_each_connection() {
        let mut ledger = ledger(1, 1);
        (0..2).for_each(|_| ledger.send(0));
        ledger.arrive(0, 0, "a", 1);
        ledger.arrive(0, 1, "a", 2);
        for connection in 1..3 {
            ledger.reconnect(0);
            ledger.arrive(0, 0, "a", 1);
            ledger.arrive(0, 1, "a", 2);
            let Counts { delivered, doubled, repeated, out_of_order, .. } = *ledger.counts();
            assert_eq!((delivered, doubled, repeated, out_of_order), (2, 0, 2 * connection, 0));
        }
        ledger.arrive(0, 1, "a", 2);
        assert_eq!(ledger.counts().doubled, 1, "twice on one connection");
    }

    #[test]
    fn no_position_drops_a_message_that_comes_in_another_stream() {
        let mut ledger = ledger(1, 1);
        ledger.send(0);
        ledger.arrive(0, 0, "a", 1);
        ledger.reconnect(0);
        assert_eq!(ledger.arrive(0, 0, "b", 1), Arrival::Again);
        assert_eq!((ledger.counts().doubled, ledger.counts().repeated), (1, 0));
    }

    #[test]
    fn order_is_checked_for_each_member_and_stream() {
        let mut ledger = ledger(2, 1);
        (0..3).for_each(|_| ledger.send(0));
        ledger.arrive(0, 0, "a", 1);
        ledger.arrive(0, 2, "a", 3);
        ledger.arrive(0, 1, "a", 2);
        assert_eq!(ledger.counts().out_of_order, 1);
        ledger.arrive(1, 1, "a", 2);
        ledger.arrive(1, 0, "b", 1);
        ledger.arrive(1, 2, "a", 3);
        assert_eq!((ledger.counts().out_of_order, ledger.counts().delivered), (1, 6));
    }

    #[test]
    fn what_was_never_said_is_unexpected() {
        let mut ledger = ledger(4, 2);
        ledger.send(0);
        assert_eq!(ledger.arrive(0, 1, "a", 1), Arrival::Unexpected);
        assert_eq!(ledger.arrive(1, 0, "a", 1), Arrival::Unexpected, "said in the other room");
        assert!(!ledger.acknowledge(1, 0), "said by another client");
        assert_eq!(ledger.counts().unexpected, 3);
    }

    #[test]
    fn a_refused_message_is_owed_to_nobody() {
        let mut ledger = ledger(2, 1);
        ledger.send(0);
        assert!(ledger.refuse(0, 0));
        assert!(!ledger.refuse(0, 0));
        assert!(ledger.counts().is_settled());
        assert!(ledger.acknowledge(0, 0), "a retry went through after all");
        let Counts { refused, acknowledged, missing, .. } = *ledger.counts();
        assert_eq!((refused, acknowledged, missing), (0, 1, 2));
    }

    #[test]
    fn a_client_comes_back_with_what_it_saw() {
        let mut ledger = ledger(4, 2);
        (0..2).for_each(|_| ledger.send(0));
        ledger.arrive(0, 0, "a", 5);
        ledger.arrive(2, 1, "b", 7);
        assert_eq!(ledger.since(0).collect::<Vec<_>>(), [("a", 5)]);
        assert_eq!(ledger.since(2).collect::<Vec<_>>(), [("b", 7)]);
        assert_eq!(ledger.since(1).count(), 0);
    }

    #[test]
    fn memory_follows_what_is_in_flight() {
        let mut ledger = ledger(130, 1);
        for number in 0..1000 {
            ledger.send(0);
            ledger.acknowledge(0, number);
            for member in 0..130 {
                ledger.arrive(member, number, "a", number.into());
            }
        }
        assert_eq!(ledger.bits.len(), 3, "one row of three words");
        assert_eq!(ledger.counts().delivered, 130_000);
        assert_eq!(std::mem::size_of::<Message>(), 16);
    }
}
