//! The frontend server: the chat's files, and where the balancers are.

mod base_path;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::registry::Registry;
use serde::Serialize;

use crate::net::Key;
use crate::serve::assets::{self, Page};
use crate::serve::metrics::respond_live;
use crate::serve::service::{Answer, Service};
use crate::serve::{self, Clients, Server};
use crate::wire::{Event, Request, Response, Status};

/// In the URL of a balancer: the host that the browser used.
const HOST: &str = "{host}";

pub use base_path::BasePath;

/// How a frontend server is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where browsers connect.
    pub listen: SocketAddr,
    /// URLs of the balancers; `{host}` stands for the host that the browser used.
    pub balancers: Vec<String>,
    /// Browsers talk through the balancers instead of asking them for a server.
    pub proxy: bool,
    /// Where a proxy has the page that keeps its prefix.
    pub base_path: BasePath,
    /// Limits of a connection.
    pub limits: serve::Limits,
}

/// A frontend server that runs until it is dropped.
#[derive(Debug)]
pub struct Web {
    server: Server,
}

impl Web {
    /// Starts its thread.
    pub fn start(mut options: Options) -> io::Result<Self> {
        if !assets::are_embedded() {
            log::warn!(
                "this binary was built without its frontend: run `make build`, which builds the frontend first"
            );
        }
        options.listen = Server::reserve(options.listen)?;
        let metrics = serve::Metrics::register(&mut Registry::default(), 1);
        let (listen, limits) = (options.listen, options.limits);
        let server = Server::start("web", listen, 1, limits, &metrics, |_, _| FileService {
            balancers: options.balancers.clone(),
            proxy: options.proxy,
            base_path: options.base_path.clone(),
            metrics: Arc::clone(&metrics),
            limits,
        })?;
        log::info!("web listens at {}", server.address());
        Ok(Self { server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

struct FileService {
    balancers: Vec<String>,
    proxy: bool,
    base_path: BasePath,
    metrics: Arc<serve::Metrics>,
    limits: serve::Limits,
}

#[derive(Serialize)]
struct Config {
    balancers: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    proxy: bool,
}

impl Service for FileService {
    type Session = ();

    fn handle_request(&mut self, _: Key, request: &Request<'_>, _: Instant) -> Answer<()> {
        if let Some(moved) = self.base_path.redirect(request) {
            return Answer::Respond(moved);
        }
        let request = &request.with_path(self.base_path.strip(request.path));
        Answer::Respond(match request.path {
            "/config.json" => match request.hostname() {
                None if self.balancers.iter().any(|url| url.contains(HOST)) => {
                    let message =
                        "where the balancers are depends on the Host header, which this request lacks";
                    Response::error(Status::BAD_REQUEST, "malformed", message)
                }
                hostname => {
                    let here = |url: &String| url.replace(HOST, hostname.unwrap_or_default());
                    let balancers = self.balancers.iter().map(here).collect();
                    Response::json(&Config { balancers, proxy: self.proxy })
                }
            },
            "/live" | "/ready" => respond_live(&self.metrics.loops, &self.limits),
            _ => assets::respond(Page::Chat, request).unwrap_or_else(Response::not_found),
        })
    }

    fn handle_message(&mut self, _: Key, _: Event<'_>, _: &mut Clients<()>, _: Instant) {
        unreachable!("the frontend server opens no WebSocket")
    }
}
