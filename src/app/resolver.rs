//! Where the balancers are. Names are resolved in a thread of its own: a name service that is slow to answer must not
//! stop the heart.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

/// How often names are resolved anew.
const INTERVAL: Duration = Duration::from_secs(5);

/// The last known addresses of all balancers.
#[derive(Debug)]
pub struct Resolver {
    addresses: Vec<SocketAddr>,
    resolved: Receiver<Vec<SocketAddr>>,
}

impl Resolver {
    /// Literal addresses are known at once; a thread looks after the names, if there are any, until the resolver is
    /// dropped. Nobody waits for that thread.
    pub fn start(targets: &[String]) -> io::Result<Self> {
        let known: Vec<_> = targets
            .iter()
            .map(|target| (target.clone(), target.parse().into_iter().collect::<Vec<SocketAddr>>()))
            .collect();
        let addresses = all(&known);
        let (sender, resolved) = bounded(1);
        if addresses.len() < targets.len() {
            thread::Builder::new().name("resolver".into()).spawn(move || keep_resolving(known, &sender))?;
        }
        Ok(Self { addresses, resolved })
    }

    /// All of them.
    pub fn addresses(&mut self) -> &[SocketAddr] {
        if let Ok(news) = self.resolved.try_recv() {
            self.addresses = news;
        }
        &self.addresses
    }
}

fn keep_resolving(mut known: Vec<(String, Vec<SocketAddr>)>, resolved: &Sender<Vec<SocketAddr>>) {
    loop {
        for index in 0..known.len() {
            let (name, addresses) = &mut known[index];
            match name.to_socket_addrs() {
                Ok(found) => *addresses = found.collect(),
                // The last known address is better than none while the name service is away.
                Err(error) => {
                    log::warn!("the balancer {name} is not known: {error}; trying again in {INTERVAL:?}");
                }
            }
            // The resolver is gone.
            if resolved.send(all(&known)).is_err() {
                return;
            }
        }
        thread::sleep(INTERVAL);
    }
}

fn all(known: &[(String, Vec<SocketAddr>)]) -> Vec<SocketAddr> {
    known.iter().flat_map(|(_, addresses)| addresses.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_addresses_are_known_at_once_and_names_after_a_while() {
        let mut resolver = Resolver::start(&["127.0.0.1:7001".into(), "localhost:7002".into()]).unwrap();
        assert!(resolver.addresses().contains(&SocketAddr::from(([127, 0, 0, 1], 7001))));
        while !resolver.addresses().iter().any(|address| address.port() == 7002) {
            thread::yield_now();
        }
        assert!(resolver.addresses().iter().any(|address| address.port() == 7001));
    }
}
