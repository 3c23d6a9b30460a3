//! Messages that were read before. All members of a room get the same bytes, so that most frames need not be taken apart
//! again: those that are the same byte for byte say the same.

use crate::wire::text::Mark;

/// Places for messages. Many more than are under way between the first member of a room and the last: two that are and have
/// the same place drive each other out.
const SLOTS: usize = 1024;
/// Longer ones are taken apart each time.
const FRAME_BYTES_MAX: usize = 1024;
/// Messages differ at their end, where number and id stand.
const HASHED_BYTES: usize = 16;

/// What is known by heart.
#[derive(Debug)]
pub struct FrameCache(Box<[Slot]>);

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

impl Default for FrameCache {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| Slot::default()).collect())
    }
}

impl FrameCache {
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

/// By the last bytes, multiplied as Fibonacci hashing does.
fn place(frame: &str) -> usize {
    let end = frame.as_bytes().last_chunk::<HASHED_BYTES>().copied().unwrap_or_default();
    let hash = u128::from_ne_bytes(end);
    let hash = (hash as u64 ^ ((hash >> u64::BITS) as u64).rotate_left(u32::BITS))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> (u64::BITS - SLOTS.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u32) -> Mark {
        Mark { run: 7, number, intended_us: 0 }
    }

    #[test]
    fn the_same_bytes_say_the_same_and_others_do_not() {
        let mut recall = FrameCache::default();
        for number in 0..3 * SLOTS as u32 {
            let frame = format!("the beginning that all of them have in common, {number}");
            assert_eq!(recall.find(&frame), None);
            recall.keep(&frame, mark(number), &format!("s.{number}"), number.into());
            let heard = Heard { mark: mark(number), stream: format!("s.{number}"), seq: number.into() };
            assert_eq!(recall.find(&frame), Some(&heard));
        }
        assert_eq!(recall.find(""), None);
    }

    #[test]
    fn a_long_frame_is_not_remembered() {
        let mut recall = FrameCache::default();
        let long = "x".repeat(FRAME_BYTES_MAX + 1);
        recall.keep(&long, mark(1), "s.0", 1);
        assert_eq!(recall.find(&long), None);
    }
}
