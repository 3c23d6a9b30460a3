use proptest::prelude::*;

use super::*;

const GREETING: &[u8] = b"HTTP/1.1 101 \r\n\r\n";
const PAUSE: Duration = Duration::from_millis(100);

/// A pair with the buffers that its shell would have.
struct World {
    pair: Pair,
    now: Instant,
    held: Vec<u8>,
    /// What each server got, the last one's last.
    servers: Vec<Vec<u8>>,
    client: Vec<u8>,
    acts: Vec<Act>,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let pair = Pair::new(GREETING, now);
        let (held, client) = (Vec::new(), Vec::new());
        let mut world = Self { pair, now, held, servers: Vec::new(), client, acts: Vec::new() };
        world.carry_out();
        world
    }

    /// With a server, `a`.
    fn attached() -> Self {
        let mut world = Self::new();
        world.attach("a");
        assert_eq!(world.take_client(), GREETING);
        world
    }

    /// A server takes the client.
    fn attach(&mut self, name: &str) {
        self.pair.handle_dialing(name.into(), self.now);
        self.pair.handle_connected(self.now);
        self.pair.handle_accepted();
        self.carry_out();
    }

    fn carry_out(&mut self) {
        for act in self.pair.take_acts() {
            match &act {
                Act::Tell(bytes) => self.client.extend_from_slice(bytes),
                Act::Switch { .. } => {
                    self.held.clear();
                    self.servers.push(Vec::new());
                }
                Act::Detach(_) => self.held.clear(),
                _ => {}
            }
            self.acts.push(act);
        }
    }

    fn server_says(&mut self, bytes: &[u8]) {
        let mut buffer = std::mem::take(&mut self.held);
        buffer.extend_from_slice(bytes);
        assert!(buffer.len() <= BUFFER_BYTES);
        let Downward { forward, hold } = self.pair.handle_server_bytes(&mut buffer, self.now);
        self.client.extend_from_slice(&buffer[..forward]);
        self.held = buffer[hold].to_vec();
        self.carry_out();
    }

    fn client_says(&mut self, bytes: &[u8]) {
        let range = self.pair.handle_client_bytes(bytes, self.now);
        if let Some(server) = self.servers.last_mut().filter(|_| self.pair.server().is_some()) {
            server.extend_from_slice(&bytes[range]);
        } else {
            assert!(range.is_empty());
        }
        self.carry_out();
    }

    fn server_is_lost(&mut self) {
        self.pair.handle_server_lost(self.now);
        self.carry_out();
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.pair.handle_timeout(PAUSE, self.now);
        self.carry_out();
    }

    fn take_client(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.client)
    }

    fn take_acts(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }

    fn dials(&mut self) -> Vec<Option<String>> {
        let acts = self.take_acts();
        acts.into_iter()
            .filter_map(|act| match act {
                Act::Dial { not } => Some(not.map(|name| name.to_string())),
                _ => None,
            })
            .collect()
    }
}

fn header(first: u8, mask: u8, length: usize) -> Vec<u8> {
    match length {
        0..126 => vec![first, mask | length as u8],
        126..0x1_0000 => [&[first, mask | 126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[first, mask | 127][..], &(length as u64).to_be_bytes()].concat(),
    }
}

/// A frame of a server.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&header(first, 0, payload.len())[..], payload].concat()
}

fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}

/// A frame of a client.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    [&header(first, 0x80, payload.len())[..], &[0; 4], payload].concat()
}

fn resume() -> Vec<u8> {
    ServerMessage::Resume.to_frame().to_vec()
}

fn move_frame() -> Vec<u8> {
    ServerMessage::Move { within_ms: 5000 }.to_frame().to_vec()
}

/// Messages of a side, each of one frame or of two with a ping in between.
fn messages(of: fn(u8, &[u8]) -> Vec<u8>) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let message = (0..300_usize, any::<bool>(), any::<u8>()).prop_map(move |(length, is_whole, fill)| {
        let payload = vec![fill; length];
        match is_whole {
            true => of(0x81, &payload),
            false => [of(0x01, &payload), of(0x89, b"ping"), of(0x80, &payload)].concat(),
        }
    });
    proptest::collection::vec(message, 1..6)
}

