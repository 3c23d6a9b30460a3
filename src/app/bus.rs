//! What the backplane thread needs of a bus. The promises are those of [`crate::chat::bus`].

use std::sync::Arc;
use std::time::Instant;

use crate::chat::{BusEvent, Carrying};
use crate::lanes::{LaneStatus, Totals};
use crate::net::Poller;
use crate::wire::Envelope;

/// One server's end of a bus. Nothing here waits.
pub trait Bus {
    /// A word for logs and status pages.
    fn kind(&self) -> &'static str;

    /// How many lanes get envelopes through, as far as can be told.
    fn carrying(&self) -> Carrying;

    /// Whether any does.
    fn is_ready(&self) -> bool {
        self.carrying().is_any()
    }

    /// The ways that it has, for status pages; none where there is nothing to tell.
    fn lanes(&self) -> Vec<LaneStatus>;

    /// What they threw away.
    fn totals(&self) -> Totals;

    /// From the event [`BusEvent::Subscribed`] on, envelopes for the room are offered.
    fn subscribe(&mut self, room: &Arc<str>);

    /// No longer.
    fn unsubscribe(&mut self, room: &Arc<str>);

    /// Queues an envelope.
    fn publish(&mut self, envelope: Envelope);

    /// Reads from what the poller's last wait found ready, does what is due, and hands out what arrived, at most `budget`
    /// batches of it. True: more waits, so call again without sleeping.
    fn poll(
        &mut self,
        poller: &Poller,
        now: Instant,
        budget: usize,
        handle: &mut dyn FnMut(BusEvent),
    ) -> bool;

    /// Sends what was queued. True: some of it must wait, so call again in a while.
    fn flush(&mut self, poller: &Poller, now: Instant) -> bool;

    /// When [`Bus::poll`] has something to do, though nothing arrives.
    fn poll_timeout(&self) -> Option<Instant>;
}
