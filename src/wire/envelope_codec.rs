//! The bytes of an [`Envelope`], as they travel through Redis.
//!
//! ```text
//! offset  bytes
//!      0      1  version, 2
//!      1      1  kind: 1 messages, 2 presence, 3 typing, 4 alive, 5 sync, 6 digest, 7 want, 8 repair, 9 have, 10 hold
//!      2      8  origin: incarnation of the server that says it
//!     10      …  what the kind has, in the order of the fields of [`Word`]
//!
//! integer        big-endian: 8 bytes for numbers, incarnations and times, 4 for counts, 1 for flags
//! room, name, id length in 1 byte, then UTF-8 that keeps the rules of [`Name`]
//! text           length in 2 bytes, then UTF-8
//! number         of a message in its stream: an integer from 1 to 2^53
//! stream         origin in 8 bytes, generation in 4
//! place          stream, number
//! message        name of its speaker, client in 8 bytes, id, text, time in 8
//! list           count in 4 bytes, then its items
//! ```
//! Nothing may follow. The version is that of the whole format: a release that cannot read another's says so.

use std::sync::Arc;

use super::StreamId;
use super::envelope::{Echo, Entry, Envelope, Message, Place, Position, RoomDigest, SamePlaces, Span, Word};
use super::limits::{ENVELOPE_BYTES_MAX, TEXT_BYTES_MAX};
use super::name::{Kind, Name};

const VERSION: u8 = 2;
const ALIVE: u8 = 4;
/// Largest number of a message: a client's JSON may have no larger integers (RFC 8259, section 6), and there is room to
/// count on from it.
const SEQ_MAX: u64 = 1 << 53;

/// Why bytes are no envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum EnvelopeError {
    /// Not one of ours, or cut short, or with something behind it, or with a name that breaks the rules.
    #[error("not a whole envelope")]
    Malformed,
    /// From a newer or older release.
    #[error("an envelope of version {0}, and only version {VERSION} is spoken here")]
    Version(u8),
    /// More than [`ENVELOPE_BYTES_MAX`].
    #[error("an envelope of {0} bytes, more than the {ENVELOPE_BYTES_MAX} that are allowed")]
    TooLarge(usize),
}

impl Envelope {
    /// Appends the bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.push(kind(&self.word));
        put_u64(out, self.origin);
        put_word(out, &self.word);
    }

    /// Whether it is a server's own word that comes back to it, other than [`Word::Alive`]; told from the head alone.
    pub fn is_echo(bytes: &[u8], origin: u64) -> bool {
        bytes.first() == Some(&VERSION)
            && bytes.get(1).is_some_and(|kind| *kind != ALIVE)
            && bytes.get(2..10) == Some(&origin.to_be_bytes())
    }

    /// Reads one envelope.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(EnvelopeError::TooLarge(bytes.len()));
        }
        let mut rest = Reader(bytes);
        let version = rest.u8()?;
        if version != VERSION {
            return Err(EnvelopeError::Version(version));
        }
        let kind = rest.u8()?;
        let envelope = Self { origin: rest.u64()?, word: rest.word(kind)? };
        if rest.0.is_empty() { Ok(envelope) } else { Err(EnvelopeError::Malformed) }
    }
}

fn kind(word: &Word) -> u8 {
    match word {
        Word::Messages { .. } => 1,
        Word::Presence { .. } => 2,
        Word::Typing { .. } => 3,
        Word::Alive { .. } => ALIVE,
        Word::Sync { .. } => 5,
        Word::Digest { .. } => 6,
        Word::Want { .. } => 7,
        Word::Repair { .. } => 8,
        Word::Have { .. } => 9,
        Word::Hold { .. } => 10,
    }
}

