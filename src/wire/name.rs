//! Names of users, rooms and messages: short, visible, free of control characters.

use std::borrow::Cow;

use super::limits::{ID_BYTES_MAX, NAME_BYTES_MAX, ROOM_BYTES_MAX};
use super::visibility::{is_blank, is_invisible};

/// What a name is for; decides its limit and the words of its refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `user`: 1 to [`NAME_BYTES_MAX`] bytes.
    User,
    /// `room`: 1 to [`ROOM_BYTES_MAX`] bytes.
    Room,
    /// `id` of a message: 1 to [`ID_BYTES_MAX`] bytes.
    Id,
}

impl Kind {
    /// Bytes of UTF-8 allowed.
    pub fn bytes_max(self) -> usize {
        match self {
            Self::User => NAME_BYTES_MAX,
            Self::Room => ROOM_BYTES_MAX,
            Self::Id => ID_BYTES_MAX,
        }
    }

    /// The field of the protocol that carries it.
    pub fn field(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Room => "room",
            Self::Id => "id",
        }
    }
}

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing of it is seen.
    Empty,
    /// More than the bytes of its [`Kind`]; carries how many it has.
    TooLong(usize),
    /// A Unicode control character (category Cc).
    ControlCharacter,
    /// A character that is not seen, or that changes the order of others: with it two names look
    /// like one.
    InvisibleCharacter(char),
}

/// A name that keeps the rules of its [`Kind`]; borrowed from the frame it came in where that has no escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name<'a>(Cow<'a, str>);

impl<'a> Name<'a> {
    /// Checks length, visibility and characters, as of what a client says.
    pub fn parse(kind: Kind, text: Cow<'a, str>) -> Result<Self, Fault> {
        Self::check(kind, &text)?;
        if kind != Kind::Id {
            if is_blank(&text) {
                return Err(Fault::Empty);
            }
            if let Some(letter) = text.chars().find(|letter| is_invisible(*letter)) {
                return Err(Fault::InvisibleCharacter(letter));
            }
        }
        Ok(Self(text))
    }

    /// Whether a text keeps the rules that hold between servers. Those of an earlier version let in
    /// what is not seen, and what they acknowledged must not be refused.
    pub fn check(kind: Kind, text: &str) -> Result<(), Fault> {
        if text.len() > kind.bytes_max() {
            return Err(Fault::TooLong(text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(Fault::ControlCharacter);
        }
        if text.chars().all(char::is_whitespace) {
            return Err(Fault::Empty);
        }
        Ok(())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text can be a node's name: it stands in URLs, logs and heartbeats as it is.
pub fn is_node_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_rules() {
        let parse = |text: &'static str| Name::parse(Kind::User, Cow::Borrowed(text));
        assert!(parse("Ann Lee").is_ok());
        assert!(parse("安").is_ok());
        assert_eq!(parse(""), Err(Fault::Empty));
        assert_eq!(parse("\u{3000} "), Err(Fault::Empty));
        assert_eq!(parse("a\u{85}b"), Err(Fault::ControlCharacter));
        let invisible = |text: &'static str| Err(Fault::InvisibleCharacter(text.chars().last().unwrap()));
        for name in ["ann\u{200b}", "ann\u{202e}", "ann\u{2066}", "a\u{ad}", "a\u{2029}", "\u{1f469}\u{200d}"]
        {
            assert_eq!(parse(name), invisible(name), "{name:?}");
            assert_eq!(Name::parse(Kind::Room, name.into()), invisible(name), "{name:?}");
            assert!(Name::parse(Kind::Id, name.into()).is_ok() && Name::check(Kind::User, name).is_ok());
        }
        assert_eq!(parse("\u{200b}\u{2800}"), Err(Fault::Empty));
        assert_eq!(Name::parse(Kind::Room, "\u{3164}".into()), Err(Fault::Empty));
        let long = "é".repeat(33);
        assert_eq!(Name::parse(Kind::User, Cow::Owned(long)), Err(Fault::TooLong(66)));
    }
}
