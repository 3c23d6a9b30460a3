//! Which characters are seen, by the Unicode Character Database as ICU4X has it.

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

/// Seen as nothing or as an empty place, though the database does not say so of them: the empty
/// pattern of Braille and the null notehead.
const BLANK: [char; 2] = ['\u{2800}', '\u{1d159}'];

/// Whether a character takes no place, or changes the order of others: everything
/// default-ignorable, which all bidi controls, joiners, fillers, tags and variation selectors are;
/// the ends of lines and paragraphs; and the marks of interlinear annotation.
pub fn is_invisible(letter: char) -> bool {
    !letter.is_ascii()
        && (matches!(letter, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}')
            || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(letter))
}

/// Whether nothing of a text is seen.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|letter| letter.is_whitespace() || BLANK.contains(&letter) || is_invisible(letter))
}

#[cfg(test)]
mod tests {
    use icu_properties::props::BidiControl;

    use super::*;

    #[test]
    fn every_bidi_control_is_invisible() {
        let controls = CodePointSetData::new::<BidiControl>();
        let found: Vec<_> = ('\0'..=char::MAX).filter(|letter| controls.contains(*letter)).collect();
        assert_eq!(found.len(), 12, "{found:?}");
        assert!(found.into_iter().all(is_invisible));
    }

    #[test]
    fn what_is_seen_and_what_is_not() {
        for letter in
            "\u{200b}\u{200d}\u{feff}\u{ad}\u{34f}\u{3164}\u{115f}\u{ffa0}\u{fe0f}\u{e0041}\u{2060}".chars()
        {
            assert!(is_invisible(letter) && is_blank(&letter.to_string()), "{letter:?}");
        }
        for letter in "a é安あ😀ª\u{fffd}\u{a0}\u{5d0}\u{627}".chars() {
            assert!(!is_invisible(letter), "{letter:?}");
        }
        assert!(is_blank("") && is_blank(" \u{2800}\u{200b}\n") && !is_blank("\u{200b}."));
    }
}
