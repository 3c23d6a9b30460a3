//! Frames from clients (docs/protocol.md, section 3): JSON text → [`ClientMessage`] or a typed [`Refusal`].

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::client_nonce::ClientNonce;
use super::limits::{STREAMS_MAX, TEXT_BYTES_MAX};
use super::name::{Fault, Kind, Name};
use super::stream::StreamId;
use super::subject::Subject;
use super::surrogates;
use super::visibility::is_blank;

/// What a client asks for. Borrows from the frame wherever the JSON has no escapes.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientMessage<'a> {
    /// Come into a room under a name; `since` asks for what came after the given sequence numbers.
    Join {
        /// The room.
        room: Name<'a>,
        /// The name to be known by there.
        user: Name<'a>,
        /// The client's secret name; `None`: the server makes one.
        client: Option<ClientNonce>,
        /// What the client has seen; `None` for a first visit.
        since: Option<Since>,
    },
    /// Say something.
    Send {
        /// The room.
        room: Name<'a>,
        /// The client's own name for the message.
        id: Name<'a>,
        /// 1 to [`TEXT_BYTES_MAX`] bytes.
        text: Cow<'a, str>,
    },
    /// Tell others that the user is writing.
    Typing {
        /// The room.
        room: Name<'a>,
    },
    /// Leave a room.
    Leave {
        /// The room.
        room: Name<'a>,
    },
    /// Ask for a pong.
    Ping,
}

/// What a client that comes back has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// Last sequence seen, per stream.
    pub streams: Vec<(StreamId, u64)>,
    /// It names a stream in a spelling that this server does not know, so that it asks for what is not to be had.
    pub names_strangers: bool,
}

/// Why a frame is refused; becomes an `error` frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The code of docs/protocol.md, section 6.
    pub code: ErrorCode,
    /// What is wrong and what would be right, for people.
    pub message: String,
    /// The room that the frame was about, as far as it said.
    pub room: Option<Cow<'a, str>>,
    /// The message id that the frame was about, as far as it said.
    pub id: Option<Cow<'a, str>>,
}

/// The error codes of docs/protocol.md, section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the table in docs/protocol.md says what each means")]
pub enum ErrorCode {
    NotJson,
    UnknownType,
    MissingField,
    WrongField,
    NameEmpty,
    NameTooLong,
    NameControlCharacter,
    NameInvisibleCharacter,
    RoomEmpty,
    RoomTooLong,
    RoomControlCharacter,
    RoomInvisibleCharacter,
    TextEmpty,
    TextTooLong,
    IdEmpty,
    IdTooLong,
    IdControlCharacter,
    IdReused,
    ClientInvalid,
    TooManyStreams,
    NotJoined,
    AlreadyJoined,
    TooManyRooms,
    RateLimited,
    Overloaded,
}

impl ErrorCode {
    /// Every code, in the order of the table.
    pub const ALL: [Self; 25] = [
        Self::NotJson,
        Self::UnknownType,
        Self::MissingField,
        Self::WrongField,
        Self::NameEmpty,
        Self::NameTooLong,
        Self::NameControlCharacter,
        Self::NameInvisibleCharacter,
        Self::RoomEmpty,
        Self::RoomTooLong,
        Self::RoomControlCharacter,
        Self::RoomInvisibleCharacter,
        Self::TextEmpty,
        Self::TextTooLong,
        Self::IdEmpty,
        Self::IdTooLong,
        Self::IdControlCharacter,
        Self::IdReused,
        Self::ClientInvalid,
        Self::TooManyStreams,
        Self::NotJoined,
        Self::AlreadyJoined,
        Self::TooManyRooms,
        Self::RateLimited,
        Self::Overloaded,
    ];

