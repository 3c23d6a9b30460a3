//! What this process takes from the machine, under the names that every dashboard knows.

use std::{fmt, fs, process};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// The kernel tells times to programs in this unit, whatever its own clock is (proc(5), `USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads proc(5) when `/metrics` is asked for. What cannot be read is left out.
#[derive(Debug)]
pub struct ProcessMetrics {
    /// Since the epoch, when the machine was started.
    boot_seconds: Option<f64>,
}

/// Times of a process, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    cpu: u64,
    /// Since the machine was started.
    start: u64,
}

impl ProcessMetrics {
    /// Under the usual names, so `registry` must have no prefix.
    pub fn register(registry: &mut Registry) {
        let boot_seconds = fs::read_to_string("/proc/stat").ok().as_deref().and_then(parse_boot);
        registry.register_collector(Box::new(Self { boot_seconds }));
    }
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let times = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(parse_times);
        let resident = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(parse_resident);
        if let Some(Times { cpu, .. }) = times {
            let help = "CPU time in user space and the kernel";
            put(&mut encoder, "process_cpu_seconds", help, &ConstCounter::new(seconds(cpu)))?;
        }
        if let Some(bytes) = resident {
            let help = "memory of this process that is in RAM";
            put(&mut encoder, "process_resident_memory_bytes", help, &ConstGauge::new(bytes as f64))?;
        }
        if let (Some(boot), Some(Times { start, .. })) = (self.boot_seconds, times) {
            let help = "start of this process, since the epoch";
            put(&mut encoder, "process_start_time_seconds", help, &ConstGauge::new(boot + seconds(start)))?;
        }
        // Several servers may be in one process, which must not be counted for each of them.
        let help = "the number that the kernel gave this process";
        put(&mut encoder, "process_id", help, &ConstGauge::new(f64::from(process::id())))
    }
}

fn put(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND
}

/// `/proc/self/stat`. The program's name comes second, in brackets, and may have brackets and spaces in it.
fn parse_times(stat: &str) -> Option<Times> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<_> = rest.split(' ').collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Times { cpu: field(14)?.checked_add(field(15)?)?, start: field(22)? })
}

/// `/proc/self/status`, in bytes.
fn parse_resident(status: &str) -> Option<u64> {
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix(" kB"))?;
    kibibytes.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// `/proc/stat`.
fn parse_boot(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 5 0 12345 1000 200 18446744073709551615";
        assert_eq!(parse_times(stat), Some(Times { cpu: 300, start: 12345 }));
        for wrong in ["", "7 (a) S", "7 (a) S 1 x", &stat[..60], &stat.replace("250", "-1")] {
            assert_eq!(parse_times(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn memory_and_boot_are_read_in_their_units() {
        assert_eq!(parse_resident("VmPeak:\t  99 kB\nVmRSS:\t    12 kB\nx"), Some(12 * 1024));
        for wrong in ["", "VmRSS:\t12 MB", "VmRSS:\tx kB", &format!("VmRSS: {} kB", u64::MAX)] {
            assert_eq!(parse_resident(wrong), None, "{wrong}");
        }
        assert_eq!(parse_boot("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000.0));
        assert_eq!(parse_boot("cpu 1 2\n"), None);
    }

    #[test]
    fn metrics_have_the_usual_names_beside_those_with_a_prefix() {
        let mut registry = Registry::default();
        ProcessMetrics::register(&mut registry);
        registry.sub_registry_with_prefix("distr").register("rooms", "rooms", ConstGauge::new(7_u64));
        let mut page = String::new();
        text::encode(&mut page, &registry).unwrap();
        let value = |name: &str| -> f64 {
            let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name} is not in:\n{page}")).parse().unwrap()
        };
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_resident_memory_bytes") > 100_000.0, "a process takes more");
        assert!(value("process_start_time_seconds") > 1e9, "after 2001");
        assert_eq!(value("process_id"), f64::from(process::id()));
        assert_eq!(value("distr_rooms"), 7.0);
    }
}
