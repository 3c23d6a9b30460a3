use super::*;

const ID: StreamId = StreamId { origin: 1, generation: 0 };
const PATIENCE: Duration = Duration::from_millis(30);
const INTERVAL: Duration = Duration::from_millis(60);

struct World {
    stream: Stream,
    limits: Limits,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self { stream: Stream::new(ID, now), limits: Limits::default(), now }
    }

    fn offer(&mut self, seq: u64) -> Offer {
        let message = Message { from: "ann".into(), client: 1, id: "1".into(), text: "hi".into(), time: 1 };
        self.stream.offer(seq, &Arc::new(message), 1, self.now, &self.limits)
    }

    fn rest(&mut self) -> Vec<u64> {
        let Self { stream, limits, now } = self;
        std::iter::from_fn(|| stream.take_next(*now, limits).map(|(seq, _)| seq)).collect()
    }

    fn announce(&mut self, last: u64, teller: u64) {
        self.stream.announce(last, teller, self.now, PATIENCE);
    }

    /// A server's answer to a question that is asked now.
    fn lack(&mut self, first: u64, last: u64, server: u64, is_expired: bool) {
        self.now += Duration::from_secs(2);
        let question = self
            .stream
            .want(Duration::ZERO, self.now, &self.limits)
            .map_or(u64::MAX, |question| question.number);
        self.answer(first, last, server, is_expired, question);
    }

    fn answer(&mut self, first: u64, last: u64, server: u64, is_expired: bool, question: u64) {
        self.stream.lack(Lack { server, first, last, is_expired, question }, self.now);
    }

    fn judge(&mut self, live: &[u64]) -> Verdict {
        self.stream.judge(live, false, self.now, &self.limits)
    }

    fn want(&mut self, at: Instant) -> Option<Vec<Span>> {
        self.stream.want(Duration::ZERO, at, &self.limits).map(|question| question.spans.to_vec())
    }

    fn claim(&self) -> Option<(u64, u64)> {
        self.stream.claim().map(|span| (span.first, span.last))
    }
}

fn span(first: u64, last: u64) -> Span {
    Span { stream: ID, first, last }
}

#[test]
fn what_comes_early_waits_and_what_comes_twice_is_known() {
    let mut world = World::new();
    assert_eq!(world.offer(1), Offer::Next);
    assert_eq!(world.offer(1), Offer::Known);
    assert_eq!(world.offer(4), Offer::Held);
    assert_eq!(world.offer(3), Offer::Held);
    assert_eq!(world.offer(4), Offer::Known);
    assert_eq!(world.offer(2), Offer::Next);
    assert_eq!(world.rest(), [3, 4]);
    assert!(!world.stream.has_gap() && world.stream.due().is_none());
}

#[test]
fn a_hole_is_asked_for_after_a_while_and_ever_more_seldom() {
    let mut world = World::new();
    world.offer(1);
    world.offer(4);
    world.offer(7);
    assert!(world.want(world.now).is_none(), "it may only have been overtaken");
    let first = world.stream.due().unwrap();
    assert_eq!(first, world.now + PATIENCE);
    assert_eq!(world.want(first).unwrap(), [span(2, 3), span(5, 6)]);
    assert_eq!(world.stream.due().unwrap(), first + INTERVAL);
    let second = world.stream.due().unwrap();
    world.want(second);
    assert_eq!(world.stream.due().unwrap(), second + 2 * INTERVAL);
    let third = world.stream.due().unwrap();
    world.stream.want(9 * INTERVAL, third, &world.limits);
    assert_eq!(world.stream.due().unwrap(), third + 9 * INTERVAL, "no answer comes sooner");
}

#[test]
fn a_tail_that_was_only_announced_is_a_hole_too() {
    let mut world = World::new();
    world.offer(1);
    world.announce(1, 9);
    assert!(world.stream.due().is_none());
    world.announce(3, 9);
    assert_eq!(world.want(world.now + PATIENCE).unwrap(), [span(2, 3)]);
}

