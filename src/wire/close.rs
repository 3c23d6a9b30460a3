//! The close-code table (docs/protocol.md, section 7), shared by server, clients and docs.

/// Why a connection ends, with the code of RFC 6455 section 7.4 or our own from 4000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// 1000: the client closed.
    Normal,
    /// 1001: the server is leaving.
    GoingAway,
    /// 1002: a frame broke RFC 6455.
    ProtocolError,
    /// 1003: a binary message was sent; the protocol is text.
    UnsupportedData,
    /// 1007: a text message was not UTF-8.
    InvalidText,
    /// 1008: far more frames than the rate allows, or a message in too many of them.
    Policy,
    /// 1009: a message was larger than `frame_bytes`.
    TooBig,
    /// 1011: the server failed.
    InternalError,
    /// 1013: the server is full.
    TryLater,
    /// 4000: the client read too slowly; it can resume.
    SlowConsumer,
    /// 4001: the client was silent for too long.
    PingTimeout,
    /// 4002: the client was in no room for too long.
    Idle,
}

impl CloseReason {
    /// Every reason, in the order of the table.
    pub const ALL: [Self; 12] = [
        Self::Normal,
        Self::GoingAway,
        Self::ProtocolError,
        Self::UnsupportedData,
        Self::InvalidText,
        Self::Policy,
        Self::TooBig,
        Self::InternalError,
        Self::TryLater,
        Self::SlowConsumer,
        Self::PingTimeout,
        Self::Idle,
    ];

    /// The number on the wire.
    pub fn code(self) -> u16 {
        self.row().0
    }

    /// The name in the table, in the close frame and in metrics.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Whether a client should come back.
    pub fn reconnect(self) -> bool {
        self.row().2
    }

    fn row(self) -> (u16, &'static str, bool) {
        match self {
            Self::Normal => (1000, "normal", false),
            Self::GoingAway => (1001, "going_away", true),
            Self::ProtocolError => (1002, "protocol_error", false),
            Self::UnsupportedData => (1003, "unsupported_data", false),
            Self::InvalidText => (1007, "invalid_text", false),
            Self::Policy => (1008, "policy", false),
            Self::TooBig => (1009, "too_big", false),
            Self::InternalError => (1011, "internal_error", true),
            Self::TryLater => (1013, "try_later", true),
            Self::SlowConsumer => (4000, "slow_consumer", true),
            Self::PingTimeout => (4001, "ping_timeout", true),
            Self::Idle => (4002, "idle", false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_one_in_the_docs() {
        let docs: serde_json::Value = serde_json::from_str(include_str!("../../docs/protocol.json")).unwrap();
        let rows: Vec<_> = docs["closeCodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                (
                    row["code"].as_u64().unwrap(),
                    row["name"].as_str().unwrap(),
                    row["reconnect"].as_bool().unwrap(),
                )
            })
            .collect();
        let ours: Vec<_> =
            CloseReason::ALL.iter().map(|r| (u64::from(r.code()), r.name(), r.reconnect())).collect();
        assert_eq!(ours, rows);
    }
}
