//! The connection that publishes: envelopes go out one behind the other, and each is kept until the node has it.

use std::time::Instant;

use crate::wire::resp_command;
use crate::wire::resp_reply::Reply;

use super::channel::{Address, Channels};
use super::failure::Failure;
use super::link::{Awaited, Link, Step};
use super::parcel::{InFlight, Parcel};
use super::timings::Timings;

/// Most envelopes that wait for a node's answer.
const IN_FLIGHT_MAX: usize = 16_384;
/// Most bytes of them.
const IN_FLIGHT_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub struct Publisher {
    pub link: Link,
    in_flight: usize,
    in_flight_bytes: usize,
}

impl Publisher {
    pub fn new(link: Link) -> Self {
        Self { link, in_flight: 0, in_flight_bytes: 0 }
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Sends a parcel, unless too much waits already.
    pub fn publish(&mut self, parcel: Parcel, channels: &Channels, now: Instant) -> Result<(), Parcel> {
        if self.in_flight >= IN_FLIGHT_MAX
            || self.in_flight_bytes + parcel.payload.len() > IN_FLIGHT_BYTES_MAX
        {
            return Err(parcel);
        }
        self.in_flight += 1;
        self.in_flight_bytes += parcel.payload.len();
        let out = &mut self.link.out;
        channels.with_parts(&parcel.to, |channel| resp_command::spublish(out, channel, &parcel.payload));
        self.link.expect(Awaited::Publish(InFlight { parcel, is_copied: false }), now);
        Ok(())
    }

    pub fn handle_reply(&mut self, reply: Reply, now: Instant, timings: &Timings) -> Option<Failure> {
        let length = self.link.next_in_flight().map(|in_flight| in_flight.parcel.payload.len());
        match self.link.handle_reply(reply, now, timings) {
            Step::Greeted => self.link.open(),
            Step::Published => {
                self.in_flight -= 1;
                self.in_flight_bytes -= length.unwrap_or(0);
            }
            Step::Nothing | Step::Fenced => {}
            Step::Fail(failure) => return Some(failure),
        }
        None
    }

    /// What may not have arrived and was not sent elsewhere yet. What is for all went on every lane anyway.
    pub fn copy_in_flight(&mut self) -> Vec<Parcel> {
        let waiting = self.link.in_flight_mut().filter(|in_flight| !in_flight.is_copied);
        let mut parcels = Vec::new();
        for in_flight in waiting {
            in_flight.is_copied = true;
            if in_flight.parcel.to != Address::All {
                parcels.push(in_flight.parcel.clone());
            }
        }
        parcels
    }

    /// Ends the connection; what it leaves behind is to go elsewhere.
    pub fn fail(&mut self, failure: Failure, now: Instant, timings: &Timings) -> Vec<Parcel> {
        (self.in_flight, self.in_flight_bytes) = (0, 0);
        let left = self.link.fail(failure, now, timings).into_iter();
        left.filter(|in_flight| !in_flight.is_copied && in_flight.parcel.to != Address::All)
            .map(|in_flight| in_flight.parcel)
            .collect()
    }
}
