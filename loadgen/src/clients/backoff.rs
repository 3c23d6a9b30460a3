//! How long to wait before coming back: full jitter, so that the clients of a server that died do not return at once.

use std::time::Duration;

const BASE: Duration = Duration::from_millis(250);
const CAP: Duration = Duration::from_secs(5);

/// A random time between 0 and `min(CAP, BASE · 2ⁿ)`, where `tries` is n.
pub fn delay(tries: u32, rng: &mut fastrand::Rng) -> Duration {
    let most = BASE.saturating_mul(1 << tries.min(16)).min(CAP);
    most.mul_f64(rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_up_to_the_cap() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut longest = |tries| (0..1000).map(|_| delay(tries, &mut rng)).max().unwrap();
        assert!(longest(0) <= BASE && longest(0) > BASE / 2);
        assert!(longest(2) <= BASE * 4 && longest(2) > BASE * 2);
        assert!(longest(u32::MAX) <= CAP && longest(u32::MAX) > CAP / 2);
    }
}