    /// Its name on the wire and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::UnknownType => "unknown_type",
            Self::MissingField => "missing_field",
            Self::WrongField => "wrong_field",
            Self::NameEmpty => "name_empty",
            Self::NameTooLong => "name_too_long",
            Self::NameControlCharacter => "name_control_character",
            Self::NameInvisibleCharacter => "name_invisible_character",
            Self::RoomEmpty => "room_empty",
            Self::RoomTooLong => "room_too_long",
            Self::RoomControlCharacter => "room_control_character",
            Self::RoomInvisibleCharacter => "room_invisible_character",
            Self::TextEmpty => "text_empty",
            Self::TextTooLong => "text_too_long",
            Self::IdEmpty => "id_empty",
            Self::IdTooLong => "id_too_long",
            Self::IdControlCharacter => "id_control_character",
            Self::IdReused => "id_reused",
            Self::ClientInvalid => "client_invalid",
            Self::TooManyStreams => "too_many_streams",
            Self::NotJoined => "not_joined",
            Self::AlreadyJoined => "already_joined",
            Self::TooManyRooms => "too_many_rooms",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
        }
    }

    fn of_name(kind: Kind, fault: Fault) -> Self {
        match (kind, fault) {
            (Kind::User, Fault::Empty) => Self::NameEmpty,
            (Kind::User, Fault::TooLong(_)) => Self::NameTooLong,
            (Kind::User, Fault::ControlCharacter) => Self::NameControlCharacter,
            (Kind::User, Fault::InvisibleCharacter(_)) => Self::NameInvisibleCharacter,
            (Kind::Room, Fault::Empty) => Self::RoomEmpty,
            (Kind::Room, Fault::TooLong(_)) => Self::RoomTooLong,
            (Kind::Room, Fault::ControlCharacter) => Self::RoomControlCharacter,
            (Kind::Room, Fault::InvisibleCharacter(_)) => Self::RoomInvisibleCharacter,
            (Kind::Id, Fault::Empty) => Self::IdEmpty,
            (Kind::Id, Fault::TooLong(_)) => Self::IdTooLong,
            // Nobody looks at an id, so it is not looked through for the second.
            (Kind::Id, Fault::ControlCharacter | Fault::InvisibleCharacter(_)) => Self::IdControlCharacter,
        }
    }
}

impl<'a> ClientMessage<'a> {
    /// Reads one text frame, of which [`ClientMessage::prepare`] has made what can be read.
    pub fn parse(text: &'a str) -> Result<Self, Refusal<'a>> {
        let refuse = |code, message| {
            let Subject { room, id } = Subject::read(text);
            Refusal { code, message, room, id }
        };
        // A derived struct would also accept a JSON array.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(refuse(ErrorCode::NotJson, "the frame is not a JSON object".into()));
        }
        let fields: Fields<'a> = serde_json::from_str(text).map_err(|error| match error.classify() {
            Category::Data => refuse(ErrorCode::WrongField, error.to_string()),
            _ => refuse(ErrorCode::NotJson, format!("the frame is not a JSON object: {error}")),
        })?;
        let about = (fields.room.text(), fields.id.text());
        fields.build().map_err(|refusal| Refusal { room: about.0, id: about.1, ..refusal })
    }

    /// What RFC 8259 lets a reader mend: a byte order mark before the text (section 8.1), and lone
    /// surrogates in it (section 8.2).
    pub fn prepare(frame: &str) -> Cow<'_, str> {
        surrogates::replace(frame.strip_prefix('\u{feff}').unwrap_or(frame))
    }
}

/// Every field of every type, none of them required: which are is a matter of `type`, and the refusal should name
/// the field. Unknown fields are ignored.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Field<'a>,
    #[serde(borrow, default)]
    room: Field<'a>,
    #[serde(borrow, default)]
    user: Field<'a>,
    #[serde(borrow, default)]
    client: Field<'a>,
    #[serde(borrow, default)]
    id: Field<'a>,
    #[serde(borrow, default)]
    text: Field<'a>,
    #[serde(default)]
    since: SinceField,
}

impl<'a> Fields<'a> {
    fn build(self) -> Result<ClientMessage<'a>, Refusal<'a>> {
        match &*self.kind.required("type")? {
            "join" => Ok(ClientMessage::Join {
                room: name(Kind::Room, self.room)?,
                user: name(Kind::User, self.user)?,
                client: nonce(self.client)?,
                since: self.since.streams()?,
            }),
            "send" => Ok(ClientMessage::Send {
                room: name(Kind::Room, self.room)?,
                id: name(Kind::Id, self.id)?,
                text: chat_text(self.text)?,
            }),
            "typing" => Ok(ClientMessage::Typing { room: name(Kind::Room, self.room)? }),
            "leave" => Ok(ClientMessage::Leave { room: name(Kind::Room, self.room)? }),
            "ping" => Ok(ClientMessage::Ping),
            _ => Err(refusal(
                ErrorCode::UnknownType,
                "type must be one of join, send, typing, leave, ping".into(),
            )),
        }
    }
}

fn refusal<'a>(code: ErrorCode, message: String) -> Refusal<'a> {
    Refusal { code, message, room: None, id: None }
}

fn name<'a>(kind: Kind, field: Field<'a>) -> Result<Name<'a>, Refusal<'a>> {
    let text = field.required(kind.field())?;
    Name::parse(kind, text).map_err(|fault| {
        let (field, most) = (kind.field(), kind.bytes_max());
        let message = match fault {
            Fault::Empty => format!("{field} is empty"),
            Fault::TooLong(bytes) => format!("{field} is {bytes} bytes; at most {most} are allowed"),
            Fault::ControlCharacter => format!("{field} holds a control character"),
            Fault::InvisibleCharacter(letter) => {
                format!("{field} holds U+{:04X}, which is not seen", u32::from(letter))
            }
        };
        refusal(ErrorCode::of_name(kind, fault), message)
    })
}

