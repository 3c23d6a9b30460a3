//! `distr-chat health`: asks nodes how they are, for the health checks of containers and for whoever waits for a cluster.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;

use super::host_port::HostPort;

/// One that does not answer by then is not well.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// What is read of an answer.
const LINE_MAX: u64 = 256;
/// How often it is asked again.
const INTERVAL: Duration = Duration::from_millis(100);

/// The flags of `health`.
#[derive(Debug, Args)]
pub struct Flags {
    /// What must be well: http://HOST:PORT/PATH, or redis://HOST:PORT
    #[arg(required = true, value_name = "URL")]
    targets: Vec<Target>,

    /// Ask until all are well, for so long, as in 60s
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    wait: Duration,
}

/// Returns when all are well, or says which is not.
pub fn run(flags: &Flags) -> anyhow::Result<()> {
    let until = Instant::now() + flags.wait;
    for target in &flags.targets {
        while let Err(ill) = target.check() {
            if Instant::now() >= until {
                bail!("{target}: {ill}");
            }
            thread::sleep(INTERVAL);
        }
        // The exit status tells it too.
        let _ = writeln!(io::stdout(), "{target} is well");
    }
    Ok(())
}

#[derive(Clone, Debug)]
enum Target {
    Http(HostPort, String),
    Redis(HostPort),
}

impl Target {
    fn check(&self) -> io::Result<()> {
        match self {
            Self::Http(at, path) => {
                let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
                expect(at, &request, &["HTTP/1.1 200 "])
            }
            // One that asks for a password lives.
            Self::Redis(at) => expect(at, "PING\r\n", &["+PONG", "-NOAUTH"]),
        }
    }
}

/// Asks one question; the answer must begin like one of these.
fn expect(at: &HostPort, question: &str, wanted: &[&str]) -> io::Result<()> {
    let address = (at.host.as_str(), at.port).to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.write_all(question.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream.take(LINE_MAX)).read_line(&mut answer)?;
    if wanted.iter().any(|wanted| answer.starts_with(wanted)) {
        return Ok(());
    }
    Err(io::Error::other(format!("it answers {:?}", answer.trim_end())))
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            Some(("http", rest)) => {
                let (at, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                Ok(Self::Http(at.parse()?, if path.is_empty() { "/" } else { path }.to_owned()))
            }
            Some(("redis", at)) => Ok(Self::Redis(at.parse()?)),
            _ => Err("neither http://HOST:PORT/PATH nor redis://HOST:PORT".into()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(at, path) => write!(f, "http://{at}{path}"),
            Self::Redis(at) => write!(f, "redis://{at}"),
        }
    }
}
