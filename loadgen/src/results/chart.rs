//! A histogram in characters.

use std::fmt;

use crate::measure::latency::Bucket;
use crate::results::number::grouped;

const WIDTH: u64 = 50;

/// One line for each bucket, as long as its count is to the largest.
pub struct Chart<'a>(pub &'a [Bucket]);

impl fmt::Display for Chart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.0.iter().map(|bucket| bucket.count).max().unwrap_or(0);
        let all: u64 = self.0.iter().map(|bucket| bucket.count).sum();
        for Bucket { to_ms, count } in self.0 {
            // Even a single one is to be seen.
            let bar = "#".repeat((count * WIDTH).div_ceil(most.max(1)) as usize);
            let percent = *count as f64 * 100.0 / all.max(1) as f64;
            let width = WIDTH as usize;
            let count = grouped(*count);
            writeln!(f, "  < {to_ms:>7} ms  {bar:<width$} {count:>12}  {percent:>6.2} %")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_counts() {
        let buckets =
            [(0.5, 2000), (1.0, 1000), (2.0, 0), (5.0, 1)].map(|(to_ms, count)| Bucket { to_ms, count });
        let text = Chart(&buckets).to_string();
        let lengths: Vec<_> = text.lines().map(|line| line.matches('#').count()).collect();
        assert_eq!(lengths, [50, 25, 0, 1]);
        assert!(text.starts_with("  <     0.5 ms  ###"), "{text}");
        assert!(
            text.lines().all(|line| line.len() == text.lines().next().unwrap().len()),
            "aligned:\n{text}"
        );
        assert_eq!(Chart(&[]).to_string(), "");
    }
}
