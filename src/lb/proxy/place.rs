//! A place among the clients that may be proxied at a time.

use std::sync::Arc;

use crate::lb::node::Node;

/// Given back when it is dropped.
#[derive(Debug)]
pub struct Place(Arc<Node>);

impl Place {
    /// `None`: all are taken.
    pub fn take(node: &Arc<Node>) -> Option<Self> {
        let is_free = node.metrics.take_place(node.options.proxied_max);
        is_free.then(|| Self(Arc::clone(node)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.metrics.free_place();
    }
}
