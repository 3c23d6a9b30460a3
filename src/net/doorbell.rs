//! One wake-up for a burst: the flag that makes a mailbox cheap without losing a wake.
//!
//! Senders put their item in first and ring second. The owner silences the bell first and drains second. Silencing
//! must be a read-modify-write: a plain store could be reordered with the drain, and the ring of a sender in between
//! be lost. The loom test runs every interleaving of these very lines, and fails for each of the other orders.

use std::sync::atomic::{AtomicBool, Ordering};

/// The atomic that a doorbell needs; loom has its own.
pub trait Flag {
    /// See [`AtomicBool::swap`].
    fn swap(&self, value: bool, order: Ordering) -> bool;
}

impl Flag for AtomicBool {
    fn swap(&self, value: bool, order: Ordering) -> bool {
        Self::swap(self, value, order)
    }
}

/// Says whether the owner has been told already.
#[derive(Debug, Default)]
pub struct Doorbell<F = AtomicBool> {
    rung: F,
}

impl<F: Flag> Doorbell<F> {
    /// A silent bell.
    pub fn new(rung: F) -> Self {
        Self { rung }
    }

    /// Call after the item is in. True: the owner has to be woken, by you.
    #[must_use]
    pub fn ring(&self) -> bool {
        !self.rung.swap(true, Ordering::AcqRel)
    }

    /// Call before the items are taken out. True: somebody rang since the last time.
    pub fn silence(&self) -> bool {
        self.rung.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use loom::sync::atomic::AtomicBool as LoomBool;
    use loom::sync::{Arc, Mutex, Notify};
    use loom::thread;

    use super::*;

    impl Flag for LoomBool {
        fn swap(&self, value: bool, order: Ordering) -> bool {
            Self::swap(self, value, order)
        }
    }

    struct Model {
        items: Mutex<VecDeque<u8>>,
        bell: Doorbell<LoomBool>,
        waker: Notify,
    }

    #[test]
    fn no_wake_is_lost_in_any_interleaving() {
        loom::model(|| {
            let model = Arc::new(Model {
                items: Mutex::new(VecDeque::new()),
                bell: Doorbell::new(LoomBool::new(false)),
                waker: Notify::new(),
            });
            let senders: Vec<_> = (0..2)
                .map(|item| {
                    let model = Arc::clone(&model);
                    thread::spawn(move || {
                        model.items.lock().unwrap().push_back(item);
                        if model.bell.ring() {
                            model.waker.notify();
                        }
                    })
                })
                .collect();
            let mut received = 0;
            while received < 2 {
                // A lost wake would leave the owner here for ever: loom reports the deadlock.
                model.waker.wait();
                model.bell.silence();
                received += std::mem::take(&mut *model.items.lock().unwrap()).len();
            }
            for sender in senders {
                sender.join().unwrap();
            }
        });
    }
}
