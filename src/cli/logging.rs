//! Log lines go to stderr through a thread of their own: a terminal that was paused, or a pipe that nobody empties,
//! must not stop an event loop.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use env_logger::{Builder, Target, WriteStyle};

/// Lines that may wait; beyond it they are counted and dropped.
const LINES_MAX: usize = 4096;
/// At the end the lines that wait are given this long.
const FLUSH_MAX: Duration = Duration::from_millis(500);

enum Line {
    Text(Vec<u8>),
    /// Everything before it is written when the other end of this is dropped.
    Flush(Sender<()>),
}

/// Flushes when it is dropped.
pub struct Log(Sender<Line>);

impl Log {
    /// Starts logging what `filters` let through (as in `warn,distr_chat::lb=info`).
    pub fn start(filters: &str) -> io::Result<Self> {
        let (lines, queue) = bounded(LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let pipe = Pipe { lines: lines.clone(), dropped: Arc::clone(&dropped) };
        thread::Builder::new().name("log".into()).spawn(move || write_out(&queue, &dropped))?;
        let style = if io::stderr().is_terminal() { WriteStyle::Always } else { WriteStyle::Never };
        Builder::new().parse_filters(filters).target(Target::Pipe(Box::new(pipe))).write_style(style).init();
        Ok(Self(lines))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (written, wait) = bounded(0);
        if self.0.send_timeout(Line::Flush(written), FLUSH_MAX).is_ok() {
            let _ = wait.recv_timeout(FLUSH_MAX);
        }
    }
}

/// Where the logger writes; one call is one line.
struct Pipe {
    lines: Sender<Line>,
    dropped: Arc<AtomicU64>,
}

impl Write for Pipe {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Line::Text(line.to_vec())) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_out(queue: &Receiver<Line>, dropped: &AtomicU64) {
    // Whoever closed stderr does not want to read.
    for line in queue {
        match line {
            Line::Text(text) => drop(io::stderr().write_all(&text)),
            Line::Flush(written) => drop(written),
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(io::stderr(), "… {lost} lines were dropped: nobody read them in time");
        }
    }
}
