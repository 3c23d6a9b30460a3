//! Clocks of processes that a test bends while they run: `clock.c` beside this file, loaded into them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clock.c");
/// A rate of 1, as `clock.c` has it.
const MILLION: f64 = 1e6;

/// What is loaded into the processes.
pub struct Bender {
    library: PathBuf,
}

/// The clocks of one process, in all its lives.
pub struct Clock {
    library: PathBuf,
    path: PathBuf,
    orders: File,
    version: i64,
}

/// How a clock can be wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bend {
    /// The wall clock is so far ahead.
    Ahead(Duration),
    /// The wall clock is so far behind.
    Behind(Duration),
    /// Both clocks run so many times as fast.
    Rate(f64),
}

impl Bend {
    /// What a clock is to stand.
    pub const ALL: [Self; 4] = [
        Self::Ahead(Duration::from_secs(20)),
        Self::Behind(Duration::from_secs(20)),
        Self::Ahead(Duration::from_secs(600)),
        Self::Rate(0.6),
    ];

    /// Whether all that the process does takes longer.
    pub fn is_slow(self) -> bool {
        matches!(self, Self::Rate(_))
    }
}

impl Bender {
    /// Builds it in that folder.
    pub fn build(folder: &Path) -> Self {
        let library = folder.join("clock.so");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O2", "-Wall", "-o"]).arg(&library).args([SOURCE, "-ldl", "-lpthread"]);
        let built = cc.output().expect("cc is missing: install a C compiler such as gcc");
        assert!(built.status.success(), "cc: {}", String::from_utf8_lossy(&built.stderr));
        Self { library }
    }

    /// The clocks of a process of that name. They are right.
    pub fn clock(&self, name: &str) -> Clock {
        let path = self.library.with_file_name(format!("{name}.clock"));
        fs::write(&path, []).unwrap();
        let orders = File::options().write(true).open(&path).unwrap();
        let mut clock = Clock { library: self.library.clone(), path, orders, version: 0 };
        clock.set_right();
        clock
    }
}

impl Clock {
    /// A process of this command has these clocks.
    pub fn rule(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("CLOCK_FILE", &self.path);
    }

    /// From now on they are wrong.
    pub fn bend(&mut self, bend: Bend) {
        let nanoseconds = |time: Duration| time.as_nanos() as i64;
        match bend {
            Bend::Ahead(step) => self.order(nanoseconds(step), 1.0),
            Bend::Behind(step) => self.order(-nanoseconds(step), 1.0),
            Bend::Rate(rate) => self.order(0, rate),
        }
    }

    /// From now on they are right, which is another step for the wall clock.
    pub fn set_right(&mut self) {
        self.order(0, 1.0);
    }

    /// The version goes last: the process takes over what stands before it then.
    fn order(&mut self, step: i64, rate: f64) {
        self.version += 1;
        let fields = [step, (rate * MILLION) as i64, self.version];
        for (index, field) in fields.into_iter().enumerate() {
            self.orders.write_all_at(&field.to_ne_bytes(), index as u64 * 8).unwrap();
        }
    }
}
