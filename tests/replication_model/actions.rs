//! What may happen next, and what it does.

use std::fmt;

use crate::invariants::Breach;
use crate::rules::{
    Alone, Answers, Begin, Evicted, Have, Hole, Lacks, Retry, Rules, Shown, Unparks, Waiting,
};
use crate::state::{
    NUMBERS, Packet, Place, SERVERS, Set, State, Status, TEXTS, Word, has, members, name, only,
};

/// One step of one server, of the network, of a client, or one fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A client says the next message; the origin publishes it.
    Say {
        server: u8,
        witness: Option<u8>,
    },
    /// A client sends again, at another server, what was not acknowledged.
    SayAgain {
        server: u8,
        text: u8,
        witness: Option<u8>,
    },
    /// What waits for its confirmation is published again.
    Republish {
        server: u8,
        witness: u8,
    },
    Deliver(Packet),
    Lose(Packet),
    /// A NACK for the number behind the cursor; it is answered at once, and the answer is under way.
    Ask {
        server: u8,
        stream: u8,
        of: u8,
    },
    PassOver {
        server: u8,
        stream: u8,
    },
    /// A server tells another how far it has each stream.
    Tell {
        from: u8,
        to: u8,
    },
    LeaseEnds {
        server: u8,
        peer: u8,
    },
    Returned {
        server: u8,
        peer: u8,
    },
    /// With nobody else alive, everything that waits is acknowledged.
    ConfirmAlone {
        server: u8,
    },
    /// Members at the origin see what waits: the server is isolated, or the old rule's second is over.
    ShowUnconfirmed {
        server: u8,
    },
    /// What no replica can hold is appended anew.
    AppendAnew {
        server: u8,
    },
    Stall(u8),
    Thaw(u8),
    Die(u8),
    Start(u8),
    Open(u8),
    Evict {
        server: u8,
        stream: u8,
    },
    Cut(u8),
    Heal,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let witness =
            |witness: Option<u8>| witness.map_or("nobody".into(), |witness| name(witness).to_string());
        match *self {
            Self::Say { server, witness: w } => {
                write!(f, "a client says a message at {}; witness is {}", name(server), witness(w))
            }
            Self::SayAgain { server, text, witness: w } => {
                write!(
                    f,
                    "the client sends m{} again, at {}; witness is {}",
                    text + 1,
                    name(server),
                    witness(w)
                )
            }
            Self::Republish { server, witness } => {
                write!(f, "{} publishes again what waits; witness is {}", name(server), name(witness))
            }
            Self::Deliver(packet) => write!(f, "delivered: {packet}"),
            Self::Lose(packet) => write!(f, "LOST: {packet}"),
            Self::Ask { server, stream, of } => {
                write!(f, "{} asks {} for the hole in stream {}", name(server), name(of), name(stream))
            }
            Self::PassOver { server, stream } => {
                write!(f, "{} passes over the hole in stream {}: gap", name(server), name(stream))
            }
            Self::Tell { from, to } => write!(f, "digest of {} reaches {}", name(from), name(to)),
            Self::LeaseEnds { server, peer } => {
                write!(f, "the lease of {} ends at {}", name(peer), name(server))
            }
            Self::Returned { server, peer } => write!(f, "{} lives again for {}", name(peer), name(server)),
            Self::ConfirmAlone { server } => {
                write!(f, "{} is alone and acknowledges what waits", name(server))
            }
            Self::ShowUnconfirmed { server } => write!(f, "{} shows what nobody confirmed", name(server)),
            Self::AppendAnew { server } => write!(f, "{} appends anew what nobody can hold", name(server)),
            Self::Stall(server) => write!(f, "{} STALLS", name(server)),
            Self::Thaw(server) => write!(f, "{} thaws", name(server)),
            Self::Die(server) => write!(f, "{} DIES", name(server)),
            Self::Start(server) => write!(f, "{} starts", name(server)),
            Self::Open(server) => write!(f, "{} has fetched the room and opens it", name(server)),
            Self::Evict { server, stream } => {
                write!(f, "the ring of {} evicts its oldest of stream {}", name(server), name(stream))
            }
            Self::Cut(server) => write!(f, "{} is CUT off with one lane", name(server)),
            Self::Heal => write!(f, "the cut heals"),
        }
    }
}

