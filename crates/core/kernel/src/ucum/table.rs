//! The units by code, read from `units.tsv` on first use: code, kind (base, derived, own dimension,
//! temperature), whether it takes prefixes, factor, and the unit it is a multiple of.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::ratio::Ratio;
use super::{Scale, UcumUnit, parse};

const ROWS: &str = include_str!("units.tsv");

/// Prefixes of metric units, the two-letter ones first, with their powers of ten.
const PREFIXES: [(&str, i32); 20] = [
    ("da", 1),
    ("Y", 24),
    ("Z", 21),
    ("E", 18),
    ("P", 15),
    ("T", 12),
    ("G", 9),
    ("M", 6),
    ("k", 3),
    ("h", 2),
    ("d", -1),
    ("c", -2),
    ("m", -3),
    ("u", -6),
    ("n", -9),
    ("p", -12),
    ("f", -15),
    ("a", -18),
    ("z", -21),
    ("y", -24),
];
const BINARY: [(&str, u128); 4] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
];

struct Row {
    place: u16,
    kind: &'static str,
    metric: bool,
    factor: &'static str,
    unit: &'static str,
}

static TABLE: LazyLock<HashMap<&'static str, Row>> = LazyLock::new(|| {
    let mut places = 0..;
    ROWS.lines()
        .filter_map(|line| {
            let mut columns = line.split('\t');
            let code = columns.next()?;
            let row = Row {
                place: places.next()?,
                kind: columns.next()?,
                metric: columns.next()? == "1",
                factor: columns.next()?,
                unit: columns.next()?,
            };
            Some((code, row))
        })
        .collect()
});

static ATOMS: LazyLock<HashMap<&'static str, UcumUnit>> = LazyLock::new(|| {
    TABLE
        .iter()
        .filter_map(|(code, row)| Some((*code, resolve(code, row)?)))
        .collect()
});

/// The code at a place of the table.
pub(super) fn code(place: u16) -> &'static str {
    ROWS.lines()
        .nth(usize::from(place))
        .and_then(|line| line.split('\t').next())
        .unwrap_or_default()
}

#[cfg(test)]
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    ROWS.lines().filter_map(|line| line.split('\t').next())
}

fn resolve(code: &str, row: &Row) -> Option<UcumUnit> {
    let mut unit = UcumUnit::one();
    match row.kind {
        "b" => {
            let at = super::BASES.iter().position(|base| *base == code)?;
            *unit.bases.get_mut(at)? = 1;
        }
        "a" => unit.own.push((row.place, 1)),
        "t" => {
            *unit.bases.get_mut(4)? = 1;
            unit.scale = match code {
                "Cel" => Scale::Celsius,
                "[degF]" => Scale::Fahrenheit,
                _ => Scale::Reaumur,
            };
        }
        _ => {
            let of = parse::definition(row.unit)?;
            return of.scaled(&Ratio::parse(row.factor)?);
        }
    }
    Some(unit)
}

/// The unit of a simple code, with or without a prefix, while the table is being read.
pub(super) fn defining(code: &str) -> Option<UcumUnit> {
    find(code, &|code| {
        TABLE.get(code).and_then(|row| resolve(code, row))
    })
}

/// The unit of a simple code, with or without a prefix.
pub(super) fn simple(code: &str) -> Option<UcumUnit> {
    find(code, &|code| ATOMS.get(code).cloned())
}

fn find(code: &str, atom: &dyn Fn(&str) -> Option<UcumUnit>) -> Option<UcumUnit> {
    if let Some(unit) = atom(code) {
        return Some(unit);
    }
    let metric = |rest: &str| {
        TABLE
            .get(rest)
            .filter(|row| row.metric)
            .and_then(|_| atom(rest))
    };
    for (prefix, exponent) in PREFIXES {
        if let Some(unit) = code.strip_prefix(prefix).and_then(metric) {
            return unit.scaled(&Ratio::ten(exponent)?);
        }
    }
    for (prefix, factor) in BINARY {
        if let Some(unit) = code.strip_prefix(prefix).and_then(metric) {
            return unit.scaled(&Ratio::integer(factor)?);
        }
    }
    None
}
