//! The supervisor: a whole cluster on one machine.

use std::io;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::app::{self, App, loopback};
use crate::lb::{self, Balancer};
use crate::net::Poller;
use crate::serve::{Limits, Server};
use crate::web::{self, Web};

/// What is to run where.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The frontend server.
    pub frontend: SocketAddr,
    /// The application servers.
    pub apps: Vec<SocketAddr>,
    /// The balancers.
    pub balancers: Vec<SocketAddr>,
    /// What all application servers have in common.
    pub server: app::Options,
    /// Limits of the balancers' and the frontend's connections.
    pub limits: Limits,
    /// One for each application server.
    pub incarnations: Vec<u64>,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Serves the chat's files.
    Frontend,
    /// Holds clients and rooms.
    App,
    /// Sends clients to servers.
    Balancer,
}

/// Every address that could not be had, with the node that wanted it.
#[derive(Debug)]
pub struct StartError {
    /// Name, address, reason.
    pub faults: Vec<(String, SocketAddr, io::Error)>,
}

/// A cluster that runs until it is dropped: the frontend goes first, the servers last.
#[derive(Debug)]
pub struct Cluster {
    web: Web,
    balancers: Vec<(String, Balancer)>,
    apps: Vec<(String, App)>,
}

impl Cluster {
    /// Starts everything, or nothing.
    pub fn start(layout: &Layout) -> Result<Self, StartError> {
        check(layout)?;
        let mut balancers = Vec::new();
        for (name, &listen) in named("lb", &layout.balancers) {
            let options =
                lb::Options { name: name.clone(), listen, cors_origin: "*".into(), limits: layout.limits };
            balancers.push((name.clone(), Balancer::start(options).map_err(fault(&name, listen))?));
        }
        let heartbeats_to: Vec<_> =
            balancers.iter().map(|(_, balancer)| reachable(balancer.address()).to_string()).collect();
        let apps = start_apps(layout, &heartbeats_to)?;
        let urls =
            balancers.iter().map(|(_, balancer)| format!("http://{{host}}:{}", balancer.address().port()));
        let options =
            web::Options { listen: layout.frontend, balancers: urls.collect(), limits: layout.limits };
        let web = Web::start(options).map_err(fault("web", layout.frontend))?;
        Ok(Self { web, balancers, apps })
    }

    /// Name, role and address of every node.
    pub fn nodes(&self) -> Vec<(&str, Role, SocketAddr)> {
        let mut nodes = vec![("web", Role::Frontend, self.web.address())];
        nodes.extend(self.balancers.iter().map(|(name, lb)| (name.as_str(), Role::Balancer, lb.address())));
        nodes.extend(self.apps.iter().map(|(name, app)| (name.as_str(), Role::App, app.address())));
        nodes
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // All at once, or each would wait for its slowest client after the other.
        self.apps.iter_mut().for_each(|(_, app)| app.leave());
    }
}

fn start_apps(layout: &Layout, balancers: &[String]) -> Result<Vec<(String, App)>, StartError> {
    let pollers: Vec<_> = layout
        .apps
        .iter()
        .map(|&listen| Poller::new().map_err(fault("app", listen)))
        .collect::<Result<_, _>>()?;
    let wakers: Vec<_> = pollers.iter().map(Poller::waker).collect();
    let ends = pollers.into_iter().zip(loopback::mesh(&wakers));
    let mut apps = Vec::new();
    for (((name, &listen), (poller, bus)), &incarnation) in
        named("app", &layout.apps).zip(ends).zip(&layout.incarnations)
    {
        let options = app::Options {
            name: name.clone(),
            listen,
            balancers: balancers.to_vec(),
            incarnation,
            ..layout.server.clone()
        };
        apps.push((name.clone(), App::start(options, poller, bus).map_err(fault(&name, listen))?));
    }
    Ok(apps)
}

/// All addresses are tried before anything is started, so that one message can name all that are taken.
fn check(layout: &Layout) -> Result<(), StartError> {
    let web = iter::once(("web".to_owned(), &layout.frontend, Server::reserve(layout.frontend)));
    let balancers = named("lb", &layout.balancers).map(|(name, at)| (name, at, Balancer::reserve(*at)));
    let apps = named("app", &layout.apps).map(|(name, at)| (name, at, Server::reserve(*at)));
    let tried = web.chain(balancers).chain(apps);
    let faults: Vec<_> =
        tried.filter_map(|(name, at, outcome)| outcome.err().map(|error| (name, *at, error))).collect();
    if faults.is_empty() { Ok(()) } else { Err(StartError { faults }) }
}

fn named<'a>(kind: &'a str, addresses: &'a [SocketAddr]) -> impl Iterator<Item = (String, &'a SocketAddr)> {
    addresses.iter().enumerate().map(move |(index, address)| (format!("{kind}-{}", index + 1), address))
}

fn fault(name: &str, address: SocketAddr) -> impl FnOnce(io::Error) -> StartError {
    let name = name.to_owned();
    move |error| StartError { faults: vec![(name, address, error)] }
}

/// Where this machine reaches a socket that listens at every address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
