//! What Redis says beside messages, as far as anybody here asks for it.

use redis::{PushKind, ServerErrorKind, Value};

/// A reply or a push, typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `ssubscribe`: the channel is subscribed to.
    Subscribed(Vec<u8>),
    /// `sunsubscribe`: it no longer is, whether that was asked for or not. The channel.
    Unsubscribed(Vec<u8>),
    /// A string: the answer to `PING`, or `OK`.
    Text(Vec<u8>),
    /// A number: receivers of an `SPUBLISH`, connections that `CLIENT KILL` ended.
    Integer(i64),
    /// The answer to `HELLO`.
    Hello(Hello),
    /// An error in place of a reply.
    Error(ServerError),
    /// Anything else.
    Other,
}

/// Who answers (<https://redis.io/docs/latest/commands/hello/>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The release, such as `7.0.15`.
    pub version: String,
    /// This connection's id at the server.
    pub id: i64,
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: String,
}

impl Hello {
    /// The first number of the version; 0 when there is none.
    pub fn major(&self) -> u32 {
        self.version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0)
    }
}

/// Why Redis does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// The slot is another node's, of which it knows the address or not.
    #[error("slot {slot} is said to be at {}", address.as_deref().unwrap_or("an unknown address"))]
    Moved {
        /// The slot.
        slot: u16,
        /// `host:port`; `None` where Redis left the host out.
        address: Option<String>,
    },
    /// The slot is under way to another node.
    #[error("the slot is being moved: ASK {0}")]
    Ask(String),
    /// `CLUSTERDOWN`: too few nodes, or nobody has the slot.
    #[error("the cluster is down: {0}")]
    ClusterDown(String),
    /// It is starting.
    #[error("it is still loading its data")]
    Loading,
    /// A password is needed.
    #[error("it asks for a password and none was given")]
    NoAuth,
    /// The password, or the user, is wrong.
    #[error("it refuses this user and password")]
    WrongPass,
    /// The user may not do this.
    #[error("the user lacks a permission: {0}")]
    NoPermission(String),
    /// Channels of several slots in one command.
    #[error("channels of several slots in one command")]
    CrossSlot,
    /// `HELLO` or its version is unknown: older than Redis 6.
    #[error("it does not know HELLO 3: {0}")]
    NoProtocol(String),
    /// Anything else, as Redis put it.
    #[error("{0}")]
    Other(String),
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        match value {
            Value::Int(number) => Self::Integer(number),
            Value::Okay => Self::Text(b"OK".to_vec()),
            Value::SimpleString(text) => Self::Text(text.into_bytes()),
            Value::BulkString(bytes) => Self::Text(bytes),
            Value::Map(pairs) => hello(pairs).map_or(Self::Other, Self::Hello),
            Value::ServerError(error) => {
                Self::Error(server_error(error.kind(), error.code(), error.details()))
            }
            Value::Push { kind: PushKind::SSubscribe, data } => {
                channel(data).map_or(Self::Other, Self::Subscribed)
            }
            Value::Push { kind: PushKind::SUnsubscribe, data } => {
                channel(data).map_or(Self::Other, Self::Unsubscribed)
            }
            _ => Self::Other,
        }
    }
}

fn channel(data: Vec<Value>) -> Option<Vec<u8>> {
    match data.into_iter().next() {
        Some(Value::BulkString(channel)) => Some(channel),
        _ => None,
    }
}

fn hello(pairs: Vec<(Value, Value)>) -> Option<Hello> {
    let mut hello = Hello::default();
    for pair in pairs {
        match (text(pair.0)?.as_str(), pair.1) {
            ("version", value) => hello.version = text(value)?,
            ("mode", value) => hello.mode = text(value)?,
            ("id", Value::Int(id)) => hello.id = id,
            _ => {}
        }
    }
    (!hello.version.is_empty()).then_some(hello)
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn server_error(kind: Option<ServerErrorKind>, code: &str, details: Option<&str>) -> ServerError {
    let details = details.unwrap_or_default();
    match (kind, code) {
        (Some(ServerErrorKind::Moved), _) => moved(details),
        (Some(ServerErrorKind::Ask), _) => ServerError::Ask(details.to_owned()),
        (Some(ServerErrorKind::ClusterDown), _) => ServerError::ClusterDown(details.to_owned()),
        (Some(ServerErrorKind::BusyLoading), _) => ServerError::Loading,
        (Some(ServerErrorKind::CrossSlot), _) => ServerError::CrossSlot,
        (Some(ServerErrorKind::NoPerm), _) => ServerError::NoPermission(details.to_owned()),
        (_, "NOAUTH") => ServerError::NoAuth,
        (_, "WRONGPASS") => ServerError::WrongPass,
        (_, "NOPROTO") => ServerError::NoProtocol(details.to_owned()),
        _ if details.starts_with("unknown command") => ServerError::NoProtocol(details.to_owned()),
        (_, "ERR") => ServerError::Other(details.to_owned()),
        _ => ServerError::Other(format!("{code} {details}")),
    }
}

/// `3999 10.0.0.7:6379`, `3999 :6379` for a node whose address the other does not know, and an IPv6 address without
/// brackets.
fn moved(details: &str) -> ServerError {
    let (slot, address) = details.split_once(' ').unwrap_or((details, ""));
    let host_and_port = address
        .rsplit_once(':')
        .filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
    let address = host_and_port.map(|(host, port)| match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]:{port}"),
        false => address.to_owned(),
    });
    match slot.parse() {
        Ok(slot) => ServerError::Moved { slot, address },
        Err(_) => ServerError::Other(format!("MOVED {details}")),
    }
}
