use super::*;

fn docs() -> serde_json::Value {
    serde_json::from_str(include_str!("../../docs/protocol.json")).unwrap()
}

#[test]
fn golden_examples_are_accepted() {
    let docs = docs();
    let examples = docs["client"].as_object().unwrap();
    for (name, example) in examples {
        let text = example.to_string();
        let message = ClientMessage::parse(&text).unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        let expected = example["type"].as_str().unwrap();
        let kind = match &message {
            ClientMessage::Join { since, .. } => {
                assert_eq!(since.is_some(), example.get("since").is_some());
                "join"
            }
            ClientMessage::Send { text, .. } => {
                assert_eq!(text, "hi");
                "send"
            }
            ClientMessage::Typing { .. } => "typing",
            ClientMessage::Leave { .. } => "leave",
            ClientMessage::Ping => "ping",
        };
        assert_eq!(kind, expected, "{name}");
    }
}

#[test]
fn golden_rejections_are_refused_by_their_code() {
    for case in docs()["rejected"].as_array().unwrap() {
        let frame = case["frame"].as_str().unwrap();
        let refusal = ClientMessage::parse(frame).unwrap_err();
        assert_eq!(refusal.code.name(), case["code"].as_str().unwrap(), "{frame}: {refusal:?}");
    }
}

