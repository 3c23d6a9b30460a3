//! What a thread of its own writes: a terminal that was paused, a pipe that nobody empties or that
//! is gone must neither stop nor end whoever has something to say.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

/// Texts that may wait; beyond it they are counted and dropped.
const TEXTS_MAX: usize = 4096;
/// At the end those that wait are given this long.
const FLUSH_MAX: Duration = Duration::from_millis(500);

enum Item {
    Text(Vec<u8>),
    /// Everything before it is written when the other end of this is dropped.
    Flush(Sender<()>),
}

/// The way to the thread. It never blocks and never fails; what waits is written when the [`Flush`]
/// is dropped.
#[derive(Clone)]
pub struct Outlet {
    items: Sender<Item>,
    dropped: Arc<AtomicU64>,
}

/// Writes what waits when it is dropped, as far as that is possible in a moment.
pub struct Flush(Sender<Item>);

impl Outlet {
    /// Starts the thread, which writes to `stream`.
    pub fn start(name: &str, stream: impl Write + Send + 'static) -> io::Result<(Self, Flush)> {
        let (items, queue) = bounded(TEXTS_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let outlet = Self { items: items.clone(), dropped: Arc::clone(&dropped) };
        thread::Builder::new().name(name.into()).spawn(move || write_out(&queue, &dropped, stream))?;
        Ok((outlet, Flush(items)))
    }

    /// Writes a text as soon as that is possible.
    pub fn say(&self, text: impl Into<Vec<u8>>) {
        if let Err(TrySendError::Full(_)) = self.items.try_send(Item::Text(text.into())) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let (written, wait) = bounded(0);
        if self.0.send_timeout(Item::Flush(written), FLUSH_MAX).is_ok() {
            let _ = wait.recv_timeout(FLUSH_MAX);
        }
    }
}

fn write_out(queue: &Receiver<Item>, dropped: &AtomicU64, mut stream: impl Write) {
    // Whoever closed the other end does not want to read.
    for item in queue {
        match item {
            Item::Text(text) => drop(stream.write_all(&text).and_then(|()| stream.flush())),
            Item::Flush(written) => drop(written),
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(stream, "… {lost} lines were dropped: nobody read them in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing until it is told to.
    struct Paused(Receiver<()>, Sender<Vec<u8>>);

    impl Write for Paused {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_reads_nothing_stops_nobody_and_is_told_what_was_lost() {
        let (go_on, paused) = bounded(TEXTS_MAX * 2);
        let (written, texts) = bounded(TEXTS_MAX * 2);
        let (outlet, flush) = Outlet::start("test", Paused(paused, written)).unwrap();
        (0..TEXTS_MAX + 10).for_each(|number| outlet.say(format!("{number}\n")));
        drop(go_on);
        drop((outlet, flush));
        let all: Vec<_> = texts.iter().map(|text| String::from_utf8(text).unwrap()).collect();
        assert_eq!(all[0], "0\n");
        assert!(all.concat().contains(" lines were dropped"), "{}", all.len());
    }

    #[test]
    fn what_cannot_be_written_is_no_reason_to_die() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let (outlet, flush) = Outlet::start("test", Closed).unwrap();
        (0..3).for_each(|_| outlet.say("x"));
        drop(flush);
        assert_eq!(outlet.items.len(), 0, "all were taken");
    }
}
