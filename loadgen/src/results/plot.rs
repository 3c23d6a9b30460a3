//! Lines over time, as inline SVG. Colours come from the page, as `--series-1` and on.

use std::fmt;

/// The drawing, in units of its own view box.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 26.0;
/// About so many lines of the grid.
const TICKS: f64 = 5.0;
/// Colours that a page has.
const COLOURS: usize = 6;

/// One line.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it shows.
    pub name: String,
    /// (x, y), by x.
    pub points: Vec<(f64, f64)>,
}

/// How heights are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From 0 on.
    Linear,
    /// Powers of ten; what is not positive is left out.
    Log,
}

/// Lines in one frame.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What all show.
    pub title: &'static str,
    /// Of the heights.
    pub unit: &'static str,
    /// How they are measured.
    pub scale: Scale,
    /// The lines.
    pub series: Vec<Series>,
}

/// Where things are drawn.
struct Axes {
    scale: Scale,
    x: (f64, f64),
    y: (f64, f64),
}

impl Axes {
    fn of(plot: &Plot) -> Option<Self> {
        let points =
            || plot.series.iter().flat_map(|series| &series.points).filter(|point| plot.has(**point));
        points().next()?;
        let low = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
        let high = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::NEG_INFINITY, f64::max);
        let x = (low(&mut points().map(|point| point.0)), high(&mut points().map(|point| point.0)));
        let y = (low(&mut points().map(|point| point.1)), high(&mut points().map(|point| point.1)));
        let y = match plot.scale {
            Scale::Linear => (0.0, if y.1 > 0.0 { y.1 * 1.05 } else { 1.0 }),
            Scale::Log => (10_f64.powf(y.0.log10().floor()), 10_f64.powf((y.1 * 1.01).log10().ceil())),
        };
        Some(Self { scale: plot.scale, x: (x.0, if x.1 > x.0 { x.1 } else { x.0 + 1.0 }), y })
    }

    fn x(&self, x: f64) -> f64 {
        LEFT + (x - self.x.0) / (self.x.1 - self.x.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, y: f64) -> f64 {
        let part = match self.scale {
            Scale::Linear => (y - self.y.0) / (self.y.1 - self.y.0),
            Scale::Log => (y.log10() - self.y.0.log10()) / (self.y.1.log10() - self.y.0.log10()),
        };
        HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
    }

    fn ticks_y(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => ticks(self.y),
            Scale::Log => {
                let powers = self.y.0.log10().round() as i32..=self.y.1.log10().round() as i32;
                powers.map(|power| 10_f64.powi(power)).collect()
            }
        }
    }
}

/// Round numbers in a range.
fn ticks((from, to): (f64, f64)) -> Vec<f64> {
    let rough = (to - from) / TICKS;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let first = (from / step).ceil() as i64;
    (first..).map(|index| index as f64 * step).take_while(|tick| *tick <= to).collect()
}

/// As short as it can be said.
fn short(value: f64) -> String {
    let (value, suffix) = match value.abs() {
        1e6.. => (value / 1e6, "M"),
        1e3.. => (value / 1e3, "k"),
        _ => (value, ""),
    };
    format!("{}{suffix}", (value * 1000.0).round() / 1000.0)
}

impl Plot {
    fn has(&self, (_, y): (f64, f64)) -> bool {
        self.scale == Scale::Linear || y > 0.0
    }
}

impl fmt::Display for Plot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, unit, series, .. } = self;
        write!(f, "<figure><figcaption><b>{title}</b> <span>{unit}</span>")?;
        for (index, Series { name, .. }) in series.iter().enumerate() {
            let colour = index % COLOURS + 1;
            write!(f, "<i style=\"--c:var(--series-{colour})\">{}</i>", escaped(name))?;
        }
        let Some(axes) = Axes::of(self) else {
            return write!(f, "</figcaption><p>nothing to show</p></figure>");
        };
        write!(f, "</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">")?;
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for tick in axes.ticks_y() {
            let y = axes.y(tick);
            write!(f, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>")?;
            write!(f, "<text x=\"{}\" y=\"{:.1}\" class=\"y\">{}</text>", LEFT - 8.0, y + 4.0, short(tick))?;
        }
        for tick in ticks(axes.x) {
            let x = axes.x(tick);
            write!(f, "<text x=\"{x:.1}\" y=\"{}\" class=\"x\">{} s</text>", bottom + 18.0, short(tick))?;
        }
        if axes.x.0 < 0.0 {
            write!(f, "<path class=\"begin\" d=\"M{:.1} {TOP}V{bottom}\"/>", axes.x(0.0))?;
        }
        for (index, series) in series.iter().enumerate() {
            write!(f, "<path class=\"line\" style=\"--c:var(--series-{})\" d=\"", index % COLOURS + 1)?;
            let points = series.points.iter().filter(|point| self.has(**point));
            for (index, (x, y)) in points.enumerate() {
                let command = if index == 0 { 'M' } else { 'L' };
                write!(f, "{command}{:.1} {:.1}", axes.x(*x), axes.y(*y))?;
            }
            write!(f, "\"/>")?;
        }
        write!(f, "</svg></figure>")
    }
}

/// Names come from servers.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(scale: Scale, points: &[(f64, f64)]) -> String {
        let series = vec![Series { name: "<a>".into(), points: points.into() }];
        Plot { title: "t", unit: "ms", scale, series }.to_string()
    }

    #[test]
    fn a_line_goes_from_the_left_to_the_right_and_names_are_escaped() {
        let svg = plot(Scale::Linear, &[(-1.0, 0.0), (3.0, 100.0)]);
        assert!(svg.contains("d=\"M64.0 214.0L708.0 "), "{svg}");
        assert!(svg.contains("&lt;a&gt;") && svg.contains("class=\"begin\""), "{svg}");
    }

    #[test]
    fn a_logarithm_leaves_out_what_has_none() {
        let svg = plot(Scale::Log, &[(0.0, 0.0), (1.0, 1.0), (2.0, 1000.0)]);
        assert!(svg.contains("d=\"M64.0 214.0L708.0 "), "{svg}");
        assert!(plot(Scale::Log, &[(0.0, 0.0)]).contains("nothing to show"));
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks((0.0, 100.0)), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ticks((-3.0, 9.0)), [0.0, 5.0]);
        assert_eq!([0.5, 1500.0, 20_000.0, 3e6].map(short), ["0.5", "1.5k", "20k", "3M"]);
    }
}
