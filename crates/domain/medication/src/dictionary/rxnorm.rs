//! A release of RxNorm's current prescribable content (NLM's RRF files RXNCONSO, RXNREL, RXNSAT), read as
//! a stream, line by line, into products. Must not open files (readers are passed in) or skip a line that
//! it cannot read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Read as _};

use rust_decimal::Decimal;

use super::{Component, DictionaryError, Product, Strength, System, ingredient};
use crate::gs1::{Gtin, check_digit};
use crate::knowledge::DrugKnowledge;

/// Bytes of the longest line that is taken.
const LONGEST: u64 = 1 << 16;

/// Columns of the files (RxNorm Technical Documentation, sections 12.4, 12.5 and 12.7), counted from 0;
/// every line ends with a bar.
mod column {
    pub const CONSO: usize = 18;
    pub const CONSO_CUI: usize = 0;
    pub const CONSO_SOURCE: usize = 11;
    pub const CONSO_TYPE: usize = 12;
    pub const CONSO_NAME: usize = 14;
    pub const CONSO_SUPPRESS: usize = 16;
    pub const REL: usize = 16;
    pub const REL_FIRST: usize = 0;
    pub const REL_SECOND: usize = 4;
    pub const REL_NAME: usize = 7;
    pub const REL_SOURCE: usize = 10;
    pub const REL_SUPPRESS: usize = 14;
    pub const SAT: usize = 13;
    pub const SAT_CUI: usize = 0;
    pub const SAT_NAME: usize = 8;
    pub const SAT_SOURCE: usize = 9;
    pub const SAT_VALUE: usize = 10;
    pub const SAT_SUPPRESS: usize = 11;
}

/// What a concept is (term types of RxNorm).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// `IN`: an ingredient.
    Ingredient,
    /// `PIN`: an ingredient with its salt.
    Precise,
    /// `SCDC`: an ingredient with its strength.
    Component,
    /// `DF`: a form.
    Form,
    /// `SCD`: a product by its generic name.
    Clinical,
    /// `SBD`: a product by its brand.
    Branded,
}

impl Kind {
    fn of(code: &str) -> Option<Self> {
        Some(match code {
            "IN" => Self::Ingredient,
            "PIN" => Self::Precise,
            "SCDC" => Self::Component,
            "DF" => Self::Form,
            "SCD" => Self::Clinical,
            "SBD" => Self::Branded,
            _ => return None,
        })
    }
}

#[derive(Debug)]
struct Concept {
    kind: Kind,
    name: String,
}

/// What was read so far. Files may come in any order; `finish` joins them.
#[derive(Debug, Default)]
pub struct Release {
    concepts: BTreeMap<String, Concept>,
    /// Whole and part.
    parts: BTreeMap<String, BTreeSet<String>>,
    /// National drug codes of a concept's packs, as trade item numbers.
    numbers: BTreeMap<String, BTreeSet<Gtin>>,
    drug_codes: usize,
}

/// Which of the files it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// Concepts and their names.
    Concepts,
    /// Relationships.
    Relationships,
    /// Attributes.
    Attributes,
}

impl File {
    /// Its name in a release.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Concepts => "RXNCONSO.RRF",
            Self::Relationships => "RXNREL.RRF",
            Self::Attributes => "RXNSAT.RRF",
        }
    }
}

impl File {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Concepts, Self::Relationships, Self::Attributes];

    /// Which of them a file of a release is, by its name; the copies in the folder of the prescribable
    /// content have the same names.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let last = name.rsplit(['/', '\\']).next()?;
        let mut all = Self::ALL.into_iter();
        all.find(|own| own.name().eq_ignore_ascii_case(last))
    }
}

/// What a release held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// `IN` and `PIN`.
    pub ingredients: usize,
    /// `SCD`.
    pub clinical_drugs: usize,
    /// `SBD`.
    pub branded_drugs: usize,
    /// National drug codes of packs.
    pub drug_codes: usize,
    /// Of these, those that state one trade item number without doubt.
    pub numbers: usize,
}

/// Relationships by which a whole has a part: `RXCUI2 has_ingredient RXCUI1`, read as RxNorm writes them,
/// with the first concept as what the second has.
const HAS: [&str; 4] = [
    "has_ingredient",
    "has_precise_ingredient",
    "consists_of",
    "has_dose_form",
];
/// A branded drug is the trade name of a clinical one.
const BRAND_OF: &str = "tradename_of";

impl Release {
    /// Reads one file.
    ///
    /// # Errors
    /// Lines that are too long, no UTF-8, of another number of columns, or without an identifier.
    pub fn read(&mut self, file: File, mut input: impl BufRead) -> Result<(), DictionaryError> {
        let mut line = Vec::new();
        let mut number = 0;
        loop {
            line.clear();
            number += 1;
            let fault = |what: String| DictionaryError::Line {
                file: file.name().to_owned(),
                line: number,
                what,
            };
            let read = (&mut input)
                .take(LONGEST + 1)
                .read_until(b'\n', &mut line)
                .map_err(|error| fault(error.to_string()))?;
            if read == 0 {
                return Ok(());
            }
            if line.len() as u64 > LONGEST {
                return Err(fault("the line is longer than 64 KiB".to_owned()));
            }
            let text = core::str::from_utf8(&line)
                .map_err(|_| fault("the line is no UTF-8".to_owned()))?
                .trim_end_matches(['\r', '\n']);
            self.line(file, text).map_err(fault)?;
        }
    }

