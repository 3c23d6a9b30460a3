//! Asks servers for `/metrics` while a run lasts: a thread for each, which nobody waits for.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::results::exposition::Reading;
use crate::results::usage::Diary;
use crate::wire::http::{self, Response};
use crate::wire::url::Url;

/// From one reading to the next.
const INTERVAL: Duration = Duration::from_secs(1);
/// A server that has not answered in this time leaves a gap. At the end everybody waits for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Largest page, in bytes.
const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// More servers are not looked at.
const SERVERS_MAX: usize = 64;

/// Keeps a diary for each server.
pub struct Observer {
    watched: Vec<Watched>,
    told: Receiver<(usize, Instant, Reading)>,
    tell: Sender<(usize, Instant, Reading)>,
}

struct Watched {
    authority: String,
    diary: Diary,
    /// Dropped when the end has come.
    _going_on: Sender<()>,
}

/// There is nothing to be read, and there never will be.
struct Absent;

impl Observer {
    /// Begins with servers that were named; their names are their hosts and ports.
    pub fn new(urls: &[Url]) -> Self {
        let (tell, told) = unbounded();
        let mut observer = Self { watched: Vec::new(), told, tell };
        urls.iter().for_each(|url| observer.watch(url.clone(), String::new()));
        observer
    }

    /// Servers that clients are at, by host and port; a name may be empty.
    pub fn meet(&mut self, servers: &BTreeMap<String, String>) {
        for (authority, name) in servers {
            match self.watched.iter_mut().find(|watched| watched.authority == *authority) {
                Some(watched) if name.is_empty() || watched.diary.name == *name => {}
                Some(watched) => watched.diary.name.clone_from(name),
                None => {
                    if let Ok(url) = Url::parse(&format!("http://{authority}/metrics"), "http") {
                        self.watch(url, name.clone());
                    }
                }
            }
        }
    }

    /// The last readings are taken, and all diaries handed over, by name.
    pub fn finish(self) -> Vec<Diary> {
        let Self { watched, told, tell } = self;
        drop(tell);
        let mut diaries: Vec<_> = watched.into_iter().map(|watched| watched.diary).collect();
        let deadline = Instant::now() + PATIENCE;
        while let Ok((index, at, reading)) = told.recv_deadline(deadline) {
            diaries[index].readings.push((at, reading));
        }
        diaries.retain(|diary| !diary.readings.is_empty());
        diaries.sort_by(|one, other| one.name.cmp(&other.name));
        diaries
    }

    fn watch(&mut self, url: Url, name: String) {
        if self.watched.len() >= SERVERS_MAX {
            return;
        }
        let (going_on, over) = bounded(0);
        let (index, tell) = (self.watched.len(), self.tell.clone());
        let authority = url.authority.clone();
        let name = if name.is_empty() { authority.clone() } else { name };
        let diary = Diary { name, readings: Vec::new() };
        // Where no thread can be had, the server is not looked at.
        if thread::Builder::new()
            .name(format!("observer-{index}"))
            .spawn(move || observe(index, &url, &over, &tell))
            .is_ok()
        {
            self.watched.push(Watched { authority, diary, _going_on: going_on });
        }
    }
}

/// Reads until the end, once more then, or until it is clear that there is nothing to read.
fn observe(index: usize, url: &Url, over: &Receiver<()>, tell: &Sender<(usize, Instant, Reading)>) {
    let (mut has_told, mut is_over) = (false, false);
    let mut due = Instant::now();
    while !is_over {
        is_over = over.recv_deadline(due) == Err(RecvTimeoutError::Disconnected);
        due = Instant::now() + INTERVAL;
        match ask(url) {
            Ok(Ok(reading)) => {
                has_told = true;
                if tell.send((index, Instant::now(), reading)).is_err() {
                    return;
                }
            }
            Ok(Err(Absent)) if !has_told => return,
            Ok(Err(Absent)) | Err(_) => {}
        }
    }
}

fn ask(url: &Url) -> io::Result<Result<Reading, Absent>> {
    let deadline = Instant::now() + PATIENCE;
    let mut stream = dial(&url.addresses()?, deadline)?;
    stream.write_all(http::metrics_request(url).as_bytes())?;
    let mut page = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => page.extend_from_slice(&piece[..count]),
        }
        match Response::parse(&page) {
            Ok(Some(Response { status: 200, body, .. })) => return Ok(Reading::parse(&body).ok_or(Absent)),
            Ok(None) if page.len() < PAGE_BYTES_MAX => {}
            _ => return Ok(Err(Absent)),
        }
    }
}

fn dial(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in addresses {
        result = TcpStream::connect_timeout(address, left(deadline)?);
        if result.is_ok() {
            break;
        }
    }
    let stream = result?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    Ok(stream)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Gives these answers, one a connection, the last one again and again. Its host and port.
    fn server(answers: &'static [&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for (index, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let count = stream.read(&mut [0; 1024]).unwrap();
                assert!(count > 0, "a request is small and comes in one piece");
                let _ = stream.write_all(answers[index.min(answers.len() - 1)].as_bytes());
            }
        });
        authority
    }

    fn observe_all(servers: &[(String, &str)]) -> Vec<Diary> {
        let mut observer = Observer::new(&[]);
        let servers = servers.iter().map(|(authority, name)| (authority.clone(), (*name).to_owned()));
        observer.meet(&servers.collect());
        observer.finish()
    }

    const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\ndistr_websockets 7\n";

    #[test]
    fn a_server_is_known_by_its_name_or_its_address() {
        let (one, other) = (server(&[GOOD]), server(&[GOOD]));
        let diaries = observe_all(&[(one, "app-1"), (other.clone(), "")]);
        let names: Vec<_> = diaries.iter().map(|diary| &*diary.name).collect();
        assert_eq!(names, [&*other, "app-1"]);
        assert!(diaries.iter().all(|diary| diary.readings[0].1.connections == Some(7.0)));
    }

    #[test]
    fn a_server_without_metrics_is_absent() {
        let not_found = server(&["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", GOOD]);
        let page = server(&["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"]);
        let other = server(&["hello\r\n\r\n"]);
        assert!(observe_all(&[(not_found, ""), (page, ""), (other, "")]).is_empty());
    }

    #[test]
    fn a_server_that_does_not_answer_is_a_gap() {
        // The first connection ends without an answer.
        let mut observer = Observer::new(&[]);
        let authority = server(&["", GOOD]);
        observer.meet(&BTreeMap::from([(authority, "a".to_owned())]));
        let (index, _, reading) = observer.told.recv().unwrap();
        assert_eq!((index, reading.connections), (0, Some(7.0)));
        // Nobody listens there any more.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        assert!(observe_all(&[(closed, "")]).is_empty());
    }

    #[test]
    fn a_page_without_end_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/metrics", listener.local_addr().unwrap()), "http").unwrap();
        thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", u32::MAX);
            stream.write_all(head.as_bytes()).unwrap();
            while stream.write_all(&[b'\n'; 4096]).is_ok() {}
        });
        assert!(matches!(ask(&url), Ok(Err(Absent))));
    }
}
