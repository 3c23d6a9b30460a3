//! The event loop of one thread: poll, mail, timers, sends.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::clients::fleet::Fleet;
use crate::clients::mail::{Ask, Mail, Order};
use crate::load::shard::Shard;
use crate::load::sources::Sources;
use crate::measure::outcome::Outcome;
use crate::measure::progress::Board;

/// Events taken from the kernel at a time.
const EVENTS_MAX: usize = 1024;
/// Messages sent between two looks at what has arrived.
const SENDS_PER_TURN: usize = 256;
/// How often news are told.
const NEWS_INTERVAL: Duration = Duration::from_millis(100);
const WAKER: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);

/// Part of a plan, being carried out.
pub struct Worker {
    poll: Poll,
    events: Events,
    alarm: Alarm,
    mail: Receiver<Mail>,
    crowd: Fleet,
    saying: Saying,
    news_due: Instant,
}

/// How far the schedule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Saying {
    NotYet,
    Next { at: Instant, number: u32, client: u32 },
    Over,
}

impl Worker {
    /// A worker, and the waker that tells it of mail.
    pub fn new(
        place: usize,
        share: Shard,
        sources: Sources,
        asks: Sender<Ask>,
        mail: Receiver<Mail>,
        board: Arc<Board>,
    ) -> io::Result<(Self, Arc<Waker>)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let alarm = Alarm::new(&poll)?;
        let now = Instant::now();
        let crowd = Fleet::new(place, share, sources, asks, board, poll.registry().try_clone()?, now);
        let events = Events::with_capacity(EVENTS_MAX);
        let worker = Self { poll, events, alarm, mail, crowd, saying: Saying::NotYet, news_due: now };
        Ok((worker, waker))
    }

    /// Turns until it is told to finish.
    pub fn run(mut self) -> io::Result<Outcome> {
        loop {
            self.wait()?;
            self.read();
            if self.take_mail() == Turn::Last {
                return Ok(self.crowd.finish());
            }
            self.crowd.handle_timeout(Instant::now());
            self.crowd.connect(Instant::now());
            self.say();
            self.publish();
        }
    }

    /// Sleeps until something happens or is due.
    fn wait(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let deadline = self.crowd.poll_timeout().map_or(self.news_due, |at| at.min(self.news_due));
        let mut timeout = deadline.saturating_duration_since(now);
        if let Some(at) = self.next_due() {
            match at.checked_duration_since(now) {
                // The poller's own timeout would be a millisecond late.
                Some(delay) if !delay.is_zero() => self.alarm.set(delay)?,
                _ => timeout = Duration::ZERO,
            }
        }
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            other => other,
        }
    }

    fn read(&mut self) {
        for event in &self.events {
            match event.token() {
                WAKER | ALARM => {}
                token => {
                    let is_broken = event.is_error();
                    let is_writable = event.is_writable() || is_broken;
                    let is_read_closed = event.is_read_closed() || is_broken;
                    self.crowd.handle_event(token, is_writable, is_read_closed);
                }
            }
        }
    }

    fn take_mail(&mut self) -> Turn {
        while let Ok(mail) = self.mail.try_recv() {
            match mail {
                Mail::Answer(client, answer) => self.crowd.handle_answer(client, answer, Instant::now()),
                Mail::Order(Order::Begin(start)) => {
                    self.crowd.begin(start);
                    self.saying = self.next_after(start, 0);
                }
                Mail::Order(Order::Stop) => {
                    self.saying = Saying::Over;
                    self.crowd.stop();
                }
                Mail::Order(Order::Finish) => return Turn::Last,
            }
        }
        Turn::More
    }

    /// Sends what is due.
    fn say(&mut self) {
        for _ in 0..SENDS_PER_TURN {
            let Saying::Next { at, number, client } = self.saying else { return };
            if at > Instant::now() {
                return;
            }
            self.crowd.say(client, number, at);
            let start = at - self.crowd.share().script().schedule.at(number);
            self.saying = self.next_after(start, number + 1);
        }
    }

    /// The first message of this worker from this number on.
    fn next_after(&self, start: Instant, number: u32) -> Saying {
        let share = self.crowd.share();
        match share.next_said(number) {
            Some((number, client)) => {
                Saying::Next { at: start + share.script().schedule.at(number), number, client }
            }
            None => Saying::Over,
        }
    }

    fn next_due(&self) -> Option<Instant> {
        match self.saying {
            Saying::Next { at, .. } => Some(at),
            Saying::NotYet | Saying::Over => None,
        }
    }

    fn publish(&mut self) {
        let now = Instant::now();
        if self.news_due <= now {
            self.news_due = now + NEWS_INTERVAL;
            self.crowd.publish(self.saying == Saying::Over);
        }
    }
}

/// Whether there is another turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    More,
    Last,
}

/// Ends the wait of a poller at a time that is exact to microseconds.
#[derive(Debug)]
struct Alarm(OwnedFd);

impl Alarm {
    fn new(poll: &Poll) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), ALARM, Interest::READABLE)?;
        Ok(Self(timer))
    }

    /// Replaces the time that was set before. It need not be read: each ring is an edge of its own.
    fn set(&self, delay: Duration) -> io::Result<()> {
        let tv_sec = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
        let it_value = Timespec { tv_sec, tv_nsec: delay.subsec_nanos().into() };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}
