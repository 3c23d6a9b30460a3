//! How many of its clients a server sends away because others have fewer.
//!
//! Each server decides for itself, from what the others say of their loads: no one has to be asked. It acts only on a
//! clear difference, and stops at the mean, so that servers do not send clients back and forth.

use std::time::Duration;

/// How often a server looks.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// Differences from the mean of less than this part of it are left alone.
const TOLERANCE: f64 = 0.05;
/// As are those of fewer clients than this.
const DIFFERENCE_MIN: f64 = 10.0;
/// Of the surplus, this part moves in one interval: what is under way is not yet seen.
const PART: f64 = 0.25;
/// Most clients that are moved in one interval.
const MOVED_MAX: u32 = 200;

/// Clients to move in this interval, of a server that has `own` while the others that take clients have `others`. A server that
/// is far below the mean is reason enough, though each of many others is only a little above it.
pub fn surplus(own: u32, others: impl IntoIterator<Item = u32>) -> u32 {
    let (mut count, mut sum, mut least) = (1_u32, u64::from(own), own);
    for other in others {
        count += 1;
        sum += u64::from(other);
        least = least.min(other);
    }
    let mean = sum as f64 / f64::from(count);
    let surplus = f64::from(own) - mean;
    let difference = surplus.max(mean - f64::from(least));
    if surplus <= 0.0 || difference < DIFFERENCE_MIN.max(mean * TOLERANCE) {
        return 0;
    }
    ((surplus * PART).ceil() as u32).min(MOVED_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_differences_are_left_alone() {
        assert_eq!(surplus(5000, []), 0, "nobody else is there");
        assert_eq!(surplus(19, [0]), 0, "few clients");
        assert_eq!(surplus(1040, [1000, 1000]), 0, "within the tolerance");
        assert!(surplus(1040, [1040, 800]) > 0, "one of them is far below");
        assert_eq!(surplus(0, [1000, 1000]), 0);
    }

    /// Three servers restarted one after the other leave the last one empty: it fills up to even, none overshoots,
    /// and then all is quiet.
    #[test]
    fn an_empty_server_fills_up_and_then_all_is_quiet() {
        for clients in [300, 3000, 60_000_u32] {
            let mut loads = [clients / 2, clients - clients / 2, 0];
            let mut intervals = 0;
            loop {
                let seen = loads;
                let mut has_moved = false;
                for own in 0..3 {
                    let others = (0..3).filter(|other| *other != own).map(|other| seen[other]);
                    let moved = surplus(seen[own], others);
                    has_moved |= moved > 0;
                    for _ in 0..moved {
                        loads[own] -= 1;
                        *loads.iter_mut().min().unwrap() += 1;
                    }
                }
                if !has_moved {
                    break;
                }
                intervals += 1;
                assert!(intervals < 200, "{loads:?}");
            }
            let (min, max) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
            let mean = f64::from(clients) / 3.0;
            assert!(f64::from(max - min) <= mean * 0.1 + 20.0, "{loads:?}");
        }
    }
}
