//! What is done to the containers, while clients talk.

use crate::compose::{Compose, SERVICES};
use crate::stage::Stage;

/// What is done, in words and in deeds.
type Scene = (&'static str, fn(&mut Stage<'_>));

/// In this order, each from where the one before left the containers.
pub const SCENES: [Scene; 22] = [
    ("**servers**: one is stopped", |stage| stage.stop(&["app-1"])),
    ("a second one, so that one is left", |stage| stage.stop(&["app-2"])),
    ("the last one, and it is started again", |stage| {
        stage.stop(&["app-3"]);
        stage.await_unavailable();
        stage.start(&["app-3"]);
    }),
    ("the other two are started", |stage| stage.start(&["app-2", "app-1"])),
    ("one is killed (`kill -9`), and started", |stage| {
        stage.kill(&["app-1"]);
        stage.start(&["app-1"]);
    }),
    ("two are killed one after the other, and started", |stage| {
        stage.kill(&["app-2"]);
        stage.kill(&["app-3"]);
        stage.start(&["app-3", "app-2"]);
    }),
    ("two are removed and made anew, each with the other's address", |stage| stage.swap("app-1", "app-2")),
    ("**balancers**: one is stopped", |stage| stage.stop(&["lb-1"])),
    ("a second one, so that one is left", |stage| stage.stop(&["lb-2"])),
    ("the last one, and it is started again", |stage| {
        stage.stop(&["lb-3"]);
        stage.await_refused();
        stage.start(&["lb-3"]);
    }),
    ("the other two are started", |stage| stage.start(&["lb-2", "lb-1"])),
    ("two are killed at once, and started", |stage| {
        stage.kill(&["lb-2", "lb-3"]);
        stage.start(&["lb-3", "lb-2"]);
    }),
    ("two are removed and made anew, each with the other's address", |stage| stage.swap("lb-1", "lb-2")),
    ("**Redis nodes**: one is stopped", |stage| stage.stop(&["redis-1"])),
    ("a second one, so that one is left", |stage| stage.stop(&["redis-2"])),
    ("the last one, and it is started again", |stage| {
        stage.stop(&["redis-3"]);
        stage.await_unavailable();
        stage.start(&["redis-3"]);
    }),
    ("the other two are started", |stage| stage.start(&["redis-2", "redis-1"])),
    ("two are killed at once, and started", |stage| {
        stage.kill(&["redis-2", "redis-3"]);
        stage.start(&["redis-3", "redis-2"]);
    }),
    ("two are removed with their disks and made anew, each with the other's address", |stage| {
        stage.swap("redis-1", "redis-2");
    }),
    ("**the frontend** is stopped, and started", |stage| {
        stage.stop(&["frontend"]);
        stage.start(&["frontend"]);
    }),
    ("**all kinds**: one of each is left, and the others are started", |stage| {
        stage.stop(&["app-1", "app-2", "lb-1", "lb-2", "redis-1", "redis-2"]);
        stage.start(&["redis-2", "lb-2", "app-2", "redis-1", "lb-1", "app-1"]);
    }),
    ("every container is restarted, one after the other", |stage| {
        for service in SERVICES.into_iter().rev() {
            stage.stop(&[service]);
            stage.start(&[service]);
        }
    }),
];

/// Nothing is taken for granted: the frontend is the one thing that the load does not use.
pub fn check_frontend(compose: &Compose) {
    let config = crate::support::http_get(compose.port("frontend"), "/config.json").json();
    let balancer = format!("http://127.0.0.1:{}", compose.port("lb-1").port());
    assert_eq!(config["balancers"][0], balancer);
    let page = crate::support::http_get(compose.port("frontend"), "/");
    assert!(page.status == 200 && page.body.contains("<script"), "{page:?}");
}
