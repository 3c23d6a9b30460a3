//! Times that are the same in every process of this machine: [`Instant`] over a pipe.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The clock behind [`Instant`], since the machine was started.
fn now() -> (Instant, Duration) {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    (Instant::now(), Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default()))
}

/// Writes nanoseconds since the machine was started.
pub fn serialize<S: Serializer>(at: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    let (now, since_boot) = now();
    let at = match at.checked_duration_since(now) {
        Some(ahead) => since_boot + ahead,
        None => since_boot.saturating_sub(now - *at),
    };
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX).serialize(serializer)
}

/// Reads nanoseconds since the machine was started.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
    let (now, since_boot) = now();
    let at = Duration::from_nanos(u64::deserialize(deserializer)?);
    let instant = match at.checked_sub(since_boot) {
        Some(ahead) => now.checked_add(ahead),
        None => now.checked_sub(since_boot - at),
    };
    instant.ok_or_else(|| serde::de::Error::custom("a time that no clock shows"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Note(#[serde(with = "super")] Instant);

    #[test]
    fn a_time_is_the_same_behind_a_pipe() {
        let now = Instant::now();
        for at in [now, now + Duration::from_secs(9), now.checked_sub(Duration::from_secs(1)).unwrap_or(now)]
        {
            let Note(read) = serde_json::from_str(&serde_json::to_string(&Note(at)).unwrap()).unwrap();
            // Two clocks are read, one after the other, on both sides.
            assert!(read.max(at) - read.min(at) < Duration::from_secs(1));
        }
    }
}
