//! What a server tells of itself at `/metrics`: text of Prometheus or OpenMetrics → numbers.

/// Larger numbers are nobody's: so sums stay finite, and exact to a thousandth.
const VALUE_MAX: f64 = 1e12 * 4096.0;

/// What is looked at, of one moment. `None` where a server does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Which process, by its number and its start.
    pub process: (Option<f64>, Option<f64>),
    /// WebSockets that are open.
    pub connections: Option<f64>,
    /// Memory that is in RAM.
    pub resident_bytes: Option<f64>,
    /// What only grows, unless the server is started again.
    pub counters: Counters,
}

/// What a server counts, or how much of it there was in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Counters {
    /// CPU time.
    pub cpu_seconds: Option<f64>,
    /// Messages written, times their receivers.
    pub deliveries: Option<f64>,
    /// Write system calls.
    pub writes: Option<f64>,
    /// Chat messages that got their place there.
    pub messages: Option<f64>,
    /// Envelopes of all kinds to other servers: messages, and what they say about them.
    pub publishes: Option<f64>,
    /// Times that a room's messages were published again.
    pub republished: Option<f64>,
}

/// A line of the text.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample<'a> {
    name: &'a str,
    value: f64,
}

impl Reading {
    /// Reads a page. `None` if nothing on it is known here. What has several labels is added up; a line that makes no
    /// sense is passed over.
    pub fn parse(text: &str) -> Option<Self> {
        let mut reading = Self::default();
        for Sample { name, value } in text.lines().filter_map(Sample::parse) {
            if let Some(field) = reading.field(name) {
                *field = Some(field.unwrap_or_default() + value);
            }
        }
        (reading != Self::default()).then_some(reading)
    }

    fn field(&mut self, name: &str) -> Option<&mut Option<f64>> {
        let counters = &mut self.counters;
        Some(match name {
            "process_id" => &mut self.process.0,
            "process_start_time_seconds" => &mut self.process.1,
            "distr_websockets" | "distr_lb_proxied" => &mut self.connections,
            "process_resident_memory_bytes" => &mut self.resident_bytes,
            "process_cpu_seconds_total" => &mut counters.cpu_seconds,
            "distr_deliveries_total" => &mut counters.deliveries,
            "distr_writes_total" => &mut counters.writes,
            "distr_chat_messages_said_total" => &mut counters.messages,
            "distr_lane_published_total" => &mut counters.publishes,
            "distr_chat_republished_total" => &mut counters.republished,
            _ => return None,
        })
    }
}

impl Counters {
    /// What was counted since `before`, or since the start where the server was started again in between.
    pub fn growth(&self, before: &Self, was_restarted: bool) -> Self {
        self.zip(before, |now, before| match (now, before) {
            (Some(now), Some(before)) if !was_restarted => Some(now - before),
            (Some(now), Some(_)) => Some(now),
            _ => None,
        })
    }

    /// Of both together.
    pub fn plus(&self, other: &Self) -> Self {
        self.zip(other, |one, other| match (one, other) {
            (Some(one), Some(other)) => Some(one + other),
            (one, other) => one.or(other),
        })
    }

    /// Whether one of them is smaller than before.
    pub fn went_back(&self, before: &Self) -> bool {
        let pairs = self.all().into_iter().zip(before.all());
        pairs.into_iter().any(|(now, before)| now < before && now.is_some())
    }

    fn all(&self) -> [Option<f64>; 6] {
        [self.cpu_seconds, self.deliveries, self.writes, self.messages, self.publishes, self.republished]
    }

    fn zip(&self, other: &Self, f: impl Fn(Option<f64>, Option<f64>) -> Option<f64>) -> Self {
        Self {
            cpu_seconds: f(self.cpu_seconds, other.cpu_seconds),
            deliveries: f(self.deliveries, other.deliveries),
            writes: f(self.writes, other.writes),
            messages: f(self.messages, other.messages),
            publishes: f(self.publishes, other.publishes),
            republished: f(self.republished, other.republished),
        }
    }
}

impl<'a> Sample<'a> {
    /// `name{label="…",…} value` and perhaps more.
    fn parse(line: &'a str) -> Option<Self> {
        let end = line.find(['{', ' ', '\t'])?;
        let (name, rest) = line.split_at(end);
        let rest = match rest.strip_prefix('{') {
            Some(labels) => behind_labels(labels)?,
            None => rest,
        };
        let value: f64 = rest.split_ascii_whitespace().next()?.parse().ok()?;
        // This leaves out what is no number, too.
        (0.0..=VALUE_MAX).contains(&value).then_some(Self { name, value })
    }
}

/// What follows the labels. Their values are quoted, and a quote in them has a backslash before it.
fn behind_labels(labels: &str) -> Option<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in labels.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            b'}' if !is_quoted => return labels.get(at + 1..),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP distr_websockets WebSockets open now.\n# TYPE distr_websockets gauge\n\
        distr_websockets 100\ndistr_deliveries_total 2000\ndistr_writes_total 1000\n\
        distr_chat_messages_said_total 200\n\
        distr_lane_published_total{node=\"127.0.0.1:6379\"} 30\n\
        distr_lane_published_total{node=\"a} \\\"b\"} 20 1700000000\n\
        distr_chat_republished_total 0\nprocess_cpu_seconds_total 1.25 # {a=\"b\"} 7\n\
        process_resident_memory_bytes 3.2e+07\nprocess_start_time_seconds 1700000000.5\nprocess_id 7\n# EOF\n";

    #[test]
    fn a_page_is_read_and_labels_are_added_up() {
        let counters = Counters {
            cpu_seconds: Some(1.25),
            deliveries: Some(2000.0),
            writes: Some(1000.0),
            messages: Some(200.0),
            publishes: Some(50.0),
            republished: Some(0.0),
        };
        let expected = Reading {
            process: (Some(7.0), Some(1_700_000_000.5)),
            connections: Some(100.0),
            resident_bytes: Some(32e6),
            counters,
        };
        assert_eq!(Reading::parse(PAGE), Some(expected));
    }

    #[test]
    fn a_page_may_be_cut_anywhere() {
        for end in 0..PAGE.len() {
            let reading = Reading::parse(&PAGE[..end]);
            let connections = reading.and_then(|reading| reading.connections);
            assert!(connections.is_none_or(|count| count <= 100.0), "{end}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_passed_over() {
        for value in ["NaN", "+Inf", "-Inf", "-1", "1e300", "seven", "", "\"7\"", "0x10", "{}", "7,5"] {
            let page = format!("distr_writes_total {value}\ndistr_websockets 3\n");
            let expected = Reading { connections: Some(3.0), ..Reading::default() };
            assert_eq!(Reading::parse(&page), Some(expected), "{value}");
        }
        for page in [
            "",
            "hello",
            "<html>",
            "{",
            "\u{0}\u{fffd} 7",
            "distr_websockets{a=\"} 7",
            "distr_websockets{",
            "other 7",
        ] {
            assert_eq!(Reading::parse(page), None, "{page}");
        }
    }

    #[test]
    fn a_huge_page_adds_up_to_a_finite_number() {
        let page = "distr_writes_total{n=\"é\"} 4e15\n".repeat(30_000);
        let writes = Reading::parse(&page).unwrap().counters.writes.unwrap();
        assert!(writes.is_finite() && writes > 1e20, "{writes}");
    }
}
