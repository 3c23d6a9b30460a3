//! Who comes in, and who goes for that when descriptors or places run out.

use std::sync::atomic::Ordering;

use crate::net::descriptors;
use crate::net::listener::Accepted;
use crate::serve::limits::{ACCEPTS_PER_TURN, EVICTIONS_LOGGED_EVERY, NEWCOMERS_KEPT};
use crate::serve::loops::Stage;
use crate::serve::service::Service;
use crate::wire::CloseReason;

use super::Reactor;

impl<S: Service> Reactor<S> {
    pub(super) fn accept(&mut self) {
        // Who comes while the server is leaving is better off elsewhere, and is reset when the listener closes.
        self.may_accept &= !self.stop.load(Ordering::Acquire);
        if !self.may_accept {
            self.watch.enter(Stage::Read);
            return;
        }
        self.is_exhausted = false;
        for _ in 0..ACCEPTS_PER_TURN {
            // Those who came in this turn are read from first, so that nobody is closed whose request is here.
            if self.are_too_many() && !self.evict() {
                break;
            }
            match self.accept_one() {
                Accepted::Stream(stream) => match self.clients.add(stream, &self.poller) {
                    Ok(()) => self.metrics.accepted(),
                    Err(_) => self.metrics.turned_away(),
                },
                Accepted::Refused => self.metrics.turned_away(),
                Accepted::Nothing => {
                    self.may_accept = false;
                    break;
                }
                Accepted::OutOfDescriptors | Accepted::Exhausted => {
                    self.is_exhausted = true;
                    break;
                }
            }
        }
        self.watch.lap(&self.seconds.accept, Stage::Read);
    }

    /// The descriptors that are kept may be gone too, to what is no connection.
    fn accept_one(&mut self) -> Accepted {
        match self.listener.accept() {
            Accepted::OutOfDescriptors if self.evict() => self.listener.accept(),
            Accepted::OutOfDescriptors => self.listener.turn_away(),
            other => other,
        }
    }

    /// Whether somebody has to go for the newcomer that was taken in last. Each reactor may have a few newcomers
    /// whatever the others have.
    fn are_too_many(&self) -> bool {
        descriptors::connections() > self.limits.sockets_max
            && self.clients.newcomers(self.metrics.websockets_of(self.index)) > NEWCOMERS_KEPT
    }

    /// Closes one who has not said what it wants, for one who may.
    fn evict(&mut self) -> bool {
        let Some(standing) = self.clients.evict() else { return false };
        self.metrics.evicted(standing);
        self.evicted += 1;
        let now = self.watch.at();
        if self.evictions_logged.is_none_or(|at| now >= at + EVICTIONS_LOGGED_EVERY) {
            log::warn!(
                "{} connections that had no WebSocket were closed for newer ones: at most {} fit into the descriptors \
                 of this process; raise the hard limit (ulimit -Hn) for more",
                self.evicted,
                self.limits.sockets_max
            );
            (self.evictions_logged, self.evicted) = (Some(now), 0);
        }
        true
    }

    /// A place for one more WebSocket: a free one, or that of the oldest who has had time to use it and did not.
    pub(super) fn take_place(&mut self) -> bool {
        if self.metrics.take_place(self.index, self.limits.connections_max) {
            return true;
        }
        let service = &self.service;
        let Some(id) = self.clients.oldest_unused(|session| service.is_established(session)) else {
            return false;
        };
        self.clients.close(id, CloseReason::TryLater, "others want the place of one who does not use it");
        self.metrics.evicted("unused");
        // The other's place is free at the end of its turn.
        self.metrics.take_over_place(self.index);
        true
    }
}