#[test]
fn a_hole_that_nobody_alive_ever_had_is_parked_and_nothing_behind_it_is_claimed() {
    let mut world = World::new();
    world.offer(1);
    world.offer(3);
    world.lack(2, 2, 5, false);
    assert_eq!(world.judge(&[5, 6]), Verdict::Ask, "6 may have it");
    world.lack(2, 2, 6, false);
    assert_eq!(world.judge(&[5, 6]), Verdict::Parked);
    assert_eq!(
        (world.stream.due(), world.stream.has_open_gap(), world.stream.has_gap()),
        (None, false, true)
    );
    assert_eq!((world.stream.last, world.claim()), (1, Some((1, 1))));
    assert_eq!(world.offer(2), Offer::Next, "whoever brings it, whenever");
    assert_eq!((world.rest(), world.claim()), (vec![3], Some((1, 3))));
}

#[test]
fn a_parked_hole_is_asked_for_again_once_somebody_may_have_it() {
    let mut world = World::new();
    world.offer(1);
    world.offer(3);
    let parked = |world: &mut World| {
        world.lack(2, 2, 5, false);
        assert_eq!(world.judge(&[5]), Verdict::Parked);
    };
    parked(&mut world);
    world.announce(1, 5);
    assert_eq!(world.stream.due(), None, "it has not come to 2");
    world.announce(2, 5);
    assert!(world.stream.due().is_some(), "what it says now is newer than what it said before");
    assert_eq!(world.judge(&[5]), Verdict::Ask);
    parked(&mut world);
    world.stream.unpark(9, world.now, PATIENCE);
    assert!(world.stream.due().is_some(), "9 has come (back)");
    assert_eq!(world.judge(&[5, 9]), Verdict::Ask);
}

#[test]
pub fn a_hole_is_passed_over_once_retention_took_it_everywhere_and_it_is_not_claimed_then() {
    let mut world = World::new();
    world.offer(1);
    world.offer(5);
    world.lack(2, 4, 5, true);
    assert_eq!(world.judge(&[5, 6]), Verdict::Ask);
    world.lack(2, 3, 6, false);
    assert_eq!(world.judge(&[5, 6]), Verdict::Expired { first: 2, last: 3, is_told: true });
    assert_eq!((world.stream.last, world.stream.kept_from), (3, 1), "1 is still kept");
    assert_eq!(world.judge(&[5, 6]), Verdict::Ask, "6 may have 4");
    world.lack(4, 4, 5, true);
    world.lack(4, 4, 6, false);
    assert_eq!(world.judge(&[5, 6]), Verdict::Expired { first: 4, last: 4, is_told: true });
    assert_eq!((world.rest(), world.claim()), (vec![5], Some((5, 5))));
}

#[test]
pub fn whoever_lacked_it_before_retention_took_it_elsewhere_is_asked_once_more() {
    let mut world = World::new();
    world.offer(1);
    world.offer(3);
    world.now += PATIENCE;
    let early = world.stream.want(Duration::ZERO, world.now, &world.limits).unwrap().number;
    world.answer(2, 2, 6, false, early);
    world.answer(2, 2, 5, true, early);
    assert_eq!(world.judge(&[5, 6]), Verdict::Ask, "6 may have it from 5 by now");
    assert_eq!(world.want(world.now).unwrap(), [span(2, 2)], "at once");
    world.answer(2, 2, 6, false, early);
    assert_eq!(world.judge(&[5, 6]), Verdict::Ask, "an answer to an earlier question is older");
    world.answer(2, 2, 6, false, early + 1);
    assert_eq!(world.judge(&[5, 6]), Verdict::Expired { first: 2, last: 2, is_told: true });
}

#[test]
pub fn whoever_lacked_it_before_any_servers_first_expiry_is_asked_once_more() {
    let mut world = World::new();
    world.offer(1);
    world.offer(3);
    world.now += PATIENCE;
    let first = world.stream.want(Duration::ZERO, world.now, &world.limits).unwrap().number;
    world.answer(2, 2, 5, true, first);
    let second = world.stream.want(Duration::ZERO, world.now, &world.limits).unwrap().number;
    world.answer(2, 2, 6, false, second);
    world.answer(2, 2, 7, true, second);
    assert_eq!(world.judge(&[5, 6, 7]), Verdict::Ask, "6 may have it from 7 by now");
    let third = world.stream.want(Duration::ZERO, world.now, &world.limits).unwrap().number;
    world.answer(2, 2, 7, true, third);
    world.answer(2, 2, 6, false, third);
    let verdict = world.judge(&[5, 6, 7]);
    assert_eq!(verdict, Verdict::Expired { first: 2, last: 2, is_told: true }, "only first expiries count");
}

