//! Messages that were read before. All members of a room get the same bytes, so that most frames need not be taken apart
//! again: those that are the same byte for byte say the same.

use crate::text::Mark;

/// Messages that are remembered: as many as may be under way between the first member of a room and the last.
const SLOTS: usize = 256;
/// Longer ones are taken apart each time.
const FRAME_BYTES_MAX: usize = 1024;
/// Messages differ at their end, where number and id stand.
const HASHED_BYTES: usize = 24;

/// What is known by heart.
#[derive(Debug)]
pub struct Recall(Box<[Slot]>);

/// Room for one message, used for one after the other.
#[derive(Debug, Default)]
struct Slot {
    frame: String,
    heard: Option<Heard>,
}

/// What a message said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Which message of the schedule it is.
    pub mark: Mark,
    /// Who counted it.
    pub stream: String,
    /// Its number there.
    pub seq: u64,
}

impl Default for Recall {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| Slot::default()).collect())
    }
}

impl Recall {
    /// What this frame said when it was read the last time.
    pub fn find(&self, frame: &str) -> Option<&Heard> {
        let slot = &self.0[place(frame)];
        slot.heard.as_ref().filter(|_| slot.frame == frame)
    }

    /// Remembers what it says, instead of another one.
    pub fn keep(&mut self, frame: &str, mark: Mark, stream: &str, seq: u64) {
        if frame.len() > FRAME_BYTES_MAX {
            return;
        }
        let Slot { frame: known, heard } = &mut self.0[place(frame)];
        known.clear();
        known.push_str(frame);
        let heard = heard.get_or_insert_with(|| Heard { mark, stream: String::new(), seq });
        (heard.mark, heard.seq) = (mark, seq);
        heard.stream.clear();
        heard.stream.push_str(stream);
    }
}

/// FNV-1a.
fn place(frame: &str) -> usize {
    let bytes = frame.as_bytes();
    let end = &bytes[bytes.len().saturating_sub(HASHED_BYTES)..];
    let hash = end.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> u32::BITS) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u32) -> Mark {
        Mark { run: 7, number, intended_us: 0 }
    }

    #[test]
    fn the_same_bytes_say_the_same_and_others_do_not() {
        let mut recall = Recall::default();
        for number in 0..3 * SLOTS as u32 {
            let frame = format!("{number} and the end that all of them have in common");
            assert_eq!(recall.find(&frame), None);
            recall.keep(&frame, mark(number), &format!("s.{number}"), number.into());
            let heard = Heard { mark: mark(number), stream: format!("s.{number}"), seq: number.into() };
            assert_eq!(recall.find(&frame), Some(&heard));
        }
        assert_eq!(recall.find(""), None);
    }

    #[test]
    fn a_long_frame_is_not_remembered() {
        let mut recall = Recall::default();
        let long = "x".repeat(FRAME_BYTES_MAX + 1);
        recall.keep(&long, mark(1), "s.0", 1);
        assert_eq!(recall.find(&long), None);
    }
}
