//! The text of a message: enough to know it again anywhere, and to notice that it was changed.

use std::fmt::Write;

/// Fills a text up to the bytes that were asked for.
const PADDING: char = '.';

/// What a text says, written in hex: `<run>-<number>-<intended>` and dots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The run.
    pub run: u32,
    /// Its number in the schedule, which tells the sender too.
    pub number: u32,
    /// When it should have been sent, in microseconds since the start.
    pub intended_us: u64,
}

impl Mark {
    /// Appends the text, of at least `bytes` bytes.
    pub fn write(&self, bytes: usize, out: &mut String) {
        let Self { run, number, intended_us } = self;
        let start = out.len();
        write!(out, "{run:08x}-{number:x}-{intended_us:x}").expect("a String takes everything");
        let missing = bytes.saturating_sub(out.len() - start);
        out.extend(std::iter::repeat_n(PADDING, missing));
    }

    /// Reads a text of at least `bytes` bytes; `None` if [`Mark::write`] did not write it so.
    pub fn read(text: &str, bytes: usize) -> Option<Self> {
        let mark = text.trim_end_matches(PADDING);
        if text.len() < bytes || text.len() > bytes && mark.len() != text.len() {
            return None;
        }
        let mut fields = mark.split('-').map(read_hex);
        let mark = Self {
            run: u32::try_from(fields.next()??).ok()?,
            number: u32::try_from(fields.next()??).ok()?,
            intended_us: fields.next()??,
        };
        fields.next().is_none().then_some(mark)
    }
}

/// Only what `{:x}` writes: no sign, no upper case.
pub fn read_hex(digits: &str) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.bytes().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { run: 0xbeef, number: 0x2a, intended_us: 0x0131_2d00 };

    fn text(bytes: usize) -> String {
        let mut text = String::new();
        MARK.write(bytes, &mut text);
        text
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(text(32), "0000beef-2a-1312d00.............");
        for bytes in [0, 19, 20, 32, 4096] {
            assert_eq!(Mark::read(&text(bytes), bytes), Some(MARK), "{bytes}");
        }
        let large = Mark { run: u32::MAX, number: u32::MAX, intended_us: u64::MAX };
        let mut text = String::new();
        large.write(32, &mut text);
        assert_eq!(Mark::read(&text, 32), Some(large));
    }

    #[test]
    fn a_changed_text_is_noticed() {
        let text = text(32);
        for wrong in [
            &text[..31],
            &format!("{text}."),
            &text.replace("2a", "2A"),
            &text.replace("...-", "x"),
            "",
            "...",
            "é",
        ] {
            if *wrong != text {
                assert_eq!(Mark::read(wrong, 32), None, "{wrong}");
            }
        }
        assert_eq!(Mark::read("0000beef-2a-1312d00-1...........", 32), None);
        assert_eq!(Mark::read("0000beef-2a....-1312d00.........", 32), None);
    }
}
