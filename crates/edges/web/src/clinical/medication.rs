//! The medication line: **generic** — BRAND — strength — form — DOSE **1 g** — route — frequency
//! (NHS CUI Medication Line). Must not cut, abbreviate or guess: where the record holds only text, the
//! text is shown.

use askama::Template;
use fhir::json::Value;

use super::code::{concept, concept_at, items, text};
use super::date::{When, Zone};
use super::dosage::Dosage;
use super::quantity::{dose_number, strength, unit};

/// How a medicine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Being taken.
    Current,
    /// Not signed yet: not to be given.
    Draft,
    /// Paused.
    Paused,
    /// The record does not say: shown with the current ones, and marked.
    Unknown,
    /// Stopped, completed or cancelled.
    Past,
}

impl Standing {
    /// Shown beside the line.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Current => "Current",
            Self::Draft => "Not signed yet",
            Self::Paused => "Paused",
            Self::Unknown => "Status not recorded",
            Self::Past => "Past",
        }
    }
}

/// One medicine as shown.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "components/medication_line.html")]
pub struct MedicationLine {
    /// Generic name, in lower case (MEDi-002); "Medicine not recorded" where there is none.
    pub generic: String,
    /// Brand in capitals (MEDi-003).
    pub brand: Option<String>,
    /// `500 mg`.
    pub strength: Option<String>,
    /// `modified-release tablet`.
    pub form: Option<String>,
    /// The dosages; the first stands in the line, further ones below it.
    pub dosages: Vec<Dosage>,
    /// How it stands.
    pub standing: Standing,
    /// The status as words, with the reason where one is recorded.
    pub status: String,
    /// Since when.
    pub since: Option<When>,
    /// Where to see the whole resource; empty for none.
    pub href: String,
}
impl askama::filters::HtmlSafe for MedicationLine {}

impl MedicationLine {
    /// From a MedicationRequest or MedicationStatement; `None` for one entered in error.
    #[must_use]
    pub fn of(resource: Value<'_>, zone: &Zone, href: String) -> Option<Self> {
        let status = text(resource, "status");
        let standing = match status.as_deref() {
            Some("entered-in-error") => return None,
            Some("active" | "intended") => Standing::Current,
            Some("draft") => Standing::Draft,
            Some("on-hold") => Standing::Paused,
            Some("stopped" | "completed" | "cancelled" | "not-taken") => Standing::Past,
            _ => Standing::Unknown,
        };
        let drug = drug(resource);
        let reason = concept_at(resource, "statusReason");
        let status = status.map_or_else(
            || Standing::Unknown.label().to_owned(),
            |code| super::code::words(&code),
        );
        let since = When::member(resource, "authoredOn", zone)
            .or_else(|| When::member(resource, "effectiveDateTime", zone))
            .or_else(|| {
                resource
                    .get("effectivePeriod")
                    .and_then(|period| When::member(period, "start", zone))
            });
        Some(Self {
            generic: drug.generic,
            brand: drug.brand,
            strength: drug.strength,
            form: drug.form,
            dosages: items(resource, "dosageInstruction")
                .chain(items(resource, "dosage"))
                .map(Dosage::of)
                .collect(),
            standing,
            status: reason.map_or_else(|| status.clone(), |reason| format!("{status}: {reason}")),
            since,
            href,
        })
    }

    /// The first line, part by part in the order of MEDi-051; the delimiter is written after a part, so
    /// that it stays with it where the line wraps (MEDi-011).
    #[must_use]
    pub fn parts(&self) -> Vec<Part<'_>> {
        let mut parts = vec![Part {
            kind: PartKind::Drug,
            text: &self.generic,
        }];
        let attributes = [&self.brand, &self.strength, &self.form];
        parts.extend(attributes.into_iter().flatten().map(|text| Part {
            kind: PartKind::Plain,
            text,
        }));
        match self.dosages.first() {
            Some(dosage) => parts.extend(dosage_parts(dosage)),
            None => parts.push(Part {
                kind: PartKind::DoseUnknown,
                text: DOSE_NOT_RECORDED,
            }),
        }
        parts
    }

    /// Further dosages, each a line of its own.
    #[must_use]
    pub fn further(&self) -> Vec<Vec<Part<'_>>> {
        self.dosages.iter().skip(1).map(dosage_parts).collect()
    }
}

const DOSE_NOT_RECORDED: &str = "Dose not recorded";