/// A state that is being changed, and the first thing that went wrong.
pub struct Step {
    pub rules: Rules,
    pub state: State,
    pub breach: Option<Breach>,
}

/// The state after an action, and what the action broke.
pub fn apply(rules: Rules, state: &State, action: Action) -> (State, Option<Breach>) {
    let mut step = Step { rules, state: state.clone(), breach: None };
    step.take(action);
    (step.state, step.breach)
}

/// All that may happen in a state.
pub fn enabled(rules: Rules, state: &State) -> Vec<Action> {
    let mut actions = Vec::new();
    let up: Vec<u8> = (0..SERVERS as u8).filter(|&server| state.node(server).is_up()).collect();
    for &packet in &state.packets {
        let is_receiver_up = state.node(packet.to).is_up();
        if is_receiver_up && !state.is_cut(packet.from, packet.to) {
            actions.push(Action::Deliver(packet));
        }
        if state.trouble.losses > 0 {
            actions.push(Action::Lose(packet));
        }
    }
    for &server in &up {
        repairs(rules, state, server, &mut actions);
        clients(state, server, &mut actions);
        faults(rules, state, server, &mut actions);
    }
    for server in 0..SERVERS as u8 {
        match state.node(server).status {
            Status::Stalled => actions.push(Action::Thaw(server)),
            Status::Off if state.trouble.starts > 0 => actions.push(Action::Start(server)),
            _ => {}
        }
    }
    if state.cut.is_some() {
        actions.push(Action::Heal);
    }
    actions
}

/// What a server does by its timers.
fn repairs(rules: Rules, state: &State, server: u8, actions: &mut Vec<Action>) {
    let node = state.node(server);
    for stream in 0..SERVERS as u8 {
        actions.extend(askable(state, server, stream).map(|of| Action::Ask { server, stream, of }));
        if may_pass_over(rules, state, server, stream) {
            actions.push(Action::PassOver { server, stream });
        }
    }
    for to in 0..SERVERS as u8 {
        let action = Action::Tell { from: server, to };
        if may_tell(state, server, to) && apply(rules, state, action).0 != *state {
            actions.push(action);
        }
    }
    for peer in (0..SERVERS as u8).filter(|&peer| peer != server) {
        let is_heard = state.node(peer).is_up() && !state.is_cut(server, peer);
        if has(node.live, peer) {
            if !is_heard {
                actions.push(Action::LeaseEnds { server, peer });
            }
        } else if is_heard {
            actions.push(Action::Returned { server, peer });
        }
    }
    let waits = node.unconfirmed != 0 || node.retries.iter().any(|&numbers| numbers != 0);
    if waits && is_alone(rules, state, server) {
        actions.push(Action::ConfirmAlone { server });
    }
    if waits {
        actions.extend(
            members(node.live)
                .map(|witness| Action::Republish { server, witness })
                .filter(|&action| is_republish_due(state, server) && apply(rules, state, action).0 != *state),
        );
    }
    if node.front < state.view(server, server).cursor
        && (rules.shown == Shown::Patience || node.live == 0 && !is_alone(rules, state, server))
    {
        actions.push(Action::ShowUnconfirmed { server });
    }
    if rules.appends_rejected && rejected(rules, state, server).is_some() {
        actions.push(Action::AppendAnew { server });
    }
    if !node.is_open && node.told_by != 0 && (node.live & !node.told_by).count_ones() <= 1 {
        actions.push(Action::Open(server));
    }
}

fn clients(state: &State, server: u8, actions: &mut Vec<Action>) {
    let node = state.node(server);
    if !node.is_open || usize::from(state.view(server, server).cursor) + 1 >= NUMBERS {
        return;
    }
    let witnesses = || {
        let nobody = (node.live == 0).then_some(None);
        members(node.live).map(Some).chain(nobody)
    };
    if server == 0 && usize::from(state.said) < TEXTS && state.trouble.messages > 0 {
        actions.extend(witnesses().map(|witness| Action::Say { server, witness }));
    }
    if state.trouble.retries > 0 {
        let waiting = (0..state.said).filter(|&text| !has(state.acked, text));
        for text in waiting.filter(|&text| !waits_at(state, server, text)) {
            actions.extend(witnesses().map(|witness| Action::SayAgain { server, text, witness }));
        }
    }
}

