//! A scanned pack against what was ordered: which product it is, whether it is in date and not called back,
//! and whether it holds the ordered ingredients in the ordered strength. Must not guess: a number that no
//! list has says nothing, and what the order leaves open is not compared.

use kernel::{Categorised, Category};
use rust_decimal::Decimal;

use super::{Dictionary, Product, Strength};
use crate::administration::PackState;
use crate::content::{Article, Ingredient};
use crate::gs1::{self, Gtin, Pack, ScanError};
use crate::knowledge::DrugKnowledge;

/// A call-back of packs, by those who make them or by an authority.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Recall {
    /// Which packs, as 14 digits.
    pub gtin: String,
    /// Which batch; none where all of them are meant.
    pub batch: Option<String>,
    /// The notice.
    pub notice: String,
}

/// Why a call-back cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecallError {
    /// The number is none.
    #[error(transparent)]
    Number(#[from] ScanError),
    /// The batch is none.
    #[error("a batch has 1 to 20 characters: leave it out where all batches are meant")]
    Batch,
    /// Nothing says why.
    #[error("a recall names its notice: say where it was published")]
    Notice,
}

impl Categorised for RecallError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

impl Recall {
    /// Reads one as people type it.
    ///
    /// # Errors
    /// See the variants.
    pub fn read(gtin: &str, batch: Option<&str>, notice: &str) -> Result<Self, RecallError> {
        let batch = batch.map(str::trim);
        if batch.is_some_and(|own| own.is_empty() || own.len() > 20 || !own.is_ascii()) {
            return Err(RecallError::Batch);
        }
        let notice = notice.trim();
        if notice.is_empty() || notice.len() > 500 {
            return Err(RecallError::Notice);
        }
        Ok(Self {
            gtin: Gtin::read(gtin.trim())?.digits(),
            batch: batch.map(str::to_owned),
            notice: notice.to_owned(),
        })
    }

    fn is_of(&self, pack: &Pack) -> bool {
        let own = self.batch.as_deref();
        let named = pack.batch.as_deref();
        // A pack that does not say its batch may be of the one that is called back.
        self.gtin == pack.gtin.digits() && own.is_none_or(|own| named.is_none_or(|of| of == own))
    }
}

/// A pack that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned<'d> {
    /// What it says of itself.
    pub pack: Pack,
    /// The product, where a list has its number.
    pub product: Option<&'d Product>,
    /// Whether its last day is over.
    pub expired: bool,
    /// The call-back it is of, or may be of.
    pub recall: Option<&'d Recall>,
}

/// A day: year, month, day.
pub type Day = (u16, u8, u8);

/// Reads a scan and looks it up.
///
/// # Errors
/// What was read is no code of a pack.
pub fn scan<'d>(
    dictionary: &'d Dictionary,
    recalls: &'d [Recall],
    text: &str,
    today: Day,
) -> Result<Scanned<'d>, ScanError> {
    let pack = gs1::read(text, today.0)?;
    Ok(Scanned {
        product: dictionary.by_gtin(pack.gtin),
        expired: pack.expiry.is_some_and(|own| own.last_day() < today),
        recall: recalls.iter().find(|recall| recall.is_of(&pack)),
        pack,
    })
}

impl Scanned<'_> {
    /// How the pack stands to what was ordered. What is wrong with the medicine comes before what is wrong
    /// with the pack.
    #[must_use]
    pub fn against(&self, ordered: &Article, knowledge: &dyn DrugKnowledge) -> PackState {
        let found = self.product.map_or(PackState::Unlisted, |product| {
            stands(ordered, product, knowledge)
        });
        match found {
            PackState::Other | PackState::OtherStrength => found,
            _ if self.recall.is_some() => PackState::Recalled,
            _ if self.expired => PackState::Expired,
            _ => found,
        }
    }
}

/// How a product stands to what was ordered.
#[must_use]
pub fn stands(ordered: &Article, product: &Product, knowledge: &dyn DrugKnowledge) -> PackState {
    compare(ordered, &Article::of(product, knowledge))
}

