//! What one client can cost the others: `make attacks`. Each attack meets two servers, a balancer and three Redis nodes of its
//! own, at which fifty bystanders chat in a room of theirs. docs/security.md says what the figures mean.
//!
//! Exits with 1 when one was not withstood, or could not be carried out. `--only joins` runs those whose names have that in them, `--json` prints JSON.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to tell")]

#[path = "../../tests/support/mod.rs"]
mod fixtures;

mod bystanders;
mod crowd;
mod doors;
mod floods;
mod frames;
mod meter;
mod peers;
mod probe;
mod readers;
mod rooms;
mod row;
mod scene;
mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use clap::Parser;
use distr_chat::net::descriptors;

use bystanders::Bystanders;
use frames::Seen;
use meter::Meter;
use probe::Probe;
use row::{Row, Verdict};
use scene::Scene;
use world::{Setting, World};

/// Enough for the largest crowd, with those that come back while others linger.
const DESCRIPTORS: u64 = 20_000;
/// The kernel gives attackers less of a core than those whom they attack: in the field they bring machines of their own.
const ATTACKERS_NICE: i32 = 10;
/// How often an attack is met while the machine is too busy for a verdict.
const TRIES: usize = 3;

/// Something that one client, or one server that lies, does to all.
struct Attack {
    name: &'static str,
    setting: Setting,
    run: fn(&mut Scene<'_>) -> Seen,
}

const ATTACKS: [Attack; 23] = [
    attack("joins-40", rooms::joins_from_40),
    attack("joins-804", rooms::joins_from_804),
    attack("joins-once", rooms::joins_once),
    attack("joins-again", rooms::joins_again),
    attack("joins-gone", rooms::joins_and_gone),
    attack("new-rooms", rooms::new_rooms),
    attack("new-rooms-again", rooms::new_rooms_again),
    attack("slow-readers", readers::slow_readers),
    attack("slow-readers-proxied", readers::slow_proxied_readers),
    attack("large-texts", readers::large_texts),
    attack("typing", readers::typing),
    attack("pings", floods::pings),
    attack("empty-fragments", floods::empty_fragments),
    attack("single-bytes", floods::single_bytes),
    attack("garbage", floods::garbage),
    attack("assigns", floods::assigns),
    attack("statuses", floods::statuses),
    attack("metrics", floods::metrics),
    attack("half-heads", doors::half_heads),
    attack("come-and-go", doors::come_and_go),
    Attack { setting: Setting { descriptors: Some(256) }, ..attack("descriptors", doors::silent) },
    attack("unknown-servers", peers::unknown_servers),
    attack("far-digest", peers::far_digest),
];

const fn attack(name: &'static str, run: fn(&mut Scene<'_>) -> Seen) -> Attack {
    Attack { name, setting: Setting { descriptors: None }, run }
}

/// What the command line asks for.
#[derive(Parser)]
#[command(about = "What one client can cost the others")]
struct Flags {
    /// Runs only attacks whose names have this in them
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,

    /// Prints JSON in place of the table
    #[arg(long)]
    json: bool,

    /// Cargo adds it
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let Flags { only, json, bench: _ } = Flags::parse();
    let possible = descriptors::raise_limit();
    assert!(
        possible >= DESCRIPTORS,
        "{DESCRIPTORS} descriptors are needed, and this process may have {possible}"
    );
    let wanted: Vec<_> = ATTACKS.iter().filter(|attack| attack.name.contains(&only)).collect();
    if wanted.is_empty() {
        eprintln!("no attack has \"{only}\" in its name: {}", ATTACKS.map(|attack| attack.name).join(", "));
        return ExitCode::FAILURE;
    }
    if !json {
        Row::print_head();
    }
    let (mut rows, mut failed) = (Vec::new(), false);
    for attack in wanted {
        let mut row = meet(attack);
        for _ in 1..TRIES {
            if row.verdict() != Verdict::Noisy {
                break;
            }
            row = meet(attack);
        }
        match json {
            true => rows.push(row.json()),
            false => row.print(),
        }
        failed |= row.verdict() != Verdict::Withstood;
    }
    if json {
        println!("{:#}", serde_json::Value::from(rows));
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Lets one attack happen.
fn meet(attack: &Attack) -> Row {
    let world = World::start(attack.setting);
    let bystanders = Bystanders::start(&world);
    let is_stopped = Arc::new(AtomicBool::new(false));
    let mut scene = Scene::new(&world, bystanders.streams(), Arc::clone(&is_stopped));
    let (meter, probe) = (Meter::start(world.pids(), world.all_pids(), is_stopped), Probe::start(&world));
    let before = probe::refusals(&world);
    let attackers = || {
        // A refusal costs only precision.
        let _ = rustix::process::setpriority_process(None, ATTACKERS_NICE);
        (attack.run)(&mut scene)
    };
    // What it failed with was printed. The others are met all the same.
    let seen = thread::scope(|scope| scope.spawn(attackers).join()).ok();
    let acts = scene.end();
    let probed = probe.end(&acts);
    let heard = bystanders.end();
    let cost = meter.end(&acts);
    let mut refusals = probe::refusals(&world);
    refusals.retain(|name, count| {
        *count = count.saturating_sub(before.get(name).copied().unwrap_or_default());
        *count > 0
    });
    Row { name: attack.name, acts, heard, cost, probed, seen, refusals }
}
