//! How long things took, from a microsecond to a minute, to three digits.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MICROS_MAX: u64 = 60_000_000;
const DIGITS: u8 = 3;

/// A histogram of times; 136 KiB, so one per worker and kind, and none per client.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

/// What is told of a histogram, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many times were recorded.
    pub count: u64,
    /// Half were at most this long.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of a hundred.
    pub p99: f64,
    /// 999 of a thousand.
    pub p99_9: f64,
    /// 9,999 of ten thousand.
    pub p99_99: f64,
    /// The longest.
    pub max: f64,
}

/// Times in one range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bucket {
    /// The range ends here, in milliseconds; it begins where the one before ends.
    pub to_ms: f64,
    /// How many.
    pub count: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, MICROS_MAX, DIGITS).expect("the bounds are constants that fit"))
    }
}

impl Latency {
    /// Adds a time.
    pub fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// The usual numbers.
    pub fn quantiles(&self) -> Quantiles {
        let at = |quantile| self.at_ms(quantile);
        Quantiles {
            count: self.0.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: to_ms(self.0.max()),
        }
    }

    /// The time that this share of all was at most, in milliseconds.
    pub fn at_ms(&self, quantile: f64) -> f64 {
        to_ms(self.0.value_at_quantile(quantile))
    }

    /// Counts between 0.1, 0.2, 0.5, 1, 2, 5, … milliseconds, from the first that is not empty to the last.
    pub fn buckets(&self) -> Vec<Bucket> {
        let bounds = (2..=8).flat_map(|power| [1, 2, 5].map(|step| step * 10_u64.pow(power)));
        let mut recorded = self.0.iter_recorded().peekable();
        let mut buckets: Vec<_> = bounds
            .map(|to| {
                let mut count = 0;
                while let Some(value) = recorded.next_if(|value| value.value_iterated_to() < to) {
                    count += value.count_at_value();
                }
                Bucket { to_ms: to_ms(to), count }
            })
            .collect();
        // The last bound is behind the longest time that is recorded, so nothing is left out.
        let Some(last) = buckets.iter().rposition(|bucket| bucket.count > 0) else { return Vec::new() };
        buckets.truncate(last + 1);
        let first = buckets.iter().position(|bucket| bucket.count > 0).unwrap_or(0);
        buckets.split_off(first)
    }
}

/// What was recorded, as pairs of microseconds and counts: all have the same bounds, so nothing is lost.
impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let recorded = self.0.iter_recorded();
        serializer.collect_seq(recorded.map(|value| (value.value_iterated_to(), value.count_at_value())))
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut latency = Self::default();
        for (micros, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            latency.0.saturating_record_n(micros, count);
        }
        Ok(latency)
    }
}

fn to_ms(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_in_milliseconds() {
        let mut latency = Latency::default();
        (1..=1000).for_each(|millis| latency.record(Duration::from_millis(millis)));
        let Quantiles { count, p50, p90, p99, p99_9, p99_99, max } = latency.quantiles();
        for (found, expected) in
            [(p50, 500.0), (p90, 900.0), (p99, 990.0), (p99_9, 999.0), (p99_99, 1000.0), (max, 1000.0)]
        {
            assert!((found - expected).abs() <= expected / 500.0, "{found} is not {expected}");
        }
        assert_eq!(count, 1000);
        assert_eq!(Latency::default().quantiles(), Quantiles::default());
    }

    #[test]
    fn a_histogram_is_the_same_behind_a_pipe() {
        let mut latency = Latency::default();
        (0..5000).for_each(|number| latency.record(Duration::from_micros(number * number)));
        let json = serde_json::to_string(&latency).unwrap();
        let read: Latency = serde_json::from_str(&json).unwrap();
        assert_eq!(read.0, latency.0);
    }

    #[test]
    fn every_time_is_in_one_bucket() {
        let mut latency = Latency::default();
        let times = [300, 700, 999, 150_000, 3_000_000_000];
        times.into_iter().for_each(|micros| latency.record(Duration::from_micros(micros)));
        let mut other = Latency::default();
        other.record(Duration::from_micros(1));
        latency.merge(&other);
        let buckets = latency.buckets();
        assert_eq!(buckets[0], Bucket { to_ms: 0.1, count: 1 });
        assert_eq!(buckets[2], Bucket { to_ms: 0.5, count: 1 });
        assert_eq!(buckets[3], Bucket { to_ms: 1.0, count: 2 });
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 6);
        latency.clear();
        assert_eq!(latency.buckets(), []);
    }
}
