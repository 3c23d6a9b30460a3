//! Frames to the server (docs/protocol.md, section 3): those that a client of ours sends.

use std::collections::BTreeMap;

use serde::Serialize;

/// One frame.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ClientMessage<'a> {
    /// Come into a room.
    Join {
        /// The room.
        room: &'a str,
        /// The name there.
        user: &'a str,
        /// The client's nonce: the same at each join.
        client: &'a str,
        /// When coming back: the last number seen of each stream.
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<BTreeMap<&'a str, u64>>,
    },
    /// Say something.
    Send {
        /// Where.
        room: &'a str,
        /// Names the message.
        id: &'a str,
        /// The message.
        text: &'a str,
    },
}

impl ClientMessage<'_> {
    /// The frame's text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data into a String cannot fail")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn golden_examples() {
        let docs: Value = serde_json::from_str(include_str!("../../../docs/protocol.json")).unwrap();
        let client = "5f2c9a417be0d83651c4f7a2093be86d";
        let join = ClientMessage::Join { room: "lobby", user: "ann", client, since: None };
        let since = Some(BTreeMap::from([("1933d8a0c8c00001.0", 17)]));
        let resume = ClientMessage::Join { room: "lobby", user: "ann", client, since };
        let send = ClientMessage::Send { room: "lobby", id: "b1946ac9-1", text: "hi" };
        for (name, message) in [("join", join), ("resume", resume), ("send", send)] {
            let json: Value = serde_json::from_str(&message.to_json()).unwrap();
            assert_eq!(json, docs["client"][name], "{name}");
        }
    }
}
