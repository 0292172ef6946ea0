//! The declared weights. Each level of a field has `m`, how often records of one person are on it, and
//! `u`, how often records of two persons are; its weight is the logarithm of their ratio to base 2. They
//! are estimates, chosen as `docs/reference/patient-match.md` says, and the same everywhere.

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// NHS or ABHA number.
    NationalNumber,
    /// Another identifier of the same system.
    Identifier,
    /// Family name.
    Family,
    /// Given names.
    Given,
    /// Date of birth.
    Birth,
    /// Administrative gender.
    Gender,
    /// Postcode and address line together: they are not independent.
    Address,
    /// Phone number or e-mail address.
    Contact,
}

/// How well a field agrees, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The same.
    Same,
    /// Nearly: a slip, a close spelling, part of it.
    Close,
    /// Somewhat.
    Loose,
    /// Something else.
    Differs,
}

/// The weight of a level of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight {
    /// The field.
    pub field: Field,
    /// The level.
    pub level: Level,
    /// Probability of the level among records of one person.
    pub m: f64,
    /// Probability of the level among records of two persons.
    pub u: f64,
}

const fn weight(field: Field, level: Level, m: f64, u: f64) -> Weight {
    Weight { field, level, m, u }
}

/// The logarithm to base 2 of the odds that two records, met by chance among those compared, are of one
/// person: 1 in 10,000.
pub const PRIOR_BITS: f64 = -13.287_712_379_549_449;

/// Every weight. The probabilities of a field's levels add up to 1 on each side.
pub const WEIGHTS: [Weight; 25] = [
    weight(Field::NationalNumber, Level::Same, 0.98, 0.000_001),
    weight(Field::NationalNumber, Level::Differs, 0.02, 0.999_999),
    weight(Field::Identifier, Level::Same, 0.85, 0.000_1),
    weight(Field::Identifier, Level::Differs, 0.15, 0.999_9),
    weight(Field::Family, Level::Same, 0.88, 0.01),
    weight(Field::Family, Level::Close, 0.06, 0.01),
    weight(Field::Family, Level::Loose, 0.02, 0.02),
    weight(Field::Family, Level::Differs, 0.04, 0.96),
    weight(Field::Given, Level::Same, 0.82, 0.015),
    weight(Field::Given, Level::Close, 0.08, 0.015),
    weight(Field::Given, Level::Loose, 0.04, 0.03),
    weight(Field::Given, Level::Differs, 0.06, 0.94),
    weight(Field::Birth, Level::Same, 0.93, 0.000_04),
    weight(Field::Birth, Level::Close, 0.03, 0.001),
    weight(Field::Birth, Level::Loose, 0.02, 0.015),
    weight(Field::Birth, Level::Differs, 0.02, 0.983_96),
    weight(Field::Gender, Level::Same, 0.98, 0.5),
    weight(Field::Gender, Level::Differs, 0.02, 0.5),
    weight(Field::Address, Level::Same, 0.55, 0.000_2),
    weight(Field::Address, Level::Close, 0.15, 0.001),
    weight(Field::Address, Level::Loose, 0.1, 0.02),
    weight(Field::Address, Level::Differs, 0.2, 0.978_8),
    weight(Field::Contact, Level::Same, 0.55, 0.000_5),
    weight(Field::Contact, Level::Loose, 0.05, 0.000_5),
    weight(Field::Contact, Level::Differs, 0.4, 0.999),
];

impl Weight {
    /// What the level is worth, in bits.
    #[must_use]
    pub fn bits(&self) -> f64 {
        (self.m / self.u).log2()
    }

    /// The weight of a level; `None` where the field has no such level.
    #[must_use]
    pub fn of(field: Field, level: Level) -> Option<&'static Self> {
        WEIGHTS
            .iter()
            .find(|weight| weight.field == field && weight.level == level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn probabilities_add_up_and_better_levels_weigh_more() {
        let mut sums: BTreeMap<Field, (f64, f64)> = BTreeMap::new();
        for weight in &WEIGHTS {
            let sum = sums.entry(weight.field).or_default();
            sum.0 += weight.m;
            sum.1 += weight.u;
        }
        assert_eq!(sums.len(), 8);
        for (field, (m, u)) in sums {
            assert!(
                (m - 1.0).abs() < 1e-9 && (u - 1.0).abs() < 1e-9,
                "{field:?} {m} {u}"
            );
        }
        for pair in WEIGHTS.windows(2) {
            if let [a, b] = pair
                && a.field == b.field
            {
                assert!(a.level < b.level && a.bits() >= b.bits(), "{a:?} {b:?}");
            }
        }
        assert!((PRIOR_BITS - (1.0_f64 / 10_000.0).log2()).abs() < 1e-9);
    }

    #[test]
    fn the_page_has_every_weight() {
        let page = include_str!("../../../../docs/reference/patient-match.md");
        for weight in &WEIGHTS {
            let row = format!(
                "| {:?} | {:?} | {} | {} | {:+.2} |",
                weight.field,
                weight.level,
                weight.m,
                weight.u,
                weight.bits()
            );
            assert!(page.contains(&row), "the page lacks: {row}");
        }
    }
}