fn compare(ordered: &Article, found: &Article) -> PackState {
    if ordered.ingredients.is_empty() || found.ingredients.is_empty() {
        let same = ordered.name.trim().to_lowercase() == found.name.trim().to_lowercase();
        return if same {
            PackState::Fits
        } else {
            PackState::Unlisted
        };
    }
    let holds = |own: &Article, wanted: &Ingredient| {
        let mut parts = own.ingredients.iter();
        parts.any(|one| one.substance == wanted.substance)
    };
    let all = |one: &Article, other: &Article| {
        let mut parts = one.ingredients.iter();
        parts.all(|part| holds(other, part))
    };
    if !all(ordered, found) || !all(found, ordered) {
        return PackState::Other;
    }
    let mut untold = false;
    for wanted in &ordered.ingredients {
        let Some(strength) = &wanted.strength else {
            continue;
        };
        let mut parts = found.ingredients.iter();
        let own = parts.find(|one| one.substance == wanted.substance);
        match own.and_then(|own| own.strength.as_ref()) {
            Some(own) if same_strength(own, strength) => {}
            Some(_) => return PackState::OtherStrength,
            None => untold = true,
        }
    }
    if untold {
        return PackState::Unlisted;
    }
    let differ = |one: &Option<String>, other: &Option<String>| match (one, other) {
        (Some(one), Some(other)) => !one.eq_ignore_ascii_case(other),
        _ => false,
    };
    if differ(&ordered.form, &found.form) || differ(&ordered.route, &found.route) {
        return PackState::OtherForm;
    }
    PackState::Fits
}

/// 500 mg and 0.5 g are the same, as are 250 mg/5 mL and 50 mg/1 mL.
fn same_strength(one: &Strength, other: &Strength) -> bool {
    let ((a, unit_a), (b, unit_b)) = (base(one.value, &one.unit), base(other.value, &other.unit));
    let below = |own: &Strength| match &own.per {
        Some((value, unit)) => base(*value, unit),
        None => (Some(Decimal::ONE), String::new()),
    };
    let ((c, per_a), (d, per_b)) = (below(one), below(other));
    let product = |x: Option<Decimal>, y: Option<Decimal>| x?.checked_mul(y?);
    let (left, right) = (product(a, d), product(b, c));
    unit_a == unit_b && per_a == per_b && left.is_some() && left == right
}

