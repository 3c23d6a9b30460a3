use proptest::prelude::*;

use super::super::resp_reply::{Hello, ServerError};
use super::*;

fn parse(bytes: &[u8]) -> Result<Option<(usize, Incoming<'_>)>, RespError> {
    Parser::default().next(bytes)
}

fn reply(bytes: &[u8]) -> Reply {
    match parse(bytes) {
        Ok(Some((length, Incoming::Reply(reply)))) if length == bytes.len() => reply,
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_and_numbers_are_read_where_they_lie() {
    let bytes = b">3\r\n$8\r\nsmessage\r\n$5\r\n{a}ro\r\n$4\r\n\r\n$1\r\n:1\r\n";
    let (length, incoming) = parse(bytes).unwrap().unwrap();
    assert_eq!(incoming, Incoming::Message { channel: b"{a}ro", payload: b"\r\n$1" });
    assert_eq!(&bytes[length..], b":1\r\n");
    assert_eq!(reply(b":-12\r\n"), Reply::Integer(-12));
}

#[test]
fn replies_have_types() {
    assert_eq!(reply(b">3\r\n$10\r\nssubscribe\r\n$1\r\nr\r\n:1\r\n"), Reply::Subscribed(b"r".into()));
    assert_eq!(reply(b">3\r\n$12\r\nsunsubscribe\r\n$1\r\nr\r\n:0\r\n"), Reply::Unsubscribed(b"r".into()));
    assert_eq!(reply(b">3\r\n$12\r\nsunsubscribe\r\n_\r\n:0\r\n"), Reply::Other);
    assert_eq!(reply(b"$2\r\n17\r\n"), Reply::Text(b"17".into()));
    assert_eq!(reply(b"+PONG\r\n"), Reply::Text(b"PONG".into()));
    let hello = b"%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:9\r\n\
        $4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*1\r\n%1\r\n$4\r\nname\r\n$1\r\nx\r\n";
    let Reply::Hello(hello) = reply(hello) else { panic!("not a hello") };
    assert_eq!(hello, Hello { version: "7.0.15".into(), id: 9, mode: "cluster".into() });
    assert_eq!(hello.major(), 7);
}

#[test]
fn errors_have_kinds() {
    let error = |text: &str| match reply(format!("-{text}\r\n").as_bytes()) {
        Reply::Error(error) => error,
        other => panic!("{other:?}"),
    };
    let moved =
        |slot, address: Option<&str>| ServerError::Moved { slot, address: address.map(str::to_owned) };
    assert_eq!(error("MOVED 10310 127.0.0.1:17101"), moved(10310, Some("127.0.0.1:17101")));
    assert_eq!(error("MOVED 3729 ::1:6379"), moved(3729, Some("[::1]:6379")));
    assert_eq!(error("MOVED 14439 :0"), moved(14439, None), "a node whose address nobody knows");
    assert_eq!(error("MOVED 14439 h:0"), moved(14439, None));
    assert!(matches!(error("MOVED"), ServerError::Other(_)));
    assert!(matches!(error("MOVED 99999999 h:1"), ServerError::Other(_)));
    assert_eq!(error("ASK 1 h:1"), ServerError::Ask("1 h:1".into()));
    assert_eq!(
        error("CLUSTERDOWN Hash slot not served"),
        ServerError::ClusterDown("Hash slot not served".into())
    );
    assert_eq!(error("LOADING Redis is loading the dataset in memory"), ServerError::Loading);
    assert_eq!(
        error("NOAUTH HELLO must be called with the client already authenticated"),
        ServerError::NoAuth
    );
    assert_eq!(
        error("WRONGPASS invalid username-password pair or user is disabled."),
        ServerError::WrongPass
    );
    assert_eq!(error("CROSSSLOT Keys in request don't hash to the same slot"), ServerError::CrossSlot);
    assert!(matches!(error("NOPROTO unsupported protocol version"), ServerError::NoProtocol(_)));
    assert!(matches!(error("ERR unknown command `HELLO`, with args"), ServerError::NoProtocol(_)));
    assert!(matches!(error("NOPERM this user has no permissions"), ServerError::NoPermission(_)));
    assert_eq!(
        error("ERR max number of clients reached"),
        ServerError::Other("max number of clients reached".into())
    );
    assert_eq!(error("MISCONF it is so"), ServerError::Other("MISCONF it is so".into()));
}

#[test]
fn what_is_too_large_is_refused_at_its_head() {
    for head in [
        &b"$100000000\r\n"[..],
        b"*100000000\r\n",
        b"%99999999999999999999999999\r\n",
        b">3\r\n$8\r\nsmessage\r\n$1\r\nr\r\n$262144\r\n",
    ] {
        assert_eq!(parse(head), Err(RespError::TooLarge), "{}", head.escape_ascii());
    }
    let endless = [&b"-"[..], &[b'x'; LINE_BYTES_MAX]].concat();
    assert_eq!(parse(&endless), Err(RespError::TooLarge));
    assert_eq!(parse(&b"*1\r\n".repeat(DEPTH_MAX + 1)), Err(RespError::TooDeep));
}

#[test]
fn what_is_no_resp3_is_refused() {
    for wrong in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"$3\r\nabcd\r\n",
        b":1\n",
        b":x\r\n",
        b"$-2\r\n",
        b"*?\r\n",
        b"$\r\n",
        b"%-1\r\n",
    ] {
        assert_eq!(parse(wrong), Err(RespError::Malformed), "{}", wrong.escape_ascii());
    }
    let wrong = b">3\r\n$8\r\nsmessage\r\n$1\r\nr\r\n:1\r\n";
    assert_eq!(parse(wrong), Err(RespError::Malformed), "a payload that is no string");
}

/// Any value that Redis may send, encoded.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let string = |kind: &'static str| {
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(move |text| {
            let mut bytes = format!("{kind}{}\r\n", text.len()).into_bytes();
            bytes.extend_from_slice(&text);
            bytes.extend_from_slice(b"\r\n");
            bytes
        })
    };
    let leaf = prop_oneof![
        string("$"),
        any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
        "[a-zA-Z ]{0,20}".prop_map(|text| format!("+{text}\r\n").into_bytes()),
        "[A-Z]{1,9} [a-z ]{0,20}".prop_map(|text| format!("-{text}\r\n").into_bytes()),
        Just(b"_\r\n".to_vec()),
        Just(b"$-1\r\n".to_vec()),
        Just(b"#t\r\n".to_vec()),
        Just(b",1.5\r\n".to_vec()),
        Just(b"(123456789012345678901234567890\r\n".to_vec()),
        Just(b"=7\r\ntxt:abc\r\n".to_vec()),
        Just(b"!5\r\nERR x\r\n".to_vec()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let list = |kind: char, each: usize| {
            proptest::collection::vec(inner.clone(), 0..5).prop_map(move |mut parts| {
                parts.truncate(parts.len() / each * each);
                let mut bytes = format!("{kind}{}\r\n", parts.len() / each).into_bytes();
                bytes.extend(parts.concat());
                bytes
            })
        };
        prop_oneof![list('*', 1), list('~', 1), list('%', 2)]
    })
}

