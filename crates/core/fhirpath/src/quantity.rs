//! Quantities: a decimal with a UCUM or calendar unit (N1, section 2.1.5). Calendar years and months are not
//! UCUM's: they compare as equivalent, not as equal. Units that are neither compare by their text.

use core::cmp::Ordering;
use core::fmt;
use std::borrow::Cow;

use kernel::ucum::UcumUnit;
use rust_decimal::Decimal;

use crate::item::decimal;
use crate::temporal::Precision;

/// The calendar's durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum CalendarUnit {
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl CalendarUnit {
    const ALL: [(Self, &'static str, &'static str, &'static str); 8] = [
        (Self::Millisecond, "millisecond", "milliseconds", "ms"),
        (Self::Second, "second", "seconds", "s"),
        (Self::Minute, "minute", "minutes", "min"),
        (Self::Hour, "hour", "hours", "h"),
        (Self::Day, "day", "days", "d"),
        (Self::Week, "week", "weeks", "wk"),
        (Self::Month, "month", "months", "mo"),
        (Self::Year, "year", "years", "a"),
    ];

    fn row(self) -> (Self, &'static str, &'static str, &'static str) {
        let found = Self::ALL.into_iter().find(|(unit, ..)| *unit == self);
        found.unwrap_or((self, "", "", ""))
    }

    /// The word for one: `day`.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.row().1
    }

    fn ucum(self) -> &'static str {
        self.row().3
    }

    /// Its length, where it always has the same.
    pub(crate) const fn nanos(self) -> Option<i64> {
        Some(match self {
            Self::Millisecond => 1_000_000,
            Self::Second => 1_000_000_000,
            Self::Minute => 60_000_000_000,
            Self::Hour => 3_600_000_000_000,
            _ => return None,
        })
    }

    pub(crate) const fn precision(self) -> Precision {
        match self {
            Self::Millisecond | Self::Second => Precision::Second,
            Self::Minute => Precision::Minute,
            Self::Hour => Precision::Hour,
            Self::Day | Self::Week => Precision::Day,
            Self::Month => Precision::Month,
            Self::Year => Precision::Year,
        }
    }
}

/// What a quantity counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit<'a> {
    /// A calendar duration, written as a word.
    Calendar(CalendarUnit),
    /// A UCUM code.
    Ucum(Cow<'a, str>),
    /// A unit of another system: the same as itself only.
    Other(Cow<'a, str>),
}

impl Unit<'_> {
    /// The calendar unit of a word, in singular or plural.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        CalendarUnit::ALL
            .into_iter()
            .find(|(_, one, many, _)| *one == word || *many == word)
            .map(|(unit, ..)| Self::Calendar(unit))
    }

    /// The code or word.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Calendar(unit) => unit.word(),
            Self::Ucum(code) | Self::Other(code) => code,
        }
    }

    fn ucum(&self) -> Option<UcumUnit> {
        match self {
            Self::Calendar(unit) => UcumUnit::parse(unit.ucum()).ok(),
            Self::Ucum(code) => UcumUnit::parse(code).ok(),
            Self::Other(_) => None,
        }
    }

    /// Whether one is a calendar year or month and the other UCUM's.
    fn differs_from_calendar(&self, other: &Self) -> bool {
        let long =
            |unit: &Self| matches!(unit, Self::Calendar(unit) if *unit >= CalendarUnit::Month);
        let short = |unit: &Self| matches!(unit, Self::Ucum(_));
        long(self) && short(other) || long(other) && short(self)
    }

    /// The calendar unit dates are counted by: words, and the UCUM units of fixed length.
    pub(crate) fn calendar(&self) -> Option<CalendarUnit> {
        match self {
            Self::Calendar(unit) => Some(*unit),
            Self::Ucum(code) => CalendarUnit::ALL
                .into_iter()
                .find(|(unit, one, many, ucum)| {
                    code == one || code == many || *unit < CalendarUnit::Month && code == ucum
                })
                .map(|(unit, ..)| unit),
            Self::Other(_) => None,
        }
    }

    fn into_static(self) -> Unit<'static> {
        match self {
            Self::Calendar(unit) => Unit::Calendar(unit),
            Self::Ucum(code) => Unit::Ucum(code.into_owned().into()),
            Self::Other(code) => Unit::Other(code.into_owned().into()),
        }
    }

    fn as_code(&self) -> &str {
        match self {
            Self::Calendar(unit) => unit.ucum(),
            Self::Ucum(code) | Self::Other(code) => code,
        }
    }
}

