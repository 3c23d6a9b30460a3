use super::*;

const BEAT: Duration = Duration::from_millis(100);

/// One server's view of others, whose beats are made by hand.
struct View {
    peers: Peers,
    limits: Limits,
    now: Instant,
}

impl View {
    fn new() -> Self {
        Self { peers: Peers::default(), limits: Limits::default(), now: Instant::now() }
    }

    /// Time passes, and a beat of ours goes out.
    fn pass(&mut self, time: Duration) -> u64 {
        self.now += time;
        self.peers.next_beat(self.now, &self.limits)
    }

    fn hear(&mut self, origin: u64, beat: u64, echo: u64) -> News {
        self.hear_load(origin, beat, echo, Some(0))
    }

    fn hear_load(&mut self, origin: u64, beat: u64, echo: u64, load: Option<u32>) -> News {
        let name = "app".into();
        let sign = Beat { origin, name: &name, beat, age: Duration::ZERO, echo, is_leaving: false, load };
        self.peers.hear(sign, self.now, &self.limits)
    }

    fn hear_leaving(&mut self, origin: u64, beat: u64) -> News {
        let name = "app".into();
        let sign =
            Beat { origin, name: &name, beat, age: Duration::ZERO, echo: 0, is_leaving: true, load: None };
        self.peers.hear(sign, self.now, &self.limits)
    }

    fn ended(&mut self) -> Vec<u64> {
        self.peers.take_ended(self.now, &self.limits)
    }

    fn responsive(&self) -> Vec<u64> {
        self.peers.responsive().collect()
    }
}

#[test]
fn a_server_lives_once_it_echoes_and_for_a_lease_after_its_last_echo() {
    let mut view = View::new();
    let ours = view.pass(BEAT);
    assert_eq!(view.hear(7, 1, 0), News::Met);
    assert!(!view.peers.is_live(7) && view.peers.is_any_missing());
    assert_eq!(view.hear(7, 2, ours), News::New);
    assert_eq!(view.hear(7, 2, ours), News::Old, "a copy, on another lane");
    let ours = view.pass(BEAT);
    assert_eq!(view.hear(7, 3, ours), News::Renewed);
    view.pass(view.limits.lease - Duration::from_millis(1));
    assert!(view.ended().is_empty());
    let ours = view.pass(Duration::from_millis(1));
    assert_eq!((view.ended(), view.ended()), (vec![7], vec![]));
    assert!(view.peers.may_come_back(view.now, &view.limits));
    let long = view.now + view.limits.expiry_patience;
    assert!(!view.peers.may_come_back(long, &view.limits) && view.peers.is_any_missing());
    assert_eq!(view.hear(7, 4, ours), News::Returned);
    assert_eq!(view.hear_leaving(7, 5), News::Left);
    assert!(!view.peers.is_any_missing(), "who said that it ends is not missed");
    assert_eq!(view.hear(7, 6, ours), News::Stale);
}

#[test]
fn an_old_sign_of_life_brings_nobody_back_however_late_it_comes() {
    let mut view = View::new();
    let ours = view.pass(BEAT);
    view.hear(7, 1, ours);
    // Published then, and handed out by a node that stood still until now.
    for time in [view.limits.lease, Duration::from_secs(70)] {
        view.pass(time);
        view.ended();
        assert!(matches!(view.hear(7, 2, ours), News::Stale | News::Met));
        assert!(matches!(view.hear(7, 3, ours), News::Stale | News::Met));
        assert!(!view.peers.is_live(7));
    }
}

#[test]
pub fn a_server_that_does_not_receive_us_does_not_live() {
    let mut view = View::new();
    for beat in 1..100 {
        view.pass(BEAT);
        view.hear(7, beat, 0);
        view.ended();
    }
    assert!(!view.peers.is_live(7));
}

#[test]
fn own_standing_still_is_no_silence_of_others() {
    let mut view = View::new();
    let ours = view.pass(BEAT);
    view.hear(7, 1, ours);
    view.now += Duration::from_secs(15);
    view.peers.forgive(Duration::from_secs(15));
    assert!(view.ended().is_empty() && !view.peers.take_suspects(view.now, &view.limits));
    assert_eq!(view.hear(7, 2, ours), News::Renewed, "it was sent while we stood still");
}

#[test]
fn who_is_late_is_suspect_and_who_was_late_before_has_more_time() {
    let mut view = View::new();
    let ours = view.pass(BEAT);
    view.hear(1, 1, ours);
    view.hear(2, 1, ours);
    let due = view.peers.suspect_due(&view.limits).unwrap();
    assert_eq!(due, view.now + BEAT * 3 / 2);
    let ours = view.pass(BEAT);
    view.hear(2, 2, ours);
    view.pass(BEAT / 2);
    assert!(view.peers.take_suspects(view.now, &view.limits));
    assert!(!view.peers.take_suspects(view.now, &view.limits), "told once");
    assert_eq!((view.responsive(), view.peers.live().count()), (vec![2], 2));
    let ours = view.pass(BEAT / 2);
    view.hear(1, 2, ours);
    let due = view.peers.suspect_due(&view.limits).unwrap();
    assert_eq!(due, view.now + BEAT / 2, "2 was heard a beat ago");
    view.pass(BEAT);
    assert!(view.peers.take_suspects(view.now, &view.limits));
    assert_eq!(view.responsive(), [1], "1 was late by a beat before");
    view.pass(BEAT * 2);
    view.peers.take_suspects(view.now, &view.limits);
    assert_eq!(view.responsive(), [1, 2], "where nobody answers it may be this server that receives nothing");
}

#[test]
fn who_takes_no_more_clients_leaves_soon() {
    let mut view = View::new();
    let ours = view.pass(BEAT);
    view.hear_load(1, 1, ours, Some(10));
    view.hear_load(3, 1, ours, Some(30));
    assert_eq!(view.peers.loads().collect::<Vec<_>>(), [10, 30]);
    assert_eq!(view.hear_load(3, 2, ours, None), News::Drains);
    assert_eq!(view.hear_load(3, 3, ours, None), News::Renewed, "told once");
    assert!(view.peers.is_draining(3) && view.peers.is_live(3));
    assert_eq!(view.peers.loads().collect::<Vec<_>>(), [10]);
}

#[test]
fn the_view_is_bounded() {
    let mut view = View::new();
    (0..2 * PEERS_MAX as u64).for_each(|origin| {
        view.hear(origin, 1, 0);
    });
    assert_eq!(view.peers.echoes().len(), PEERS_MAX);
    (0..10_000).for_each(|_| {
        view.pass(Duration::from_millis(1));
    });
    assert!(view.peers.sent.len() <= 3000, "beats older than a lease are forgotten");
}