/// A part of a medication line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// How it is written.
    pub kind: PartKind,
    /// Its text.
    pub text: &'a str,
}

/// How a part is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// The generic name, bold.
    Drug,
    /// An attribute.
    Plain,
    /// A dose: labelled, bold.
    Dose,
    /// The author's words in place of a dose: labelled.
    DoseWords,
    /// No dose: labelled, marked.
    DoseUnknown,
}

fn dosage_parts(dosage: &Dosage) -> Vec<Part<'_>> {
    let first = match (&dosage.dose, &dosage.words) {
        (Some(dose), _) => Part {
            kind: PartKind::Dose,
            text: dose,
        },
        (None, Some(words)) => Part {
            kind: PartKind::DoseWords,
            text: words,
        },
        (None, None) => Part {
            kind: PartKind::DoseUnknown,
            text: DOSE_NOT_RECORDED,
        },
    };
    let rest = [&dosage.rate, &dosage.route, &dosage.frequency];
    let rest = rest.into_iter().flatten().map(|text| Part {
        kind: PartKind::Plain,
        text,
    });
    core::iter::once(first).chain(rest).collect()
}

struct Drug {
    generic: String,
    brand: Option<String>,
    strength: Option<String>,
    form: Option<String>,
}

fn drug(resource: Value<'_>) -> Drug {
    let unnamed = || "medicine not recorded".to_owned();
    if let Some(name) = resource.get("medicationCodeableConcept").and_then(concept) {
        let (generic, brand) = names(&name);
        return Drug {
            generic,
            brand,
            strength: None,
            form: None,
        };
    }
    let Some(reference) = resource.get("medicationReference") else {
        return Drug {
            generic: unnamed(),
            brand: None,
            strength: None,
            form: None,
        };
    };
    let target = text(reference, "reference").unwrap_or_default();
    let contained = target.strip_prefix('#').and_then(|id| {
        items(resource, "contained").find(|item| text(*item, "id").as_deref() == Some(id))
    });
    let Some(medication) = contained else {
        let shown = text(reference, "display");
        let (generic, brand) = shown.map_or_else(
            || (format!("medicine recorded apart, {target}"), None),
            |name| names(&name),
        );
        return Drug {
            generic,
            brand,
            strength: None,
            form: None,
        };
    };
    let ingredients: Vec<Value<'_>> = items(medication, "ingredient").collect();
    let single = if let [only] = ingredients.as_slice() {
        only.get("strength").and_then(strength)
    } else {
        None
    };
    let (generic, brand) =
        concept_at(medication, "code").map_or_else(|| (unnamed(), None), |name| names(&name));
    Drug {
        generic,
        brand,
        strength: single,
        form: concept_at(medication, "form").map(|form| form.to_lowercase()),
    }
}

/// A drug name as recorded (an RxNorm-style description too) in CUI writing: lower case but for
/// acronyms, units in words, `+` between ingredients (MEDi-027), "per" for "/" (MEDi-046), and the
/// brand in capitals apart.
#[must_use]
pub fn names(recorded: &str) -> (String, Option<String>) {
    let (name, brand) = match recorded.split_once('[') {
        Some((name, rest)) => (
            name.trim(),
            rest.split(']')
                .next()
                .map(|brand| brand.trim().to_uppercase()),
        ),
        None => (recorded.trim(), None),
    };
    let mut words: Vec<String> = Vec::new();
    for word in name.split_whitespace() {
        if word == "/" {
            words.push("+".to_owned());
        } else {
            words.push(drug_word(word));
        }
    }
    (glue_units(&words), brand.filter(|brand| !brand.is_empty()))
}

fn drug_word(word: &str) -> String {
    if let Some((amount, fluid)) = word.split_once('/')
        && let (Some(amount), Some(fluid)) = (known_unit(amount), known_unit(fluid))
    {
        return format!("{amount} per {fluid}");
    }
    if let Some(unit) = known_unit(word) {
        return unit;
    }
    if word.parse::<kernel::WrittenDecimal>().is_ok() {
        return dose_number(word);
    }
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    let acronym = letters <= 4 && word.chars().all(|c| !c.is_lowercase());
    if acronym || word.chars().any(|c| c.is_ascii_digit()) {
        word.to_owned()
    } else {
        word.to_lowercase()
    }
}

