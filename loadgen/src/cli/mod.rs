//! Flags → options → run → report.

pub mod flags;
pub mod scenario;
pub mod screen;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::{env, fs};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::cli::flags::Flags;
use crate::cli::screen::Screen;
use crate::load::plan::Plan;
use crate::results::page::Page;
use crate::results::report::Report;
use crate::runner::run;
use crate::runner::{process, worker_process};

/// Exit status for what went wrong.
const FAILED: u8 = 1;
/// Exit status for what could not even begin.
const UNUSABLE: u8 = 2;
/// Exit status after a second Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Reads the arguments, runs, and prints the report.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    if arguments.get(1).is_some_and(|argument| argument == process::WORKER_ARGUMENT) {
        return match worker_process::serve() {
            Ok(()) => ExitCode::SUCCESS,
            // Nobody listens to a worker whose parent has ended.
            Err(_) => ExitCode::from(FAILED),
        };
    }
    let flags = Flags::read(&arguments).unwrap_or_else(|error| error.exit());
    let (json, page) = (flags.json.clone(), flags.report.clone());
    // A run may take an hour, and must not end with a report that can be written nowhere.
    for path in [&json, &page].into_iter().flatten() {
        if let Err(error) = check_writable(path) {
            return complain(
                &format!("{}: the report cannot be written there: {error}", path.display()),
                UNUSABLE,
            );
        }
    }
    let options = flags.lower();
    let stop = match catch_signals() {
        Ok(stop) => stop,
        Err(error) => return complain(&format!("cannot catch Ctrl-C: {error}"), UNUSABLE),
    };
    let Plan { clients, rate, duration, seed, run, .. } = options.plan;
    tell(&format!("loadgen: run {run:08x}, seed {seed}; {}", options.outlook()));
    let mut screen = Screen::new(clients, (f64::from(rate) * duration.as_secs_f64()).ceil() as u64);
    let result = run::run(&options, &stop, &mut |phase, snapshot| screen.show(phase, snapshot));
    screen.clear();
    let report = match result {
        Ok(report) => report,
        Err(failure) => return complain(&failure.to_string(), failure.exit_code()),
    };
    let mut status = if report.faults().is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) };
    if let Err(error) = write!(io::stdout(), "{report}") {
        status = complain(&format!("the report cannot be written to standard output: {error}"), FAILED);
    }
    let files =
        [(json, to_json as fn(&Report) -> io::Result<String>), (page, |report| Ok(Page(report).to_string()))];
    for (path, write) in files {
        if let Some(path) = path
            && let Err(error) = write(&report).and_then(|text| save(&path, &text))
        {
            status = complain(&format!("{}: {error}", path.display()), FAILED);
        }
    }
    status
}

/// The first Ctrl-C sets the flag, the second ends the process at once.
fn catch_signals() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

fn to_json(report: &Report) -> io::Result<String> {
    Ok(serde_json::to_string_pretty(report)? + "\n")
}

fn save(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)
}

/// Whether a file can be written there. One that was not there before is not left behind.
fn check_writable(path: &Path) -> io::Result<()> {
    let existed = path.exists();
    fs::File::options().append(true).create(true).open(path)?;
    if existed { Ok(()) } else { fs::remove_file(path) }
}

fn complain(what: &str, status: u8) -> ExitCode {
    tell(&format!("loadgen: {what}"));
    ExitCode::from(status)
}

/// Where nobody reads it there is nothing to do.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