    fn line(&mut self, file: File, text: &str) -> Result<(), String> {
        let columns: Vec<&str> = text
            .strip_suffix('|')
            .ok_or("a line ends with a bar")?
            .split('|')
            .collect();
        let expected = match file {
            File::Concepts => column::CONSO,
            File::Relationships => column::REL,
            File::Attributes => column::SAT,
        };
        if columns.len() != expected {
            return Err(format!(
                "a line has {expected} columns, not {}",
                columns.len()
            ));
        }
        let at = |place: usize| columns.get(place).copied().unwrap_or_default();
        match file {
            File::Concepts => self.concept(at),
            File::Relationships => self.relationship(at),
            File::Attributes => self.attribute(at),
        }
    }

    fn concept<'a>(&mut self, at: impl Fn(usize) -> &'a str) -> Result<(), String> {
        let cui = identifier(at(column::CONSO_CUI))?;
        let wanted = at(column::CONSO_SOURCE) == "RXNORM" && at(column::CONSO_SUPPRESS) == "N";
        let (Some(kind), true) = (Kind::of(at(column::CONSO_TYPE)), wanted) else {
            return Ok(());
        };
        let name = at(column::CONSO_NAME).trim().to_owned();
        if name.is_empty() {
            return Err("a concept has no name".to_owned());
        }
        let twice = self.concepts.insert(cui.to_owned(), Concept { kind, name });
        match twice {
            Some(_) => Err(format!("concept {cui} is there twice")),
            None => Ok(()),
        }
    }

    fn relationship<'a>(&mut self, at: impl Fn(usize) -> &'a str) -> Result<(), String> {
        let name = at(column::REL_NAME);
        let own = at(column::REL_SOURCE) == "RXNORM" && at(column::REL_SUPPRESS) != "Y";
        if !own || (!HAS.contains(&name) && name != BRAND_OF) {
            return Ok(());
        }
        // Relationships of atoms name no concepts; those of RxNorm itself do.
        if at(column::REL_FIRST).is_empty() || at(column::REL_SECOND).is_empty() {
            return Ok(());
        }
        let part = identifier(at(column::REL_FIRST))?;
        let whole = identifier(at(column::REL_SECOND))?;
        self.parts
            .entry(whole.to_owned())
            .or_default()
            .insert(part.to_owned());
        Ok(())
    }

    fn attribute<'a>(&mut self, at: impl Fn(usize) -> &'a str) -> Result<(), String> {
        let wanted = at(column::SAT_NAME) == "NDC" && at(column::SAT_SOURCE) == "RXNORM";
        if !wanted || at(column::SAT_SUPPRESS) == "Y" {
            return Ok(());
        }
        let cui = identifier(at(column::SAT_CUI))?;
        self.drug_codes += 1;
        if let Some(gtin) = trade_item(at(column::SAT_VALUE))? {
            self.numbers.entry(cui.to_owned()).or_default().insert(gtin);
        }
        Ok(())
    }

    /// What was read.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let count = |kinds: &[Kind]| {
            let of = self.concepts.values();
            of.filter(|own| kinds.contains(&own.kind)).count()
        };
        Counts {
            ingredients: count(&[Kind::Ingredient, Kind::Precise]),
            clinical_drugs: count(&[Kind::Clinical]),
            branded_drugs: count(&[Kind::Branded]),
            drug_codes: self.drug_codes,
            numbers: self.numbers.values().map(BTreeSet::len).sum(),
        }
    }

    /// The parts of a concept that are of a kind.
    fn parts(&self, of: &str, kind: Kind) -> Vec<(&str, &Concept)> {
        let parts = self.parts.get(of).into_iter().flatten();
        parts
            .filter_map(|part| {
                let (cui, concept) = self.concepts.get_key_value(part)?;
                (concept.kind == kind).then_some((cui.as_str(), concept))
            })
            .collect()
    }

    fn component(&self, knowledge: &dyn DrugKnowledge, cui: &str, own: &Concept) -> Component {
        let base = self.parts(cui, Kind::Ingredient);
        let precise = self.parts(cui, Kind::Precise);
        let named = base.first().or(precise.first());
        let by_code = named.and_then(|(cui, _)| knowledge.ingredient_by_code("rxnorm", cui));
        let by_name = || named.and_then(|(_, own)| ingredient(knowledge, &own.name));
        Component {
            ingredient: by_code.or_else(by_name),
            name: named.map_or_else(|| words(&own.name), |(_, own)| own.name.to_lowercase()),
            strength: strength(&own.name),
        }
    }

    /// Joins what was read: a product for each clinical drug and each branded one. None has a schedule:
    /// RxNorm knows nothing of the British ones, so that "not controlled" cannot be read from it.
    ///
    /// # Errors
    /// A drug without an ingredient, a branded drug of no clinical one.
    pub fn finish(&self, knowledge: &dyn DrugKnowledge) -> Result<Vec<Product>, DictionaryError> {
        let missing = |file: File, what: String| DictionaryError::Line {
            file: file.name().to_owned(),
            line: 0,
            what,
        };
        let mut products = Vec::new();
        for (cui, own) in &self.concepts {
            let clinical = match own.kind {
                Kind::Clinical => cui.as_str(),
                Kind::Branded => match self.parts(cui, Kind::Clinical).as_slice() {
                    [(clinical, _)] => clinical,
                    found => {
                        let what = format!(
                            "branded drug {cui} is of {} clinical drugs, not of one",
                            found.len()
                        );
                        return Err(missing(File::Relationships, what));
                    }
                },
                _ => continue,
            };
            let components: Vec<Component> = self
                .parts(clinical, Kind::Component)
                .into_iter()
                .map(|(cui, part)| self.component(knowledge, cui, part))
                .collect();
            if components.is_empty() {
                let what = format!("drug {clinical} has no ingredient");
                return Err(missing(File::Relationships, what));
            }
            let form = match self.parts(clinical, Kind::Form).as_slice() {
                [(_, form)] => Some(form.name.clone()),
                _ => None,
            };
            products.push(Product {
                name: own.name.clone(),
                components,
                route: form.as_deref().and_then(route).map(str::to_owned),
                form,
                schedule: None,
                codes: vec![(System::RxNorm, cui.clone())],
                gtins: {
                    let own = self.numbers.get(cui).into_iter().flatten();
                    own.copied().collect()
                },
            });
        }
        Ok(products)
    }
}