fn faults(rules: Rules, state: &State, server: u8, actions: &mut Vec<Action>) {
    let trouble = state.trouble;
    let others = state.alive() & !only(server);
    if trouble.stalls > 0 {
        actions.push(Action::Stall(server));
    }
    if trouble.deaths > 0 && others != 0 {
        actions.push(Action::Die(server));
    }
    if trouble.cuts > 0 && others != 0 {
        actions.push(Action::Cut(server));
    }
    if trouble.hiccups > 0 {
        let live = members(state.node(server).live).filter(|&peer| state.node(peer).is_up());
        actions.extend(live.map(|peer| Action::LeaseEnds { server, peer }));
    }
    if trouble.evictions > 0 {
        let full = (0..SERVERS as u8).filter(|&stream| evicted(rules, state, server, stream).is_some());
        actions.extend(full.map(|stream| Action::Evict { server, stream }));
    }
}

/// Whether a client that sent this message waits for its acknowledgement here.
fn waits_at(state: &State, server: u8, text: u8) -> bool {
    let node = state.node(server);
    state.places(text).any(|place| {
        place.stream == server && has(node.unconfirmed, place.number)
            || has(node.retries[usize::from(place.stream)], place.number)
    })
}

/// Nobody else lives, and this is not the server that only hears itself.
pub fn is_alone(rules: Rules, state: &State, server: u8) -> bool {
    state.node(server).live == 0 && (rules.alone == Alone::NoLease || state.cut != Some(server))
}

/// The patience is over only when what was published has arrived, or its receiver does not answer.
fn is_republish_due(state: &State, server: u8) -> bool {
    !state.packets.iter().any(|packet| {
        let is_ours = match packet.word {
            Word::Message { is_witness, .. } => packet.from == server && is_witness,
            Word::Have { .. } => packet.to == server,
            _ => false,
        };
        let peer = if packet.from == server { packet.to } else { packet.from };
        is_ours && has(state.node(server).live, peer) && state.node(peer).is_up()
    })
}

fn may_tell(state: &State, from: u8, to: u8) -> bool {
    let (teller, told) = (state.node(from), state.node(to));
    from != to && teller.is_open && told.is_up() && has(told.live, from) && !state.is_cut(from, to)
}

/// Servers that can be asked for the hole in a stream and would answer.
fn askable(state: &State, server: u8, stream: u8) -> impl Iterator<Item = u8> {
    let (node, view) = (state.node(server), *state.view(server, stream));
    let asked = if view.hole().is_some() { node.live & !view.lacked & !view.expired } else { 0 };
    members(asked).filter(move |&of| {
        let other = state.node(of);
        let place = Place { stream, number: view.cursor + 1 };
        let is_answered = |word| state.packets.contains(&Packet { from: of, to: server, word });
        let is_under_way = is_answered(Word::Repair { place })
            || is_answered(Word::Lack { place })
            || is_answered(Word::Expired { place });
        other.is_up() && has(other.live, server) && !state.is_cut(server, of) && !is_under_way
    })
}

fn may_pass_over(rules: Rules, state: &State, server: u8, stream: u8) -> bool {
    let (node, view) = (state.node(server), state.view(server, stream));
    if view.hole().is_none() || stream == server {
        return false;
    }
    let have_all_answered = node.live & !view.lacked & !view.expired == 0;
    match rules.hole {
        Hole::Expired => {
            let may_return = match rules.answers {
                Answers::OfAll => state.alive() & !only(server) & !node.live,
                Answers::OfLive => 0,
            };
            have_all_answered && view.expired != 0 && may_return == 0
        }
        Hole::GivenUp => have_all_answered,
    }
}

/// The oldest message of a stream that a ring may evict.
fn evicted(rules: Rules, state: &State, server: u8, stream: u8) -> Option<u8> {
    let view = state.view(server, stream);
    let is_spared = |number| {
        rules.waiting == Waiting::Kept && stream == server && has(state.node(server).unconfirmed, number)
    };
    members(view.kept).find(|&number| number <= view.cursor && !is_spared(number))
}

