//! The connection that hears: channels are subscribed to in batches, one batch under way at a time.
//!
//! Each channel of a batch is confirmed by a push, or the batch is refused by an error in its place; the `PING` behind
//! it tells that nothing more comes.

use std::collections::VecDeque;
use std::time::Instant;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use crate::wire::resp_command;
use crate::wire::resp_reply::Reply;

use super::channel::{Address, Channels};
use super::failure::Failure;
use super::link::{Link, Phase, Step};
use super::timings::Timings;

/// Most channels of one command.
const BATCH_CHANNELS_MAX: usize = 1000;

/// What a reply or push led to.
#[derive(Debug)]
pub enum Heard {
    Nothing,
    /// The node has greeted and waits to be told what to send.
    Greeted,
    /// The node confirmed the channel.
    Confirmed(Address),
    Fail(Failure),
}

#[derive(Debug)]
pub struct Subscriber {
    pub link: Link,
    /// Each address once; what is to be done with it is in `changes`.
    queue: VecDeque<Address>,
    /// True: subscribe.
    changes: HashMap<Address, bool, FixedState>,
    batch: Option<Batch>,
}

#[derive(Debug)]
struct Batch {
    is_subscription: bool,
    /// Not confirmed yet.
    expected: HashSet<Address, FixedState>,
}

impl Subscriber {
    pub fn new(link: Link) -> Self {
        Self { link, queue: VecDeque::new(), changes: HashMap::default(), batch: None }
    }

    /// A change of what is heard, the last one for an address counts. Without a connection there is nothing to
    /// change: all that is wanted is told by [`Subscriber::start`].
    pub fn change(&mut self, address: Address, is_subscription: bool) {
        if !matches!(self.link.phase(), Phase::Subscribing { .. } | Phase::Open) {
            return;
        }
        if self.changes.insert(address.clone(), is_subscription).is_none() {
            self.queue.push_back(address);
        }
    }

    /// The node has greeted: from now on these are to be heard.
    pub fn start(&mut self, wanted: impl Iterator<Item = Address>, now: Instant, timings: &Timings) {
        self.link.subscribe_until(now + timings.connect_within);
        wanted.for_each(|address| self.change(address, true));
    }

    /// Sends the next batch when none is under way.
    pub fn pump(&mut self, channels: &Channels, now: Instant) {
        if self.batch.is_some() || self.queue.is_empty() {
            return;
        }
        let is_subscription = self.changes[&self.queue[0]];
        let mut expected = HashSet::default();
        while expected.len() < BATCH_CHANNELS_MAX
            && let Some(address) = self.queue.front()
            && self.changes[address] == is_subscription
        {
            self.changes.remove(address);
            expected.extend(self.queue.pop_front());
        }
        let names: Vec<_> = expected.iter().map(|address| channels.name(address)).collect();
        let (out, names) = (&mut self.link.out, names.iter().map(Vec::as_slice));
        match is_subscription {
            true => resp_command::ssubscribe(out, names),
            false => resp_command::sunsubscribe(out, names),
        }
        self.link.fence(now);
        self.batch = Some(Batch { is_subscription, expected });
    }

    pub fn handle_reply(
        &mut self,
        reply: Reply,
        channels: &Channels,
        now: Instant,
        timings: &Timings,
    ) -> Heard {
        let outcome = match reply {
            Reply::Subscribed(channel) => return self.confirm(&channel, channels),
            Reply::Unsubscribed(channel) => return self.lose(&channel, channels),
            reply => self.link.handle_reply(reply, now, timings),
        };
        match outcome {
            Step::Fenced => self.finish_batch(now, timings),
            Step::Fail(failure) => Heard::Fail(failure),
            Step::Greeted => Heard::Greeted,
            Step::Nothing | Step::Published => Heard::Nothing,
        }
    }

    fn confirm(&mut self, channel: &[u8], channels: &Channels) -> Heard {
        let address = channels.parse(channel).filter(|address| self.is_answer(address, true));
        address.map_or(Heard::Nothing, Heard::Confirmed)
    }

    /// Unasked, this means that the slot has gone to another node.
    fn lose(&mut self, channel: &[u8], channels: &Channels) -> Heard {
        match channels.parse(channel).is_some_and(|address| self.is_answer(&address, false)) {
            true => Heard::Nothing,
            false => Heard::Fail("it no longer sends us a channel (sunsubscribe)".to_owned().into()),
        }
    }

    /// Whether the batch that is under way waits for this.
    fn is_answer(&mut self, address: &Address, is_subscription: bool) -> bool {
        let batch = self.batch.as_mut().filter(|batch| batch.is_subscription == is_subscription);
        batch.is_some_and(|batch| batch.expected.remove(address))
    }

    fn finish_batch(&mut self, now: Instant, timings: &Timings) -> Heard {
        if let Some(batch) = self.batch.take()
            && batch.is_subscription
            && !batch.expected.is_empty()
        {
            let count = batch.expected.len();
            return Heard::Fail(format!("it did not confirm {count} channels").into());
        }
        if matches!(self.link.phase(), Phase::Subscribing { .. }) {
            match self.queue.is_empty() {
                true => self.link.open(),
                // Very many rooms take longer, as long as they come.
                false => self.link.subscribe_until(now + timings.connect_within),
            }
        }
        Heard::Nothing
    }

    pub fn fail(&mut self, failure: Failure, now: Instant, timings: &Timings) {
        self.queue.clear();
        self.changes.clear();
        self.batch = None;
        self.link.fail(failure, now, timings);
    }
}