fn known_unit(word: &str) -> Option<String> {
    Some(match word {
        "MG" | "mg" => "mg".to_owned(),
        "ML" | "mL" | "ml" => "mL".to_owned(),
        "MCG" | "UG" | "mcg" | "ug" => unit("ug", false),
        "UNT" | "IU" => unit("UNT", false),
        "ACTUAT" => "actuation".to_owned(),
        "HR" => "hour".to_owned(),
        "MEQ" => "mEq".to_owned(),
        "GM" => "g".to_owned(),
        _ => return None,
    })
}

/// Keeps a number and the unit after it on one line.
fn glue_units(words: &[String]) -> String {
    let mut shown = String::new();
    let mut after_number = false;
    for word in words {
        if !shown.is_empty() {
            shown.push(if after_number { '\u{a0}' } else { ' ' });
        }
        shown.push_str(word);
        after_number = word
            .chars()
            .all(|c| c.is_ascii_digit() || c == '.' || c == ',');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::tests_support::parse;

    fn plain(line: &MedicationLine) -> String {
        let html = line.render().unwrap();
        let mut text = String::new();
        let mut inside = false;
        for c in html.chars() {
            match c {
                '<' => inside = true,
                '>' => inside = false,
                c if !inside => text.push(c),
                _ => {}
            }
        }
        text.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace("&#160;", " ")
    }

    fn line(body: &str) -> MedicationLine {
        MedicationLine::of(parse(body).root(), &Zone::named("UTC"), String::new()).unwrap()
    }

    const AMOXICILLIN: &str = r##"{"resourceType":"MedicationRequest","status":"active","contained":[{"resourceType":"Medication","id":"m","code":{"text":"Amoxicillin"},"form":{"text":"Capsule"},"ingredient":[{"strength":{"numerator":{"value":500,"unit":"mg"},"denominator":{"value":1}}}]}],"medicationReference":{"reference":"#m"},"dosageInstruction":[{"route":{"text":"Oral"},"doseAndRate":[{"doseQuantity":{"value":1.0,"unit":"g"}}],"timing":{"repeat":{"frequency":3,"period":1,"periodUnit":"d"}}}]}"##;

    #[test]
    fn medi_051_order_of_attributes() {
        let shown = plain(&line(AMOXICILLIN)).replace('\u{a0}', " ");
        assert!(
            shown.starts_with(
                "amoxicillin — 500 mg — capsule — DOSE 1 g — oral — three times a day"
            ),
            "{shown}"
        );
    }

    #[test]
    fn medi_001_generic_and_medi_038_dose_in_bold() {
        let html = line(AMOXICILLIN).render().unwrap();
        assert!(
            html.contains("<b class=\"med-drug\">amoxicillin</b>"),
            "{html}"
        );
        assert!(
            html.contains("<b class=\"med-dose\">1\u{a0}g</b>"),
            "{html}"
        );
    }

    #[test]
    fn medi_002_003_names() {
        for (recorded, generic, brand) in [
            ("Amoxicillin", "amoxicillin", None),
            (
                "Amoxicillin 250 MG / Clavulanate 125 MG Oral Tablet [Augmentin]",
                "amoxicillin 250 mg + clavulanate 125 mg oral tablet",
                Some("AUGMENTIN"),
            ),
            ("Factor VIII", "factor VIII", None),
            ("Amphotericin B", "amphotericin B", None),
            ("Carbomer 974P", "carbomer 974P", None),
            (
                "insulin glargine 100 UNT/ML Injection",
                "insulin glargine 100 units per mL injection",
                None,
            ),
            (
                "24 HR Metformin hydrochloride 500 MG Extended Release Oral Tablet",
                "24 hour metformin hydrochloride 500 mg extended release oral tablet",
                None,
            ),
            ("Digoxin 125 MCG", "digoxin 125 micrograms", None),
        ] {
            let (shown, found) = names(recorded);
            assert_eq!(shown.replace('\u{a0}', " "), generic);
            assert_eq!(found.as_deref(), brand);
        }
    }

    #[test]
    fn unknown_is_never_safe() {
        let shown = line(r#"{"status":"active"}"#);
        assert_eq!(shown.generic, "medicine not recorded");
        assert!(
            plain(&shown).contains("Dose not recorded"),
            "{}",
            plain(&shown)
        );
        assert_eq!(line(r#"{"status":"unknown"}"#).standing, Standing::Unknown);
        assert_eq!(line(r"{}").standing, Standing::Unknown);
        let wrong = parse(r#"{"status":"entered-in-error"}"#);
        assert!(MedicationLine::of(wrong.root(), &Zone::named("UTC"), String::new()).is_none());
    }
}
