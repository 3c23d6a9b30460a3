//! HTTP/1.1 and WebSocket over the event loop: the shell that application server, balancer, frontend server and the
//! echo example share. What a connection does with its messages is a [`Service`].

pub mod assets;
mod backlog;
pub mod clients;
pub mod clock;
pub mod limits;
pub mod loops;
pub mod metrics;
mod newcomers;
mod pongs;
pub mod process;
pub mod reactor;
pub mod server;
pub mod service;
pub mod stopwatch;
pub mod watchdog;
pub mod work;

pub use clients::Clients;
pub use limits::Limits;
pub use metrics::Metrics;
pub use process::ProcessMetrics;
pub use server::Server;
pub use service::{Answer, Pace, Service};
