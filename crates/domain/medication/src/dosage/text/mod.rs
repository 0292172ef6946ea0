//! A Dosage in words a nurse would sign: units spelt out, a leading zero and never a trailing one, clock
//! times of 24 hours, days with the month by name. Must not leave something out silently: what it could
//! not say is listed beside the text.

mod amount;
pub(super) use amount::is_misread;
mod when;

#[cfg(test)]
mod cases;

use super::{AsNeeded, Concept, Dosage};
use crate::quantity::Quantity;

/// An amount in words, its unit spelt out: `125 micrograms`, `56 tablets`.
#[must_use]
pub fn amount_in_words(quantity: &Quantity) -> String {
    amount::quantity(quantity)
}

/// The words, and what they do not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// The text.
    pub text: String,
    /// What is in the structure or should be, but not in the text: a warning to whoever reads it.
    pub unsaid: Vec<&'static str>,
}

const SNOMED: &str = "http://snomed.info/sct";

/// Routes by SNOMED CT code or by name.
const ROUTES: [(&str, &[&str], &str); 17] = [
    ("26643006", &["oral", "po", "by mouth"], "by mouth"),
    ("37839007", &["sublingual"], "under the tongue"),
    ("54471007", &["buccal"], "between gum and cheek"),
    (
        "18679011000001101",
        &["inhalation", "inhaled"],
        "by inhalation",
    ),
    (
        "78421000",
        &["intramuscular", "im"],
        "by intramuscular injection",
    ),
    ("47625008", &["intravenous", "iv"], "into a vein"),
    (
        "34206005",
        &["subcutaneous", "sc"],
        "by injection under the skin",
    ),
    ("372464004", &["intradermal"], "by injection into the skin"),
    ("37161004", &["rectal", "pr"], "into the rectum"),
    ("16857009", &["vaginal", "pv"], "into the vagina"),
    ("6064005", &["topical", "cutaneous"], "on the skin"),
    ("45890007", &["transdermal"], "through the skin"),
    ("46713006", &["nasal"], "into the nose"),
    ("54485002", &["ophthalmic", "ocular"], "into the eye"),
    ("10547007", &["otic", "auricular"], "into the ear"),
    ("127490009", &["gastrostomy"], "through the gastrostomy"),
    (
        "127492001",
        &["nasogastric"],
        "through the nasogastric tube",
    ),
];

fn route(route: &Concept) -> Option<String> {
    let code = route.code_in(SNOMED);
    let words = route.words()?.trim();
    let lower = words.to_lowercase();
    let name = lower.strip_suffix(" route").unwrap_or(&lower);
    let known = ROUTES
        .iter()
        .find(|(sct, _, _)| Some(*sct) == code)
        .or_else(|| ROUTES.iter().find(|(_, names, _)| names.contains(&name)));
    Some(match known {
        Some((_, _, phrase)) => (*phrase).to_owned(),
        None => format!("by the {name} route"),
    })
}

/// `a`, `a and b`, `a, b and c`
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}

impl Dosage {
    /// Its words.
    #[must_use]
    pub fn words(&self) -> Words {
        let mut unsaid = self.unsaid();
        let mut parts: Vec<String> = Vec::new();
        let method = self.method.as_ref().and_then(Concept::words);
        parts.extend(method.map(str::to_owned));
        match amount::doses(self) {
            Some(dose) => parts.push(dose),
            None => unsaid.push("the dose"),
        }
        parts.extend(self.route.as_ref().and_then(route));
        let site = self.site.as_ref().and_then(Concept::words);
        parts.extend(site.map(|site| format!("({})", site.to_lowercase())));
        let when = when::phrases(self);
        if when.is_empty() && !self.as_needed.is_needed() {
            unsaid.push("when it is due");
        }
        parts.extend(when);
        match &self.as_needed {
            AsNeeded::For(reason) => {
                if let Some(reason) = reason.words() {
                    parts.push(format!("when needed for {}", reason.to_lowercase()));
                } else {
                    parts.push("when needed".to_owned());
                    unsaid.push("what it is needed for");
                }
            }
            AsNeeded::Flag(true) => parts.push("when needed".to_owned()),
            AsNeeded::Flag(false) | AsNeeded::Unsaid => {}
        }
        parts.extend(when::course(self));
        let mut sentences = vec![sentence(&parts.join(" "))];
        sentences.extend(self.limits());
        let further = self.additional_instruction.iter();
        sentences.extend(further.filter_map(Concept::words).map(sentence));
        sentences.extend(self.patient_instruction.as_deref().map(sentence));
        sentences.retain(|sentence| !sentence.is_empty());
        Words {
            text: sentences.join(" "),
            unsaid,
        }
    }

    fn limits(&self) -> Vec<String> {
        let mut said = Vec::new();
        if let Some(most) = &self.max_dose_per_administration {
            said.push(format!("Maximum {} at once.", amount::quantity(most)));
        }
        if let Some(most) = &self.max_dose_per_period {
            said.push(format!(
                "Maximum {} in {}.",
                amount::quantity(&most.numerator),
                amount::quantity(&most.denominator)
            ));
        }
        if let Some(most) = &self.max_dose_per_lifetime {
            said.push(format!("Maximum {} in a lifetime.", amount::quantity(most)));
        }
        said
    }

    /// What was kept and not understood.
    fn unsaid(&self) -> Vec<&'static str> {
        let mut unsaid = Vec::new();
        let timing = self.timing.as_ref();
        if timing.is_some_and(|t| !t.rest.is_empty())
            || self.repeat().is_some_and(|r| !r.rest.is_empty())
        {
            unsaid.push("an extension of the timing");
        }
        let code = timing.and_then(|t| t.code.as_ref());
        let known = timing.and_then(super::Timing::abbreviation).is_some();
        if code.is_some() && !known && self.repeat().is_none() {
            unsaid.push("a timing code that is not known");
        }
        if !self.rest.is_empty() || self.dose_and_rate.iter().any(|d| !d.rest.is_empty()) {
            unsaid.push("an extension of the dose");
        }
        unsaid
    }
}

/// The words of instructions that belong together: those of one number at the same time, those of higher
/// numbers after.
#[must_use]
pub fn regimen(dosages: &[Dosage]) -> Words {
    let mut ordered: Vec<&Dosage> = dosages.iter().collect();
    ordered.sort_by_key(|dosage| dosage.sequence.unwrap_or(1));
    let mut all = Words::default();
    let mut before: Option<i64> = None;
    for dosage in ordered {
        let words = dosage.words();
        let place = dosage.sequence.unwrap_or(1);
        if let Some(last) = before {
            all.text
                .push_str(if last == place { " And: " } else { " Then: " });
        }
        all.text.push_str(&words.text);
        all.unsaid.extend(words.unsaid);
        before = Some(place);
    }
    all.unsaid.dedup();
    all
}

impl crate::Quantity {
    /// It in words: `28 tablets`, `125 micrograms`.
    #[must_use]
    pub fn words(&self) -> String {
        amount::quantity(self)
    }
}

impl crate::quantity::Unit {
    /// Many of it in words: `tablets`, `micrograms`.
    #[must_use]
    pub fn words(&self) -> String {
        amount::unit(self, false)
    }

    /// One of it, or many, in words: `tablet`, `tablets`.
    #[must_use]
    pub fn said(&self, one: bool) -> String {
        amount::unit(self, one)
    }
}
