//! What clients say: our protocol, or that of any other server, written down in templates.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How clients and servers understand each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// docs/protocol.md.
    #[default]
    DistrChat,
    /// A server that sends everything that is said in a room to all its members, the speaker too, in whatever frames.
    /// It acknowledges and numbers nothing, as far as is known: what was sent is owed, and its order is not checked.
    Foreign {
        /// Said first, if anything is.
        join: Option<Template>,
        /// How a message is said.
        send: Template,
    },
}

/// A frame with `{room}`, `{user}`, `{id}` and `{text}` in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template(String);

/// What stands in the place of the names. None of it needs escapes in JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    /// The room's name.
    pub room: &'a str,
    /// The client's name.
    pub user: &'a str,
    /// Names the message; in a join, empty.
    pub id: &'a str,
    /// The message; in a join, empty.
    pub text: &'a str,
}

impl Template {
    /// Whether the name occurs, without its braces.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(&format!("{{{name}}}"))
    }

    /// The frame.
    pub fn fill(&self, values: &Values<'_>) -> String {
        let Values { room, user, id, text } = values;
        let names = [("{room}", room), ("{user}", user), ("{id}", id), ("{text}", text)];
        names.iter().fold(self.0.clone(), |frame, (name, value)| frame.replace(name, value))
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.is_empty() {
            true => Err("an empty frame says nothing".into()),
            false => Ok(Self(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_and_other_braces_stay() {
        let template: Template = r#"{"to":"{room}","by":"{user}","m":{"{id}":"{text}"}}"#.parse().unwrap();
        let values = Values { room: "r", user: "u", id: "1f", text: "hi" };
        assert_eq!(template.fill(&values), r#"{"to":"r","by":"u","m":{"1f":"hi"}}"#);
        assert!(template.has("text") && !template.has("node"));
        assert!("".parse::<Template>().is_err());
    }
}
