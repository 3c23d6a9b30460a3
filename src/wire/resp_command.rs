//! The few commands that a bus sends, as RESP arrays of bulk strings. Each appends to `out`.

/// Who we are to Redis.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// The user; Redis calls the one that needs no name `default`.
    pub user: &'a str,
    /// The password.
    pub password: &'a str,
}

/// `HELLO 3 [AUTH user password] SETNAME name`: RESP3 from here on. `name` must have no spaces.
pub fn hello(out: &mut Vec<u8>, credentials: Option<Credentials<'_>>, name: &str) {
    array(out, if credentials.is_some() { 7 } else { 4 });
    bulks(out, ["HELLO", "3"]);
    if let Some(Credentials { user, password }) = credentials {
        bulks(out, ["AUTH", user, password]);
    }
    bulks(out, ["SETNAME", name]);
}

/// `SSUBSCRIBE channel…`. All channels must be of one slot.
pub fn ssubscribe<'a>(out: &mut Vec<u8>, channels: impl ExactSizeIterator<Item = &'a [u8]>) {
    with_channels(out, b"SSUBSCRIBE", channels);
}

/// `SUNSUBSCRIBE channel…`. All channels must be of one slot.
pub fn sunsubscribe<'a>(out: &mut Vec<u8>, channels: impl ExactSizeIterator<Item = &'a [u8]>) {
    with_channels(out, b"SUNSUBSCRIBE", channels);
}

/// `SPUBLISH channel payload`. The channel comes in parts, so that nobody has to join them before.
pub fn spublish(out: &mut Vec<u8>, channel: &[&[u8]], payload: &[u8]) {
    out.extend_from_slice(b"*3\r\n$8\r\nSPUBLISH\r\n");
    header(out, b'$', channel.iter().map(|part| part.len()).sum());
    channel.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(b"\r\n");
    bulk(out, payload);
}

/// `PING token`; the answer is the token.
pub fn ping(out: &mut Vec<u8>, token: &str) {
    array(out, 2);
    bulks(out, ["PING", token]);
}

/// `CLIENT KILL ID id ADDR address`: ends the connection that has both. An id alone may be another's after the server
/// was started anew.
pub fn client_kill(out: &mut Vec<u8>, id: i64, address: &str) {
    array(out, 6);
    bulks(out, ["CLIENT", "KILL", "ID", &id.to_string(), "ADDR", address]);
}

fn with_channels<'a>(out: &mut Vec<u8>, command: &[u8], channels: impl ExactSizeIterator<Item = &'a [u8]>) {
    array(out, 1 + channels.len());
    bulk(out, command);
    channels.for_each(|channel| bulk(out, channel));
}

fn bulks<const N: usize>(out: &mut Vec<u8>, texts: [&str; N]) {
    texts.into_iter().for_each(|text| bulk(out, text.as_bytes()));
}

fn array(out: &mut Vec<u8>, length: usize) {
    header(out, b'*', length);
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    header(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn header(out: &mut Vec<u8>, kind: u8, mut length: usize) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (length % 10) as u8;
        length /= 10;
        if length == 0 {
            break;
        }
    }
    out.push(kind);
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_what_redis_expects() {
        let mut out = Vec::new();
        spublish(&mut out, &[b"distr:", b"{L3}", b"r"], b"0123456789");
        assert_eq!(out, b"*3\r\n$8\r\nSPUBLISH\r\n$11\r\ndistr:{L3}r\r\n$10\r\n0123456789\r\n");
        let by_redis = |name: &str, arguments: &[&str]| {
            let mut command = redis::cmd(name);
            arguments.iter().for_each(|argument| {
                command.arg(argument);
            });
            command.get_packed_command()
        };
        let ours = |encode: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            encode(&mut out);
            out
        };
        let credentials = Some(Credentials { user: "default", password: "p w" });
        assert_eq!(
            ours(&|out| hello(out, credentials, "a-1")),
            by_redis("HELLO", &["3", "AUTH", "default", "p w", "SETNAME", "a-1"])
        );
        assert_eq!(ours(&|out| hello(out, None, "a-1")), by_redis("HELLO", &["3", "SETNAME", "a-1"]));
        assert_eq!(ours(&|out| ping(out, "7")), by_redis("PING", &["7"]));
        assert_eq!(
            ours(&|out| client_kill(out, -7, "h:1")),
            by_redis("CLIENT", &["KILL", "ID", "-7", "ADDR", "h:1"])
        );
        let channels = ["a", "bc"];
        let bytes = || channels.iter().map(|channel| channel.as_bytes());
        assert_eq!(ours(&|out| ssubscribe(out, bytes())), by_redis("SSUBSCRIBE", &channels));
        assert_eq!(ours(&|out| sunsubscribe(out, bytes())), by_redis("SUNSUBSCRIBE", &channels));
    }
}