fn put_word(out: &mut Vec<u8>, word: &Word) {
    match word {
        Word::Messages { room, stream, first_seq, witness, messages } => {
            put_name(out, room);
            put_stream(out, *stream);
            put_u64(out, *first_seq);
            put_u64(out, *witness);
            put_list(out, messages, |out, message| put_message(out, message));
        }
        Word::Presence { room, version, is_held, users, names } => {
            put_name(out, room);
            put_u64(out, *version);
            out.push(u8::from(*is_held));
            put_count(out, *users);
            out.push(u8::from(names.is_some()));
            if let Some(names) = names {
                put_list(out, names, |out, name| put_name(out, name));
            }
        }
        Word::Typing { room, user } => {
            put_name(out, room);
            put_name(out, user);
        }
        Word::Alive { name, beat, age_ms, lanes, is_leaving, load, echoes } => {
            put_name(out, name);
            put_u64(out, *beat);
            put_u64(out, *age_ms);
            put_u64(out, *lanes);
            out.push(u8::from(*is_leaving));
            out.push(u8::from(load.is_some()));
            out.extend_from_slice(&load.unwrap_or(0).to_be_bytes());
            put_list(out, echoes, |out, Echo { to, beat }| {
                put_u64(out, *to);
                put_u64(out, *beat);
            });
        }
        Word::Sync { is_fresh, rooms } => {
            out.push(u8::from(*is_fresh));
            put_list(out, rooms, |out, room| put_name(out, room));
        }
        Word::Digest { to, rooms } => {
            put_u64(out, *to);
            put_list(out, rooms, |out, RoomDigest { room, is_held, time, spans }| {
                put_name(out, room);
                out.push(u8::from(*is_held));
                put_u64(out, *time);
                put_list(out, spans, put_span);
            });
        }
        Word::Want { to, room, question, spans } => {
            put_u64(out, *to);
            put_name(out, room);
            put_u64(out, *question);
            put_list(out, spans, put_span);
        }
        Word::Repair { to, room, question, entries, places, lacks, expired } => {
            put_u64(out, *to);
            put_name(out, room);
            put_u64(out, *question);
            put_list(out, entries, |out, Entry { stream, seq, message }| {
                put_stream(out, *stream);
                put_u64(out, *seq);
                put_message(out, message);
            });
            put_list(out, places, |out, SamePlaces { place, other }| {
                put_place(out, *place);
                put_place(out, *other);
            });
            put_list(out, lacks, put_span);
            put_list(out, expired, put_span);
        }
        Word::Have { to, positions } => {
            put_u64(out, *to);
            put_list(out, positions, |out, Position { room, span }| {
                put_name(out, room);
                put_span(out, span);
            });
        }
        Word::Hold { to, room } => {
            put_u64(out, *to);
            put_name(out, room);
        }
    }
}

fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    debug_assert!(name.len() <= usize::from(u8::MAX), "names are checked where they come in");
    out.push(name.len() as u8);
    out.extend_from_slice(name.as_bytes());
}

fn put_stream(out: &mut Vec<u8>, stream: StreamId) {
    put_u64(out, stream.origin);
    out.extend_from_slice(&stream.generation.to_be_bytes());
}

fn put_place(out: &mut Vec<u8>, place: Place) {
    put_stream(out, place.stream);
    put_u64(out, place.seq);
}

fn put_span(out: &mut Vec<u8>, span: &Span) {
    put_stream(out, span.stream);
    put_u64(out, span.first);
    put_u64(out, span.last);
}

fn put_message(out: &mut Vec<u8>, message: &Message) {
    put_name(out, &message.from);
    put_u64(out, message.client);
    put_name(out, &message.id);
    debug_assert!(message.text.len() <= usize::from(u16::MAX), "texts are checked where they come in");
    out.extend_from_slice(&(message.text.len() as u16).to_be_bytes());
    out.extend_from_slice(message.text.as_bytes());
    put_u64(out, message.time);
}

fn put_list<T>(out: &mut Vec<u8>, items: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_count(out, items.len());
    items.iter().for_each(|item| put(out, item));
}

/// What is still to be read.
struct Reader<'a>(&'a [u8]);

type Read<T> = Result<T, EnvelopeError>;

