//! What a scanner reads from a pack: GS1 element strings of a DataMatrix, and the plain digits of
//! EAN-13, EAN-8, UPC-A and ITF-14 (GS1 General Specifications, sections 3 and 7). Must not guess: what
//! does not follow the rules is a typed error, never half a result.

mod gtin;

pub use gtin::{Gtin, check_digit};

use core::fmt;

use kernel::{Categorised, Category};

/// The separator after an element of variable length, as scanners send FNC1.
const GS: char = '\u{1d}';

/// Why a scan is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// Nothing, or longer than a symbol holds.
    #[error("a scan holds 1 to 400 characters: scan again")]
    Length,
    /// Not a number of 8, 12, 13 or 14 digits.
    #[error("{0:?} is no GTIN: 8, 12, 13 or 14 digits")]
    Gtin(String),
    /// The check digit does not fit.
    #[error("the check digit of {0} is wrong: scan again or type it again")]
    CheckDigit(String),
    /// An element that is not known.
    #[error("the element at character {0} has an identifier that is not known")]
    Identifier(usize),
    /// An element shorter or longer than it may be, or with characters it may not have.
    #[error("element ({0}) is not as GS1 defines it: scan again")]
    Element(String),
    /// A date that is none.
    #[error("{0:?} is no date: scan again")]
    Date(String),
    /// Twice the same element with the same value.
    #[error("element ({0}) is there twice")]
    Twice(String),
    /// Twice the same element with different values.
    #[error("element ({0}) is there twice with different values: scan one pack at a time")]
    Conflict(String),
    /// No product.
    #[error("the scan names no product: it has no element (01)")]
    NoProduct,
}

impl Categorised for ScanError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

/// A day, or a month whose last day it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackDate {
    /// Four digits.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31; none means the last day of the month (written 00).
    pub day: Option<u8>,
}

impl PackDate {
    /// The last day that it means.
    #[must_use]
    pub const fn last_day(self) -> (u16, u8, u8) {
        let day = match self.day {
            Some(day) => day,
            None => days(self.year, self.month),
        };
        (self.year, self.month, day)
    }
}

/// An ISO date, of the last day that is meant.
impl fmt::Display for PackDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.last_day();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

const fn days(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

/// What a pack says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// Product and pack size.
    pub gtin: Gtin,
    /// Batch or lot, (10).
    pub batch: Option<String>,
    /// Serial number, (21).
    pub serial: Option<String>,
    /// Last day of use, (17).
    pub expiry: Option<PackDate>,
    /// Day of production, (11).
    pub produced: Option<PackDate>,
    /// Count of items, (30) or (37).
    pub count: Option<u32>,
    /// National reimbursement numbers, (710) to (716), by their identifier.
    pub national: Vec<(String, String)>,
    /// Other elements as they stand.
    pub other: Vec<(String, String)>,
}

/// How long an element's value is and what it may hold.
#[derive(Debug, Clone, Copy)]
struct Shape {
    identifier: &'static str,
    least: usize,
    most: usize,
    digits: bool,
    /// Ends by its length, without a separator (General Specifications, table of predefined lengths).
    predefined: bool,
}

const fn fixed(identifier: &'static str, length: usize) -> Shape {
    Shape {
        identifier,
        least: length,
        most: length,
        digits: true,
        predefined: true,
    }
}
const fn text(identifier: &'static str, most: usize) -> Shape {
    Shape {
        identifier,
        least: 1,
        most,
        digits: false,
        predefined: false,
    }
}
const fn count(identifier: &'static str) -> Shape {
    Shape {
        identifier,
        least: 1,
        most: 8,
        digits: true,
        predefined: false,
    }
}

const SHAPES: [Shape; 28] = [
    fixed("00", 18),
    fixed("01", 14),
    fixed("02", 14),
    text("10", 20),
    fixed("11", 6),
    fixed("12", 6),
    fixed("13", 6),
    fixed("15", 6),
    fixed("16", 6),
    fixed("17", 6),
    fixed("20", 2),
    text("21", 20),
    text("22", 20),
    count("30"),
    count("37"),
    text("240", 30),
    text("241", 30),
    text("250", 30),
    text("400", 30),
    text("710", 20),
    text("711", 20),
    text("712", 20),
    text("713", 20),
    text("714", 20),
    text("715", 20),
    text("716", 20),
    Shape {
        identifier: "7003",
        least: 10,
        most: 10,
        digits: true,
        predefined: false,
    },
    text("8200", 70),
];

/// The 82 characters of GS1's invariant set (General Specifications, figure 7.11-1).
fn is_invariant(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!\"%&'()*+,-./:;<=>?_".contains(c)
}

/// Reads a scan: an element string with or without the reader's symbology prefix, with FNC1 as the GS
/// character or with brackets around identifiers as people write them; or the digits of a plain code.
///
/// `year` is the year of today; two-digit years are read around it (General Specifications 7.12).
///
/// # Errors
/// Every departure from the rules; see the variants.
pub fn read(scan: &str, year: u16) -> Result<Pack, ScanError> {
    let scan = scan.trim_matches(['\r', '\n', ' ']);
    if scan.is_empty() || scan.len() > 400 || !scan.is_ascii() {
        return Err(ScanError::Length);
    }
    let bare = ["]d2", "]C1", "]Q3", "]e0", "]E0", "]E4", "]I1"]
        .into_iter()
        .find_map(|prefix| scan.strip_prefix(prefix))
        .unwrap_or(scan);
    let plain = bare.bytes().all(|byte| byte.is_ascii_digit());
    if plain && matches!(bare.len(), 8 | 12 | 13 | 14) {
        return Ok(blank(Gtin::read(bare)?));
    }
    let elements = if bare.starts_with('(') {
        bracketed(bare)?
    } else {
        separated(bare)?
    };
    collect(&elements, year)
}

