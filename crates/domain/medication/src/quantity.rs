//! Amounts with a unit, as doses, strengths and stocks have them. Converts by UCUM and decimals only.
//! Must not let UCUM's numbers without dimension meet: to UCUM a tablet, a puff and a mole are all
//! plain numbers, to a patient they are not.

use core::fmt;

use kernel::WrittenDecimal;
use kernel::ucum::UcumUnit;
use rust_decimal::Decimal;

/// The system of UCUM codes.
pub const UCUM: &str = "http://unitsofmeasure.org";

/// Why two amounts cannot be compared or added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum NotComparable {
    /// An amount without a unit.
    #[error("an amount has no unit: state one")]
    NoUnit,
    /// The units measure different things, or one of them is not known.
    #[error("{from:?} does not convert to {to:?}: state both in units of one kind")]
    Different {
        /// The unit converted from.
        from: String,
        /// The unit converted to.
        to: String,
    },
    /// More digits than a decimal holds.
    #[error("the amount in {unit:?} is beyond 28 digits: convert to a unit of its size")]
    Range {
        /// The unit converted to.
        unit: String,
    },
}

impl kernel::Categorised for NotComparable {
    fn category(&self) -> kernel::Category {
        kernel::Category::Unprocessable
    }
}

/// A unit as FHIR `Quantity` states one: what people read, and the code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Unit {
    /// What people read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// The system of the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl Unit {
    /// A unit by its UCUM code.
    #[must_use]
    pub fn ucum(code: &str) -> Self {
        Self {
            display: None,
            system: Some(UCUM.to_owned()),
            code: Some(code.to_owned()),
        }
    }

    /// A unit that has a name only.
    #[must_use]
    pub fn named(display: &str) -> Self {
        Self {
            display: Some(display.to_owned()),
            ..Self::default()
        }
    }

    /// The UCUM code, where it is one.
    #[must_use]
    pub fn ucum_code(&self) -> Option<&str> {
        (self.system.as_deref() == Some(UCUM))
            .then_some(self.code.as_deref())
            .flatten()
    }

    /// What it measures; none for a unit that says nothing.
    #[must_use]
    pub fn measure(&self) -> Option<Measure> {
        if let Some(code) = self.ucum_code() {
            if let Ok(unit) = UcumUnit::parse(code) {
                let counted = (unit.canonical_code() == "1").then(|| counted(code));
                return Some(Measure::Ucum {
                    unit: Box::new(unit),
                    counted,
                });
            }
            return None;
        }
        match (&self.code, &self.display) {
            (Some(code), _) => {
                let system = self.system.as_deref().unwrap_or_default();
                Some(Measure::Named(format!("{system}|{code}")))
            }
            (None, Some(display)) => Some(Measure::of_name(display)),
            (None, None) => None,
        }
    }

    /// The name for messages: what people read, else the code.
    #[must_use]
    pub fn name(&self) -> &str {
        self.display
            .as_deref()
            .or(self.code.as_deref())
            .unwrap_or("no unit")
    }
}

/// What a unit measures, read once so that many amounts convert cheaply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// A UCUM unit; where it has no dimension, what is counted.
    Ucum {
        /// The unit.
        unit: Box<UcumUnit>,
        /// `tablet` of `{tablet}`, `mol` of `mmol`.
        counted: Option<String>,
    },
    /// A unit known by its code or name alone.
    Named(String),
}

impl Measure {
    /// A unit known by name: `Tablets` and `tablet` are one, and the same as UCUM's `{tablet}`.
    fn of_name(name: &str) -> Self {
        Self::Named(singular(name))
    }