/// One to eight digits.
fn identifier(text: &str) -> Result<&str, String> {
    let good = (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if good {
        Ok(text)
    } else {
        let shown: String = text.chars().take(20).collect();
        Err(format!(
            "{shown:?} is no concept identifier of 1 to 8 digits"
        ))
    }
}

/// The trade item number of a national drug code of eleven digits (5-4-2), which pads one of ten (4-4-2,
/// 5-3-2 or 5-4-1) with a zero: none where more than one part begins with a zero, so that it is not known
/// which was added.
fn trade_item(code: &str) -> Result<Option<Gtin>, String> {
    if code.len() != 11 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        let shown: String = code.chars().take(20).collect();
        return Err(format!("{shown:?} is no drug code of 11 digits"));
    }
    let zeros = [0, 5, 9].map(|start| code.get(start..=start) == Some("0"));
    let padded = match zeros {
        [true, false, false] => 0,
        [false, true, false] => 5,
        [false, false, true] => 9,
        _ => return Ok(None),
    };
    let (before, rest) = code.split_at(padded);
    let number: u64 = format!("3{before}{}", rest.get(1..).unwrap_or_default())
        .parse()
        .map_err(|_| "a drug code is no number".to_owned())?;
    let digits = format!("{number:013}{}", check_digit(number));
    Gtin::read(&digits)
        .map(Some)
        .map_err(|error| error.to_string())
}

/// The words of `warfarin sodium 5 MG` before its strength.
fn words(name: &str) -> String {
    let words = name.split_whitespace();
    let before = words.take_while(|word| word.parse::<Decimal>().is_err());
    before.collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The strength at the end of a component's name: `5 MG`, `50 MG/ML`, `0.05 MG/HR`; none for units that
/// are not known here.
fn strength(name: &str) -> Option<Strength> {
    let mut from_end = name.rsplit(' ');
    let (unit, value) = (from_end.next()?, from_end.next()?);
    let ucum = |unit: &str| {
        Some(match unit {
            "MG" => "mg",
            "MCG" => "ug",
            "GM" | "G" => "g",
            "ML" => "mL",
            "UNT" => "[USP'U]",
            "IU" => "[iU]",
            "MEQ" => "meq",
            "HR" => "h",
            "ACTUAT" => "{actuation}",
            _ => return None,
        })
    };
    let (top, per) = match unit.split_once('/') {
        None => (ucum(unit)?, None),
        Some((top, below)) => (ucum(top)?, Some((Decimal::ONE, ucum(below)?.to_owned()))),
    };
    Some(Strength {
        value: value.parse().ok().filter(|own| *own > Decimal::ZERO)?,
        unit: top.to_owned(),
        per,
    })
}

/// The route that a form's name states; forms that go several ways state none.
fn route(form: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str); 10] = [
        ("Oral", "oral"),
        ("Chewable", "oral"),
        ("Sublingual", "sublingual"),
        ("Buccal", "buccal"),
        ("Rectal", "rectal"),
        ("Vaginal", "vaginal"),
        ("Ophthalmic", "ocular"),
        ("Otic", "auricular"),
        ("Nasal", "nasal"),
        ("Transdermal", "transdermal"),
    ];
    let mut found = WORDS
        .iter()
        .filter(|(word, _)| form.split_whitespace().any(|own| own == *word));
    let first = found.next()?;
    found.all(|other| other.1 == first.1).then_some(first.1)
}

#[cfg(test)]
#[path = "rxnorm_tests.rs"]
mod tests;
