//! One hub with what lies in its sockets and its mailbox. The only file of these tests that knows the hub's doors.

use super::*;

/// Words that a server reads between two looks at its clock. What came while it stood still takes many such turns.
const READ_MAX: usize = 16;
const ROOM: &str = "r";
/// The time by the clocks of people when everything starts.
const START_UNIX_MS: u64 = 1_700_000_000_000;

pub struct Server {
    /// `None`: it is dead.
    hub: Option<Hub>,
    pub incarnation: u64,
    /// It stands still.
    pub is_stalled: bool,
    /// Redis nodes of three that carry.
    pub lanes: usize,
    /// By how much its wall clock was set, in milliseconds.
    pub clock_set: i64,
    /// How fast its wall clock runs, in percent.
    pub clock_speed: u64,
    start: Instant,
    asks: VecDeque<(usize, Ask)>,
    mailbox: BTreeMap<(u64, u64), BusEvent>,
    received: u64,
    entered: BTreeSet<usize>,
}

impl Server {
    pub fn new(index: usize, start: Instant, now: u64) -> Self {
        let incarnation = ((START_UNIX_MS + now) << 22) + index as u64 + 1;
        let settings = Settings {
            name: format!("app-{}", index + 1).into(),
            incarnation,
            reactors: NAMES.len(),
            seed: 7,
            settle: Duration::from_millis(500),
            flush_delay: Duration::ZERO,
            limits: Arc::default(),
        };
        Self {
            hub: Some(Hub::new(settings, start + Duration::from_millis(now))),
            incarnation,
            is_stalled: false,
            lanes: 3,
            clock_set: 0,
            clock_speed: 100,
            start,
            asks: VecDeque::new(),
            mailbox: BTreeMap::new(),
            received: 0,
            entered: BTreeSet::new(),
        }
    }

    pub fn is_alive(&self) -> bool {
        self.hub.is_some()
    }

    pub fn kill(&mut self) {
        self.hub = None;
    }

    /// Lies in the socket until the server reads.
    pub fn ask(&mut self, who: usize, ask: Ask) {
        self.asks.push_back((who, ask));
    }

    pub fn receive(&mut self, at: u64, event: BusEvent) {
        self.received += 1;
        if self.is_alive() {
            self.mailbox.insert((at, self.received), event);
        }
    }

    /// The server notices when it runs that a connection is gone.
    pub fn end_connection(&mut self, who: usize) {
        if self.entered.remove(&who) {
            self.asks.push_back((who, leave(who)));
        }
    }

    /// Somebody has entered its room. False: they are gone, and leave.
    pub fn note_entered(&mut self, who: usize, is_here: bool) -> bool {
        if is_here {
            self.entered.insert(who);
        } else {
            self.asks.push_back((who, leave(who)));
        }
        is_here
    }

    /// The answer to a join is taken by the mailbox and the socket.
    pub fn note_answer(&mut self, who: usize, bytes: usize, now: u64) {
        let at = self.clock(now);
        if let Some(hub) = &mut self.hub {
            hub.handle_answers_taken(who, bytes);
            hub.handle_ask(Member { reactor: who, connection: who as u64 }, Ask::Received, at);
        }
    }

    fn clock(&self, now: u64) -> Now {
        let unix_ms = START_UNIX_MS + now * self.clock_speed / 100;
        Now {
            instant: self.start + Duration::from_millis(now),
            unix_ms: unix_ms.saturating_add_signed(self.clock_set),
        }
    }

    /// A turn as the shell makes it: the bus's state, what clients ask, some of the mailbox, what is due. Returned are
    /// the places of the messages that it took in: not those that its cursor had passed.
    pub fn turn(&mut self, now: u64) -> Vec<Place> {
        let at = self.clock(now);
        let Some(hub) = self.hub.as_mut().filter(|_| !self.is_stalled) else { return Vec::new() };
        let mut taken = Vec::new();
        hub.handle_bus_state(Carrying { lanes: self.lanes, of: 3 }, at);
        for (who, ask) in self.asks.drain(..) {
            hub.handle_ask(Member { reactor: who, connection: who as u64 }, ask, at);
        }
        for _ in 0..READ_MAX {
            let Some(next) = self.mailbox.first_entry().filter(|next| next.key().0 < now) else { break };
            let event = next.remove();
            let mut news = places(&event);
            news.retain(|(stream, seq)| position(hub, *stream) < *seq);
            hub.handle_bus(event, at);
            news.retain(|(stream, seq)| position(hub, *stream) >= *seq || keeps(hub, (*stream, *seq)));
            taken.extend(news);
        }
        hub.handle_timeout(at);
        hub.finish_turn(at);
        taken
    }

    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.hub.as_mut().and_then(Hub::poll_effect)
    }

    /// It takes no more clients.
    pub fn drain(&mut self, now: u64) {
        let at = self.clock(now);
        self.hub.as_mut().expect("it lives").handle_load(None, at);
    }

    /// Whether a server that drains may end.
    pub fn may_end(&self, now: u64) -> bool {
        self.hub.as_ref().expect("it lives").is_handed_over(self.clock(now))
    }

    pub fn leave(&mut self, now: u64) {
        let at = self.clock(now);
        self.hub.as_mut().expect("it lives").leave(at);
    }

    pub fn takes_for_live(&self, peer: u64) -> bool {
        self.hub.as_ref().is_some_and(|hub| hub.peers().is_live(peer))
    }

    pub fn keeps(&self, place: Place) -> bool {
        self.hub.as_ref().is_some_and(|hub| keeps(hub, place))
    }
}

fn position(hub: &Hub, stream: StreamId) -> u64 {
    hub.rooms().find_map(|room| room.position(stream)).unwrap_or(0)
}

/// Whether it has the message of that place now.
fn keeps(hub: &Hub, (stream, seq): Place) -> bool {
    let span = Span { stream, first: seq, last: seq };
    hub.rooms().any(|room| !room.supply(&[span]).entries.is_empty())
}

fn places(event: &BusEvent) -> Vec<Place> {
    match event {
        BusEvent::Received(Envelope { word: Word::Messages { stream, first_seq, messages, .. }, .. }) => {
            (*first_seq..*first_seq + messages.len() as u64).map(|seq| (*stream, seq)).collect()
        }
        BusEvent::Received(Envelope { word: Word::Repair { entries, .. }, .. }) => {
            entries.iter().map(|entry| (entry.stream, entry.seq)).collect()
        }
        _ => Vec::new(),
    }
}

fn leave(who: usize) -> Ask {
    Ask::Leave { room: ROOM.into(), user: NAMES[who].into() }
}

pub fn join(name: &str, since: Option<Vec<Place>>) -> Ask {
    let since = since.map(|streams| Since { streams, names_strangers: false });
    Ask::Join { room: ROOM.into(), user: name.into(), client: nonce(name), visit: 0, since }
}

pub fn send(name: &str, id: u64, text: String) -> Ask {
    let client = nonce(name).key();
    Ask::Send { room: ROOM.into(), user: name.into(), client, id: id.to_string().into(), text: text.into() }
}
