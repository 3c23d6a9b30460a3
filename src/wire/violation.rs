//! The rules of RFC 6455 that a peer may break, and what answers each.

use super::close::CloseReason;

/// The rule that a peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Violation {
    /// RFC 6455, section 5.2: no extension gives the bits a meaning.
    #[error("reserved bits are set")]
    ReservedBits,
    /// RFC 6455, section 5.2.
    #[error("reserved opcode")]
    ReservedOpcode,
    /// RFC 6455, section 5.1.
    #[error("a frame from a client must be masked")]
    Unmasked,
    /// RFC 6455, section 5.2: "the minimal number of bytes MUST be used".
    #[error("the length is not minimal")]
    LengthNotMinimal,
    /// RFC 6455, section 5.5.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// RFC 6455, section 5.5.
    #[error("a control frame is longer than 125 bytes")]
    LongControl,
    /// RFC 6455, section 5.4.
    #[error("a continuation without a beginning")]
    UnexpectedContinuation,
    /// RFC 6455, section 5.4.
    #[error("a new message inside a fragmented one")]
    ExpectedContinuation,
    /// RFC 6455, section 7.4: one byte of code, or a code that no endpoint may send.
    #[error("invalid close code")]
    CloseCode,
    /// RFC 6455, section 8.1.
    #[error("text is not UTF-8")]
    Utf8,
    /// Our own limit.
    #[error("the message is larger than allowed")]
    TooBig,
    /// Our own limit: [`super::limits::FRAGMENTS_MAX`].
    #[error("the message is in more fragments than allowed")]
    TooManyFragments,
}

impl Violation {
    /// Every violation, for the table of counters.
    pub const ALL: [Self; 12] = [
        Self::ReservedBits,
        Self::ReservedOpcode,
        Self::Unmasked,
        Self::LengthNotMinimal,
        Self::FragmentedControl,
        Self::LongControl,
        Self::UnexpectedContinuation,
        Self::ExpectedContinuation,
        Self::CloseCode,
        Self::Utf8,
        Self::TooBig,
        Self::TooManyFragments,
    ];

    /// The close code that answers it.
    pub fn close_reason(self) -> CloseReason {
        match self {
            Self::Utf8 => CloseReason::InvalidText,
            Self::TooBig => CloseReason::TooBig,
            Self::TooManyFragments => CloseReason::Policy,
            _ => CloseReason::ProtocolError,
        }
    }

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved_bits",
            Self::ReservedOpcode => "reserved_opcode",
            Self::Unmasked => "unmasked",
            Self::LengthNotMinimal => "length_not_minimal",
            Self::FragmentedControl => "fragmented_control",
            Self::LongControl => "long_control",
            Self::UnexpectedContinuation => "unexpected_continuation",
            Self::ExpectedContinuation => "expected_continuation",
            Self::CloseCode => "close_code",
            Self::Utf8 => "utf8",
            Self::TooBig => "too_big",
            Self::TooManyFragments => "too_many_fragments",
        }
    }
}