/// The first number that waits, if all that live say that they hold only later ones.
fn rejected(rules: Rules, state: &State, server: u8) -> Option<u8> {
    let node = state.node(server);
    let number = members(node.unconfirmed).next()?;
    let is_behind = |peer: u8| node.first_at[usize::from(peer)] > number;
    let may_return = match rules.answers {
        Answers::OfAll => state.alive() & !only(server) & !node.live,
        Answers::OfLive => 0,
    };
    let is_nowhere = node.live != 0 && may_return == 0 && members(node.live).all(is_behind);
    is_nowhere.then_some(number)
}

impl Step {
    pub fn take(&mut self, action: Action) {
        match action {
            Action::Say { server, witness } => {
                self.state.trouble.messages -= 1;
                let text = self.state.said;
                self.state.said += 1;
                self.append(server, text, witness);
            }
            Action::SayAgain { server, text, witness } => {
                self.state.trouble.retries = self.state.trouble.retries.saturating_sub(1);
                self.say_again(server, text, witness);
            }
            Action::Republish { server, witness } => self.republish(server, only(witness)),
            Action::Deliver(packet) => {
                self.state.take(packet);
                if has(self.state.node(packet.to).live, packet.from) {
                    self.hear(packet);
                }
            }
            Action::Lose(packet) => {
                self.state.trouble.losses -= 1;
                self.state.take(packet);
            }
            Action::Ask { server, stream, of } => self.ask(server, stream, of),
            Action::PassOver { server, stream } => self.pass_over(server, stream),
            Action::Tell { from, to } => self.tell(from, to),
            Action::LeaseEnds { server, peer } => {
                if self.state.node(peer).is_up() && !self.state.is_cut(server, peer) {
                    self.state.trouble.hiccups -= 1;
                }
                self.node(server).live &= !only(peer);
            }
            Action::Returned { server, peer } => self.return_to(server, peer),
            Action::ConfirmAlone { server } => self.confirm_alone(server),
            Action::ShowUnconfirmed { server } => self.show_unconfirmed(server),
            Action::AppendAnew { server } => self.append_anew(server),
            Action::Stall(server) => {
                self.state.trouble.stalls -= 1;
                self.node(server).status = Status::Stalled;
            }
            Action::Thaw(server) => self.node(server).status = Status::Up,
            Action::Die(server) => {
                self.state.trouble.deaths -= 1;
                self.node(server).status = Status::Dead;
                self.state.packets.retain(|packet| packet.to != server);
            }
            Action::Start(server) => {
                self.state.trouble.starts -= 1;
                self.start(server);
            }
            Action::Open(server) => self.node(server).is_open = true,
            Action::Evict { server, stream } => {
                self.state.trouble.evictions -= 1;
                if let Some(number) = evicted(self.rules, &self.state, server, stream) {
                    self.view(server, stream).kept &= !only(number);
                }
            }
            Action::Cut(server) => {
                self.state.trouble.cuts -= 1;
                self.state.cut = Some(server);
            }
            Action::Heal => self.state.cut = None,
        }
    }

    /// It asks for rooms only when it has heard of all that run.
    fn start(&mut self, server: u8) {
        self.node(server).status = Status::Up;
        for peer in (0..SERVERS as u8).filter(|&peer| peer != server) {
            if self.state.node(peer).is_up() {
                self.node(server).live |= only(peer);
                self.node(peer).live |= only(server);
            }
        }
    }

    pub fn break_rule(&mut self, breach: Breach) {
        self.breach.get_or_insert(breach);
    }

    fn node(&mut self, server: u8) -> &mut crate::state::Node {
        &mut self.state.nodes[usize::from(server)]
    }

    fn view(&mut self, server: u8, stream: u8) -> &mut crate::state::View {
        &mut self.state.nodes[usize::from(server)].streams[usize::from(stream)]
    }

    fn append(&mut self, server: u8, text: u8, witness: Option<u8>) {
        let view = self.view(server, server);
        let number = view.cursor + 1;
        view.cursor = number;
        view.known = number;
        view.held |= only(number);
        view.kept |= only(number);
        self.node(server).unconfirmed |= only(number);
        let place = Place { stream: server, number };
        self.state.texts[usize::from(server)][usize::from(number)] = text;
        self.publish(server, place, witness.map_or(0, only));
    }

