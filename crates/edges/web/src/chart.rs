//! Trend plots as SVG geometry: axis ticks, reference band, line and points. Must not be the only form:
//! every plot stands beside a table of the same values.

use askama::Template;

use crate::clinical::observation::{Point, Series};
use crate::clinical::quantity::with_unit;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 202.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 34.0;

/// A plot ready to be written.
#[derive(Debug, Clone, PartialEq, Template)]
#[template(path = "components/trend.html")]
pub struct Trend {
    /// Unique on the page; ids of parts are derived from it.
    pub id: String,
    /// The measured series.
    pub series: Series,
    /// Horizontal lines with their labels.
    pub ticks: Vec<Tick>,
    /// The reference band: y and height.
    pub band: Option<(String, String)>,
    /// The line as SVG points.
    pub line: String,
    /// The marks.
    pub marks: Vec<Mark>,
    /// First and last date.
    pub ends: (String, String),
}
impl askama::filters::HtmlSafe for Trend {}

/// A horizontal grid line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    /// Vertical place.
    pub y: String,
    /// Where its text stands.
    pub text_y: String,
    /// The value.
    pub label: String,
}

/// A plotted point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Place.
    pub x: String,
    /// Place.
    pub y: String,
    /// The diamond of a flagged point, as SVG points; empty for a round one.
    pub diamond: String,
    /// Value, unit and time, as its tooltip.
    pub title: String,
}

impl Trend {
    /// Lays a series out; `None` with fewer than two points.
    #[must_use]
    pub fn of(id: String, series: Series) -> Option<Self> {
        let (first, last) = (series.points.first()?, series.points.last()?);
        if series.points.len() < 2 {
            return None;
        }
        let ends = (date_of(first), date_of(last));
        let (span_start, span) = (first.micros, (last.micros - first.micros).max(1) as f64);
        let (low, high, step) = scale(&series);
        let x = |point: &Point| {
            LEFT + (point.micros - span_start) as f64 / span * (WIDTH - LEFT - RIGHT)
        };
        let y = |value: f64| TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM);
        let band = band(&series, low, high)
            .map(|(bottom, top)| (place(y(top)), place(y(bottom) - y(top))));
        let line = series
            .points
            .iter()
            .map(|point| format!("{},{}", place(x(point)), place(y(point.height))))
            .collect::<Vec<_>>()
            .join(" ");
        let marks = series
            .points
            .iter()
            .map(|point| mark(point, x(point), y(point.height), &series.unit))
            .collect();
        let ticks = ticks(low, high, step)
            .into_iter()
            .map(|(value, label)| Tick {
                y: place(y(value)),
                text_y: place(y(value) + 4.0),
                label,
            })
            .collect();
        Some(Self {
            id,
            series,
            ticks,
            band,
            line,
            marks,
            ends,
        })
    }

    /// A value of it with its unit.
    fn shown(&self, value: &str) -> String {
        with_unit(value, &self.series.unit)
    }

    /// The newest point.
    #[must_use]
    pub fn last(&self) -> Option<&Point> {
        self.series.points.last()
    }
}

fn mark(point: &Point, x: f64, y: f64, unit: &str) -> Mark {
    let raised = point.flag.as_ref().is_some_and(|flag| flag.raised);
    let diamond = if raised {
        format!(
            "{},{} {},{} {},{} {},{}",
            place(x),
            place(y - 6.0),
            place(x + 6.0),
            place(y),
            place(x),
            place(y + 6.0),
            place(x - 6.0),
            place(y)
        )
    } else {
        String::new()
    };
    let flag = point
        .flag
        .as_ref()
        .map(|flag| format!(", {}", flag.words))
        .unwrap_or_default();
    Mark {
        x: place(x),
        y: place(y),
        diamond,
        title: format!(
            "{}, {}{flag}",
            with_unit(&point.value, unit),
            point.when.text
        ),
    }
}