proptest! {
    /// At any cut, the framer finds the ends that the `redis` crate finds.
    #[test]
    fn values_end_where_redis_says(values in proptest::collection::vec(value(), 1..5), step in 1..30_usize) {
        let bytes = values.concat();
        let (mut framer, mut from, mut ends) = (Framer::default(), 0, Vec::new());
        for upto in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
            while let Some(length) = framer.frame(&bytes[from..upto]).unwrap() {
                redis::parse_redis_value(&bytes[from..from + length]).unwrap();
                from += length;
                ends.push(from);
            }
        }
        let expected: Vec<_> = values.iter().scan(0, |sum, value| { *sum += value.len(); Some(*sum) }).collect();
        prop_assert_eq!(ends, expected);
    }

    #[test]
    fn a_message_is_read_at_any_cut(
        channel in proptest::collection::vec(any::<u8>(), 0..60),
        payload in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut bytes = format!(">3\r\n$8\r\nsmessage\r\n${}\r\n", channel.len()).into_bytes();
        bytes.extend_from_slice(&channel);
        bytes.extend_from_slice(format!("\r\n${}\r\n", payload.len()).as_bytes());
        bytes.extend_from_slice(&payload);
        bytes.extend_from_slice(b"\r\n");
        let mut parser = Parser::default();
        for upto in 0..bytes.len() {
            prop_assert_eq!(parser.next(&bytes[..upto]), Ok(None));
        }
        let whole = Incoming::Message { channel: &channel, payload: &payload };
        prop_assert_eq!(parser.next(&bytes), Ok(Some((bytes.len(), whole))));
        let number = Incoming::Reply(Reply::Integer(1));
        prop_assert_eq!(parser.next(b":1\r\n"), Ok(Some((4, number))), "nothing is left of the message");
    }

    #[test]
    fn garbage_is_refused_and_nothing_worse(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut parser = Parser::default();
        let mut rest = &bytes[..];
        while let Ok(Some((length, _))) = parser.next(rest) {
            rest = &rest[length..];
        }
    }

    /// Garbage that looks like RESP3.
    #[test]
    fn near_misses_are_refused_and_nothing_worse(text in "([*$:>%~|+_=!,#(-][0-9a-z-]{0,3}\r\n){0,12}") {
        let mut parser = Parser::default();
        let mut rest = text.as_bytes();
        while let Ok(Some((length, _))) = parser.next(rest) {
            rest = &rest[length..];
        }
    }
}
