//! What receives in a benchmark, and what its threads cost.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mio::{Events, Interest, Poll, Token};

/// Reads and counts whatever comes at these sockets, in a thread of its own that lives as long as the process.
pub fn count_bytes(streams: Vec<TcpStream>) -> io::Result<Arc<AtomicU64>> {
    let total = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&total);
    let mut poll = Poll::new()?;
    let mut streams: Vec<_> = streams
        .into_iter()
        .map(|stream| stream.set_nonblocking(true).map(|()| mio::net::TcpStream::from_std(stream)))
        .collect::<io::Result<_>>()?;
    for (index, stream) in streams.iter_mut().enumerate() {
        poll.registry().register(stream, Token(index), Interest::READABLE)?;
    }
    std::thread::Builder::new().name("readers".into()).spawn(move || {
        let (mut events, mut buffer) = (Events::with_capacity(1024), vec![0; 64 * 1024]);
        while poll.poll(&mut events, None).is_ok() {
            for event in &events {
                while let Ok(count @ 1..) = streams[event.token().0].read(&mut buffer) {
                    total.fetch_add(count as u64, Ordering::Release);
                    if count < buffer.len() {
                        break;
                    }
                }
            }
        }
    })?;
    Ok(counted)
}

/// Nanoseconds of CPU that the threads of this process whose names begin so have used, from `schedstat`.
pub fn thread_cpu_ns(name: &str) -> io::Result<u64> {
    let mut total = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.starts_with(name) {
            let stat = std::fs::read_to_string(task.join("schedstat"))?;
            let on_cpu = stat.split(' ').next().and_then(|field| field.parse::<u64>().ok());
            total += on_cpu.ok_or_else(|| io::Error::other("schedstat has another form"))?;
        }
    }
    Ok(total)
}
