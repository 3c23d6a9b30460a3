//! The protocol and HTTP, as bytes and values: no sockets, no clocks.

pub mod client_message;
pub mod frame_cache;
pub mod frames;
pub mod handshake;
pub mod http;
pub mod protocol;
pub mod refusal;
pub mod server_message;
pub mod text;
pub mod url;
