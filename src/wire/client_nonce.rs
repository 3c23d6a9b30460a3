//! The secret random name of a client: what it says is known by it at every server, whatever name the user chose.

use std::fmt;

use sha2::{Digest, Sha256};

use super::limits::{CLIENT_BYTES_MAX, CLIENT_BYTES_MIN};

/// [`CLIENT_BYTES_MIN`] to [`CLIENT_BYTES_MAX`] characters of `A-Z a-z 0-9 - _`. Nobody but the client is told it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientNonce(Box<str>);

/// Why a text is no [`ClientNonce`]. Never tells the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientNonceError {
    /// It can be guessed; carries its bytes.
    #[error("client is {0} bytes; at least {CLIENT_BYTES_MIN} are needed")]
    TooShort(usize),
    /// Carries its bytes.
    #[error("client is {0} bytes; at most {CLIENT_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// A character that is not allowed.
    #[error("client may hold A-Z, a-z, 0-9, - and _")]
    Character,
}

impl ClientNonce {
    /// What a client gives.
    pub fn parse(text: &str) -> Result<Self, ClientNonceError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        match text.len() {
            bytes if bytes < CLIENT_BYTES_MIN => Err(ClientNonceError::TooShort(bytes)),
            bytes if bytes > CLIENT_BYTES_MAX => Err(ClientNonceError::TooLong(bytes)),
            _ if !text.bytes().all(is_allowed) => Err(ClientNonceError::Character),
            _ => Ok(Self(text.into())),
        }
    }

    /// What a server gives to a client that has none. The seed is secret too.
    pub fn from_seed(seed: u128) -> Self {
        Self(format!("{seed:032x}").into())
    }

    /// The text, for the client alone.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What servers keep and tell each other: the same for the same text, and the text cannot be told from it.
    pub fn key(&self) -> u64 {
        let digest: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        digest.first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
    }
}

/// Logs must not tell it.
impl fmt::Debug for ClientNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientNonce({:016x})", self.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_keeps_its_rules() {
        let sound = "0aZ-_".repeat(4);
        assert_eq!(ClientNonce::parse(&sound).unwrap().as_str(), sound);
        assert!(ClientNonce::parse(&"a".repeat(16)).is_ok() && ClientNonce::parse(&"a".repeat(64)).is_ok());
        assert_eq!(ClientNonce::parse(&"a".repeat(15)), Err(ClientNonceError::TooShort(15)));
        assert_eq!(ClientNonce::parse(&"a".repeat(65)), Err(ClientNonceError::TooLong(65)));
        for wrong in [' ', '.', '/', '+', '\n', '\0', 'é'] {
            let text = format!("{}{wrong}", "a".repeat(20));
            assert_eq!(ClientNonce::parse(&text), Err(ClientNonceError::Character), "{text:?}");
        }
    }

    #[test]
    fn the_key_is_the_head_of_the_hash_and_differs_by_text() {
        // printf %s 5f2c9a417be0d83651c4f7a2093be86d | sha256sum
        let nonce = ClientNonce::parse("5f2c9a417be0d83651c4f7a2093be86d").unwrap();
        assert_eq!(nonce.key(), 0x8273_81f7_e04d_b899);
        assert_ne!(nonce.key(), ClientNonce::parse("5f2c9a417be0d83651c4f7a2093be86e").unwrap().key());
    }

    #[test]
    fn what_a_server_makes_is_sound_and_its_own() {
        let made = ClientNonce::from_seed(u128::MAX / 3);
        assert_eq!(ClientNonce::parse(made.as_str()), Ok(made.clone()));
        assert_eq!(ClientNonce::from_seed(1).as_str().len(), 32, "short seeds too");
        assert_ne!(ClientNonce::from_seed(1), ClientNonce::from_seed(2));
    }

    #[test]
    fn debug_output_does_not_tell_it() {
        let nonce = ClientNonce::parse("a-secret-of-the-client").unwrap();
        assert!(!format!("{nonce:?}").contains("secret"));
    }
}