    fn publish(&mut self, from: u8, place: Place, witnesses: Set) {
        for to in (0..SERVERS as u8).filter(|&to| to != from && to != place.stream) {
            let word = Word::Message { place, is_witness: has(witnesses, to) };
            if self.state.node(to).is_alive() {
                self.state.send(Packet { from, to, word });
            }
        }
    }

    fn say_again(&mut self, server: u8, text: u8, witness: Option<u8>) {
        let is_known = |place: &Place| {
            let view = self.state.view(server, place.stream);
            has(view.held, place.number) && place.number <= view.cursor
        };
        // Its own place comes first: what was appended anew is not appended again.
        let known = self.state.places(text).filter(is_known).max_by_key(|place| place.stream == server);
        let Some(place) = known else { return self.append(server, text, witness) };
        if place.stream == server {
            if !has(self.state.node(server).unconfirmed, place.number) {
                self.acknowledge(server, text, None);
            }
            return;
        }
        if self.rules.retry == Retry::Lease && has(self.state.node(server).live, place.stream) {
            return self.acknowledge(server, text, None);
        }
        let is_kept = has(self.state.view(server, place.stream).kept, place.number);
        if !is_kept && self.rules.evicted == Evicted::Appended {
            return self.append(server, text, witness);
        }
        self.node(server).retries[usize::from(place.stream)] |= only(place.number);
        self.publish_retry(server, place, witness.map_or(0, only));
    }

    /// A copy of another server's message, for a witness to confirm.
    fn publish_retry(&mut self, server: u8, place: Place, witnesses: Set) {
        if has(self.state.view(server, place.stream).kept, place.number) {
            self.publish(server, place, witnesses);
        }
    }

    pub fn republish(&mut self, server: u8, witnesses: Set) {
        for number in members(self.state.node(server).unconfirmed) {
            self.publish(server, Place { stream: server, number }, witnesses);
        }
        for stream in 0..SERVERS as u8 {
            for number in members(self.state.node(server).retries[usize::from(stream)]) {
                self.publish_retry(server, Place { stream, number }, witnesses);
            }
        }
    }

    fn hear(&mut self, Packet { from, to, word }: Packet) {
        match word {
            Word::Message { place, is_witness } => {
                self.store(to, place, from);
                if is_witness {
                    self.say_have(to, from, place.stream);
                }
            }
            Word::Repair { place } => {
                self.store(to, place, from);
                if has(self.state.node(to).live, place.stream) {
                    self.say_have(to, place.stream, place.stream);
                }
            }
            Word::Have { stream, first, last } => self.hear_have(to, from, stream, first, last),
            Word::Lack { place } => {
                let view = self.view(to, place.stream);
                if view.hole() == Some(place.number) {
                    view.lacked |= only(from);
                }
            }
            Word::Expired { place } => {
                let voids_lacks = self.rules.lacks != Lacks::Stand;
                if self.rules.lacks == Lacks::Void && self.state.view(to, place.stream).expired == 0 {
                    let is_old = |packet: &Packet| packet.to == to && packet.word == Word::Lack { place };
                    self.state.packets.retain(|packet| !is_old(packet));
                }
                let view = self.view(to, place.stream);
                if view.hole() == Some(place.number) {
                    if voids_lacks && view.expired == 0 {
                        view.lacked = 0;
                    }
                    view.expired |= only(from);
                }
            }
        }
    }

    fn store(&mut self, server: u8, place: Place, teller: u8) {
        let Place { stream, number } = place;
        if stream == server {
            return;
        }
        let view = self.view(server, stream);
        if number <= view.cursor || has(view.held, number) {
            return;
        }
        view.known = view.known.max(number);
        view.held |= only(number);
        view.kept |= only(number);
        if view.hole() == Some(number) {
            view.lacked &= !only(teller);
        }
        self.advance(server, stream);
    }