fn blank(gtin: Gtin) -> Pack {
    Pack {
        gtin,
        batch: None,
        serial: None,
        expiry: None,
        produced: None,
        count: None,
        national: Vec::new(),
        other: Vec::new(),
    }
}

fn shape(at: &str) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| at.starts_with(shape.identifier))
}

fn fits(shape: &Shape, value: &str) -> Result<(), ScanError> {
    let good = (shape.least..=shape.most).contains(&value.len())
        && value.chars().all(|c| {
            if shape.digits {
                c.is_ascii_digit()
            } else {
                is_invariant(c)
            }
        });
    if good {
        Ok(())
    } else {
        Err(ScanError::Element(shape.identifier.to_owned()))
    }
}

type Element<'a> = (&'static str, &'a str);

fn separated(scan: &str) -> Result<Vec<Element<'_>>, ScanError> {
    let mut rest = scan.strip_prefix(GS).unwrap_or(scan);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let shape = shape(rest).ok_or(ScanError::Identifier(scan.len() - rest.len()))?;
        let tail = rest.strip_prefix(shape.identifier).unwrap_or_default();
        let fault = || ScanError::Element(shape.identifier.to_owned());
        let (value, after) = if shape.predefined {
            let (value, after) = tail.split_at_checked(shape.most).ok_or_else(fault)?;
            // A separator is allowed after a predefined length too.
            (value, after.strip_prefix(GS).unwrap_or(after))
        } else {
            tail.split_once(GS).unwrap_or((tail, ""))
        };
        fits(shape, value)?;
        found.push((shape.identifier, value));
        rest = after;
    }
    Ok(found)
}

fn bracketed(scan: &str) -> Result<Vec<Element<'_>>, ScanError> {
    let mut rest = scan;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let at = scan.len() - rest.len();
        let unknown = || ScanError::Identifier(at);
        let (identifier, tail) = rest
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(')'))
            .ok_or_else(unknown)?;
        let shape = shape(identifier)
            .filter(|shape| shape.identifier == identifier)
            .ok_or_else(unknown)?;
        // A bracket of the value is told from the next element by the identifier behind it.
        let end = tail
            .char_indices()
            .filter(|(_, c)| *c == '(')
            .map(|(at, _)| at)
            .find(|at| opens(tail.get(*at..).unwrap_or_default()))
            .unwrap_or(tail.len());
        let (value, after) = tail.split_at_checked(end).unwrap_or((tail, ""));
        fits(shape, value)?;
        found.push((shape.identifier, value));
        rest = after;
    }
    Ok(found)
}

fn opens(rest: &str) -> bool {
    let inside = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    inside.is_some_and(|(identifier, _)| SHAPES.iter().any(|shape| shape.identifier == identifier))
}

fn collect(elements: &[Element<'_>], year: u16) -> Result<Pack, ScanError> {
    for (number, (identifier, value)) in elements.iter().enumerate() {
        if let Some((_, first)) = elements
            .iter()
            .take(number)
            .find(|(own, _)| own == identifier)
        {
            let name = (*identifier).to_owned();
            return Err(if first == value {
                ScanError::Twice(name)
            } else {
                ScanError::Conflict(name)
            });
        }
    }
    let value = |wanted: &str| {
        elements
            .iter()
            .find(|(own, _)| *own == wanted)
            .map(|(_, value)| *value)
    };
    let mut pack = blank(Gtin::read(value("01").ok_or(ScanError::NoProduct)?)?);
    for (identifier, value) in elements {
        let kept = || ((*identifier).to_owned(), (*value).to_owned());
        match *identifier {
            "01" => {}
            "10" => pack.batch = Some((*value).to_owned()),
            "21" => pack.serial = Some((*value).to_owned()),
            "17" => pack.expiry = Some(date(value, year)?),
            "11" => pack.produced = Some(date(value, year)?),
            "30" | "37" => {
                let number = value
                    .parse()
                    .map_err(|_| ScanError::Element((*identifier).to_owned()))?;
                if pack.count.is_some_and(|own| own != number) {
                    return Err(ScanError::Conflict((*identifier).to_owned()));
                }
                pack.count = Some(number);
            }
            "710" | "711" | "712" | "713" | "714" | "715" | "716" => pack.national.push(kept()),
            "12" | "13" | "15" | "16" => {
                date(value, year)?;
                pack.other.push(kept());
            }
            _ => pack.other.push(kept()),
        }
    }
    Ok(pack)
}

/// `YYMMDD`; the century is the one that brings the year nearest to today's.
fn date(value: &str, today: u16) -> Result<PackDate, ScanError> {
    let fault = || ScanError::Date(value.to_owned());
    let part = |at: usize| {
        value
            .get(at..at + 2)
            .and_then(|two| two.parse::<u8>().ok())
            .ok_or_else(fault)
    };
    let (two, month, day) = (part(0)?, part(2)?, part(4)?);
    let century = today / 100 * 100;
    let apart = i32::from(two) - i32::from(today % 100);
    let base = match apart {
        51.. => century.saturating_sub(100),
        ..=-50 => century + 100,
        _ => century,
    };
    let year = base + u16::from(two);
    if !(1..=12).contains(&month) || day > days(year, month) {
        return Err(fault());
    }
    Ok(PackDate {
        year,
        month,
        day: (day != 0).then_some(day),
    })
}

#[cfg(test)]
mod tests;
