//! What the clients of a crowd do to make it hard for servers.

use std::mem;
use std::time::{Duration, Instant};

use super::Fleet;
use crate::clients::backoff;
use crate::clients::client::Line;
use crate::load::faults::Drop;

/// A slow reader takes so much at a time.
const SLOW_READ_BYTES: usize = 1024;
/// Its next read is so long after it could have read.
const SLOW_READ_INTERVAL: Duration = Duration::from_secs(1);
/// The kernel keeps about so much for a slow reader; then the server has to.
pub(super) const SLOW_BUFFER_BYTES: usize = 4096;

impl Fleet {
    /// Drops connections and reads slowly, as is due.
    pub(super) fn handle_faults(&mut self, now: Instant) {
        while let Some(drop) = self.drops.next(now) {
            match drop {
                Drop::One => {
                    let client = self.rng.u32(..self.share.clients);
                    if let Some(line) = self.drop_home(client, now) {
                        self.count_out(&line);
                    }
                }
                Drop::Shard(share) => {
                    for client in 0..self.share.clients {
                        if self.rng.f64() < share
                            && let Some(line) = self.drop_home(client, now)
                        {
                            self.fall(&line, now);
                        }
                    }
                }
            }
        }
        while let Some((_, client)) = self.slow_reads.pop_front_if(|(at, _)| *at <= now) {
            self.read_slowly(client, now);
        }
    }

    /// Whether a client reads little and late: the same ones in each run of a seed.
    pub(super) fn reads_slowly(&self, client: u32) -> bool {
        let plan = &self.script.plan;
        let share = plan.mischief.slow;
        let draw = || fastrand::Rng::with_seed(plan.seed ^ u64::from(self.share.of_all(client))).f64();
        share > 0.0 && !self.is_over && draw() < share
    }

    /// A slow reader has something to read.
    pub(super) fn read_later(&mut self, client: u32) {
        if !mem::replace(&mut self.clients[client as usize].is_reading_later, true) {
            self.slow_reads.push_back((Instant::now() + SLOW_READ_INTERVAL, client));
        }
    }

    fn read_slowly(&mut self, client: u32, now: Instant) {
        self.clients[client as usize].is_reading_later = false;
        let Some(mut line) = self.clients[client as usize].take_voice() else { return };
        let mut buffer = [0; SLOW_READ_BYTES];
        let result = match line.socket.receive(&mut buffer) {
            Ok(Some(count)) => {
                self.read_later(client);
                self.take_in(client, &mut line, &buffer[..count], now)
            }
            Ok(None) => Ok(()),
            Err(end) => Err(end),
        };
        self.put_back(client, line, result);
    }

    /// A client drops its connection without a word, and comes back. That is no storm by itself.
    fn drop_home(&mut self, client: u32, now: Instant) -> Option<Box<Line>> {
        let one = &mut self.clients[client as usize];
        let line = one.take_voice()?;
        one.has_lost_connection = true;
        let is_moving = one.way.is_some();
        self.tally.dropped += 1;
        if !is_moving {
            let delay = backoff::delay(0, &mut self.rng);
            self.rest(client, None, now + delay);
        }
        Some(line)
    }
}
