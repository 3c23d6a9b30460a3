//! What the hub counts, as the registry has it.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::chat::hub::{Counts, Refused};
use crate::serve::stopwatch::Seconds;
use crate::wire::TicketError;
use crate::wire::client_message::ErrorCode;

/// Counters of one server's rooms.
#[derive(Debug, Default)]
pub struct Metrics {
    said: Counter,
    heard: Counter,
    duplicates: Counter,
    confirmed: Counter,
    republished: Counter,
    missing: Counter,
    wants: Counter,
    repaired: Counter,
    stale: Counter,
    dropped: Counter,
    words_refused: Family<Rule, Counter>,
    hub_turns: Counter,
    hub_turn_seconds: Family<Phase, Seconds>,
    rooms: Gauge,
    errors: Family<Code, Counter>,
    moved: Counter,
    tickets_refused: Family<Rule, Counter>,
}

/// Where the backplane thread's time goes; its sum is the time since it began.
#[derive(Debug)]
pub struct HubTurnSeconds {
    /// Nothing to do.
    pub wait: Seconds,
    /// What clients want.
    pub asks: Seconds,
    /// What the bus brings.
    pub hear: Seconds,
    /// `/status`, what is due, and what the turn gathered.
    pub finish: Seconds,
    /// What the hub wants done: envelopes are written here.
    pub carry_out: Seconds,
    /// To the sockets of the bus and the mailboxes of the reactors, and the counting of all this.
    pub hand_on: Seconds,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Phase {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rule {
    rule: &'static str,
}

impl Metrics {
    /// Counters under their names in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let m = Self::default();
        registry.register("chat_messages_said", "chat messages that got their place here", m.said.clone());
        registry.register("chat_messages_heard", "chat messages of other servers", m.heard.clone());
        registry.register("chat_duplicates", "retries and messages heard twice", m.duplicates.clone());
        registry.register("chat_confirmed", "messages that a second server holds", m.confirmed.clone());
        let help = "times that a room's messages were published again because nobody confirmed them";
        registry.register("chat_republished", help, m.republished.clone());
        registry.register("chat_missing", "messages of other servers that are lost", m.missing.clone());
        registry.register("chat_wants", "questions for messages that were missed", m.wants.clone());
        registry.register("chat_repaired", "messages sent to servers that missed them", m.repaired.clone());
        registry.register("bus_stale", "envelopes of servers that are taken to be gone", m.stale.clone());
        registry.register("bus_dropped", "envelopes dropped because a queue was full", m.dropped.clone());
        let help = "words of other servers that are beyond a limit, by the rule";
        registry.register("bus_words_refused", help, m.words_refused.clone());
        m.add_refused(Refused::default());
        registry.register("hub_turns", "turns of the backplane thread", m.hub_turns.clone());
        let help = "what the backplane thread's time goes to, by phase of its turns";
        registry.register_with_unit("hub_turn", help, Unit::Seconds, m.hub_turn_seconds.clone());
        registry.register("rooms", "rooms held now", m.rooms.clone());
        registry.register("client_errors", "error frames, by code", m.errors.clone());
        // Shown before there are any, or the first one of a code would be no increase.
        ErrorCode::ALL.iter().for_each(|code| drop(m.errors(*code)));
        registry.register("clients_told_to_move", "clients told to go to another server", m.moved.clone());
        registry.register("tickets_refused", "tickets refused, by the rule", m.tickets_refused.clone());
        m
    }

    /// To be charged by the backplane thread.
    pub fn hub_turn_seconds(&self) -> HubTurnSeconds {
        let seconds = |phase| self.hub_turn_seconds.get_or_create_owned(&Phase { phase });
        HubTurnSeconds {
            wait: seconds("wait"),
            asks: seconds("asks"),
            hear: seconds("hear"),
            finish: seconds("finish"),
            carry_out: seconds("carry_out"),
            hand_on: seconds("hand_on"),
        }
    }

    /// One turn of the backplane thread.
    pub fn add(&self, counts: Counts, rooms: usize) {
        let Counts { said, heard, duplicates, confirmed, republished, missing, wants, repaired, .. } = counts;
        let Counts { stale, dropped, id_reused, overloaded, not_joined, .. } = counts;
        self.said.inc_by(said);
        self.heard.inc_by(heard);
        self.duplicates.inc_by(duplicates);
        self.confirmed.inc_by(confirmed);
        self.republished.inc_by(republished);
        self.missing.inc_by(missing);
        self.wants.inc_by(wants);
        self.repaired.inc_by(repaired);
        self.stale.inc_by(stale);
        self.dropped.inc_by(dropped);
        let refused = [
            (ErrorCode::IdReused, id_reused),
            (ErrorCode::Overloaded, overloaded),
            (ErrorCode::NotJoined, not_joined),
        ];
        // Each is found by a lock and a hash, and mostly there is none.
        for (code, count) in refused.into_iter().filter(|(_, count)| *count > 0) {
            self.errors(code).inc_by(count);
        }
        if counts.refused != Refused::default() {
            self.add_refused(counts.refused);
        }
        self.hub_turns.inc();
        self.rooms.set(rooms as i64);
    }

    fn add_refused(&self, refused: Refused) {
        let Refused { peers, jumps, lists, rooms, questions } = refused;
        for (rule, count) in
            [("peer", peers), ("jump", jumps), ("list", lists), ("room", rooms), ("question", questions)]
        {
            self.words_refused.get_or_create(&Rule { rule }).inc_by(count);
        }
    }

    /// A client was told to move.
    pub fn moved(&self) {
        self.moved.inc();
    }

    /// Clients that were told so.
    pub fn moved_total(&self) -> u64 {
        self.moved.get()
    }

    /// A ticket was refused.
    pub fn ticket_refused(&self, error: TicketError) {
        self.tickets_refused.get_or_create(&Rule { rule: error.name() }).inc();
    }

    /// An `error` frame.
    pub fn error(&self, code: ErrorCode) {
        self.errors(code).inc();
    }

    fn errors(&self, code: ErrorCode) -> Counter {
        self.errors.get_or_create(&Code { code: code.name() }).clone()
    }

    /// Messages that got their place here.
    pub fn said_total(&self) -> u64 {
        self.said.get()
    }

    /// `error` frames of all codes.
    pub fn errors_total(&self) -> u64 {
        ErrorCode::ALL.iter().map(|code| self.errors(*code).get()).sum()
    }
}
