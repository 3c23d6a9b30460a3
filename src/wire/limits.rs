//! The limits of the client protocol, named with their units. `welcome` tells them to the client.

use serde::Serialize;

/// Largest WebSocket message from a client. JSON may escape each byte of a text as six (`\u0001`).
pub const FRAME_BYTES_MAX: usize = 32 * 1024;
/// Most fragments of one message. A library that cuts at 1 KiB needs 32 for the largest.
pub const FRAGMENTS_MAX: usize = 64;
/// Largest chat text, in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 4096;
/// Largest user name, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 64;
/// Largest room name, in bytes of UTF-8.
pub const ROOM_BYTES_MAX: usize = 64;
/// Largest client message id, in bytes of UTF-8.
pub const ID_BYTES_MAX: usize = 64;
/// Shortest secret name of a client. 16 characters of 64 kinds hold 96 random bits.
pub const CLIENT_BYTES_MIN: usize = 16;
/// Largest secret name of a client.
pub const CLIENT_BYTES_MAX: usize = 64;
/// Most rooms that one connection may be in.
pub const ROOMS_MAX: usize = 32;
/// Most streams that one `since` may name.
pub const STREAMS_MAX: usize = 64;
/// Sustained frames per second from one client.
pub const FRAMES_PER_SECOND: u32 = 50;
/// Frames that a client may send at once after a rest.
pub const FRAMES_BURST: u32 = 200;

/// Largest envelope between servers.
pub const ENVELOPE_BYTES_MAX: usize = 64 * 1024;

/// What `welcome` tells the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// See [`FRAME_BYTES_MAX`].
    pub frame_bytes: usize,
    /// See [`TEXT_BYTES_MAX`].
    pub text_bytes: usize,
    /// See [`NAME_BYTES_MAX`].
    pub name_bytes: usize,
    /// See [`ROOM_BYTES_MAX`].
    pub room_bytes: usize,
    /// See [`ID_BYTES_MAX`].
    pub id_bytes: usize,
    /// See [`ROOMS_MAX`].
    pub rooms: usize,
    /// See [`STREAMS_MAX`].
    pub streams: usize,
    /// See [`FRAMES_PER_SECOND`]; an operator may change it.
    pub frames_per_second: u32,
    /// See [`FRAMES_BURST`]; an operator may change it.
    pub frames_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: FRAME_BYTES_MAX,
            text_bytes: TEXT_BYTES_MAX,
            name_bytes: NAME_BYTES_MAX,
            room_bytes: ROOM_BYTES_MAX,
            id_bytes: ID_BYTES_MAX,
            rooms: ROOMS_MAX,
            streams: STREAMS_MAX,
            frames_per_second: FRAMES_PER_SECOND,
            frames_burst: FRAMES_BURST,
        }
    }
}
