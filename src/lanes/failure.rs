//! Why a connection to a node cannot be used.

use crate::wire::resp_reply::{Hello, Reply, ServerError};

/// Oldest release of Redis that has `SPUBLISH`.
const MAJOR_MIN: u32 = 7;

/// Why a connection ends.
#[derive(Debug)]
pub struct Failure {
    pub reason: String,
    /// It will be no better until a person does something.
    pub is_refusal: bool,
    /// Where to try next, once.
    pub hint: Option<String>,
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self { reason, is_refusal: false, hint: None }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        let reason = error.to_string();
        match error {
            ServerError::Moved { address, .. } => Self { reason, is_refusal: false, hint: address },
            ServerError::NoAuth | ServerError::WrongPass | ServerError::NoPermission(_) => {
                Self { reason, is_refusal: true, hint: None }
            }
            ServerError::NoProtocol(_) => Self {
                reason: format!(
                    "it is older than Redis 6 and has no sharded pub/sub: Redis {MAJOR_MIN} or newer is needed"
                ),
                is_refusal: true,
                hint: None,
            },
            _ => Self::from(reason),
        }
    }
}

/// Whether a node that says this about itself can be a lane.
pub fn check(hello: &Hello) -> Result<(), Failure> {
    if hello.major() >= MAJOR_MIN {
        return Ok(());
    }
    let reason =
        format!("Redis {} has no sharded pub/sub: Redis {MAJOR_MIN} or newer is needed", hello.version);
    Err(Failure { reason, is_refusal: true, hint: None })
}

/// What a person has to do something about, in an answer to `HELLO`.
pub fn refusal(reply: Reply) -> Option<String> {
    let failure = match reply {
        Reply::Hello(hello) => check(&hello).err()?,
        Reply::Error(error) => error.into(),
        _ => return None,
    };
    failure.is_refusal.then_some(failure.reason)
}
