//! How a run went: a frame each second.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::measure::latency::{Latency, Quantiles};
use crate::measure::ledger::Counts;
use crate::measure::progress::News;

/// From one frame to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// One moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Frame {
    /// Seconds since the first message was due; before that, negative.
    pub at: f64,
    /// Clients in their rooms.
    pub joined: u32,
    /// Of these, how many are at each server.
    pub servers: BTreeMap<String, u64>,
    /// Messages said per second since the frame before.
    pub sent_per_second: f64,
    /// First arrivals per second since then.
    pub delivered_per_second: f64,
    /// Delivery latencies since then.
    pub deliver_ms: Quantiles,
}

/// Takes the frames.
#[derive(Debug)]
pub struct Timeline {
    last: Instant,
    counts: Counts,
    latency: Latency,
    recent: Quantiles,
    /// With their times.
    frames: Vec<(Instant, Frame)>,
}

impl Timeline {
    /// A film that begins now.
    pub fn new(now: Instant) -> Self {
        Self {
            last: now,
            counts: Counts::default(),
            latency: Latency::default(),
            recent: Quantiles::default(),
            frames: Vec::new(),
        }
    }

    /// Looks at the news, and returns the latencies of about the last second.
    pub fn take(&mut self, now: Instant, news: &News) -> Quantiles {
        self.latency.merge(&news.recent);
        let passed = now.saturating_duration_since(self.last);
        if passed >= INTERVAL {
            self.recent = self.latency.quantiles();
            self.latency.clear();
            let per_second = |count: u64| count as f64 / passed.as_secs_f64();
            let frame = Frame {
                at: 0.0,
                joined: news.joined,
                servers: news.servers.clone(),
                sent_per_second: per_second(news.counts.sent - self.counts.sent),
                delivered_per_second: per_second(news.counts.delivered - self.counts.delivered),
                deliver_ms: self.recent,
            };
            self.frames.push((now, frame));
            (self.last, self.counts) = (now, news.counts);
        }
        self.recent
    }

    /// The frames, in the time of the schedule.
    pub fn develop(self, start: Instant) -> Vec<Frame> {
        let since = |at: Instant| match at.checked_duration_since(start) {
            Some(time) => time.as_secs_f64(),
            None => -(start - at).as_secs_f64(),
        };
        self.frames.into_iter().map(|(at, frame)| Frame { at: since(at), ..frame }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_shows_what_happened_since_the_one_before() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut film = Timeline::new(begin);
        let mut news = News { joined: 3, ..News::default() };
        news.servers.insert("app-1".into(), 3);
        film.take(at(1000), &news);
        news.counts.delivered = 40;
        news.recent.record(Duration::from_millis(2));
        assert_eq!(film.take(at(1500), &news).count, 0);
        assert_eq!(film.take(at(3000), &news).count, 2, "told twice here");
        let frames = film.develop(at(1500));
        let shown: Vec<_> = frames.iter().map(|frame| (frame.at, frame.delivered_per_second)).collect();
        assert_eq!(shown, [(-0.5, 0.0), (1.5, 20.0)]);
        assert_eq!((frames[1].joined, frames[1].servers["app-1"], frames[1].deliver_ms.count), (3, 3, 2));
    }
}
