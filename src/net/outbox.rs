//! What one connection has still to send: shared frames, counted, bounded, written late and in one call.

use std::io::{self, IoSlice, Write};

use bytes::{Buf, Bytes};
use smallvec::SmallVec;

/// Most slices in one `writev`; Linux takes 1,024.
const SLICES_MAX: usize = 64;
/// Frames held without a heap allocation: what a room says in a turn is one, an acknowledgement the other.
const INLINE: usize = 2;

/// What a frame costs beside its bytes, so that many small ones are bounded too.
const FRAME_OVERHEAD: usize = 64;

/// The queue is full: the peer reads too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// How a flush ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Nothing is left.
    Empty,
    /// The socket is full; the poller will tell when it is not.
    Blocked,
}

/// A frame, or a part of one.
#[derive(Debug)]
struct Part {
    bytes: Bytes,
    /// The frame goes on in the next part.
    goes_on: bool,
}

/// Frames to one peer, in order. No heap while at most [`INLINE`] of them wait.
#[derive(Debug, Default)]
pub struct Outbox {
    frames: SmallVec<[Part; INLINE]>,
    bytes: usize,
    /// Bytes of answers that were queued since the queue was last empty.
    answers: usize,
}

impl Outbox {
    /// Queues one frame unless that would make more than `bytes_max` wait, answers not counted.
    pub fn push(&mut self, frame: Bytes, bytes_max: usize) -> Result<(), Overflow> {
        if self.weight() + frame.len() > bytes_max.saturating_add(self.answers) {
            return Err(Overflow);
        }
        self.bytes += frame.len();
        self.frames.push(Part { bytes: frame, goes_on: false });
        Ok(())
    }

    /// Queues something large that the peer has asked for, in parts that are one frame. It has a bound of its own,
    /// `answers_max`: a peer that catches up after it was too slow must not be found too slow for the very answer that
    /// helps it.
    pub fn push_answer(&mut self, parts: &[Bytes], answers_max: usize) -> Result<(), Overflow> {
        let bytes: usize = parts.iter().map(Bytes::len).sum();
        let weight = bytes + parts.len().saturating_sub(1) * FRAME_OVERHEAD;
        if self.answers + weight > answers_max {
            return Err(Overflow);
        }
        self.answers += weight;
        self.bytes += bytes;
        let goes_on = |index| index + 1 < parts.len();
        self.frames.extend(
            parts
                .iter()
                .enumerate()
                .map(|(index, bytes)| Part { bytes: bytes.clone(), goes_on: goes_on(index) }),
        );
        Ok(())
    }

    fn weight(&self) -> usize {
        // The first frames are held inline.
        self.bytes + self.frames.len().saturating_sub(INLINE) * FRAME_OVERHEAD
    }

    /// Bytes that wait, answers too.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Drops every frame of which nothing was sent yet; used before a close frame to a peer that does not read. The
    /// frame that is under way stays, or the peer could not understand what follows.
    pub fn drop_unsent(&mut self, first_is_partly_sent: bool) {
        let end_of_first = self.frames.iter().position(|part| !part.goes_on).map_or(0, |last| last + 1);
        self.frames.truncate(if first_is_partly_sent { end_of_first } else { 0 });
        self.bytes = self.frames.iter().map(|part| part.bytes.len()).sum();
    }