fn in_pieces<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let (mut pieces, mut sizes) = (Vec::new(), sizes.iter().cycle());
    while let Some(size) = sizes.next().filter(|_| !bytes.is_empty()) {
        let (piece, rest) = bytes.split_at((*size).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// The last end of a frame within `length` bytes, and whether it is the end of a message too.
fn last_frame_end(bytes: &[u8], length: usize) -> (usize, bool) {
    let (mut end, mut is_message_end) = (0, true);
    let mut splitter = FrameSplitter::default();
    while end < length {
        match splitter.next(&bytes[end..length], BUFFER_BYTES) {
            Piece::Frame(frame) => end += frame,
            _ => break,
        }
        is_message_end = splitter.is_between_messages();
    }
    (end, is_message_end)
}

proptest! {
    /// Whatever a server had said when it died, and however that was cut: the client has its whole frames, then `resume`,
    /// then all of the next one's; or its connection ends, if the server died within a message.
    #[test]
    fn a_client_gets_whole_frames_of_one_server_then_of_the_next(
        first in messages(frame), second in messages(frame),
        part in 0.0..=1.0_f64, sizes in proptest::collection::vec(1..200_usize, 1..10),
    ) {
        let (first, second) = (first.concat(), second.concat());
        let said = (first.len() as f64 * part) as usize;
        let mut world = World::attached();
        for piece in in_pieces(&first[..said], &sizes) {
            world.server_says(piece);
        }
        world.server_is_lost();
        let (end, is_message_end) = last_frame_end(&first, said);
        if !is_message_end {
            prop_assert_eq!(world.acts.last(), Some(&Act::Abort));
            return Ok(());
        }
        prop_assert_eq!(world.dials(), [None, Some("a".to_owned())]);
        world.attach("b");
        for piece in in_pieces(&second, &sizes) {
            world.server_says(piece);
        }
        prop_assert_eq!(world.take_client(), [&first[..end], &resume(), &second].concat());
    }

    /// A server that wants its client to move is heard until the next one is there, and its `move` is not passed on.
    #[test]
    fn a_client_that_moves_misses_no_whole_frame_of_the_old_server(
        before in messages(frame), after in messages(frame), second in messages(frame),
        part in 0.0..=1.0_f64, sizes in proptest::collection::vec(1..200_usize, 1..10),
    ) {
        let (before, after, second) = (before.concat(), after.concat(), second.concat());
        let said = (after.len() as f64 * part) as usize;
        let mut world = World::attached();
        let all = [&before[..], &move_frame(), &after[..said]].concat();
        for piece in in_pieces(&all, &sizes) {
            world.server_says(piece);
        }
        prop_assert_eq!(world.dials(), [None, Some("a".to_owned())]);
        world.attach("b");
        let (mut end, is_message_end) = last_frame_end(&after, said);
        if !is_message_end {
            // Nothing of the next server's before the end of this message.
            world.server_says(&after[said..]);
            let (mut splitter, mut at) = (FrameSplitter::default(), 0);
            while at < end || !splitter.is_between_messages() {
                let Piece::Frame(frame) = splitter.next(&after[at..], BUFFER_BYTES) else { unreachable!() };
                at += frame;
            }
            end = after.len();
            prop_assert!(at <= end);
        }
        for piece in in_pieces(&second, &sizes) {
            world.server_says(piece);
        }
        prop_assert_eq!(world.take_client(), [&before[..], &after[..end], &resume(), &second].concat());
    }

    /// What a client says goes to the server that it has when it says it; the next server gets it from the first message
    /// on that the other got nothing of.
    #[test]
    fn a_server_gets_what_the_client_says_from_a_message_on(
        messages in messages(masked), part in 0.0..=1.0_f64,
        sizes in proptest::collection::vec(1..200_usize, 1..10),
    ) {
        let mut ends = vec![0];
        let all = messages.iter().fold(Vec::new(), |mut all, message| {
            all.extend_from_slice(message);
            ends.push(all.len());
            all
        });
        let said = (all.len() as f64 * part) as usize;
        let mut world = World::attached();
        in_pieces(&all[..said], &sizes).into_iter().for_each(|piece| world.client_says(piece));
        world.server_is_lost();
        world.attach("b");
        in_pieces(&all[said..], &sizes).into_iter().for_each(|piece| world.client_says(piece));
        let from = ends.into_iter().find(|end| *end >= said).unwrap();
        prop_assert_eq!(&world.servers[0], &all[..said]);
        prop_assert_eq!(&world.servers[1], &all[from..]);
    }

    /// Nothing that comes from either side, in any order of events, is too much; and it ends.
    #[test]
    fn any_events_in_any_order_come_to_an_end(
        events in proptest::collection::vec((0..12_u8, proptest::collection::vec(any::<u8>(), 1..40)), 0..60),
    ) {
        let mut world = World::new();
        for (event, bytes) in events {
            let now = world.now;
            match event {
                0 | 1 if world.pair.may_hear_client() => world.client_says(&bytes),
                2 | 3 if world.pair.server().is_some() => world.server_says(&bytes),
                4 => world.pair.handle_client_end(now),
                5 => world.server_is_lost(),
                6 => world.pair.handle_move_wanted(now),
                7 => world.pair.handle_dialing("c".into(), now),
                8 => world.pair.handle_accepted(),
                9 => world.pair.handle_attempt_failed(PAUSE, now),
                10 => world.wait(Duration::from_secs(1)),
                11 => world.pair.handle_leaving(&move_frame(), now),
                _ => {}
            }
            world.carry_out();
            if world.acts.contains(&Act::Abort) {
                return Ok(());
            }
        }
        world.pair.handle_left(world.now);
        world.carry_out();
        if world.acts.contains(&Act::Abort) {
            return Ok(());
        }
        while let Some(at) = world.pair.poll_timeout() {
            prop_assert!(at >= world.now || !world.acts.is_empty());
            let step = at.saturating_duration_since(world.now);
            world.take_acts();
            world.wait(step);
            if world.acts.contains(&Act::Abort) {
                return Ok(());
            }
        }
        prop_assert!(false, "it has no end");
    }
}

#[test]
fn a_new_client_is_tried_at_two_servers_and_then_refused() {
    let mut world = World::new();
    for name in ["a", "b"] {
        world.pair.handle_dialing(name.into(), world.now);
        world.pair.handle_attempt_failed(PAUSE, world.now);
        world.carry_out();
    }
    assert_eq!(world.dials(), [None, Some("a".into())]);
    let mut world = World::new();
    world.pair.handle_refusal(Refusal::Draining, PAUSE, world.now);
    world.carry_out();
    assert_eq!(world.take_acts()[1..], [Act::Refuse(Refusal::Draining), Act::End]);
}

#[test]
fn a_server_that_does_not_answer_has_its_time_to_connect_and_its_time_for_the_handshake() {
    let mut world = World::new();
    world.pair.handle_dialing("a".into(), world.now);
    assert_eq!(world.pair.poll_timeout(), Some(world.now + CONNECT_TIMEOUT));
    world.pair.handle_connected(world.now);
    assert_eq!(world.pair.poll_timeout(), Some(world.now + HANDSHAKE_TIMEOUT));
    world.wait(HANDSHAKE_TIMEOUT);
    assert_eq!(world.take_acts()[1..], [Act::DropNext, Act::Dial { not: Some("a".into()) }]);
}

#[test]
fn a_client_without_a_server_keeps_its_connection_for_a_while() {
    let mut world = World::attached();
    world.server_is_lost();
    let start = world.now;
    while !world.acts.contains(&Act::End) {
        let at = world.pair.poll_timeout().unwrap();
        world.wait(at - world.now);
        world.pair.handle_refusal(Refusal::NotReady, PAUSE, world.now);
        assert!(world.now - start <= PATIENCE);
    }
    assert_eq!(world.now - start, PATIENCE);
    let told = world.take_client();
    assert_eq!(told[..4], frame::close(CloseReason::TryLater, "no server could be found in time")[..4]);
    assert!(world.take_acts().len() > 90, "it was tried all the time");
}

#[test]
fn a_client_waits_for_its_turn_however_long_that_is() {
    let mut world = World::attached();
    world.server_is_lost();
    world.pair.handle_refusal(Refusal::Busy(PATIENCE), PAUSE, world.now);
    world.take_acts();
    world.wait(PATIENCE);
    assert_eq!(world.dials(), [Some("a".into())]);
}

#[test]
fn a_server_that_wants_its_client_to_move_keeps_it_when_there_is_no_other() {
    let mut world = World::attached();
    world.server_says(&move_frame());
    world.pair.handle_refusal(Refusal::NotReady, PATIENCE, world.now);
    world.wait(PATIENCE);
    world.server_says(&text("still here"));
    assert_eq!(world.take_client(), text("still here"));
    assert_eq!(world.pair.poll_timeout(), None);
}

#[test]
fn who_closes_is_not_moved() {
    let closes: [fn(&mut World); 2] = [
        |world| world.server_says(&frame(0x88, &[0x03, 0xe9])),
        |world| world.client_says(&masked(0x88, &[])),
    ];
    for close in closes {
        let mut world = World::attached();
        world.server_says(&move_frame());
        close(&mut world);
        world.server_says(&move_frame());
        world.take_acts();
        world.server_is_lost();
        assert_eq!(world.take_acts(), [Act::Detach("a".into()), Act::End]);
    }
}

#[test]
fn a_close_frame_for_which_there_is_no_server_is_answered() {
    let mut world = World::attached();
    world.server_is_lost();
    world.take_acts();
    world.client_says(&[masked(0x81, b"lost"), masked(0x88, &[])].concat());
    assert_eq!(world.take_client(), &frame::close_echo(None)[..]);
    assert_eq!(world.take_acts().last(), Some(&Act::End));
}

#[test]
fn a_client_that_ends_its_side_hears_its_server_to_the_end() {
    let mut world = World::attached();
    world.client_says(&masked(0x81, b"last"));
    world.pair.handle_client_end(world.now);
    world.carry_out();
    assert!(world.take_acts().contains(&Act::FinishServer));
    world.server_says(&text("answer"));
    assert_eq!(world.take_client(), text("answer"));
    world.server_is_lost();
    assert!(world.take_acts().contains(&Act::End) && world.pair.is_over());
}

#[test]
fn a_frame_larger_than_the_buffer_goes_through_in_parts_and_ends_the_client_if_its_server_dies() {
    let large = frame(0x82, &vec![7; 3 * BUFFER_BYTES]);
    let mut world = World::attached();
    for piece in large.chunks(BUFFER_BYTES) {
        world.server_says(piece);
    }
    assert_eq!(world.take_client(), large);
    world.server_says(&large[..BUFFER_BYTES]);
    world.pair.handle_leaving(&move_frame(), world.now);
    world.pair.handle_left(world.now);
    world.carry_out();
    assert_eq!(world.take_client().len(), BUFFER_BYTES, "nothing is put into it");
    assert_eq!(world.take_acts().last(), Some(&Act::Abort));
}

#[test]
fn a_balancer_that_leaves_says_so_between_two_messages() {
    let mut world = World::attached();
    world.server_says(&frame(0x01, b"half "));
    world.pair.handle_leaving(&move_frame(), world.now);
    world.carry_out();
    world.server_says(&frame(0x80, b"done"));
    let expected = [frame(0x01, b"half "), frame(0x80, b"done"), move_frame()].concat();
    assert_eq!(world.take_client(), expected);
    world.pair.handle_left(world.now);
    world.carry_out();
    assert_eq!(
        world.take_client()[..4],
        frame::close(CloseReason::GoingAway, "the balancer is leaving")[..4]
    );
    world.wait(LINGER);
    assert_eq!(world.take_acts().last(), Some(&Act::Abort));
}

#[test]
fn only_a_frame_that_is_move_is_taken_for_one() {
    assert!(is_move(&move_frame()) && is_move(&text(r#"{"type":"move"}"#)));
    for other in
        [r#"{"type":"moved"}"#, r#"{"type":"message","text":"{\"type\":\"move\"}"}"#, r#"{"type":"move"#]
    {
        assert!(!is_move(&text(other)), "{other}");
    }
    assert!(!is_move(&frame(0x82, br#"{"type":"move"}"#)) && !is_move(&[0x81]));
}