/// A value with a unit.
#[derive(Debug, Clone)]
pub struct Quantity<'a> {
    /// How much.
    pub value: Decimal,
    /// Of what.
    pub unit: Unit<'a>,
}

impl<'a> Quantity<'a> {
    /// A number: its unit is `1`.
    #[must_use]
    pub const fn number(value: Decimal) -> Self {
        Self {
            value,
            unit: Unit::Ucum(Cow::Borrowed("1")),
        }
    }

    /// Reads `1`, `1.5 'mg'` or `4 days`.
    pub(crate) fn parse(text: &str) -> Option<Quantity<'static>> {
        let text = text.trim();
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let end = unsigned
            .find(|char: char| !char.is_ascii_digit() && char != '.')
            .unwrap_or(unsigned.len());
        let (number, rest) = text.split_at_checked(end + text.len() - unsigned.len())?;
        if !is_number(number.strip_prefix(['+', '-']).unwrap_or(number)) {
            return None;
        }
        let value = decimal(number.strip_prefix('+').unwrap_or(number))?;
        let unit = rest.trim();
        if unit.is_empty() {
            return rest.is_empty().then(|| Quantity::number(value));
        }
        let unit = match unit
            .strip_prefix('\'')
            .and_then(|rest| rest.strip_suffix('\''))
        {
            Some(code) => Unit::Ucum(code.to_owned().into()),
            None if rest.starts_with(char::is_whitespace) => Unit::of_word(unit)?.into_static(),
            None => return None,
        };
        Some(Quantity { value, unit })
    }

    /// Before, after or the same; none where the units do not compare.
    pub(crate) fn compare(&self, other: &Quantity<'_>) -> Option<Ordering> {
        if self.unit.text() == other.unit.text() && self.unit.is_kind_of(&other.unit) {
            return Some(self.value.cmp(&other.value));
        }
        if self.unit.differs_from_calendar(&other.unit) {
            return None;
        }
        let (mine, theirs) = (self.unit.ucum()?, other.unit.ucum()?);
        mine.compare(self.value, &theirs, other.value)
    }

    /// Equality; none where a calendar year or month meets UCUM's, or units are not known.
    pub(crate) fn equals(&self, other: &Quantity<'_>) -> Option<bool> {
        if let Some(order) = self.compare(other) {
            return Some(order.is_eq());
        }
        if self.unit.differs_from_calendar(&other.unit) {
            return None;
        }
        let (mine, theirs) = (self.unit.ucum()?, other.unit.ucum()?);
        (!mine.is_commensurable(&theirs)).then_some(false)
    }

    /// Equivalence: the same to the precision of the coarser one, in the larger unit.
    pub(crate) fn equivalent(&self, other: &Quantity<'_>) -> bool {
        if self.unit.text() == other.unit.text() {
            return same_to_lesser_precision(self.value, other.value);
        }
        let (Some(mine), Some(theirs)) = (self.unit.ucum(), other.unit.ucum()) else {
            return false;
        };
        let larger = mine.compare(Decimal::ONE, &theirs, Decimal::ONE);
        match larger {
            Some(Ordering::Less) => mine
                .convert(self.value, &theirs)
                .is_some_and(|value| same_to_lesser_precision(value, other.value)),
            Some(_) => theirs
                .convert(other.value, &mine)
                .is_some_and(|value| same_to_lesser_precision(self.value, value)),
            None => false,
        }
    }

    /// Whether the values can be compared at all.
    pub(crate) fn comparable(&self, other: &Quantity<'_>) -> bool {
        match (self.unit.ucum(), other.unit.ucum()) {
            (Some(mine), Some(theirs)) => {
                mine.is_commensurable(&theirs) && !self.unit.differs_from_calendar(&other.unit)
            }
            _ => self.unit == other.unit,
        }
    }

    /// In another unit, written as its code or word.
    pub(crate) fn converted(&self, to: Unit<'static>) -> Option<Quantity<'static>> {
        if self.unit.differs_from_calendar(&to) {
            return None;
        }
        let value = self.unit.ucum()?.convert(self.value, &to.ucum()?)?;
        Some(Quantity { value, unit: to })
    }

    /// Sum or difference in the unit of the left side; none where they do not add.
    pub(crate) fn plus(&self, other: &Quantity<'_>, sign: Decimal) -> Option<Quantity<'a>> {
        let other_value = if self.unit.text() == other.unit.text() {
            other.value
        } else if self.unit.differs_from_calendar(&other.unit) {
            return None;
        } else {
            other
                .unit
                .ucum()?
                .convert(other.value, &self.unit.ucum()?)?
        };
        Some(Quantity {
            value: self.value.checked_add(other_value.checked_mul(sign)?)?,
            unit: self.unit.clone(),
        })
    }

    /// Product; its unit is the product of the units.
    pub(crate) fn times(&self, other: &Quantity<'_>) -> Option<Quantity<'static>> {
        let value = self.value.checked_mul(other.value)?;
        let unit = match (self.unit.as_code(), other.unit.as_code()) {
            ("1", only) | (only, "1") => only.to_owned(),
            (left, right) => format!("{}.{}", grouped(left), grouped(right)),
        };
        Some(Quantity {
            value,
            unit: Unit::Ucum(unit.into()),
        })
    }

    /// Quotient; its unit is the quotient of the units. None for a division by zero.
    pub(crate) fn over(&self, other: &Quantity<'_>) -> Option<Quantity<'static>> {
        let value = self.value.checked_div(other.value)?;
        let unit = match (self.unit.as_code(), other.unit.as_code()) {
            (left, right) if left == right => "1".to_owned(),
            (left, "1") => left.to_owned(),
            (left, right) => format!("{}/{}", grouped(left), grouped(right)),
        };
        Some(Quantity {
            value,
            unit: Unit::Ucum(unit.into()),
        })
    }
}

impl Unit<'_> {
    fn is_kind_of(&self, other: &Unit<'_>) -> bool {
        core::mem::discriminant(self) == core::mem::discriminant(other)
    }
}

fn grouped(code: &str) -> Cow<'_, str> {
    if code.contains(['/', '.']) {
        Cow::Owned(format!("({code})"))
    } else {
        Cow::Borrowed(code)
    }
}

/// Digits, perhaps with a fraction.
pub(crate) fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    }
}

/// Equivalence of decimals: rounded to the places of the one with fewer.
pub(crate) fn same_to_lesser_precision(a: Decimal, b: Decimal) -> bool {
    let places = a.normalize().scale().min(b.normalize().scale());
    let round = |value: Decimal| {
        value.round_dp_with_strategy(places, rust_decimal::RoundingStrategy::MidpointAwayFromZero)
    };
    round(a) == round(b)
}

impl fmt::Display for Quantity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unit {
            Unit::Calendar(unit) => {
                let plural = if self.value == Decimal::ONE { "" } else { "s" };
                write!(f, "{} {}{plural}", self.value, unit.word())
            }
            Unit::Ucum(code) | Unit::Other(code) => write!(f, "{} '{code}'", self.value),
        }
    }
}
