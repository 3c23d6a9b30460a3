//! A message is its client's nonce, its id and its text: people and tabs of one name are not each other.

use super::*;

const TAB: Member = Member { reactor: 1, connection: 9 };

fn say(world: &mut World, member: Member, client: &str, text: &str) -> Turn {
    let (user, client, id) = ("ann".into(), nonce(client).key(), "c-1".into());
    let ask = Ask::Send { room: "r".into(), user, client, id, text: text.into() };
    world.hub.handle_ask(member, ask, world.now);
    world.turn()
}

/// The only server, with two of one name, of whom the first has said `hi` as `c-1`.
fn namesakes() -> World {
    let mut world = World::new();
    world.join(ANN, "ann");
    world.join(TAB, "ann");
    world.turn();
    assert_eq!(outcome(&say(&mut world, ANN, "first", "hi"), 0), (1, 1, 0));
    world
}

/// Acks to a reactor's member, messages shown to it, and refusals.
fn outcome(turn: &Turn, reactor: usize) -> (usize, usize, usize) {
    let told = |what| turn.told(reactor, what);
    (told("\"type\":\"ack\""), told("\"type\":\"message\""), told("\"code\":\"id_reused\""))
}

#[test]
fn a_namesake_with_an_equal_id_is_heard_whatever_it_says() {
    for text in ["hi", "ho"] {
        let mut world = namesakes();
        let turn = say(&mut world, TAB, "second", text);
        assert_eq!(outcome(&turn, 1), (1, 1, 0), "its own place, not the first one's: {turn:?}");
        assert_eq!(turn.told(1, "\"seq\":2"), 2);
    }
}

#[test]
fn a_namesake_is_heard_after_the_first_one_has_left_the_ring() {
    for text in ["hi", "ho"] {
        let mut world = namesakes();
        for said in 0..RING_MESSAGES_MAX {
            world.say(ANN, "ann", &said.to_string());
        }
        world.turn();
        let turn = say(&mut world, TAB, "second", text);
        assert_eq!(outcome(&turn, 1), (1, 1, 0), "{turn:?}");
        let again = say(&mut world, ANN, "first", "hi");
        assert_eq!(
            (outcome(&again, 0), again.told(0, "\"seq\":1,")),
            ((1, 0, 0), 1),
            "its own place: {again:?}"
        );
    }
}

#[test]
fn a_client_that_uses_an_id_again_is_told_so_as_long_as_the_first_is_remembered() {
    let mut world = namesakes();
    assert_eq!(outcome(&say(&mut world, ANN, "first", "ho"), 0), (0, 0, 1));
    for said in 0..RING_MESSAGES_MAX {
        world.say(ANN, "ann", &said.to_string());
    }
    world.turn();
    assert_eq!(outcome(&say(&mut world, ANN, "first", "ho"), 0), (0, 0, 1));
    assert_eq!(world.hub.take_counts().id_reused, 2);
    assert_eq!(outcome(&say(&mut world, TAB, "first", "hi"), 1), (1, 0, 0), "from another connection too");
}

/// A word about messages as the other server hears it: to each its own incarnation is 1, and the other's is 2.
fn mirrored(word: Word) -> Option<Word> {
    let other = |stream: StreamId| StreamId { origin: 3 - stream.origin, ..stream };
    Some(match word {
        Word::Messages { room, stream, first_seq, messages, .. } => {
            Word::Messages { room, stream: other(stream), first_seq, witness: 1, messages }
        }
        Word::Have { positions, .. } => {
            let mirror = |Position { room, span }: &Position| {
                let span = Span { stream: other(span.stream), ..*span };
                Position { room: Arc::clone(room), span }
            };
            Word::Have { to: 1, positions: positions.iter().map(mirror).collect() }
        }
        _ => return None,
    })
}

/// What two servers tell their members when they take messages at the same time, each before it hears the other's.
fn at_once(clients: [&str; 2], texts: [&str; 2]) -> [Vec<String>; 2] {
    let mut worlds = [World::with_peer(), World::with_peer()];
    let mut told = [Vec::new(), Vec::new()];
    let mut crossing = Vec::new();
    for (server, world) in worlds.iter_mut().enumerate() {
        let turn = say(world, ANN, clients[server], texts[server]);
        assert_eq!(outcome(&turn, 0), (0, 0, 0), "nobody has confirmed it: {turn:?}");
        crossing.extend(turn.published.into_iter().filter_map(mirrored).map(|word| (server, word)));
    }
    while !crossing.is_empty() {
        for (from, word) in std::mem::take(&mut crossing) {
            let to = 1 - from;
            worlds[to].say_word(word);
            let turn = worlds[to].turn();
            let texts = turn.frames.iter().flat_map(|(_, text)| text.split("\"text\":\"").skip(1));
            told[to].extend(texts.map(|rest| rest.split('"').next().unwrap().to_owned()));
            crossing.extend(turn.published.into_iter().filter_map(mirrored).map(|word| (to, word)));
        }
    }
    told.iter_mut().for_each(|told| told.sort());
    told
}

#[test]
fn namesakes_at_two_servers_at_once_are_both_shown_at_both() {
    assert_eq!(at_once(["first", "second"], ["hi", "ho"]), [["hi", "ho"], ["hi", "ho"]]);
    assert_eq!(at_once(["first", "second"], ["hi", "hi"]), [["hi", "hi"], ["hi", "hi"]]);
}

#[test]
fn one_client_at_two_servers_at_once_is_shown_once_for_each_text() {
    assert_eq!(at_once(["first", "first"], ["hi", "hi"]), [["hi"], ["hi"]]);
    assert_eq!(at_once(["first", "first"], ["hi", "ho"]), [["hi", "ho"], ["hi", "ho"]], "no divergence");
}

#[test]
fn only_its_client_is_told_a_nonce() {
    let mut world = World::new();
    world.join(ANN, "ann");
    world.join(TAB, "tab");
    let mut turn = world.turn();
    world.say(ANN, "ann", "1");
    world.say(TAB, "tab", "1");
    turn.frames.extend(world.turn().frames);
    for (reactor, user) in [(0, "ann"), (1, "tab")] {
        let nonce = nonce(user);
        let key = [format!("{:x}", nonce.key()), nonce.key().to_string()];
        assert_eq!(turn.told(reactor, &format!("\"client\":\"{}\"", nonce.as_str())), 1, "in `joined`");
        assert_eq!(turn.told(1 - reactor, nonce.as_str()), 0);
        assert!(
            key.iter().all(|key| turn.told(0, key) + turn.told(1, key) == 0),
            "nor what servers make of it"
        );
    }
}