    /// Writes with one call for up to [`SLICES_MAX`] frames. `writes` counts the calls.
    ///
    /// A short write means that the socket is full: the kernel has noted it and will tell when it drains, so no
    /// second call is spent to hear `WouldBlock`.
    pub fn flush(&mut self, writer: &mut impl Write, writes: &mut u64) -> io::Result<Flush> {
        while !self.frames.is_empty() {
            let (offered, result) = self.write_once(writer);
            *writes += 1;
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.advance(written);
                    if written < offered {
                        return Ok(Flush::Blocked);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Flush::Blocked),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.frames.shrink_to_fit();
        self.answers = 0;
        Ok(Flush::Empty)
    }

    fn write_once(&self, writer: &mut impl Write) -> (usize, io::Result<usize>) {
        if self.frames.len() == 1 {
            let Part { bytes, .. } = &self.frames[0];
            return (bytes.len(), writer.write(bytes));
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut offered = 0;
        let count = self.frames.len().min(SLICES_MAX);
        for (slice, Part { bytes, .. }) in slices.iter_mut().zip(&self.frames) {
            *slice = IoSlice::new(bytes);
            offered += bytes.len();
        }
        (offered, writer.write_vectored(&slices[..count]))
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        let mut whole = 0;
        for Part { bytes, .. } in &mut self.frames {
            if written < bytes.len() {
                bytes.advance(written);
                break;
            }
            written -= bytes.len();
            whole += 1;
        }
        self.frames.drain(..whole);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Takes as many bytes a call as it is told, then none.
    struct Socket {
        room: Vec<usize>,
        taken: Vec<u8>,
    }

    impl Write for Socket {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            match self.room.pop() {
                None | Some(0) => Err(io::ErrorKind::WouldBlock.into()),
                Some(room) => {
                    let taken = room.min(buf.len());
                    self.taken.extend_from_slice(&buf[..taken]);
                    Ok(taken)
                }
            }
        }

        fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
            let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            self.write(&all)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn many_frames_are_one_write() {
        let mut outbox = Outbox::default();
        for _ in 0..SLICES_MAX {
            outbox.push(Bytes::from_static(b"frame"), usize::MAX).unwrap();
        }
        let mut socket = Socket { room: vec![usize::MAX], taken: Vec::new() };
        let mut writes = 0;
        assert_eq!(outbox.flush(&mut socket, &mut writes).unwrap(), Flush::Empty);
        assert_eq!((writes, socket.taken.len()), (1, 5 * SLICES_MAX));
        assert!(!outbox.frames.spilled(), "a burst's memory is given back");
    }

    #[test]
    fn a_full_queue_refuses_and_keeps_what_it_has() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(Bytes::from_static(b"12345"), 8), Ok(()));
        assert_eq!(outbox.push(Bytes::from_static(b"1234"), 8), Err(Overflow));
        assert_eq!(outbox.push(Bytes::from_static(b"123"), 8), Ok(()));
        assert_eq!(outbox.bytes, 8);
    }

    #[test]
    fn an_answer_has_a_bound_of_its_own() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(Bytes::from_static(b"1234"), 8), Ok(()));
        let answer = [Bytes::from_static(b"a long "), Bytes::from_static(b"answer")];
        let answers_max = 20 + FRAME_OVERHEAD;
        assert_eq!(outbox.push_answer(&answer, answers_max), Ok(()));
        assert_eq!(outbox.push_answer(&answer, answers_max), Err(Overflow));
        assert_eq!(
            outbox.push(Bytes::from_static(b"1234"), 8),
            Ok(()),
            "the answer takes no place from others"
        );
        assert_eq!(outbox.push(Bytes::from_static(b"1"), 8), Err(Overflow));
        let mut socket = Socket { room: vec![100], taken: Vec::new() };
        assert_eq!(outbox.flush(&mut socket, &mut 0).unwrap(), Flush::Empty);
        assert_eq!(
            outbox.push(Bytes::from_static(b"123456789"), 8),
            Err(Overflow),
            "the allowance is used up"
        );
    }

    #[test]
    fn the_frame_under_way_survives_a_drop() {
        let mut outbox = Outbox::default();
        outbox.push(Bytes::from_static(b"12345"), 100).unwrap();
        outbox.push(Bytes::from_static(b"678"), 100).unwrap();
        let mut socket = Socket { room: vec![2], taken: Vec::new() };
        assert_eq!(outbox.flush(&mut socket, &mut 0).unwrap(), Flush::Blocked);
        outbox.drop_unsent(true);
        socket.room = vec![100];
        assert_eq!(outbox.flush(&mut socket, &mut 0).unwrap(), Flush::Empty);
        assert_eq!(socket.taken, b"12345");
    }

    #[test]
    fn a_frame_in_parts_is_dropped_or_kept_as_one() {
        let parts = [Bytes::from_static(b"12"), Bytes::from_static(b"34"), Bytes::from_static(b"5")];
        for (taken, kept) in [(1, "12345"), (3, "12345"), (5, "12345678"), (6, "12345678")] {
            let mut outbox = Outbox::default();
            outbox.push_answer(&parts, 1000).unwrap();
            outbox.push(Bytes::from_static(b"678"), 100).unwrap();
            outbox.push_answer(&parts, 1000).unwrap();
            let mut socket = Socket { room: vec![taken], taken: Vec::new() };
            assert_eq!(outbox.flush(&mut socket, &mut 0).unwrap(), Flush::Blocked);
            outbox.drop_unsent(true);
            socket.room = vec![100; 9];
            assert_eq!(outbox.flush(&mut socket, &mut 0).unwrap(), Flush::Empty);
            assert_eq!(String::from_utf8_lossy(&socket.taken), kept, "after {taken} bytes");
        }
        let mut outbox = Outbox::default();
        outbox.push_answer(&parts, 1000).unwrap();
        outbox.drop_unsent(false);
        assert!(outbox.is_empty());
    }

    proptest! {
        #[test]
        fn any_room_gives_the_same_bytes(
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..90),
            room in proptest::collection::vec(0..60_usize, 0..200),
        ) {
            let mut outbox = Outbox::default();
            for frame in &frames {
                outbox.push(Bytes::from(frame.clone()), usize::MAX).unwrap();
            }
            let mut socket = Socket { room, taken: Vec::new() };
            while !socket.room.is_empty() {
                outbox.flush(&mut socket, &mut 0).unwrap();
                if outbox.is_empty() { break }
            }
            let all = frames.concat();
            prop_assert_eq!(&socket.taken[..], &all[..socket.taken.len()]);
            prop_assert_eq!(outbox.bytes, all.len() - socket.taken.len());
        }
    }
}
