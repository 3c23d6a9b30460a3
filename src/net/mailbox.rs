//! The only door between threads: a bounded queue, a doorbell and a waker.
//!
//! Nobody ever waits at it. A full mailbox gives the item back, and the sender's layer has a name for what then
//! happens. Items should be batches: one wake, one queue operation and one counter per turn.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use mio::Waker;

use super::doorbell::Doorbell;

/// The sending end; clone it for each thread that sends.
#[derive(Debug)]
pub struct Post<T> {
    sender: Sender<T>,
    bell: Arc<Doorbell>,
    waker: Arc<Waker>,
}

impl<T> Clone for Post<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), bell: Arc::clone(&self.bell), waker: Arc::clone(&self.waker) }
    }
}

/// The receiving end, owned by the thread that the waker wakes.
#[derive(Debug)]
pub struct Mailbox<T> {
    receiver: Receiver<T>,
    bell: Arc<Doorbell>,
}

/// Why an item was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Undelivered<T> {
    /// The mailbox is full; the item comes back.
    Full(T),
    /// The owner is gone.
    Closed,
}

/// A mailbox for at most `capacity` items, whose owner waits at the poller of `waker`.
pub fn mailbox<T>(capacity: usize, waker: Arc<Waker>) -> (Post<T>, Mailbox<T>) {
    let (sender, receiver) = crossbeam_channel::bounded(capacity);
    let bell = Arc::new(Doorbell::default());
    (Post { sender, bell: Arc::clone(&bell), waker }, Mailbox { receiver, bell })
}

impl<T> Post<T> {
    /// Puts an item in and wakes the owner, unless that was done since it last looked.
    pub fn send(&self, item: T) -> Result<(), Undelivered<T>> {
        match self.sender.try_send(item) {
            Ok(()) => {
                if self.bell.ring() {
                    // It fails only when the owner's poller is gone, and then nobody is left to be told.
                    let _ = self.waker.wake();
                }
                Ok(())
            }
            Err(TrySendError::Full(item)) => Err(Undelivered::Full(item)),
            Err(TrySendError::Disconnected(_)) => Err(Undelivered::Closed),
        }
    }
}

impl<T> Mailbox<T> {
    /// Hands out at most `budget` items. True: more may wait, so look again without sleeping.
    pub fn drain(&mut self, budget: usize, mut handle: impl FnMut(T)) -> bool {
        self.bell.silence();
        for _ in 0..budget {
            match self.receiver.try_recv() {
                Ok(item) => handle(item),
                Err(_) => return false,
            }
        }
        !self.receiver.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Poller;

    #[test]
    fn a_full_mailbox_gives_the_item_back_and_a_closed_one_says_so() {
        let poller = Poller::new().unwrap();
        let (post, mut mailbox) = mailbox(1, poller.waker());
        assert_eq!(post.send(1), Ok(()));
        assert_eq!(post.send(2), Err(Undelivered::Full(2)));
        let mut received = Vec::new();
        assert!(!mailbox.drain(10, |item| received.push(item)));
        assert_eq!(received, [1]);
        drop(mailbox);
        assert_eq!(post.send(3), Err(Undelivered::Closed));
    }

    #[test]
    fn a_budget_leaves_the_rest_for_the_next_turn() {
        let poller = Poller::new().unwrap();
        let (post, mut mailbox) = mailbox(8, poller.waker());
        (0..5).for_each(|item| post.send(item).unwrap());
        let mut received = Vec::new();
        assert!(mailbox.drain(3, |item| received.push(item)));
        assert!(!mailbox.drain(3, |item| received.push(item)));
        assert_eq!(received, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn threads_lose_nothing_and_wake_less_often_than_they_send() {
        const EACH: usize = 20_000;
        let mut poller = Poller::new().unwrap();
        let (post, mut mailbox) = mailbox(64, poller.waker());
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let post = post.clone();
                std::thread::spawn(move || {
                    for mut item in 0..EACH {
                        while let Err(Undelivered::Full(back)) = post.send(item) {
                            item = back;
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        let (mut received, mut turns) = (0, 0);
        let mut more = false;
        while received < 2 * EACH {
            let timeout = more.then_some(std::time::Duration::ZERO);
            poller.wait(timeout).unwrap();
            more = mailbox.drain(1000, |_| received += 1);
            turns += 1;
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert!(turns <= received, "{turns} turns for {received} items");
    }
}