fn date_of(point: &Point) -> String {
    point
        .when
        .text
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn place(value: f64) -> String {
    format!("{value:.1}")
}

/// Lower end, upper end and tick step: round numbers around all values and the range.
fn scale(series: &Series) -> (f64, f64, f64) {
    let mut low = f64::INFINITY;
    let mut high = f64::NEG_INFINITY;
    for value in series
        .points
        .iter()
        .map(|point| point.height)
        .chain(series.range.0)
        .chain(series.range.1)
    {
        low = low.min(value);
        high = high.max(value);
    }
    if high - low < f64::EPSILON * high.abs().max(1.0) {
        let around = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
        low -= around;
        high += around;
    }
    let rough = (high - low) / 4.0;
    let magnitude = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|m| m * magnitude)
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    (
        (low / step).floor() * step,
        (high / step).ceil() * step,
        step,
    )
}

fn ticks(low: f64, high: f64, step: f64) -> Vec<(f64, String)> {
    let places = if step >= 1.0 && (step - step.round()).abs() < 1e-9 {
        0
    } else {
        (-step.log10().floor()).max(0.0) as usize
            + usize::from((step * 10f64.powf(-step.log10().floor()) - 2.5).abs() < 1e-6)
    };
    let count = ((high - low) / step).round().clamp(1.0, 12.0) as usize;
    (0..=count)
        .map(|index| {
            let value = low + step * index as f64;
            let plain = format!("{value:.places$}");
            (value, crate::clinical::quantity::measured_number(&plain))
        })
        .collect()
}

/// The band between the recorded bounds; open ends reach the edge of the plot.
fn band(series: &Series, low: f64, high: f64) -> Option<(f64, f64)> {
    match series.range {
        (None, None) => None,
        (bottom, top) => Some((bottom.unwrap_or(low), top.unwrap_or(high))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::date::When;

    fn series(values: &[f64], range: (Option<f64>, Option<f64>)) -> Series {
        let points = values
            .iter()
            .enumerate()
            .map(|(index, value)| Point {
                micros: index as i64 * 86_400_000_000,
                when: When::unknown("05‑Mar‑2026\u{a0}10:00"),
                height: *value,
                value: value.to_string(),
                exact: value.to_string(),
                flag: None,
            })
            .collect();
        Series {
            group: crate::clinical::observation::Group::Laboratory,
            name: "Weight".to_owned(),
            unit: "kg".to_owned(),
            points,
            range,
            range_words: String::new(),
        }
    }

    #[test]
    fn ticks_are_round_and_hold_every_value() {
        for values in [
            &[80.0, 81.5][..],
            &[0.0, 0.0],
            &[5.0, 5.0],
            &[-3.0, 2.0],
            &[1200.0, 98.0],
            &[0.011, 0.013],
        ] {
            let trend = Trend::of("t".to_owned(), series(values, (None, None))).unwrap();
            let shown: Vec<f64> = trend
                .ticks
                .iter()
                .map(|t| t.label.replace(',', "").replace('−', "-").parse().unwrap())
                .collect();
            let (low, high) = (shown[0], shown[shown.len() - 1]);
            assert!(
                values.iter().all(|v| *v >= low - 1e-9 && *v <= high + 1e-9),
                "{values:?} in {shown:?}"
            );
            assert!((2..=13).contains(&shown.len()), "{shown:?}");
            assert!(shown.windows(2).all(|pair| pair[0] < pair[1]), "{shown:?}");
        }
    }

    #[test]
    fn points_stay_inside_the_plot() {
        let trend = Trend::of(
            "t".to_owned(),
            series(&[3.0, 9.0, 5.0], (Some(4.0), Some(6.0))),
        )
        .unwrap();
        for mark in &trend.marks {
            let (x, y): (f64, f64) = (mark.x.parse().unwrap(), mark.y.parse().unwrap());
            assert!((LEFT..=WIDTH - RIGHT).contains(&x) && (TOP..=HEIGHT - BOTTOM).contains(&y));
        }
        assert!(trend.band.is_some());
        assert!(Trend::of("t".to_owned(), series(&[3.0], (None, None))).is_none());
    }
}