#[test]
fn the_codes_are_those_in_the_docs() {
    let docs = docs();
    let listed: Vec<_> = docs["errorCodes"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    assert_eq!(ErrorCode::ALL.map(ErrorCode::name).to_vec(), listed);
}

#[test]
fn a_refusal_says_what_it_is_about() {
    let text = format!(r#"{{"type":"send","room":"r","id":"7","text":"{}"}}"#, "x".repeat(5000));
    let refusal = ClientMessage::parse(&text).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::TextTooLong);
    assert_eq!(refusal.message, "text is 5000 bytes; at most 4096 are allowed");
    assert_eq!((refusal.room.as_deref(), refusal.id.as_deref()), (Some("r"), Some("7")));
}

/// Whatever is wrong with a frame, the client learns which message it was, as long as that can be
/// read.
#[test]
fn a_refusal_of_what_is_no_json_says_what_it_is_about() {
    for (text, code) in [
        (r#""\x""#, ErrorCode::NotJson),
        ("\"\n\"", ErrorCode::NotJson),
        ("NaN", ErrorCode::NotJson),
        (r#""cut"#, ErrorCode::NotJson),
        ("7", ErrorCode::WrongField),
        ("[1e99999]", ErrorCode::WrongField),
        (r#""a","text":"b""#, ErrorCode::WrongField),
    ] {
        let frame = format!(r#"{{"type":"send","room":"r","id":"7","text":{text}}}"#);
        let refusal = ClientMessage::parse(&frame).unwrap_err();
        assert_eq!(refusal.code, code, "{frame}: {refusal:?}");
        assert_eq!((refusal.room.as_deref(), refusal.id.as_deref()), (Some("r"), Some("7")), "{frame}");
    }
}

/// Half an emoji, as JavaScript cuts and escapes it, is what it shows: U+FFFD.
#[test]
fn lone_surrogates_and_a_byte_order_mark_are_mended() {
    let frame = "\u{feff}{\"type\":\"send\",\"room\":\"r\",\"id\":\"1\",\"text\":\"hi \\ud83d!\"}";
    let prepared = ClientMessage::prepare(frame);
    let Ok(ClientMessage::Send { text, .. }) = ClientMessage::parse(&prepared) else { panic!("a send") };
    assert_eq!(text, "hi \u{fffd}!");
    assert!(matches!(ClientMessage::prepare(r#"{"type":"ping"}"#), Cow::Borrowed(_)));
}

#[test]
fn a_text_of_which_nothing_is_seen_is_empty() {
    let frame = r#"{"type":"send","room":"r","id":"1","text":"\u200b \u2800"}"#;
    assert_eq!(ClientMessage::parse(frame).unwrap_err().code, ErrorCode::TextEmpty);
}

#[test]
fn plain_strings_are_borrowed_and_escapes_are_not() {
    let Ok(ClientMessage::Send { text, .. }) =
        ClientMessage::parse(r#"{"type":"send","room":"r","id":"1","text":"hi"}"#)
    else {
        panic!("a send")
    };
    assert!(matches!(text, Cow::Borrowed("hi")));
    let Ok(ClientMessage::Send { text, .. }) =
        ClientMessage::parse(r#"{"type":"send","room":"r","id":"1","text":"h\u0069"}"#)
    else {
        panic!("a send")
    };
    assert_eq!(text, "hi");
}

#[test]
fn since_is_bounded_and_typed() {
    let since = |streams: usize| {
        let entries: Vec<_> = (0..streams).map(|i| format!(r#""{i:016x}.0":{i}"#)).collect();
        format!(r#"{{"type":"join","room":"r","user":"u","since":{{{}}}}}"#, entries.join(","))
    };
    let full = since(STREAMS_MAX);
    assert!(matches!(
        ClientMessage::parse(&full),
        Ok(ClientMessage::Join { since: Some(since), .. }) if since.streams.len() == STREAMS_MAX
    ));
    let over = since(STREAMS_MAX + 1);
    assert_eq!(ClientMessage::parse(&over).unwrap_err().code, ErrorCode::TooManyStreams);
    for wrong in ["7", "\"x\"", "[1]", "{\"1933d8a0c8c00001.0\":\"1\"}", "{\"1933d8a0c8c00001.0\":{}}"] {
        let text = format!(r#"{{"type":"join","room":"r","user":"u","since":{wrong}}}"#);
        assert_eq!(ClientMessage::parse(&text).unwrap_err().code, ErrorCode::WrongField, "{wrong}");
    }
}

#[test]
fn a_client_may_give_its_nonce_and_is_told_what_is_wrong_with_it() {
    let join = |client: &str| format!(r#"{{"type":"join","room":"r","user":"u","client":{client}}}"#);
    let nonce = |text: &str| match ClientMessage::parse(text) {
        Ok(ClientMessage::Join { client, .. }) => Ok(client.map(|client| client.as_str().to_owned())),
        Ok(other) => panic!("{other:?}"),
        Err(Refusal { code, message, .. }) => Err((code, message)),
    };
    let sound = "5f2c9a417be0d83651c4f7a2093be86d";
    assert_eq!(nonce(&join(&format!("\"{sound}\""))), Ok(Some(sound.into())));
    assert_eq!(nonce(r#"{"type":"join","room":"r","user":"u"}"#), Ok(None));
    for (wrong, words) in [
        ("a".repeat(15), "client is 15 bytes; at least 16 are needed"),
        ("a".repeat(65), "client is 65 bytes; at most 64 are allowed"),
        ("a b".repeat(6), "client may hold A-Z, a-z, 0-9, - and _"),
    ] {
        assert_eq!(nonce(&join(&format!("\"{wrong}\""))), Err((ErrorCode::ClientInvalid, words.into())));
    }
    for wrong in ["null", "7", "[]", "{}"] {
        let message = "client must be a string".into();
        assert_eq!(nonce(&join(wrong)), Err((ErrorCode::WrongField, message)), "{wrong}");
    }
}

#[test]
fn deep_nesting_is_refused_without_a_stack_overflow() {
    let text = format!(r#"{{"type":{}"#, "[".repeat(20_000));
    assert_eq!(ClientMessage::parse(&text).unwrap_err().code, ErrorCode::NotJson);
}

proptest::proptest! {
    #[test]
    fn a_nonce_is_taken_if_it_keeps_its_rules_and_else_refused(
        nonce in "[A-Za-z0-9_-]{0,80}",
        strange in proptest::option::of("[^A-Za-z0-9_-]"),
    ) {
        let text = format!("{nonce}{}", strange.as_deref().unwrap_or_default());
        let frame = serde_json::json!({ "type": "join", "room": "r", "user": "u", "client": text }).to_string();
        let is_sound = strange.is_none() && (16..=64).contains(&nonce.len());
        match ClientMessage::parse(&frame) {
            Ok(ClientMessage::Join { client: Some(client), .. }) => {
                proptest::prop_assert!(is_sound);
                proptest::prop_assert_eq!(client.as_str(), text);
            }
            other => {
                proptest::prop_assert!(!is_sound);
                proptest::prop_assert_eq!(other.unwrap_err().code, ErrorCode::ClientInvalid);
            }
        }
    }

    #[test]
    fn any_text_is_a_value_or_a_refusal(text in ".{0,200}", inside in ".{0,40}") {
        let _ = ClientMessage::parse(&text);
        let _ = ClientMessage::parse(&format!("{{\"type\":\"join\",{inside}}}"));
    }
}
