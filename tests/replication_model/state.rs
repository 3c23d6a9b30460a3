//! What the servers know and what is under way between them: small values only, since millions of states are compared.

use std::fmt;

/// Servers there may be. Each has one stream of the one room.
pub const SERVERS: usize = 3;
/// Messages that clients may say.
pub const TEXTS: usize = 3;
/// Numbers that a stream may give, and the 0 that none has.
pub const NUMBERS: usize = 6;

/// A set of servers or of numbers: bit n is n.
pub type Set = u8;

/// Whether a set has something.
pub const fn has(set: Set, item: u8) -> bool {
    set & (1 << item) != 0
}

/// The set of one.
pub const fn only(item: u8) -> Set {
    1 << item
}

/// The members of a set.
pub fn members(set: Set) -> impl Iterator<Item = u8> {
    (0..8).filter(move |&item| has(set, item))
}

/// A number in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub stream: u8,
    pub number: u8,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", name(self.stream), self.number)
    }
}

/// The letter of a server.
pub fn name(server: u8) -> char {
    char::from(b'A' + server)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It was not started yet.
    Off,
    Up,
    /// It takes no steps; what is sent to it waits.
    Stalled,
    Dead,
}

/// One stream, as one server has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The first number that it ever considered.
    pub begin: u8,
    /// It has dealt with every number up to here.
    pub cursor: u8,
    /// The highest number it knows to have been given.
    pub known: u8,
    /// What it stored at some time, behind holes too.
    pub held: Set,
    /// What of it was not evicted.
    pub kept: Set,
    /// What it passed over.
    pub passed: Set,
    /// Servers that said they lack the number behind the cursor.
    pub lacked: Set,
    /// Servers that said they had it once.
    pub expired: Set,
    /// Where it begins was told, or something of it was taken.
    pub has_begun: bool,
}

impl View {
    const NEW: Self = Self {
        begin: 1,
        cursor: 0,
        known: 0,
        held: 0,
        kept: 0,
        passed: 0,
        lacked: 0,
        expired: 0,
        has_begun: false,
    };

    /// The number behind the cursor, if it is known to have been given.
    pub fn hole(&self) -> Option<u8> {
        (self.known > self.cursor).then_some(self.cursor + 1)
    }

    /// The first number that it keeps of those it has dealt with.
    pub fn first(&self) -> u8 {
        members(self.kept).find(|&number| number <= self.cursor).unwrap_or(self.cursor + 1)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    pub status: Status,
    /// It has learned of the room what others know, and lets members in.
    pub is_open: bool,
    /// Servers that told it of the room since it was started.
    pub told_by: Set,
    /// Servers whose lease runs.
    pub live: Set,
    pub streams: [View; SERVERS],
    /// Numbers of its own stream that nobody has confirmed.
    pub unconfirmed: Set,
    /// Numbers of its own stream whose message was appended anew.
    pub void: Set,
    /// How far members here have seen its own stream.
    pub front: u8,
    /// The first number of its own stream that each other server says it holds; 0: it has not said so.
    pub first_at: [u8; SERVERS],
    /// Numbers of other streams whose sender waits here, by stream.
    pub retries: [Set; SERVERS],
    /// Where members here saw each message.
    pub shown: [Option<Place>; TEXTS],
}

impl Node {
    pub fn is_up(&self) -> bool {
        self.status == Status::Up
    }

    /// It is not dead, and was started.
    pub fn is_alive(&self) -> bool {
        matches!(self.status, Status::Up | Status::Stalled)
    }
}

/// What is under way from one server to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Packet {
    pub from: u8,
    pub to: u8,
    pub word: Word,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Word {
    /// A message at its place; the witness answers with `Have`.
    Message { place: Place, is_witness: bool },
    /// Every number from the first to the last is held.
    Have { stream: u8, first: u8, last: u8 },
    /// The answer to a NACK: the message.
    Repair { place: Place },
    /// The answer to a NACK: it was never here.
    Lack { place: Place },
    /// The answer to a NACK: it was here, or before where this server began.
    Expired { place: Place },
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (name(self.from), name(self.to));
        match self.word {
            Word::Message { place, is_witness: true } => {
                write!(f, "message {place} ({from} to witness {to})")
            }
            Word::Message { place, .. } => write!(f, "message {place} ({from} to {to})"),
            Word::Have { stream, first, last } => {
                write!(f, "Have {first}..={last} of {} ({from} to {to})", name(stream))
            }
            Word::Repair { place } => write!(f, "repair with {place} ({from} to {to})"),
            Word::Lack { place } => write!(f, "\"I lack {place}\" ({from} to {to})"),
            Word::Expired { place } => write!(f, "\"{place} has expired\" ({from} to {to})"),
        }
    }
}

