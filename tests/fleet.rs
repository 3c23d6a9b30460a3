//! The cluster of processes that the chaos test breaks: its parts do what their names say.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::net::TcpStream;
use std::time::Duration;

use support::fleet::Fleet;
use support::redis::assert_carries;
use support::{comes_true, eventually, http_get};

#[test]
fn any_part_can_be_killed_frozen_and_started_again() {
    let mut fleet = Fleet::start(1, 2, 2);
    let (balancer, server) = (fleet.balancers[0].address, fleet.servers[1].address);
    let state = || http_get(balancer, "/status").json()["servers"].clone();
    let is_up = |name: &str| {
        let servers = state();
        servers.as_array().unwrap().iter().any(|server| server["name"] == name && server["state"] == "up")
    };
    eventually("both servers are known", || is_up("app-1") && is_up("app-2"));

    fleet.servers[1].process.freeze();
    eventually("its silence is noticed", || !is_up("app-2"));
    assert!(TcpStream::connect(server).is_ok(), "its sockets are open");
    fleet.servers[1].process.thaw();
    eventually("it is back", || is_up("app-2"));

    fleet.servers[1].process.kill();
    assert!(TcpStream::connect(server).is_err());
    eventually("its end is noticed", || !is_up("app-2"));
    fleet.servers[1].start();
    eventually("it is back", || is_up("app-2"));
    let output = || fleet.servers[1].process.output();
    eventually("both starts are logged", || output().matches("app-2 listens at").count() == 2);
    assert_eq!(fleet.servers[1].process.end().code(), Some(0));

    fleet.nodes.process(0).kill();
    fleet.nodes.wipe(0);
    fleet.nodes.start(0);
    let channel = fleet.nodes.channel(0);
    assert_carries(&mut fleet.nodes.connect(0), &mut fleet.nodes.connect(0), &channel);
}

#[test]
fn a_tap_is_between_one_server_and_one_node() {
    let mut fleet = Fleet::start(0, 1, 2);
    let ask = |at| {
        let url = format!("redis://{at}");
        let client = redis::Client::open(url).unwrap();
        let connection = client.get_connection_with_timeout(Duration::from_secs(1));
        connection
            .and_then(|mut connection| redis::cmd("CLUSTER").arg("MYID").query::<String>(&mut connection))
    };
    let ends = [fleet.tap(0, 0).address(), fleet.tap(0, 1).address()];
    for (index, end) in ends.into_iter().enumerate() {
        assert_eq!(ask(end).unwrap(), distr_chat::backplane::nodes_conf::id(index));
    }
    fleet.tap(0, 0).cut();
    assert!(ask(ends[0]).is_err() && ask(ends[1]).is_ok());
    fleet.taps().for_each(support::tap::Tap::heal);
    assert!(comes_true(Duration::from_secs(5), || ask(ends[0]).is_ok()));
}
