//! What a client and a heartbeat cost the balancer's table: `cargo bench --bench balance`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use distr_chat::balance::Table;
use distr_chat::balance::table::Weights;
use distr_chat::wire::Heartbeat;
use divan::{Bencher, black_box};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Picks between two heartbeats of each server; more would fill the list of those under way.
const PICKS: usize = 1000;

fn main() {
    divan::main();
}

fn beat(server: usize, number: u64, accepted: u64) -> Heartbeat {
    Heartbeat {
        name: format!("app-{server}"),
        incarnation: 1,
        number,
        time_ms: 0,
        url: format!("ws://app-{server}.example.org:5001/ws"),
        connections: 1000,
        capacity: 20_000,
        loop_lag_us: 0,
        accepted: vec![("lb-1".into(), accepted), ("lb-2".into(), 0), ("lb-3".into(), 0)],
        draining: false,
        deaf: false,
        full: false,
    }
}

fn table(servers: usize, now: Instant) -> Table {
    let mut table = Table::new("lb-1".into(), Weights::Equal);
    for server in 0..servers {
        let known = table.handle_heartbeat(beat(server, 1, 0), ADDRESS, now);
        assert!(known.is_ok());
    }
    table
}

#[divan::bench(args = [3, 100, 1000], sample_count = 200)]
fn pick(bencher: Bencher<'_, '_>, servers: usize) {
    let now = Instant::now();
    bencher
        .counter(divan::counter::ItemsCount::new(PICKS))
        .with_inputs(|| table(servers, now))
        .bench_local_values(|mut table| {
            for _ in 0..PICKS {
                black_box(table.pick(now, None));
            }
            table
        });
}

#[divan::bench(args = [3, 100])]
fn heartbeat(bencher: Bencher<'_, '_>, servers: usize) {
    let now = Instant::now();
    let mut table = table(servers, now);
    let mut number = 1;
    bencher.bench_local(|| {
        number += 1;
        black_box(table.handle_heartbeat(beat(number as usize % servers, number, number), ADDRESS, now))
    });
}