fn nonce<'a>(field: Field<'a>) -> Result<Option<ClientNonce>, Refusal<'a>> {
    let Some(text) = field.optional("client")? else { return Ok(None) };
    let nonce = ClientNonce::parse(&text);
    nonce.map(Some).map_err(|error| refusal(ErrorCode::ClientInvalid, error.to_string()))
}

fn chat_text<'a>(field: Field<'a>) -> Result<Cow<'a, str>, Refusal<'a>> {
    let text = field.required("text")?;
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("text is {} bytes; at most {TEXT_BYTES_MAX} are allowed", text.len());
        return Err(refusal(ErrorCode::TextTooLong, message));
    }
    if is_blank(&text) {
        return Err(refusal(ErrorCode::TextEmpty, "text is empty".into()));
    }
    Ok(text)
}

/// A field that should be a string.
#[derive(Default)]
enum Field<'a> {
    #[default]
    Absent,
    Text(Cow<'a, str>),
    NotText,
}

impl<'a> Field<'a> {
    fn required(self, name: &str) -> Result<Cow<'a, str>, Refusal<'a>> {
        let missing = || refusal(ErrorCode::MissingField, format!("{name} is missing"));
        self.optional(name)?.ok_or_else(missing)
    }

    fn optional(self, name: &str) -> Result<Option<Cow<'a, str>>, Refusal<'a>> {
        match self {
            Self::Text(text) => Ok(Some(text)),
            Self::Absent => Ok(None),
            Self::NotText => Err(refusal(ErrorCode::WrongField, format!("{name} must be a string"))),
        }
    }

    fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Absent | Self::NotText => None,
        }
    }
}

/// `since`: a map from stream to sequence number.
#[derive(Default)]
enum SinceField {
    #[default]
    Absent,
    Streams(Since),
    TooMany,
    NotStreams,
}

impl SinceField {
    fn streams<'a>(self) -> Result<Option<Since>, Refusal<'a>> {
        match self {
            Self::Absent => Ok(None),
            Self::Streams(since) => Ok(Some(since)),
            Self::TooMany => Err(refusal(
                ErrorCode::TooManyStreams,
                format!("since names more than {STREAMS_MAX} streams"),
            )),
            Self::NotStreams => Err(refusal(
                ErrorCode::WrongField,
                "since must be an object of streams and sequence numbers".into(),
            )),
        }
    }
}

/// Makes a visitor take every JSON value of a kind it does not want as one outcome, instead of failing without
/// saying which field it was.
macro_rules! other_kinds_are {
    ($outcome:expr; $($method:ident($kind:ty)),*) => {
        $(fn $method<E>(self, _: $kind) -> Result<Self::Value, E> { Ok($outcome) })*
        fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok($outcome) }
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok($outcome)
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldVisitor;
        impl<'de> Visitor<'de> for FieldVisitor {
            type Value = Field<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Field::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Field::Text(Cow::Owned(text.to_owned())))
            }

            other_kinds_are!(Field::NotText; visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64));

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Field::NotText)
            }
        }
        deserializer.deserialize_any(FieldVisitor)
    }
}

impl<'de> Deserialize<'de> for SinceField {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SinceVisitor;
        impl<'de> Visitor<'de> for SinceVisitor {
            type Value = SinceField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of streams and sequence numbers")
            }

            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(SinceField::NotStreams)
            }

            other_kinds_are!(SinceField::NotStreams;
                visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64));

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut since = Since::default();
                let mut names = 0;
                let mut outcome = None;
                while let Some((stream, last)) = entries.next_entry::<Field<'de>, Sequence>()? {
                    names += 1;
                    let stream = stream.text().and_then(|text| text.parse().ok());
                    match (stream, last.0) {
                        (_, None) => outcome = Some(SinceField::NotStreams),
                        _ if names > STREAMS_MAX => outcome = Some(SinceField::TooMany),
                        (Some(stream), Some(last)) => since.streams.push((stream, last)),
                        (None, Some(_)) => since.names_strangers = true,
                    }
                }
                Ok(outcome.unwrap_or(SinceField::Streams(since)))
            }
        }
        deserializer.deserialize_any(SinceVisitor)
    }
}

/// A sequence number, or `None` for any other JSON value.
struct Sequence(Option<u64>);

impl<'de> Deserialize<'de> for Sequence {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SequenceVisitor;
        impl<'de> Visitor<'de> for SequenceVisitor {
            type Value = Sequence;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence number")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Sequence(Some(number)))
            }

            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Sequence(None))
            }

            other_kinds_are!(Sequence(None); visit_bool(bool), visit_i64(i64), visit_f64(f64));

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Sequence(None))
            }
        }
        deserializer.deserialize_any(SequenceVisitor)
    }
}

#[cfg(test)]
#[path = "client_message_tests.rs"]
mod tests;