    fn advance(&mut self, server: u8, stream: u8) {
        loop {
            let view = self.view(server, stream);
            let number = view.cursor + 1;
            if !has(view.held, number) {
                return;
            }
            view.cursor = number;
            view.has_begun = true;
            view.lacked = 0;
            view.expired = 0;
            self.show(server, Place { stream, number });
        }
    }

    /// Members see a message unless they saw it in another place; an own one that is hidden gives way.
    fn show(&mut self, server: u8, place: Place) {
        let text = self.state.text(place);
        let rules = self.rules;
        let shown = &mut self.node(server).shown[usize::from(text)];
        if shown.is_none() {
            *shown = Some(place);
        } else if !rules.knows_again {
            self.break_rule(Breach::ShownTwice { server, text });
        }
    }

    fn say_have(&mut self, from: u8, to: u8, stream: u8) {
        let view = *self.state.view(from, stream);
        let begin = members(view.passed).last().map_or(view.begin, |passed| view.begin.max(passed + 1));
        let first = if self.rules.have == Have::Held { begin } else { 1 };
        let last = view.cursor;
        if (first..=last).any(|number| !has(view.held, number)) {
            self.break_rule(Breach::UntrueHave { server: from, stream, first, last });
        }
        self.state.send(Packet { from, to, word: Word::Have { stream, first, last } });
    }

    fn hear_have(&mut self, server: u8, from: u8, stream: u8, first: u8, last: u8) {
        let covered =
            |numbers: Set| members(numbers).filter(|n| (first..=last).contains(n)).map(only).sum::<Set>();
        if stream == server {
            self.node(server).first_at[usize::from(from)] = first;
            let numbers = covered(self.state.node(server).unconfirmed);
            self.confirm(server, numbers, Some(from));
        } else {
            let numbers = covered(self.state.node(server).retries[usize::from(stream)]);
            self.confirm_retries(server, stream, numbers, Some(from));
        }
    }

    fn confirm(&mut self, server: u8, numbers: Set, witness: Option<u8>) {
        self.node(server).unconfirmed &= !numbers;
        for number in members(numbers) {
            let text = self.state.text(Place { stream: server, number });
            self.acknowledge(server, text, witness);
        }
        self.show_own(server);
    }

    fn confirm_retries(&mut self, server: u8, stream: u8, numbers: Set, witness: Option<u8>) {
        self.node(server).retries[usize::from(stream)] &= !numbers;
        for number in members(numbers) {
            let text = self.state.text(Place { stream, number });
            self.acknowledge(server, text, witness);
        }
    }

    /// Members at the origin see the stream in its order.
    fn show_own(&mut self, server: u8) {
        loop {
            let node = self.state.node(server);
            let number = node.front + 1;
            if number > self.state.view(server, server).cursor || has(node.unconfirmed, number) {
                return;
            }
            self.show_next(server);
        }
    }

    fn show_next(&mut self, server: u8) {
        let node = self.node(server);
        node.front += 1;
        let number = node.front;
        if !has(node.void, number) {
            self.show(server, Place { stream: server, number });
        }
    }

    fn show_unconfirmed(&mut self, server: u8) {
        while self.state.node(server).front < self.state.view(server, server).cursor {
            let place = Place { stream: server, number: self.state.node(server).front + 1 };
            let text = self.state.text(place);
            let is_known_elsewhere = self.state.node(server).shown[usize::from(text)].is_some();
            let is_isolated = self.state.node(server).live == 0;
            if !is_isolated && !is_known_elsewhere && self.state.holders(text).count_ones() < 2 {
                self.break_rule(Breach::ShownUnheld { server, text });
            }
            self.show_next(server);
        }
    }

    /// The sender is told, because the witness said that it holds the message, or for no such reason.
    fn acknowledge(&mut self, server: u8, text: u8, witness: Option<u8>) {
        let state = &self.state;
        let said_so = witness.map_or(0, only);
        let holders = state.holders(text) & (state.alive() | said_so);
        let others = state.alive() & !only(server);
        let is_alone = state.node(server).live == 0;
        if holders.count_ones() < 2 && !is_alone {
            self.break_rule(Breach::AckedHeldOnce { server, text });
        } else if holders.count_ones() < 2 && state.cut == Some(server) && others != 0 {
            self.break_rule(Breach::AckedCutOff { server, text });
        }
        if witness.is_none() && is_alone && !has(self.state.acked, text) {
            self.state.acked_by[usize::from(text)] = Some(server);
        }
        self.state.acked |= only(text);
    }