    /// How many of `to` one `self` is; exact, none where they measure different things.
    ///
    /// # Errors
    /// Units of different kinds, and results beyond 28 digits.
    pub fn convert(&self, value: Decimal, to: &Self) -> Result<Decimal, NotComparable> {
        let different = || NotComparable::Different {
            from: self.to_string(),
            to: to.to_string(),
        };
        match (self, to) {
            (
                Self::Ucum { unit, counted },
                Self::Ucum {
                    unit: other,
                    counted: theirs,
                },
            ) => {
                if counted != theirs || !unit.is_commensurable(other) {
                    return Err(different());
                }
                unit.convert(value, other)
                    .ok_or_else(|| NotComparable::Range {
                        unit: to.to_string(),
                    })
            }
            (Self::Named(mine), Self::Named(theirs)) if mine == theirs => Ok(value),
            (
                Self::Named(name),
                Self::Ucum {
                    unit,
                    counted: Some(counted),
                },
            )
            | (
                Self::Ucum {
                    unit,
                    counted: Some(counted),
                },
                Self::Named(name),
            ) if name == counted && *unit.factor() == kernel::ucum::Ratio::ONE => Ok(value),
            _ => Err(different()),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ucum {
                counted: Some(counted),
                ..
            } => f.write_str(counted),
            Self::Ucum { unit, .. } => f.write_str(&unit.canonical_code()),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// What a code without dimension counts.
fn counted(code: &str) -> String {
    if let Some((_, rest)) = code.split_once('{') {
        return singular(rest.split_once('}').map_or(rest, |(inside, _)| inside));
    }
    if code.ends_with("mol") {
        return "mol".to_owned();
    }
    if code.ends_with("eq") {
        return "eq".to_owned();
    }
    if code.ends_with("osm") {
        return "osm".to_owned();
    }
    code.to_owned()
}

/// Lower case, without the plural.
fn singular(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    let cut = ["patches", "lozenges", "suppositories", "pessaries"]
        .iter()
        .position(|plural| *plural == lower);
    match cut {
        Some(0) => "patch".to_owned(),
        Some(1) => "lozenge".to_owned(),
        Some(2) => "suppository".to_owned(),
        Some(3) => "pessary".to_owned(),
        _ => match lower.strip_suffix('s') {
            Some(one) if one.len() > 2 && !one.ends_with('s') => one.to_owned(),
            _ => lower,
        },
    }
}

/// A value and its unit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Quantity {
    /// The value as written.
    pub value: WrittenDecimal,
    /// The unit.
    pub unit: Unit,
}

/// A quantity on the wire of our own records: the value as text, so that no digit is lost.
#[derive(serde::Serialize, serde::Deserialize)]
struct Wire {
    value: String,
    #[serde(flatten)]
    unit: Unit,
}

impl serde::Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let wire = Wire {
            value: self.value.to_string(),
            unit: self.unit.clone(),
        };
        wire.serialize(to)
    }
}

impl<'de> serde::Deserialize<'de> for Quantity {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(from)?;
        let value = wire.value.parse().map_err(serde::de::Error::custom)?;
        Ok(Self {
            value,
            unit: wire.unit,
        })
    }
}

impl Quantity {
    /// A value with a UCUM unit; the value is written without trailing zeros.
    #[must_use]
    pub fn ucum(value: Decimal, code: &str) -> Self {
        Self::new(value, Unit::ucum(code))
    }

    /// A value, written without trailing zeros, and a unit.
    #[must_use]
    pub fn new(value: Decimal, unit: Unit) -> Self {
        Self {
            value: plain(value),
            unit,
        }
    }

    /// The value in another unit.
    ///
    /// # Errors
    /// Units that are missing, unknown or of different kinds, and results beyond 28 digits.
    pub fn in_unit(&self, to: &Unit) -> Result<Decimal, NotComparable> {
        if self.unit == *to {
            return Ok(self.value.value());
        }
        let different = || NotComparable::Different {
            from: self.unit.name().to_owned(),
            to: to.name().to_owned(),
        };
        if self.unit == Unit::default() || *to == Unit::default() {
            return Err(NotComparable::NoUnit);
        }
        let from = self.unit.measure().ok_or_else(different)?;
        let target = to.measure().ok_or_else(different)?;
        from.convert(self.value.value(), &target)
            .map_err(|error| match error {
                NotComparable::Different { .. } => different(),
                other => other,
            })
    }
}

/// A decimal without trailing zeros.
#[must_use]
pub fn plain(value: Decimal) -> WrittenDecimal {
    value.normalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn converts_within_a_kind_and_never_across() {
        let named = Unit::named;
        let ucum = Unit::ucum;
        for (value, from, to, expected) in [
            ("1", ucum("g"), ucum("mg"), Some("1000")),
            ("125", ucum("ug"), ucum("mg"), Some("0.125")),
            ("5", ucum("mL"), ucum("L"), Some("0.005")),
            ("2", ucum("{tablet}"), ucum("{Tablets}"), Some("2")),
            ("2", ucum("{tablet}"), named("tablets"), Some("2")),
            ("2", named("Tablet"), named("tablets"), Some("2")),
            ("1", named("patches"), ucum("{patch}"), Some("1")),
            ("1", ucum("mmol"), ucum("mol"), Some("0.001")),
            ("1", ucum("k[IU]"), ucum("[iU]"), Some("1000")),
            // What UCUM alone would convert.
            ("2", ucum("{tablet}"), ucum("{puff}"), None),
            ("2", ucum("{tablet}"), ucum("1"), None),
            ("1", ucum("mmol"), ucum("{tablet}"), None),
            ("1", ucum("%"), ucum("{tablet}"), None),
            ("1", ucum("10*3{tablet}"), named("tablet"), None),
            ("1", ucum("mg"), ucum("mL"), None),
            ("1", ucum("U"), ucum("[iU]"), None),
            ("1", ucum("mcg"), ucum("mg"), None),
            ("1", named("mg"), ucum("mg"), None),
            ("1", Unit::default(), ucum("mg"), None),
        ] {
            let quantity = Quantity::new(decimal(value), from.clone());
            let got = quantity.in_unit(&to).ok().map(|value| value.normalize());
            assert_eq!(got, expected.map(decimal), "{value} {from:?} to {to:?}");
        }
    }
}