/// How much trouble there may still be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Trouble {
    /// Messages that clients say.
    pub messages: u8,
    pub losses: u8,
    pub stalls: u8,
    pub deaths: u8,
    /// Messages that clients send again at another server.
    pub retries: u8,
    /// Messages that rings evict.
    pub evictions: u8,
    /// Servers that start.
    pub starts: u8,
    /// Times that one server keeps only a lane that no other has.
    pub cuts: u8,
    /// Leases that end because everything of a server that runs is late.
    pub hiccups: u8,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            (self.messages, "messages"),
            (self.losses, "losses"),
            (self.stalls, "stalls"),
            (self.deaths, "deaths"),
            (self.retries, "retries"),
            (self.evictions, "evictions"),
            (self.starts, "starts"),
            (self.cuts, "cuts"),
            (self.hiccups, "hiccups"),
        ];
        let parts =
            named.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}"));
        f.write_str(&parts.collect::<Vec<_>>().join(", "))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub nodes: [Node; SERVERS],
    /// What stands at each number of each stream.
    pub texts: [[u8; NUMBERS]; SERVERS],
    /// How many messages were said, in this order.
    pub said: u8,
    /// Which of them were acknowledged.
    pub acked: Set,
    /// Which of them a server acknowledged by itself, and that server.
    pub acked_by: [Option<u8>; TEXTS],
    /// Under way, sorted. One of a kind: what is sent twice before it arrives is one packet here.
    pub packets: Vec<Packet>,
    /// A server that is cut off from the others.
    pub cut: Option<u8>,
    pub trouble: Trouble,
}

impl State {
    /// So many servers that know each other, in an empty room.
    pub fn new(servers: u8, trouble: Trouble) -> Self {
        let all: Set = (1 << servers) - 1;
        let node = |server: u8| Node {
            status: if has(all, server) { Status::Up } else { Status::Off },
            is_open: has(all, server),
            told_by: 0,
            live: if has(all, server) { all & !only(server) } else { 0 },
            streams: [View::NEW; SERVERS],
            unconfirmed: 0,
            void: 0,
            front: 0,
            first_at: [0; SERVERS],
            retries: [0; SERVERS],
            shown: [None; TEXTS],
        };
        Self {
            nodes: std::array::from_fn(|server| node(server as u8)),
            texts: [[u8::MAX; NUMBERS]; SERVERS],
            said: 0,
            acked: 0,
            acked_by: [None; TEXTS],
            packets: Vec::new(),
            cut: None,
            trouble,
        }
    }

    pub fn node(&self, server: u8) -> &Node {
        &self.nodes[usize::from(server)]
    }

    pub fn view(&self, server: u8, stream: u8) -> &View {
        &self.nodes[usize::from(server)].streams[usize::from(stream)]
    }

    pub fn text(&self, place: Place) -> u8 {
        self.texts[usize::from(place.stream)][usize::from(place.number)]
    }

    /// All places of a message.
    pub fn places(&self, text: u8) -> impl Iterator<Item = Place> {
        let all = (0..SERVERS as u8)
            .flat_map(|stream| (1..NUMBERS as u8).map(move |number| Place { stream, number }));
        all.filter(move |&place| self.text(place) == text)
    }

    /// Servers that hold a message at any of its places.
    pub fn holders(&self, text: u8) -> Set {
        let holds = |server: u8| self.places(text).any(|p| has(self.view(server, p.stream).held, p.number));
        (0..SERVERS as u8).filter(|&server| holds(server)).map(only).sum()
    }

    /// Servers that are not dead.
    pub fn alive(&self) -> Set {
        (0..SERVERS as u8).filter(|&server| self.node(server).is_alive()).map(only).sum()
    }

    /// Whether a cut lies between two servers.
    pub fn is_cut(&self, one: u8, other: u8) -> bool {
        self.cut.is_some_and(|cut| cut == one || cut == other)
    }

    /// How far the members of a server have seen a stream.
    pub fn position(&self, server: u8, stream: u8) -> u8 {
        if server == stream { self.node(server).front } else { self.view(server, stream).cursor }
    }

    pub fn send(&mut self, packet: Packet) {
        if self.node(packet.to).is_alive()
            && let Err(index) = self.packets.binary_search(&packet)
        {
            self.packets.insert(index, packet);
        }
    }

    pub fn take(&mut self, packet: Packet) {
        self.packets.retain(|&other| other != packet);
    }
}
