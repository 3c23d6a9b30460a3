//! A whole cluster in this process, joined by the loopback bus.

use std::io;
use std::net::SocketAddr;

use super::{Role, StartError, named, reachable, reserve};
use crate::app::{self, App, loopback};
use crate::lb::{self, Balancer};
use crate::net::Poller;
use crate::serve::Limits;
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
    /// What all balancers have in common.
    pub balancer: lb::Options,
    /// Limits of the frontend's connections.
    pub limits: Limits,
    /// One for each application server.
    pub incarnations: Vec<u64>,
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
            let options = lb::Options { name: name.clone(), listen, ..layout.balancer.clone() };
            balancers.push((name.clone(), Balancer::start(options).map_err(fault(&name, listen))?));
        }
        let heartbeats_to: Vec<_> =
            balancers.iter().map(|(_, balancer)| reachable(balancer.address()).to_string()).collect();
        let apps = start_apps(layout, &heartbeats_to)?;
        let urls =
            balancers.iter().map(|(_, balancer)| format!("http://{{host}}:{}", balancer.address().port()));
        let options = web::Options {
            listen: layout.frontend,
            balancers: urls.collect(),
            proxy: false,
            base_path: web::BasePath::default(),
            limits: layout.limits,
        };
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

/// Whether all addresses can be had.
fn check(layout: &Layout) -> Result<(), StartError> {
    let mut nodes = vec![("web".to_owned(), Role::Frontend, layout.frontend)];
    nodes.extend(named("lb", &layout.balancers).map(|(name, at)| (name, Role::Balancer, *at)));
    nodes.extend(named("app", &layout.apps).map(|(name, at)| (name, Role::App, *at)));
    reserve(&nodes).map(drop)
}

fn fault(name: &str, address: SocketAddr) -> impl FnOnce(io::Error) -> StartError {
    let name = name.to_owned();
    move |error| StartError { faults: vec![(name, address, error)] }
}
