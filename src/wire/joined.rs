//! A `joined` frame around a history that is encoded already, and shared with other frames.

use bytes::Bytes;
use smallvec::SmallVec;

use super::{ServerMessage, frame};

/// One frame in parts, which are sent one after the other.
pub type Parts = SmallVec<[Bytes; 1]>;

/// A frame of so many bytes is made of one part: to copy it is cheaper than to send it in parts.
const COPIED_BYTES_MAX: usize = 4096;

/// What ends an empty history, which is the last field, and the message.
const END: &[u8] = b"]}";

/// The frame of `joined`, whose own history is empty. Each message in `history` has a comma before it.
pub fn joined_frame(joined: &ServerMessage<'_>, history: SmallVec<[Bytes; 4]>) -> Parts {
    let mut head = Vec::new();
    joined.encode_json(&mut head);
    debug_assert!(head.ends_with(b"\"history\":[]}"), "it is the last field");
    head.truncate(head.len() - END.len());
    let mut history = history;
    if let Some(first) = history.first_mut() {
        *first = first.slice(1..);
    }
    let payload = head.len() + history.iter().map(Bytes::len).sum::<usize>() + END.len();
    let mut start = Vec::with_capacity(frame::HEADER_BYTES_MAX + head.len());
    frame::encode_text_header(payload, &mut start);
    start.extend_from_slice(&head);
    if payload <= COPIED_BYTES_MAX {
        history.iter().for_each(|slice| start.extend_from_slice(slice));
        start.extend_from_slice(END);
        return Parts::from_elem(start.into(), 1);
    }
    let mut parts = Parts::with_capacity(history.len() + 2);
    parts.push(start.into());
    parts.extend(history);
    parts.push(Bytes::from_static(END));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::server_message::Streams;

    /// The frame with such a history as one, and the number of its parts.
    fn frame_of(history: &[&str]) -> (Vec<u8>, usize) {
        let joined = ServerMessage::Joined {
            room: "lobby",
            client: "5f2c9a417be0d83651c4f7a2093be86d",
            users: 1,
            roster: None,
            complete: true,
            streams: Streams(&[]),
            history: &[],
        };
        let slices = history.iter().map(|slice| Bytes::copy_from_slice(slice.as_bytes())).collect();
        let parts = joined_frame(&joined, slices);
        (parts.concat(), parts.len())
    }

    fn history_of(frame: &[u8]) -> Vec<u64> {
        let start = frame.iter().position(|byte| *byte == b'{').unwrap();
        let length = match frame[1] {
            126 => usize::from(u16::from_be_bytes([frame[2], frame[3]])),
            127 => u64::from_be_bytes(frame[2..10].try_into().unwrap()) as usize,
            short => usize::from(short),
        };
        assert_eq!(frame.len() - start, length, "the header says how long the parts are together");
        let value: serde_json::Value = serde_json::from_slice(&frame[start..]).unwrap();
        value["history"].as_array().unwrap().iter().map(|item| item.as_u64().unwrap()).collect()
    }

    #[test]
    fn a_history_stands_in_its_frame_in_one_part_or_many() {
        let (frame, parts) = frame_of(&[]);
        assert_eq!((history_of(&frame), parts), (vec![], 1));
        let (frame, parts) = frame_of(&[",1,2", ",3"]);
        assert_eq!((history_of(&frame), parts), (vec![1, 2, 3], 1));
        let long = format!(",{}", " ".repeat(COPIED_BYTES_MAX));
        let (frame, parts) = frame_of(&[&format!("{long}1"), ",2"]);
        assert_eq!((history_of(&frame), parts), (vec![1, 2], 4));
        let longer = format!(",{}7", " ".repeat(70_000));
        let (frame, _) = frame_of(&[&longer, ",8"]);
        assert_eq!(history_of(&frame), [7, 8], "with a header for more than 64 KiB");
    }
}
