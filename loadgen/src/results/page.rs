//! The report as a page: one file, which needs no other.

use std::collections::BTreeSet;
use std::fmt;

use crate::measure::latency::Quantiles;
use crate::measure::timeline::Frame;
use crate::results::number::grouped;
use crate::results::plot::{Plot, Scale, Series, escaped};
use crate::results::report::{KEPT, Report};
use crate::results::usage::{HEADS, MEBIBYTE, Moment, Server, Usage};

const STYLE: &str = include_str!("page.css");

/// A report, to be written as HTML.
pub struct Page<'a>(pub &'a Report);

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { run, seed, clients, rooms, rate, duration_seconds, payload_bytes, .. } = self.0;
        let (clients, rooms, rate) =
            (grouped((*clients).into()), grouped((*rooms).into()), grouped((*rate).into()));
        write!(
            f,
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>loadgen {run}</title>\n\
             <style>\n{STYLE}</style>\n<main><h1>{clients} clients in {rooms} rooms</h1>\
             <p class=\"what\">{rate} messages/s of {payload_bytes} bytes for {duration_seconds} s{}; run {run}, \
             seed {seed}</p>",
            if self.0.interrupted { ", interrupted" } else { "" }
        )?;
        self.write_verdict(f)?;
        self.write_counts(f)?;
        self.write_plots(f)?;
        self.write_latencies(f)?;
        if let Some(usage) = &self.0.usage {
            write_usage(usage, f)?;
        }
        let text = escaped(&self.0.to_string());
        writeln!(
            f,
            "<details><summary>the same in characters</summary><pre>{text}</pre></details></main></html>"
        )
    }
}

impl Page<'_> {
    fn write_verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0.faults() {
            [] => write!(f, "<p class=\"verdict\">{KEPT}</p>"),
            faults => write!(f, "<p class=\"verdict bad\">{}</p>", escaped(&faults.join(", "))),
        }
    }

    fn write_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { sent, acknowledged, delivered, lost, doubled, out_of_order, .. } = self.0;
        write!(f, "<section>")?;
        for (name, count, is_fault) in [
            ("sent", sent, false),
            ("acknowledged", acknowledged, false),
            ("delivered", delivered, false),
            ("lost", lost, true),
            ("doubled", doubled, true),
            ("out of order", out_of_order, true),
        ] {
            let class = if is_fault && *count > 0 { " class=\"bad\"" } else { "" };
            write!(f, "<dl><dt>{name}</dt><dd{class}>{}</dd></dl>", grouped(*count))?;
        }
        write!(f, "</section>")
    }

    fn write_plots(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let film = &self.0.film;
        let line = |name: &str, value: &dyn Fn(&Frame) -> f64| Series {
            name: name.to_owned(),
            points: film.iter().map(|frame| (frame.at, value(frame))).collect(),
        };
        let latency = vec![
            line("p50", &|frame| frame.deliver_ms.p50),
            line("p90", &|frame| frame.deliver_ms.p90),
            line("p99", &|frame| frame.deliver_ms.p99),
            line("max", &|frame| frame.deliver_ms.max),
        ];
        let names: BTreeSet<_> = film.iter().flat_map(|frame| frame.servers.keys()).collect();
        let servers = names
            .into_iter()
            .map(|name| line(name, &|frame| frame.servers.get(name).map_or(0.0, |count| *count as f64)));
        let servers = servers.collect();
        let usage = self.0.usage.as_ref().map_or(&[][..], |usage| &usage.servers);
        let used = |value: &dyn Fn(&Moment) -> Option<f64>| {
            let points = |server: &Server| {
                server.moments.iter().filter_map(|moment| Some((moment.at, value(moment)?))).collect()
            };
            usage.iter().map(|server| Series { name: server.name.clone(), points: points(server) }).collect()
        };
        let plots = [
            ("Delivery latency", "ms", Scale::Log, latency),
            (
                "Deliveries",
                "per second",
                Scale::Linear,
                vec![line("delivered", &|frame| frame.delivered_per_second)],
            ),
            ("Messages", "per second", Scale::Linear, vec![line("sent", &|frame| frame.sent_per_second)]),
            ("Clients", "in their rooms, by server", Scale::Linear, servers),
        ];
        let of_servers: [(_, _, _, Vec<_>); 2] = [
            ("CPU", "cores, by server", Scale::Linear, used(&|moment| moment.cores)),
            (
                "Memory",
                "resident MiB, by server",
                Scale::Linear,
                used(&|moment| Some(moment.resident_bytes? / MEBIBYTE)),
            ),
        ];
        let of_servers = of_servers
            .into_iter()
            .filter(|(_, _, _, series)| series.iter().any(|one| !one.points.is_empty()));
        write!(f, "<section class=\"plots\">")?;
        for (title, unit, scale, series) in plots.into_iter().chain(of_servers) {
            write!(f, "{}", Plot { title, unit, scale, series })?;
        }
        write!(f, "</section>")
    }

    fn write_latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<div class=\"table\"><table><tr><th>latency, ms<th>p50<th>p90<th>p99<th>p99.9<th>p99.99<th>max<th>count"
        )?;
        for (name, quantiles) in self.0.latencies() {
            let Quantiles { count, p50, p90, p99, p99_9, p99_99, max } = quantiles;
            write!(f, "<tr><td>{name}")?;
            [p50, p90, p99, p99_9, p99_99, max].iter().try_for_each(|value| write!(f, "<td>{value:.2}"))?;
            write!(f, "<td>{}", grouped(*count))?;
        }
        write!(f, "</table></div>")
    }
}

fn write_usage(usage: &Usage, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "<div class=\"table\"><table><tr><th>servers")?;
    HEADS.iter().try_for_each(|head| write!(f, "<th>{head}"))?;
    let servers = usage.servers.iter().map(|server| (&*server.name, &server.sum));
    for (name, sum) in servers.chain([("all", &usage.all)]) {
        write!(f, "<tr><td>{}", escaped(name))?;
        sum.cells().iter().try_for_each(|cell| write!(f, "<td>{cell}"))?;
    }
    write!(f, "</table></div>")
}