#[test]
fn a_server_that_is_away_is_waited_for_before_a_number_is_passed_over() {
    let mut world = World::new();
    world.offer(1);
    world.offer(3);
    world.lack(2, 2, 5, true);
    let judge = |world: &mut World, may_come| world.stream.judge(&[5], may_come, world.now, &world.limits);
    assert_eq!(judge(&mut world, true), Verdict::Ask);
    assert_eq!(judge(&mut world, false), Verdict::Expired { first: 2, last: 2, is_told: true });
}

#[test]
fn the_next_server_is_asked_as_soon_as_one_has_answered() {
    let mut world = World::new();
    world.offer(1);
    world.offer(3);
    for _ in 0..ASKED_AT_ONCE {
        world.now = world.stream.due().unwrap();
        world.lack(2, 2, 5, false);
        let is_at_once = world.stream.due() == Some(world.now);
        let is_last = world.stream.gap.as_ref().unwrap().tries == ASKED_AT_ONCE;
        assert_eq!(is_at_once, !is_last);
    }
}

#[test]
pub fn a_stream_begins_at_the_lowest_number_that_anybody_keeps() {
    let mut world = World::new();
    assert_eq!(world.offer(90), Offer::Held);
    assert_eq!(world.claim(), None, "nothing is claimed before it has begun");
    world.stream.note_first(92);
    world.stream.note_first(93);
    world.announce(95, 2);
    assert_eq!(world.offer(92), Offer::Held, "a lower one may come");
    world.stream.note_first(91);
    world.announce(95, 3);
    assert_eq!(world.want(world.now + PATIENCE).unwrap(), [span(91, 91), span(93, 95)]);
    [91, 93, 94].into_iter().for_each(|seq| assert_eq!(world.offer(seq), Offer::Held));
    assert!(world.stream.has_open_gap());
    world.offer(95);
    assert!(!world.stream.has_gap() && world.stream.due().is_none());
    world.stream.begin();
    assert_eq!((world.rest(), world.claim()), (vec![91, 92, 93, 94, 95], Some((91, 95))));
    world.stream.note_first(1);
    assert_eq!(world.stream.last, 95, "nothing goes back once it has begun");
}

#[test]
fn what_retention_took_before_a_stream_began_is_no_loss_for_anybody_here() {
    let mut world = World::new();
    world.offer(4);
    world.lack(1, 2, 5, true);
    assert_eq!(world.judge(&[5]), Verdict::Expired { first: 1, last: 2, is_told: false });
    assert_eq!(world.offer(3), Offer::Held);
    world.stream.begin();
    assert_eq!((world.rest(), world.claim()), (vec![3, 4], Some((3, 4))));
}

#[test]
fn what_waits_behind_a_hole_is_bounded() {
    let mut world = World::new();
    world.limits.held = 3;
    (10..20).for_each(|seq| {
        world.offer(seq);
    });
    assert_eq!(world.stream.held(), 3);
}

/// Servers answer for all that is missing: what is known of a later hole holds when its turn comes.
#[test]
fn each_hole_is_asked_for_once_however_many_there_are() {
    let mut world = World::new();
    [1, 3, 5, 7].into_iter().for_each(|seq| {
        world.offer(seq);
    });
    world.now += PATIENCE;
    let question = world.stream.want(Duration::ZERO, world.now, &world.limits).unwrap().number;
    [2, 4, 6].into_iter().for_each(|seq| world.answer(seq, seq, 5, true, question));
    for hole in [2, 4, 6] {
        let verdict = world.judge(&[5]);
        assert_eq!(verdict, Verdict::Expired { first: hole, last: hole, is_told: true });
        world.rest();
    }
    assert_eq!((world.stream.last, world.stream.has_gap()), (7, false));
}
