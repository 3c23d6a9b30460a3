//! The `redis-server` of this machine: whether it is there, and new enough.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Its name.
pub const PROGRAM: &str = "redis-server";
/// The first with sharded pub/sub (`SPUBLISH`).
const VERSION_MIN: u32 = 7;

/// As in `7.0.15`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(String);

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Nothing of that name can be run.
    #[error("{0} is not installed; install Redis 7 or newer (Debian, Ubuntu: apt-get install redis-server)")]
    Missing(String),
    /// It has no sharded pub/sub.
    #[error("{0} is version {1}, which has no sharded pub/sub; install Redis {VERSION_MIN} or newer")]
    TooOld(String, Version),
    /// It does not say what it is.
    #[error("{0} does not tell its version; it must be Redis {VERSION_MIN} or newer")]
    Strange(String),
    /// The system does not run it.
    #[error("{0} cannot be run: {1}")]
    Broken(String, io::Error),
}

/// Asks it for its version.
pub fn probe(program: &Path) -> Result<Version, Unusable> {
    let name = program.display().to_string();
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Unusable::Missing(name.clone()),
        _ => Unusable::Broken(name.clone(), error),
    })?;
    let told = String::from_utf8_lossy(&output.stdout);
    match parse(&told) {
        Some((version, major)) if major < VERSION_MIN => Err(Unusable::TooOld(name, version)),
        Some((version, _)) => Ok(version),
        None => Err(Unusable::Strange(name)),
    }
}

/// Redis tells `Redis server v=7.0.15 sha=…`, and Valkey likewise. The second is the first number of it.
fn parse(told: &str) -> Option<(Version, u32)> {
    let version = told.split_whitespace().find_map(|word| word.strip_prefix("v="))?;
    let major = version.split('.').next()?.parse().ok()?;
    Some((Version(version.to_owned()), major))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_servers_tell() {
        for (told, version, major) in [
            ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1", "7.0.15", 7),
            ("Redis server v=6.2.14 sha=0", "6.2.14", 6),
            ("Valkey server v=8.1.0 sha=0", "8.1.0", 8),
        ] {
            assert_eq!(parse(told), Some((Version(version.into()), major)));
        }
        assert_eq!(parse("command not found"), None);
        assert_eq!(parse("v=seven"), None);
    }
}
