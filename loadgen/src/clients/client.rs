//! A client: the connection that it speaks on, and its way to the next one.
//!
//! ```text
//!              ┌────────────── it is its turn later, or the way came to nothing ◀────────────┐
//!              ▼                                                                             │
//!  way:     Resting ─▶ Waiting ─▶ Asking ─▶ Connecting ───── `joined` ──▶ it is home         │
//!                                    └─────────┴─────────────────────────────────────────────┘
//!  home:    nothing, or a connection that is in the room, or one that another server takes over
//! ```
//! A client without a home is on a way. One that was told to move is on a way and at home at the same time: it breaks
//! with the old server when it is in its room at the new one, and not before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Token;

use crate::clients::mail::Server;
use crate::clients::socket::Socket;

/// One client. Nothing here grows with the length of the run.
#[derive(Debug)]
pub struct Client {
    /// The connection that it speaks on.
    pub home: Option<Box<Line>>,
    /// Its way into the room, or to another server.
    pub way: Option<Way>,
    /// Whether it has ever been in its room.
    pub has_joined_before: bool,
    /// Whether its connection has ever ended by itself.
    pub has_lost_connection: bool,
    /// Connections it began, to tell them apart.
    pub dials: u32,
    /// Failures since it was in its room last.
    pub tries: u32,
    /// Of these, those in which no balancer had a server.
    pub tries_in_vain: u32,
    /// The longest time that a message took to it, from when it should have been sent.
    pub longest_delivery: Duration,
    /// Whether a slow reader's next read is due at some time already.
    pub is_reading_later: bool,
    /// Messages whose acknowledgement has not come, in the order of sending; mostly none or one.
    pub unacknowledged: Vec<u32>,
}

/// A connection of a client. It keeps its place in memory while it becomes the client's home.
#[derive(Debug)]
pub struct Line {
    /// The connection.
    pub socket: Socket,
    /// Which of the client's connections it is.
    pub dial: u32,
    /// Where it was dialled.
    pub server: Arc<Server>,
    /// The number of the server that said welcome last.
    pub node: Option<usize>,
    /// How far it is.
    pub standing: Standing,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not in the room yet.
    Coming {
        /// When it was dialled.
        since: Instant,
    },
    /// In the room.
    In,
    /// Another server takes it over, and has to let the client into the room.
    TakenOver {
        /// Until then.
        until: Instant,
    },
}

/// How a client gets into its room on another connection.
#[derive(Debug)]
pub struct Way {
    /// The server that it comes from, if that was told to be left or is of no use.
    pub avoid: Option<Arc<Server>>,
    /// How far it is.
    pub stage: Stage,
}

/// How far a way is.
#[derive(Debug)]
pub enum Stage {
    /// It is not its time yet.
    Resting {
        /// Then it is.
        until: Instant,
    },
    /// Too many others connect.
    Waiting,
    /// A balancer is asked.
    Asking,
    /// There is a connection.
    Connecting {
        /// Until then it has to be in the room.
        until: Instant,
        /// The connection; nothing while it is taken out to be read.
        line: Option<Box<Line>>,
    },
}

/// What is due for a client.
#[derive(Debug)]
pub enum Due {
    /// It has rested, and waits for its turn.
    Turn,
    /// A connection that is not in the room in time.
    Late(Box<Line>),
}

impl Client {
    /// A client that waits for its turn.
    pub fn waiting() -> Self {
        Self {
            home: None,
            way: Some(Way { avoid: None, stage: Stage::Waiting }),
            has_joined_before: false,
            has_lost_connection: false,
            dials: 0,
            tries: 0,
            tries_in_vain: 0,
            longest_delivery: Duration::ZERO,
            is_reading_later: false,
            unacknowledged: Vec::new(),
        }
    }

    /// Takes out the connection it speaks on, if it is in the room.
    pub fn take_voice(&mut self) -> Option<Box<Line>> {
        self.home.take_if(|line| line.standing == Standing::In)
    }

    /// Takes out a connection to work on it. Nothing if it is gone, or is another one by now.
    pub fn take_line(&mut self, dial: u32) -> Option<Box<Line>> {
        let is_it = |line: &mut Box<Line>| line.dial == dial;
        self.home.take_if(is_it).or_else(|| self.coming()?.take_if(is_it))
    }

