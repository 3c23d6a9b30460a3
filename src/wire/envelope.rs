//! What application servers tell each other. The bytes are [`super::envelope_codec`]'s; what becomes of an envelope is
//! decided by the hub.

use std::sync::Arc;

use super::StreamId;

/// A chat message, as it is kept and relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The speaker.
    pub from: Arc<str>,
    /// Whose it is: [`super::ClientNonce::key`].
    pub client: u64,
    /// The client's id for it; unique per client and room.
    pub id: Box<str>,
    /// What is said.
    pub text: Box<str>,
    /// Milliseconds since the epoch, stamped by the first server.
    pub time: u64,
}

impl Message {
    /// Bytes that it keeps in memory, roughly.
    pub fn weight(&self) -> usize {
        const OVERHEAD: usize = 104;
        self.from.len() + self.id.len() + self.text.len() + OVERHEAD
    }
}

/// One message in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its stream.
    pub stream: StreamId,
    /// Its number there.
    pub seq: u64,
    /// The message.
    pub message: Arc<Message>,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its stream.
    pub stream: StreamId,
    /// Its number there.
    pub seq: u64,
}

impl From<&Entry> for Place {
    fn from(Entry { stream, seq, message: _ }: &Entry) -> Self {
        Self { stream: *stream, seq: *seq }
    }
}

/// One message stands at both places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamePlaces {
    /// Where the message is that is sent with this.
    pub place: Place,
    /// Where else it stands.
    pub other: Place,
}

/// Consecutive numbers of a stream, `first` to `last`; none where `last` is `first - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The stream.
    pub stream: StreamId,
    /// The first number.
    pub first: u64,
    /// The last number.
    pub last: u64,
}

/// What a server has of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomDigest {
    /// The room.
    pub room: Arc<str>,
    /// Whether the server subscribes to the room and keeps its messages.
    pub is_held: bool,
    /// The newest stamp of a message in it, in milliseconds since the epoch, also of one that is kept no longer.
    pub time: u64,
    /// For each stream what is kept of it; what was heard last is `last`, also when nothing is kept.
    pub spans: Vec<Span>,
}

/// What a replica acks: it held every number of the span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The room.
    pub room: Arc<str>,
    /// The numbers.
    pub span: Span,
}

/// The beat that a server has received last of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// The other server's incarnation.
    pub to: u64,
    /// The number of its beat.
    pub beat: u64,
}

/// An envelope: who says it, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The incarnation of the server that says it.
    pub origin: u64,
    /// What it says.
    pub word: Word,
}

/// What one server tells others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Consecutive messages of one stream: `first_seq`, `first_seq + 1`, …. To the room.
    Messages {
        /// Their room.
        room: Arc<str>,
        /// Their stream.
        stream: StreamId,
        /// The number of the first.
        first_seq: u64,
        /// The server that is to answer with [`Word::Have`]; 0: none.
        witness: u64,
        /// The messages.
        messages: Arc<[Arc<Message>]>,
    },
    /// The server holds the room, and these are its users there; each time all of them, so that the next word mends
    /// what was lost. To the room.
    Presence {
        /// The room.
        room: Arc<str>,
        /// Counts this server's presence words, so that an older one does not undo a newer.
        version: u64,
        /// False: the server gives the room up.
        is_held: bool,
        /// How many names.
        users: usize,
        /// The names, where there are few.
        names: Option<Arc<[Arc<str>]>>,
    },
    /// A user is writing. To the room.
    Typing {
        /// The room.
        room: Arc<str>,
        /// The writer.
        user: Arc<str>,
    },
    /// The server lives. To all.
    Alive {
        /// Its name.
        name: Arc<str>,
        /// Counts the server's beats from 1.
        beat: u64,
        /// For how long it has run, in milliseconds by a clock that is never set.
        age_ms: u64,
        /// The lanes that it hears, a bit each; filled in by the bus.
        lanes: u64,
        /// It is about to end.
        is_leaving: bool,
        /// How many clients it has; `None`: it takes no more.
        load: Option<u32>,
        /// The last beat that it has received of each other server: proves to those that it receives them.
        echoes: Arc<[Echo]>,
    },
    /// What do you have of these rooms? To all; each answers with a [`Word::Digest`].
    Sync {
        /// The server comes to them and wants to know who is there, too.
        is_fresh: bool,
        /// The rooms.
        rooms: Arc<[Arc<str>]>,
    },
    /// What the server has of these rooms. An answer names every room that was asked for and every stream; a word to all
    /// names what changed lately.
    Digest {
        /// Whom it answers; 0: all.
        to: u64,
        /// The rooms.
        rooms: Arc<[RoomDigest]>,
    },
    /// Please send these messages. To one server.
    Want {
        /// Whom.
        to: u64,
        /// The room.
        room: Arc<str>,
        /// The number of the question, which the answer names.
        question: u64,
        /// Which.
        spans: Arc<[Span]>,
    },
    /// They are sent. To one server.
    Repair {
        /// To whom.
        to: u64,
        /// The room.
        room: Arc<str>,
        /// The question that it answers.
        question: u64,
        /// Some of those wanted, in the order in which the sender heard them.
        entries: Arc<[Entry]>,
        /// Where else these stand, as far as the sender knows.
        places: Arc<[SamePlaces]>,
        /// Those that the sender never had.
        lacks: Arc<[Span]>,
        /// Those that it has no longer, or that are older than what it began with: retention took them.
        expired: Arc<[Span]>,
    },
    /// A replica's ack: the server holds these. To one server.
    Have {
        /// To whom.
        to: u64,
        /// Which, for each stream.
        positions: Arc<[Position]>,
    },
    /// Please hold this room: nobody else does. To one server.
    Hold {
        /// Whom.
        to: u64,
        /// The room.
        room: Arc<str>,
    },
}

/// For whom an envelope is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// Every server.
    All,
    /// Those that hold a room.
    Room(&'a Arc<str>),
    /// The server of that incarnation.
    Server(u64),
}

impl Envelope {
    /// For whom it is.
    pub fn target(&self) -> Target<'_> {
        match &self.word {
            Word::Messages { room, .. } | Word::Presence { room, .. } | Word::Typing { room, .. } => {
                Target::Room(room)
            }
            Word::Alive { .. } | Word::Sync { .. } | Word::Digest { to: 0, .. } => Target::All,
            Word::Digest { to, .. }
            | Word::Want { to, .. }
            | Word::Repair { to, .. }
            | Word::Have { to, .. }
            | Word::Hold { to, .. } => Target::Server(*to),
        }
    }
}