/// An amount in the smallest of the units that strengths are written in; none beyond 28 digits.
fn base(value: Decimal, unit: &str) -> (Option<Decimal>, String) {
    let (times, unit) = match unit {
        "mg" => (1_000, "ug"),
        "g" => (1_000_000, "ug"),
        "L" => (1_000, "mL"),
        other => (1, other),
    };
    (value.checked_mul(Decimal::from(times)), unit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionary::{Component, built_in};
    use crate::knowledge::{Knowledge, builtin};

    const TODAY: Day = (2026, 3, 5);

    fn known() -> &'static Knowledge {
        builtin::built_in().unwrap()
    }

    fn ordered(list: &Dictionary, name: &str) -> Article {
        let product = list.by_name(name);
        product.map_or_else(
            || Article::of_name(name, known()),
            |own| Article::of(own, known()),
        )
    }

    /// The number of a product in an element string.
    fn code(list: &Dictionary, name: &str, more: &str) -> String {
        format!("(01){}{more}", list.by_name(name).unwrap().gtins[0])
    }

    #[test]
    fn packs_against_orders() {
        let list = built_in(known()).unwrap();
        let tablet = "Paracetamol 500mg tablet";
        let recalls = [
            Recall::read(
                &list.by_name(tablet).unwrap().gtins[0].digits(),
                Some("BAD1"),
                "Class 2",
            )
            .unwrap(),
            Recall::read(
                &list.by_name("Ibuprofen 400mg tablet").unwrap().gtins[0].digits(),
                None,
                "Class 1",
            )
            .unwrap(),
        ];
        for (order, pack, more, expected) in [
            (tablet, tablet, "(10)A", PackState::Fits),
            (tablet, tablet, "(17)260305(10)A", PackState::Fits),
            (tablet, tablet, "(17)260304(10)A", PackState::Expired),
            (tablet, tablet, "(17)260200(10)A", PackState::Expired),
            (tablet, tablet, "(17)270101(10)BAD1", PackState::Recalled),
            // Without its batch it may be the one.
            (tablet, tablet, "(17)270101", PackState::Recalled),
            (
                "Ibuprofen 400mg tablet",
                "Ibuprofen 400mg tablet",
                "(10)X",
                PackState::Recalled,
            ),
            (
                tablet,
                "Paracetamol 1000mg tablet",
                "",
                PackState::OtherStrength,
            ),
            (tablet, "Ibuprofen 200mg tablet", "", PackState::Other),
            // More than what was ordered is another medicine.
            (tablet, "Co-codamol 500mg/8mg tablet", "", PackState::Other),
            ("Co-codamol 500mg/8mg tablet", tablet, "", PackState::Other),
            (
                "Co-codamol 500mg/8mg tablet",
                "Co-codamol 500mg/15mg tablet",
                "",
                PackState::OtherStrength,
            ),
            // What is wrong with the medicine comes first.
            (
                tablet,
                "Ibuprofen 200mg tablet",
                "(17)200101",
                PackState::Other,
            ),
            // An ingredient alone leaves strength and form open.
            ("paracetamol", tablet, "(10)A", PackState::Fits),
            ("ibuprofen", tablet, "(10)A", PackState::Other),
            ("moonbeam", tablet, "(10)A", PackState::Unlisted),
        ] {
            let text = code(&list, pack, more);
            let found = scan(&list, &recalls, &text, TODAY).unwrap();
            let state = found.against(&ordered(&list, order), known());
            assert_eq!(state, expected, "{order} from {text}");
        }
    }

    #[test]
    fn numbers_of_no_list_and_texts_of_no_pack() {
        let list = built_in(known()).unwrap();
        let found = scan(&list, &[], "5012345678900", TODAY).unwrap();
        assert_eq!(found.product, None);
        let order = ordered(&list, "Paracetamol 500mg tablet");
        assert_eq!(found.against(&order, known()), PackState::Unlisted);
        for text in ["", "5012345678901", "hello", "(01)5012345678900"] {
            assert!(scan(&list, &[], text, TODAY).is_err(), "{text:?}");
        }
    }

    #[test]
    fn forms_and_strengths_written_otherwise() {
        let list = built_in(known()).unwrap();
        let order = ordered(&list, "Paracetamol 250mg/5ml oral suspension");
        let made = |value: i64, unit: &str, per: Option<(i64, &str)>, form: &str| {
            let own = list
                .by_name("Paracetamol 250mg/5ml oral suspension")
                .unwrap();
            let strength = Strength {
                value: value.into(),
                unit: unit.to_owned(),
                per: per.map(|(value, unit)| (value.into(), unit.to_owned())),
            };
            let component = Component {
                strength: Some(strength),
                ..own.components[0].clone()
            };
            Product {
                components: vec![component],
                form: Some(form.to_owned()),
                ..own.clone()
            }
        };
        for (product, expected) in [
            (
                made(50, "mg", Some((1, "mL")), "Oral suspension"),
                PackState::Fits,
            ),
            (
                made(50_000, "ug", Some((1, "mL")), "oral suspension"),
                PackState::Fits,
            ),
            (
                made(50, "g", Some((1, "L")), "oral suspension"),
                PackState::Fits,
            ),
            (
                made(250, "mg", None, "oral suspension"),
                PackState::OtherStrength,
            ),
            (
                made(120, "mg", Some((5, "mL")), "oral suspension"),
                PackState::OtherStrength,
            ),
            (
                made(50, "mg", Some((1, "mL")), "oral solution"),
                PackState::OtherForm,
            ),
        ] {
            assert_eq!(
                compare(&order, &Article::of(&product, known())),
                expected,
                "{product:?}"
            );
        }
    }

    #[test]
    fn recalls_say_what_is_called_back() {
        assert!(Recall::read("05012345678900", Some("A1"), "EL (26)A/1").is_ok());
        for (gtin, batch, notice) in [
            ("05012345678901", None, "x"),
            ("05012345678900", Some(" "), "x"),
            ("05012345678900", None, " "),
        ] {
            assert!(Recall::read(gtin, batch, notice).is_err());
        }
    }
}