    /// Puts a connection where it belongs.
    pub fn put_line(&mut self, line: Box<Line>) {
        match line.standing {
            Standing::Coming { .. } => {
                if let Some(place) = self.coming() {
                    *place = Some(line);
                }
            }
            Standing::In | Standing::TakenOver { .. } => self.home = Some(line),
        }
    }

    /// Takes what is due at exactly this time: a timer that was set for something that is over is not.
    pub fn take_due(&mut self, at: Instant) -> Option<Due> {
        let late = Standing::TakenOver { until: at };
        if let Some(line) = self.home.take_if(|line| line.standing == late) {
            return Some(Due::Late(line));
        }
        let stage = &mut self.way.as_mut()?.stage;
        match stage {
            Stage::Resting { until } if *until == at => {
                *stage = Stage::Waiting;
                Some(Due::Turn)
            }
            Stage::Connecting { until, line } if *until == at => line.take().map(Due::Late),
            _ => None,
        }
    }

    fn coming(&mut self) -> Option<&mut Option<Box<Line>>> {
        match &mut self.way.as_mut()?.stage {
            Stage::Connecting { line, .. } => Some(line),
            _ => None,
        }
    }
}

/// The name of a connection in the poller. A client may have two at a time, and events of one that was just closed may
/// still be in hand, so each has a name of its own.
pub fn token(client: u32, dial: u32) -> Token {
    Token((client as usize) << u32::BITS | dial as usize)
}

/// The client and its connection.
pub fn read_token(Token(token): Token) -> (u32, u32) {
    ((token >> u32::BITS) as u32, token as u32)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::wire::url::Url;

    fn line(dial: u32, standing: Standing) -> Box<Line> {
        // Nobody accepts: the line is only moved about.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let url = Url::parse(&format!("ws://{address}/ws"), "ws").unwrap();
        let authority = url.authority.clone();
        let server = Arc::new(Server { node: String::new(), authority, addresses: vec![address] });
        Box::new(Line {
            socket: Socket::dial(url, None, address, None).unwrap(),
            dial,
            server,
            node: None,
            standing,
        })
    }

    fn moving(since: Instant, until: Instant) -> Client {
        let line_under_way = Some(line(2, Standing::Coming { since }));
        let way = Way { avoid: None, stage: Stage::Connecting { until, line: line_under_way } };
        Client { home: Some(line(1, Standing::In)), way: Some(way), ..Client::waiting() }
    }

    #[test]
    fn both_connections_of_a_client_are_known_by_their_names() {
        for name in [(0, 0), (7, 1), (u32::MAX - 1, u32::MAX)] {
            assert_eq!(read_token(token(name.0, name.1)), name);
        }
        let now = Instant::now();
        let mut client = moving(now, now);
        for dial in [1, 2] {
            let line = client.take_line(dial).unwrap();
            assert_eq!(line.dial, dial);
            assert!(client.take_line(dial).is_none());
            client.put_line(line);
        }
        assert!(client.take_line(3).is_none());
        assert_eq!(client.take_voice().map(|line| line.dial), Some(1));
    }

    #[test]
    fn a_timer_counts_only_for_what_it_was_set_for() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut client = moving(now, later);
        assert!(client.take_due(now).is_none());
        assert!(matches!(client.take_due(later), Some(Due::Late(line)) if line.dial == 2));

        client.home = Some(line(1, Standing::TakenOver { until: now }));
        client.way = Some(Way { avoid: None, stage: Stage::Resting { until: later } });
        assert!(matches!(client.take_due(now), Some(Due::Late(line)) if line.dial == 1));
        assert!(client.take_due(now).is_none());
        assert!(matches!(client.take_due(later), Some(Due::Turn)));
        assert!(client.take_due(later).is_none(), "it waits for its turn");
    }

    #[test]
    fn an_idle_client_is_small() {
        let size = size_of::<Client>() + size_of::<Line>();
        assert!(size <= 208, "{size} bytes");
    }
}