impl<'a> Reader<'a> {
    fn word(&mut self, kind: u8) -> Read<Word> {
        Ok(match kind {
            1 => Word::Messages {
                room: self.name(Kind::Room)?.into(),
                stream: self.stream()?,
                first_seq: self.seq()?,
                witness: self.u64()?,
                messages: self.list(|rest| Ok(Arc::new(rest.message()?)))?.into(),
            },
            2 => Word::Presence {
                room: self.name(Kind::Room)?.into(),
                version: self.u64()?,
                is_held: self.flag()?,
                users: self.u32()? as usize,
                names: match self.flag()? {
                    true => Some(self.list(|rest| Ok(rest.name(Kind::User)?.into()))?.into()),
                    false => None,
                },
            },
            3 => Word::Typing { room: self.name(Kind::Room)?.into(), user: self.name(Kind::User)?.into() },
            ALIVE => Word::Alive {
                name: self.name(Kind::User)?.into(),
                beat: self.u64()?,
                age_ms: self.u64()?,
                lanes: self.u64()?,
                is_leaving: self.flag()?,
                load: self.load()?,
                echoes: self.list(|rest| Ok(Echo { to: rest.u64()?, beat: rest.u64()? }))?.into(),
            },
            5 => Word::Sync {
                is_fresh: self.flag()?,
                rooms: self.list(|rest| Ok(rest.name(Kind::Room)?.into()))?.into(),
            },
            6 => Word::Digest { to: self.u64()?, rooms: self.list(Self::digest)?.into() },
            7 => Word::Want {
                to: self.u64()?,
                room: self.name(Kind::Room)?.into(),
                question: self.u64()?,
                spans: self.list(Self::span)?.into(),
            },
            8 => Word::Repair {
                to: self.u64()?,
                room: self.name(Kind::Room)?.into(),
                question: self.u64()?,
                entries: self.list(Self::entry)?.into(),
                places: self.list(Self::same_places)?.into(),
                lacks: self.list(Self::span)?.into(),
                expired: self.list(Self::span)?.into(),
            },
            9 => Word::Have { to: self.u64()?, positions: self.list(Self::position)?.into() },
            10 => Word::Hold { to: self.u64()?, room: self.name(Kind::Room)?.into() },
            _ => return Err(EnvelopeError::Malformed),
        })
    }

    fn digest(&mut self) -> Read<RoomDigest> {
        Ok(RoomDigest {
            room: self.name(Kind::Room)?.into(),
            is_held: self.flag()?,
            time: self.u64()?,
            spans: self.list(Self::span)?,
        })
    }

    fn entry(&mut self) -> Read<Entry> {
        Ok(Entry { stream: self.stream()?, seq: self.seq()?, message: Arc::new(self.message()?) })
    }

    fn same_places(&mut self) -> Read<SamePlaces> {
        Ok(SamePlaces { place: self.place()?, other: self.place()? })
    }

    fn place(&mut self) -> Read<Place> {
        Ok(Place { stream: self.stream()?, seq: self.seq()? })
    }

    fn position(&mut self) -> Read<Position> {
        Ok(Position { room: self.name(Kind::Room)?.into(), span: self.span()? })
    }

    fn message(&mut self) -> Read<Message> {
        let from = self.name(Kind::User)?.into();
        let client = self.u64()?;
        let id = self.name(Kind::Id)?.into();
        let length = usize::from(u16::from_be_bytes(self.array()?));
        let text = self.text(length)?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(EnvelopeError::Malformed);
        }
        Ok(Message { from, client, id, text: text.into(), time: self.u64()? })
    }

    /// A span is never inside out.
    fn span(&mut self) -> Read<Span> {
        let (stream, first, last) = (self.stream()?, self.seq()?, self.u64()?);
        let is_sound = (first - 1..=SEQ_MAX).contains(&last);
        if is_sound { Ok(Span { stream, first, last }) } else { Err(EnvelopeError::Malformed) }
    }

    fn seq(&mut self) -> Read<u64> {
        Some(self.u64()?).filter(|seq| (1..=SEQ_MAX).contains(seq)).ok_or(EnvelopeError::Malformed)
    }

    fn stream(&mut self) -> Read<StreamId> {
        Ok(StreamId { origin: self.u64()?, generation: u32::from_be_bytes(self.array()?) })
    }

    fn name(&mut self, kind: Kind) -> Read<&'a str> {
        let length = usize::from(self.u8()?);
        let text = self.text(length)?;
        Name::check(kind, text).map_err(|_| EnvelopeError::Malformed)?;
        Ok(text)
    }

    /// No list claims more items than there are bytes left, so a forged count reserves nothing.
    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let count = self.u32()? as usize;
        if count > self.0.len() {
            return Err(EnvelopeError::Malformed);
        }
        (0..count).map(|_| item(self)).collect()
    }

    fn text(&mut self, length: usize) -> Read<&'a str> {
        let (text, rest) = self.0.split_at_checked(length).ok_or(EnvelopeError::Malformed)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| EnvelopeError::Malformed)
    }

    fn load(&mut self) -> Read<Option<u32>> {
        let takes_clients = self.flag()?;
        let clients = self.u32()?;
        Ok(takes_clients.then_some(clients))
    }

    fn flag(&mut self) -> Read<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(EnvelopeError::Malformed),
        }
    }

    fn u8(&mut self) -> Read<u8> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn u64(&mut self) -> Read<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(EnvelopeError::Malformed)?;
        self.0 = rest;
        Ok(*head)
    }
}

#[cfg(test)]
#[path = "envelope_codec_tests.rs"]
mod tests;
