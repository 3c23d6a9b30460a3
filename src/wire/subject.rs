//! What a frame is about that cannot be read as a whole: its room and its id, so that a client
//! knows what was refused and does not send it again for ever.
//!
//! Strict about the structure and lenient about the values: what a value holds that JSON does not
//! know (a bad escape, a control character, `NaN`, too much nesting) is passed over, and at the
//! first place where the structure itself is broken the reading ends with what there was until
//! then.

use std::borrow::Cow;

use super::surrogates;

/// As far as a frame says, and it can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The room.
    pub room: Option<Cow<'a, str>>,
    /// The client's name for the message.
    pub id: Option<Cow<'a, str>>,
}

impl<'a> Subject<'a> {
    /// Reads the members of the outermost object. Of several of one name the first counts.
    pub fn read(json: &str) -> Self {
        let mut subject = Self::default();
        let mut reader = Reader { json: json.strip_prefix('\u{feff}').unwrap_or(json), at: 0 };
        // Nothing is to be done about a broken structure: what came before it counts.
        let _ = reader.members(&mut subject);
        subject
    }

    fn note(&mut self, key: &str, value: &str) {
        let place = match string(key).as_deref() {
            Some("room") => &mut self.room,
            Some("id") => &mut self.id,
            _ => return,
        };
        if place.is_none() {
            *place = string(value).map(Cow::Owned);
        }
    }
}

/// What a string with its quotes says.
fn string(token: &str) -> Option<String> {
    serde_json::from_str(&surrogates::replace(token)).ok()
}

struct Reader<'j> {
    json: &'j str,
    at: usize,
}

impl<'j> Reader<'j> {
    fn members(&mut self, subject: &mut Subject<'_>) -> Option<()> {
        self.expect(b'{')?;
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            let value = self.value()?;
            subject.note(key, value);
            self.expect(b',')?;
        }
    }

    /// The next byte that is no white space (RFC 8259, section 2).
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.json.as_bytes()[self.at..];
        self.at += rest.iter().position(|byte| !b" \t\n\r".contains(byte))?;
        self.json.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// A string with its quotes, whatever it holds.
    fn string(&mut self) -> Option<&'j str> {
        if self.peek()? != b'"' {
            return None;
        }
        let from = self.at;
        let mut end = from + 1;
        loop {
            let bytes = self.json.as_bytes().get(end..)?;
            end += memchr::memchr2(b'"', b'\\', bytes)?;
            match self.json.as_bytes()[end] {
                b'"' => break,
                _ => end += 2,
            }
        }
        self.at = end + 1;
        self.json.get(from..self.at)
    }

    /// A value of any kind, of which only strings are looked at.
    fn value(&mut self) -> Option<&'j str> {
        self.peek()?;
        let from = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b'}' | b']' | b',' if depth == 0 => return None,
                _ => self.scalar(depth),
            }
            if depth == 0 {
                return self.json.get(from..self.at);
            }
        }
    }

    /// A number or a word; inside of something also what stands between values.
    fn scalar(&mut self, depth: usize) {
        let rest = &self.json.as_bytes()[self.at..];
        let is_end = |byte: &u8| b"{}[],\" \t\n\r".contains(byte) || (depth == 0 && *byte == b':');
        let length = rest.iter().position(is_end).unwrap_or(rest.len());
        self.at += length.max(1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> (Option<String>, Option<String>) {
        let Subject { room, id } = Subject::read(json);
        (room.map(Cow::into_owned), id.map(Cow::into_owned))
    }

    fn both() -> (Option<String>, Option<String>) {
        (Some("r".into()), Some("1".into()))
    }

    #[test]
    fn room_and_id_are_read_whatever_the_other_values_hold() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        for value in [
            r#""half an emoji \ud83d""#,
            r#""a bad escape \x""#,
            "\"a line\nend and a tab\t\"",
            r#""}\",\"id\":\"2\",{""#,
            "1e99999",
            "NaN",
            "-",
            "01",
            "undefined",
            "'single'",
            r#"{"id":"2","room":"s","x":[{"id":"3"}]}"#,
            r#"[1,{"id":"2"},NaN,"\x]"]"#,
            &deep,
            "null",
        ] {
            for json in [
                format!(r#"{{"type":"send","text":{value},"room":"r","id":"1"}}"#),
                format!("\n{{ \"id\" : \"1\" ,\"text\" :{value} , \"room\":\"r\"  }}"),
            ] {
                assert_eq!(read(&json), both(), "{json:.100}");
            }
        }
    }

    #[test]
    fn where_the_structure_is_broken_what_came_before_counts() {
        for rest in [
            "",
            ",",
            "}",
            ",}",
            ",\"text\"",
            ",\"text\":",
            ",\"text\":\"cut",
            ",\"text\":}",
            "]]",
            " x",
            ",x:1}",
        ] {
            assert_eq!(read(&format!(r#"{{"room":"r","id":"1"{rest}"#)), both(), "{rest}");
        }
        assert_eq!(read(r#"{"room":"r" "id":"1"}"#), (Some("r".into()), None));
        assert_eq!(read(r#"{"room":"r","text":"a"b","id":"1"}"#), (Some("r".into()), None));
        for nothing in
            ["", "hello", "[1,2]", "{}", "{\"", "\"room\":\"r\"", r#"{"room":"r\x"}"#, r#"{"room":7}"#]
        {
            assert_eq!(read(nothing), (None, None), "{nothing}");
        }
    }

    #[test]
    fn names_may_be_escaped_and_the_first_counts() {
        assert_eq!(read(r#"{"ro\u006fm":"\u0072","id":"1","id":"2"}"#), both());
        assert_eq!(read(r#"{"room":"\ud83d","id":"1"}"#).0.as_deref(), Some("\u{fffd}"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "[\\[\\]{}:,\"\\\\ idrom1e\u{e9}]{0,60}") {
            let _ = Subject::read(&text);
        }

        /// It agrees with the parser about what both can read.
        #[test]
        fn what_is_json_is_read_alike(room in any::<String>(), id in any::<String>(), text in any::<String>()) {
            let json = serde_json::json!({"type": "send", "room": room, "text": [{"id": text}], "id": id});
            prop_assert_eq!(read(&json.to_string()), (Some(room), Some(id)));
        }
    }
}
