//! Bytes ↔ types. Total functions over slices: no sockets, clocks, threads or randomness, and nothing that a peer
//! sends can make one of them panic. A refusal is a typed error that names the broken rule.

pub mod client_message;
pub mod client_nonce;
pub mod close;
pub mod cluster_key;
pub mod decoder;
pub mod envelope;
pub mod envelope_codec;
pub mod forward;
pub mod fragments;
pub mod frame;
pub mod frame_tracker;
pub mod heartbeat;
pub mod http;
pub mod limits;
pub mod name;
pub mod resp;
pub mod resp_command;
pub mod resp_reply;
pub mod response;
pub mod server_message;
pub mod slot;
pub mod stream;
pub mod switching;
pub mod ticket;
pub mod upgrade;
pub mod violation;

pub use client_message::{ClientMessage, Refusal};
pub use client_nonce::ClientNonce;
pub use close::CloseReason;
pub use cluster_key::ClusterKey;
pub use decoder::{Decoder, Event};
pub use envelope::Envelope;
pub use envelope_codec::EnvelopeError;
pub use forward::{Forward, ForwardError};
pub use frame_tracker::{FrameSplitter, FrameTracker};
pub use heartbeat::Heartbeat;
pub use http::{HeadError, Request};
pub use limits::Limits;
pub use response::{Response, Status};
pub use server_message::ServerMessage;
pub use stream::StreamId;
pub use ticket::{Ticket, TicketError};
pub use violation::Violation;
