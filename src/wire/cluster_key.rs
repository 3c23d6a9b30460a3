//! The key that the nodes of a cluster share, and what is signed with it: HMAC-SHA-256 (RFC 2104, FIPS 180-4).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a whole signature.
pub const SIGNATURE_BYTES: usize = 32;
/// Fewest bytes of a key: less could be guessed.
pub const KEY_BYTES_MIN: usize = 16;
/// Most bytes of a key.
pub const KEY_BYTES_MAX: usize = 256;

/// What a signature is for. One that was made for one purpose is none for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A heartbeat datagram.
    Heartbeat = 1,
    /// A client's way into a server.
    Enter = 2,
    /// An operator's word that a server is to drain.
    Drain = 3,
}

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a cluster key has {KEY_BYTES_MIN} to {KEY_BYTES_MAX} visible ASCII characters; `distr-chat token key` makes one"
)]
pub struct KeyError;

/// A key. It does not show itself.
#[derive(Clone)]
pub struct ClusterKey(Hmac<Sha256>);

impl ClusterKey {
    /// Takes what an operator wrote.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_visible || !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&text.len()) {
            return Err(KeyError);
        }
        Ok(Self(Hmac::new_from_slice(text.as_bytes()).map_err(|_| KeyError)?))
    }

    /// The signature of `parts`, one behind the other.
    pub fn sign(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; SIGNATURE_BYTES] {
        self.mac(purpose, parts).finalize().into_bytes().into()
    }

    /// Whether `signature`, which may be the beginning of a whole one, is that of `parts`. Takes the same time for
    /// every wrong one.
    pub fn has_signed(&self, purpose: Purpose, parts: &[&[u8]], signature: &[u8]) -> bool {
        self.mac(purpose, parts).verify_truncated_left(signature).is_ok()
    }

    fn mac(&self, purpose: Purpose, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(&[purpose as u8]);
        parts.iter().for_each(|part| mac.update(part));
        mac
    }
}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_purpose_its_bytes_and_its_key() {
        let key = ClusterKey::parse("0123456789abcdef").unwrap();
        let signature = key.sign(Purpose::Enter, &[b"ab", b"c"]);
        assert!(key.has_signed(Purpose::Enter, &[b"abc"], &signature));
        assert!(key.has_signed(Purpose::Enter, &[b"abc"], &signature[..16]));
        assert!(!key.has_signed(Purpose::Drain, &[b"abc"], &signature));
        assert!(!key.has_signed(Purpose::Enter, &[b"abd"], &signature));
        assert!(!key.has_signed(Purpose::Enter, &[b"abc"], &[]));
        let other = ClusterKey::parse("0123456789abcdeF").unwrap();
        assert!(!other.has_signed(Purpose::Enter, &[b"abc"], &signature));
    }

    #[test]
    fn it_is_what_rfc_4231_says() {
        // Test case 2 has a key that is too short for us, so this is the third of RFC 4231, with its key as it is.
        let key = ClusterKey(Hmac::new_from_slice(&[0xaa; 20]).unwrap());
        let mut mac = key.0.clone();
        mac.update(&[0xdd; 50]);
        let signature: [u8; 32] = mac.finalize().into_bytes().into();
        assert_eq!(signature[..4], [0x77, 0x3e, 0xa9, 0x1e]);
    }

    #[test]
    fn keys_are_long_enough_and_visible() {
        for text in
            ["", "short", "0123456789abcde", "0123456789 abcdef", "0123456789abcdefé", &"k".repeat(257)]
        {
            assert_eq!(ClusterKey::parse(text).unwrap_err(), KeyError, "{text:?}");
        }
        assert_eq!(format!("{:?}", ClusterKey::parse(&"k".repeat(256)).unwrap()), "ClusterKey(…)");
    }
}
