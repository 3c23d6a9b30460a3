//! Lone surrogates in JSON (RFC 8259, section 8.2): half an emoji, which a language of UTF-16 cuts
//! and escapes without a word. No Unicode text holds one, and most parsers refuse the whole frame
//! for it.

use std::borrow::Cow;

/// Digits of an escape, `\uXXXX`.
const DIGITS: usize = 4;
const ESCAPE: usize = 2 + DIGITS;
/// U+FFFD, as what cannot be decoded is shown everywhere (the Unicode Standard, section 3.9).
const REPLACEMENT: &[u8; DIGITS] = b"fffd";

#[derive(PartialEq)]
enum Unit {
    High,
    Low,
    Other,
}

/// The same JSON with each lone surrogate replaced by U+FFFD; borrowed where there is none.
pub fn replace(json: &str) -> Cow<'_, str> {
    let mut lone = find(json.as_bytes()).peekable();
    if lone.peek().is_none() {
        return Cow::Borrowed(json);
    }
    let mut bytes = json.as_bytes().to_vec();
    for at in lone {
        bytes[at..at + DIGITS].copy_from_slice(REPLACEMENT);
    }
    // Hexadecimal digits took the place of hexadecimal digits.
    String::from_utf8(bytes).map_or(Cow::Borrowed(json), Cow::Owned)
}

/// Where the digits of lone surrogates begin.
fn find(json: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += memchr::memchr(b'\\', &json[at..])?;
            let here = at;
            match (unit(json, here), unit(json, here + ESCAPE)) {
                (Some(Unit::High), Some(Unit::Low)) => at += 2 * ESCAPE,
                (Some(Unit::Other), _) => at += ESCAPE,
                (Some(_), _) => {
                    at += ESCAPE;
                    return Some(here + 2);
                }
                // Another escape, whose second byte may be a backslash.
                (None, _) => at = (here + 2).min(json.len()),
            }
        }
    })
}

/// The UTF-16 code unit that is escaped there.
fn unit(json: &[u8], at: usize) -> Option<Unit> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    Some(match (digits[0].to_ascii_lowercase(), digits[1].to_ascii_lowercase()) {
        (b'd', b'8'..=b'9' | b'a'..=b'b') => Unit::High,
        (b'd', b'c'..=b'f') => Unit::Low,
        _ => Unit::Other,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_are_replaced_and_pairs_are_not() {
        for (json, expected) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\uDE00""#, r#""\ufffd""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud83d\ud83d\ude00\ude00""#, r#""\ufffd\ud83d\ude00\ufffd""#),
            (r#""\ud83dx\ude00""#, r#""\ufffdx\ufffd""#),
            (r#""\ud83d\n""#, r#""\ufffd\n""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\ud7ff\ue000""#, r#""\ud7ff\ue000""#),
            (r#""\ud83""#, r#""\ud83""#),
            ("\"\\", "\"\\"),
            ("{}", "{}"),
        ] {
            assert_eq!(replace(json), expected, "{json}");
        }
        assert!(matches!(replace(r#""\ud83d\ude00""#), Cow::Borrowed(_)));
    }

    proptest! {
        /// Whatever code units a string of UTF-16 holds, it is read as such languages show it.
        #[test]
        fn every_escaped_string_can_be_read(units in proptest::collection::vec(
            prop_oneof![0xd800..0xe000_u16, any::<u16>()], 0..40,
        )) {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04X}")).collect();
            let read: String = serde_json::from_str(&replace(&format!("\"{escaped}\""))).unwrap();
            prop_assert_eq!(read, String::from_utf16_lossy(&units));
        }

        #[test]
        fn any_text_is_taken(text in "[\\\\ud8cDf\"0-9\u{e9}]{0,40}") {
            let _ = replace(&text);
        }
    }
}