    fn confirm_alone(&mut self, server: u8) {
        let numbers = self.state.node(server).unconfirmed;
        self.confirm(server, numbers, None);
        for stream in 0..SERVERS as u8 {
            let numbers = self.state.node(server).retries[usize::from(stream)];
            self.confirm_retries(server, stream, numbers, None);
        }
    }

    /// Another server is asked for the number behind the cursor.
    fn ask(&mut self, server: u8, stream: u8, of: u8) {
        let Some(number) = self.state.view(server, stream).hole() else { return };
        let place = Place { stream, number };
        let view = *self.state.view(of, stream);
        let is_gone = number < view.begin || has(view.held | view.passed, number);
        let word = if has(view.kept, number) {
            Word::Repair { place }
        } else if is_gone && self.rules.says_expired {
            Word::Expired { place }
        } else {
            Word::Lack { place }
        };
        self.state.send(Packet { from: of, to: server, word });
    }

    fn pass_over(&mut self, server: u8, stream: u8) {
        let number = self.state.view(server, stream).cursor + 1;
        let is_kept = |other: u8| {
            let view = self.state.view(other, stream);
            let waits = other == stream && has(self.state.node(other).unconfirmed, number);
            has(view.kept, number) || waits
        };
        // What a server acknowledged alone may be under way to others while its ring has evicted it already.
        let text = self.state.text(Place { stream, number });
        let was_alone = self.state.acked_by[usize::from(text)].is_some();
        if let Some(keeper) = members(self.state.alive()).find(|&other| is_kept(other) && !was_alone) {
            self.break_rule(Breach::GapOverKept { server, place: Place { stream, number }, keeper });
        }
        let view = self.view(server, stream);
        view.passed |= only(number);
        view.cursor = number;
        view.has_begun = true;
        view.lacked = 0;
        view.expired = 0;
        self.advance(server, stream);
    }

    fn tell(&mut self, from: u8, to: u8) {
        let is_open = self.state.node(to).is_open;
        let unparks = self.rules.unparks;
        let live = self.state.node(to).live;
        let begins_at_any = self.rules.begin == Begin::AtAny;
        for stream in (0..SERVERS as u8).filter(|&stream| stream != to) {
            let told = *self.state.view(from, stream);
            if told.cursor == 0 {
                continue;
            }
            let (first, last) = (told.first(), told.cursor);
            let view = self.view(to, stream);
            let is_untouched = view.cursor + 1 == view.begin;
            let may_begin = begins_at_any || from == stream || !has(live, stream);
            if !is_open && may_begin && is_untouched && (!view.has_begun || first < view.begin) {
                view.has_begun = true;
                view.begin = first;
                view.cursor = first - 1;
                view.lacked = 0;
                view.expired = 0;
                let before: Set = only(first) - 1;
                view.held &= !before;
                view.kept &= !before;
            }
            view.known = view.known.max(last).max(view.cursor);
            let is_kept_or_past = |hole| hole <= last && (unparks == Unparks::Past || first <= hole);
            if view.hole().is_some_and(is_kept_or_past) {
                view.lacked &= !only(from);
            }
            self.advance(to, stream);
        }
        if !is_open {
            self.node(to).told_by |= only(from);
        }
    }

    fn return_to(&mut self, server: u8, peer: u8) {
        let asks_returned = self.rules.asks_returned;
        let node = self.node(server);
        node.live |= only(peer);
        if asks_returned {
            for view in &mut node.streams {
                view.lacked &= !only(peer);
                view.expired &= !only(peer);
            }
        }
    }

    fn append_anew(&mut self, server: u8) {
        let Some(number) = rejected(self.rules, &self.state, server) else { return };
        let text = self.state.text(Place { stream: server, number });
        let witness = members(self.state.node(server).live).next();
        let node = self.node(server);
        node.unconfirmed &= !only(number);
        node.void |= only(number);
        self.view(server, server).kept &= !only(number);
        self.append(server, text, witness);
        self.show_own(server);
    }
}
