//! Which of the codings of a file a client wants (RFC 9110, section 12.5.3).

use super::http::Request;

/// How a file may be sent, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
    /// As it is.
    Identity,
}

/// A `qvalue`, in thousandths.
type Weight = u16;

impl Coding {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Gzip, Self::Identity];

    /// Its name in headers; `None`: it has none there.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }

    /// What a file's name has behind it that is coded so.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
            Self::Identity => "",
        }
    }

    /// Those that the client takes, the one that it likes best first. The file as it is is always
    /// among them, since it is better than none; it is last unless the client says otherwise.
    pub fn wanted(request: &Request<'_>) -> Vec<Self> {
        let weights = Self::ALL.map(|coding| (coding, coding.weight(request)));
        let mut wanted: Vec<_> =
            weights.into_iter().filter(|(coding, weight)| *weight > 0 || *coding == Self::Identity).collect();
        // The sort is stable: of those that the client likes as much, the best is first.
        wanted.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
        wanted.into_iter().map(|(coding, _)| coding).collect()
    }

    fn weight(self, request: &Request<'_>) -> Weight {
        let (mut named, mut others) = (None, None);
        for item in request.values("accept-encoding").flat_map(|value| value.split(|byte| *byte == b',')) {
            let Some((name, weight)) = std::str::from_utf8(item).ok().and_then(parse_item) else { continue };
            match name {
                "*" => others = others.or(Some(weight)),
                name if self.is_named(name) => named = named.or(Some(weight)),
                _ => {}
            }
        }
        // Who names neither takes it as it is, but asks for it by nothing.
        named.or(others).unwrap_or(0)
    }

    fn is_named(self, name: &str) -> bool {
        match self {
            Self::Brotli => name.eq_ignore_ascii_case("br"),
            // RFC 9110, section 8.4.1.3.
            Self::Gzip => name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip"),
            Self::Identity => name.eq_ignore_ascii_case("identity"),
        }
    }
}

/// A coding, and how much it is liked; 1 unless told. An item that is not well-formed is passed
/// over.
fn parse_item(item: &str) -> Option<(&str, Weight)> {
    let (name, parameter) = match item.split_once(';') {
        Some((name, parameter)) => (name, Some(parameter)),
        None => (item, None),
    };
    let weight = match parameter {
        None => 1000,
        Some(parameter) => {
            let (key, value) = parameter.trim().split_once('=')?;
            key.trim().eq_ignore_ascii_case("q").then(|| parse_weight(value.trim())).flatten()?
        }
    };
    Some((name.trim(), weight)).filter(|(name, _)| !name.is_empty())
}

/// RFC 9110, section 12.4.2: 0 to 1 with at most three decimals.
fn parse_weight(text: &str) -> Option<Weight> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = decimals.bytes().all(|byte| byte.is_ascii_digit()) && decimals.len() <= 3;
    let whole = matches!(whole, "0" | "1").then(|| whole == "1")?;
    let thousandths: Weight = format!("{decimals:0<3}").parse().ok().filter(|_| is_digits)?;
    Some(Weight::from(whole) * 1000 + thousandths).filter(|weight| *weight <= 1000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wanted(lines: &str) -> Vec<Coding> {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        Coding::wanted(&Request::parse(head.as_bytes()).unwrap())
    }

    #[test]
    fn a_client_gets_what_it_likes_best() {
        use Coding::{Brotli, Gzip, Identity};
        for (value, expected) in [
            ("gzip, deflate, br, zstd", &[Brotli, Gzip, Identity][..]),
            ("gzip", &[Gzip, Identity]),
            ("X-GZIP;q=0.5", &[Gzip, Identity]),
            ("br;q=0.1, gzip ; Q=0.25", &[Gzip, Brotli, Identity]),
            ("br;q=0, gzip", &[Gzip, Identity]),
            ("br;q=0.000, *;q=0.1", &[Gzip, Identity]),
            ("*", &[Brotli, Gzip, Identity]),
            ("gzip;q=0.5, identity", &[Identity, Gzip]),
            ("identity;q=0, *;q=0", &[Identity]),
            ("identity", &[Identity]),
            ("", &[Identity]),
            ("br;q=2, gzip;q=x, br;v=1, gzip;q=0.1234, ;q=1", &[Identity]),
            ("br;q=1.001", &[Identity]),
            ("bro, gzipped", &[Identity]),
        ] {
            assert_eq!(wanted(&format!("Accept-Encoding: {value}\r\n")), expected, "{value}");
        }
        assert_eq!(wanted(""), [Identity]);
        assert_eq!(
            wanted("Accept-Encoding: gzip;q=0.5\r\nAccept-Encoding: br\r\n"),
            [Brotli, Gzip, Identity]
        );
    }

    proptest! {
        #[test]
        fn whatever_is_written_one_is_wanted(value in "[ -~]{0,40}") {
            let wanted = wanted(&format!("Accept-Encoding: {value}\r\n"));
            prop_assert!(wanted.contains(&Coding::Identity));
        }
    }
}
