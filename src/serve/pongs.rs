//! The answers to one client's pings in one turn (RFC 6455, section 5.5.3).

use bytes::Bytes;

use crate::wire::frame;

/// Pings that are answered one by one; of more in one turn only the latest is, which bounds what a
/// flood costs.
const ANSWERED_MAX: usize = 32;

/// What is still owed.
#[derive(Debug, Default)]
pub(super) struct Pongs {
    answered: usize,
    latest: Option<Bytes>,
}

impl Pongs {
    /// The answer to a ping, unless it is put off.
    pub(super) fn answer(&mut self, payload: &[u8]) -> Option<Bytes> {
        let mut pong = Vec::with_capacity(payload.len() + 2);
        frame::encode_pong(payload, &mut pong);
        if self.answered == ANSWERED_MAX {
            self.latest = Some(pong.into());
            return None;
        }
        self.answered += 1;
        Some(pong.into())
    }

    /// What was put off: due before a message that came behind it, and at the end of the turn.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        self.latest.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_answered_up_to_a_bound_and_beyond_it_the_latest() {
        let mut pongs = Pongs::default();
        for number in 0..ANSWERED_MAX as u8 {
            assert_eq!(pongs.answer(&[number]).as_deref(), Some(&[0x8a, 1, number][..]));
        }
        assert_eq!(pongs.take(), None);
        assert_eq!([pongs.answer(b"x"), pongs.answer(b"y")], [None, None]);
        assert_eq!(pongs.take().as_deref(), Some(&[0x8a, 1, b'y'][..]));
        assert_eq!(pongs.take(), None);
    }
}
