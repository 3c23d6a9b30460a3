//! The breakable network of the other tests breaks what it should, and nothing else.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use support::tap::{Tap, Way};
use support::{PATIENCE, anywhere, comes_true, eventually};

/// For what must not come: long enough that it would have come through loopback.
const SILENCE: Duration = Duration::from_millis(100);

/// Says back what it hears, and closes when it is closed.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind(anywhere()).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            thread::spawn(move || std::io::copy(&mut &client, &mut &client));
        }
    });
    address
}

fn connect(tap: &Tap) -> TcpStream {
    let client = TcpStream::connect(tap.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

fn say(client: &mut TcpStream, text: &str) {
    client.write_all(text.as_bytes()).unwrap();
}

#[track_caller]
fn assert_hears(client: &mut TcpStream, text: &str) {
    let mut heard = vec![0; text.len()];
    client.read_exact(&mut heard).unwrap();
    assert_eq!(String::from_utf8(heard).unwrap(), text);
}

#[track_caller]
fn assert_silent(client: &mut TcpStream) {
    client.set_read_timeout(Some(SILENCE)).unwrap();
    let heard = client.read(&mut [0; 64]);
    assert_eq!(heard.unwrap_err().kind(), ErrorKind::WouldBlock);
    client.set_read_timeout(Some(PATIENCE)).unwrap();
}

/// The end of a connection, in whatever way.
fn is_closed(client: &mut TcpStream) -> bool {
    matches!(client.read(&mut [0; 64]).map_err(|error| error.kind()), Ok(0) | Err(ErrorKind::ConnectionReset))
}

#[test]
fn bytes_and_ends_pass() {
    let tap = Tap::new(echo());
    let mut client = connect(&tap);
    let long = "0123456789".repeat(50_000);
    let mut writer = client.try_clone().unwrap();
    let text = long.clone();
    let writing = thread::spawn(move || say(&mut writer, &text));
    assert_hears(&mut client, &long);
    writing.join().unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(is_closed(&mut client));
}

#[test]
fn a_cut_closes_refuses_and_heals_at_the_same_address() {
    let mut tap = Tap::new(echo());
    let address = tap.address();
    for _ in 0..3 {
        let mut client = connect(&tap);
        say(&mut client, "a");
        assert_hears(&mut client, "a");
        tap.cut();
        assert!(is_closed(&mut client));
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        tap.heal();
        assert_eq!(tap.address(), address);
    }
}

#[test]
fn what_is_held_is_late_and_in_order() {
    let mut tap = Tap::new(echo());
    let mut client = connect(&tap);
    say(&mut client, "a");
    assert_hears(&mut client, "a");
    for ways in [&[Way::Up][..], &[Way::Down], &[Way::Up, Way::Down]] {
        tap.hold(ways);
        say(&mut client, "b");
        assert_silent(&mut client);
        say(&mut client, "c");
        let mut newcomer = connect(&tap);
        say(&mut newcomer, "new");
        assert_silent(&mut newcomer);
        tap.heal();
        assert_hears(&mut client, "bc");
        assert_hears(&mut newcomer, "new");
    }
}

#[test]
fn one_way_passes_while_the_other_is_held() {
    let listener = TcpListener::bind(anywhere()).unwrap();
    let tap = Tap::new(listener.local_addr().unwrap());
    let mut client = connect(&tap);
    let mut node = listener.accept().unwrap().0;
    node.set_read_timeout(Some(PATIENCE)).unwrap();

    tap.hold(&[Way::Up]);
    say(&mut client, "up");
    say(&mut node, "down");
    assert_hears(&mut client, "down");
    assert_silent(&mut node);

    tap.hold(&[Way::Down]);
    assert_hears(&mut node, "up");
    say(&mut node, "late");
    assert_silent(&mut client);
}

#[test]
fn the_end_of_a_connection_is_held_too() {
    let listener = TcpListener::bind(anywhere()).unwrap();
    let mut tap = Tap::new(listener.local_addr().unwrap());
    let client = connect(&tap);
    let mut node = listener.accept().unwrap().0;
    tap.hold(&[Way::Up, Way::Down]);
    drop(client);
    assert_silent(&mut node);
    tap.heal();
    assert!(is_closed(&mut node));
}

#[test]
fn what_is_held_when_it_is_cut_is_lost() {
    let listener = TcpListener::bind(anywhere()).unwrap();
    let mut tap = Tap::new(listener.local_addr().unwrap());
    let mut client = connect(&tap);
    let mut node = listener.accept().unwrap().0;
    node.set_read_timeout(Some(PATIENCE)).unwrap();
    tap.hold(&[Way::Up]);
    say(&mut client, "lost");
    tap.cut();
    tap.heal();
    assert!(is_closed(&mut node));
}

#[test]
fn a_delay_is_one_for_all_bytes_together() {
    let tap = Tap::new(echo());
    let mut client = connect(&tap);
    say(&mut client, "a");
    assert_hears(&mut client, "a");
    let delay = Duration::from_millis(100);
    tap.delay(delay);
    let start = Instant::now();
    for _ in 0..20 {
        say(&mut client, "b");
    }
    assert_hears(&mut client, &"b".repeat(20));
    let took = start.elapsed();
    assert!(took >= delay * 2 && took < delay * 20, "there and back took {took:?}");
}

#[test]
fn a_target_that_is_not_there_lets_clients_go_until_it_is() {
    let gone = TcpListener::bind(anywhere()).unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let tap = Tap::new(address);
    assert!(is_closed(&mut connect(&tap)));
    let listener = TcpListener::bind(address).unwrap();
    let _client = connect(&tap);
    listener.set_nonblocking(true).unwrap();
    eventually("it is passed on", || listener.accept().is_ok());
    assert!(comes_true(PATIENCE, || TcpStream::connect(tap.address()).is_ok()));
}
