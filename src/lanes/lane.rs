//! One lane: two connections to one node, so that a burst of what is heard does not hold up the answers to what is
//! published, and so that Redis, when it ends a subscriber that is too slow, does not end the publisher with it.

use std::time::Instant;

use super::channel::{Address, Channels};
use super::failure::Failure;
use super::link::Link;
use super::parcel::Parcel;
use super::publisher::Publisher;
use super::rendezvous::mix;
use super::status::{Counts, LaneStatus, State};
use super::subscriber::Subscriber;
use super::timings::Timings;

#[derive(Debug)]
pub struct Lane {
    node: String,
    pub channels: Channels,
    pub publisher: Publisher,
    pub subscriber: Subscriber,
    state: State,
    since: Instant,
    /// Since when both connections are in use.
    open_since: Option<Instant>,
    /// When this server last heard itself.
    pub canary: Option<Instant>,
    /// Since when it waits to hear itself.
    pub canary_owed: Option<Instant>,
    is_deaf: bool,
    /// The address that is behind the node's name.
    pub peer_address: Option<String>,
    pub counts: Counts,
}

impl Lane {
    /// Lane `index` of `lanes`.
    pub fn new(node: String, index: usize, lanes: usize, seed: u64, now: Instant) -> Self {
        let seed = mix(seed ^ index as u64);
        Self {
            node,
            channels: Channels::new(index, lanes),
            publisher: Publisher::new(Link::new(seed, now)),
            subscriber: Subscriber::new(Link::new(mix(seed), now)),
            state: State::Connecting,
            since: now,
            open_since: None,
            canary: None,
            canary_owed: None,
            is_deaf: false,
            peer_address: None,
            counts: Counts::default(),
        }
    }

    pub fn is_open(&self) -> bool {
        self.publisher.link.is_open() && self.subscriber.link.is_open()
    }

    pub fn is_healthy(&self) -> bool {
        self.is_open() && !self.publisher.link.is_suspect() && !self.subscriber.link.is_suspect()
    }

    /// Whether it has been open for a while.
    pub fn is_settled(&self, now: Instant, timings: &Timings) -> bool {
        self.is_healthy() && self.open_since.is_some_and(|since| since + timings.preferred_after <= now)
    }

    pub fn publish(&mut self, parcel: Parcel, now: Instant) -> Result<(), Parcel> {
        let (length, is_for_all) = (parcel.payload.len(), parcel.to == Address::All);
        self.publisher.publish(parcel, &self.channels, now)?;
        self.counts.published += 1;
        self.counts.publish_bytes += length as u64;
        if is_for_all && self.is_healthy() {
            self.canary_owed.get_or_insert(now);
        }
        Ok(())
    }

    /// This server heard itself.
    pub fn handle_canary(&mut self, now: Instant) {
        self.canary = Some(now);
        self.canary_owed = None;
    }

    /// Connected, but what is said does not come back.
    pub fn is_found_deaf(&self, now: Instant, timings: &Timings) -> bool {
        self.is_healthy() && self.canary_owed.is_some_and(|since| since + timings.canary_age_max <= now)
    }

    /// Ends the publishing connection; what it leaves behind is to go elsewhere.
    pub fn fail_publisher(&mut self, failure: Failure, now: Instant, timings: &Timings) -> Vec<Parcel> {
        self.canary_owed = None;
        self.publisher.fail(failure, now, timings)
    }

    pub fn fail_subscriber(&mut self, failure: Failure, now: Instant, timings: &Timings) {
        self.canary_owed = None;
        self.subscriber.fail(failure, now, timings);
    }

    pub fn mark_deaf(&mut self) {
        self.is_deaf = true;
    }

    /// Notes what has become of it. The new state, if it has one.
    pub fn refresh(&mut self, now: Instant, timings: &Timings) -> Option<&State> {
        self.open_since = match self.is_open() {
            true => self.open_since.or(Some(now)),
            false => None,
        };
        if self.open_since.is_some() {
            self.is_deaf = false;
        }
        if self.is_settled(now, timings) {
            self.publisher.link.settle();
            self.subscriber.link.settle();
        }
        let state = self.state_now();
        if state == self.state {
            return None;
        }
        (self.state, self.since) = (state, now);
        Some(&self.state)
    }

    fn state_now(&self) -> State {
        let refusal = [&self.publisher.link, &self.subscriber.link].into_iter().find(|link| link.is_refused);
        match refusal {
            _ if self.is_healthy() => State::Up,
            _ if self.is_open() => State::Suspect,
            Some(link) => State::Refused(link.last_error.clone().unwrap_or_default()),
            None if self.is_deaf => State::Deaf,
            None => State::Connecting,
        }
    }

    pub fn last_error(&self) -> Option<&str> {
        let errors = [&self.subscriber.link, &self.publisher.link].map(|link| link.last_error.as_deref());
        errors.into_iter().flatten().next()
    }

    pub fn poll_timeout(&self, now: Instant, timings: &Timings) -> Instant {
        let settles =
            self.open_since.map(|since| since + timings.preferred_after).filter(|settles| *settles > now);
        let owed = self.canary_owed.filter(|_| self.is_healthy());
        let deaf = owed.map(|since| since + timings.canary_age_max);
        let links = [&self.publisher.link, &self.subscriber.link].map(|link| link.poll_timeout(timings));
        links.into_iter().chain(settles).chain(deaf).min().expect("there are two links")
    }

    pub fn status(&self, now: Instant) -> LaneStatus {
        let greeted = self.publisher.link.greeted + self.subscriber.link.greeted;
        LaneStatus {
            node: self.node.clone(),
            state: self.state.clone(),
            since: now.saturating_duration_since(self.since),
            canary_age: self.canary.map(|canary| now.saturating_duration_since(canary)),
            last_error: self.last_error().map(str::to_owned),
            in_flight: self.publisher.in_flight(),
            counts: Counts { reconnects: greeted.saturating_sub(2), ..self.counts },
        }
    }
}
