//! From extracted search values to packed index entries. Must agree with `predicate`: whatever a query
//! value can ask for is a row here.

use fhir::search::{Extracted, IndexValue, ParamId, RefTarget, UnitKey, Words, coded_text, fold};
use fhir::{Definitions, TypeId};
use smallvec::{SmallVec, smallvec};

use super::hash::KeyHasher;
use super::presence::{is_mark, is_own};
use super::union::union_of;
use super::{
    COMPARTMENT, CONTENT, KeyRow, NARRATIVE, PRESENCE, PackedIndex, RangeRow, TextRow, code_text,
    cut_text, local_text, scoped_text, target_text,
};
use crate::port::search::FullText;

type Forms = SmallVec<[i64; 4]>;

/// Packs what extraction found in a resource of a type. `patient` is the number of the type Patient.
#[must_use]
pub fn pack(
    hasher: &KeyHasher,
    patient: TypeId,
    (ty, full_text): (TypeId, FullText),
    extracted: &Extracted<'_>,
) -> PackedIndex {
    let mut packer = Packer {
        hasher,
        keys: Vec::with_capacity(extracted.values.len() * 3 + extracted.patients.len()),
        ranges: Vec::new(),
        texts: Vec::new(),
    };
    for member in &extracted.patients {
        let v = hasher.local(patient, member.as_str());
        packer.keys.push(KeyRow { p: COMPARTMENT, v });
    }
    for (param, value) in &extracted.values {
        packer.value(*param, value);
    }
    let [presence, ..] = extracted.present.words();
    packer.marks(ty, extracted);
    packer.words(full_text, &extracted.words);
    PackedIndex::new(packer.keys, packer.ranges, packer.texts, presence)
}

struct Packer<'h> {
    hasher: &'h KeyHasher,
    keys: Vec<KeyRow>,
    ranges: Vec<RangeRow>,
    texts: Vec<TextRow>,
}

impl Packer<'_> {
    /// Presence beyond the bitmap: a key per parameter. Base parameters all lie within it.
    fn marks(&mut self, ty: TypeId, extracted: &Extracted<'_>) {
        let [_, beyond @ ..] = extracted.present.words();
        if beyond.iter().all(|word| *word == 0) {
            return;
        }
        for param in Definitions::r4().search_params(ty) {
            if param.bit >= 64 && extracted.present.contains(param.bit) {
                let v = i64::from(param.id.0);
                self.keys.push(KeyRow { p: PRESENCE, v });
            }
        }
    }

    /// Words a store indexes; each once, also where narrative and content share it.
    fn words(&mut self, full_text: FullText, words: &Words) {
        let content = (CONTENT, words.content.as_slice());
        let places: &[(u16, &[String])] = match full_text {
            FullText::Off => &[],
            FullText::Narrative => &[(NARRATIVE, &words.narrative)],
            FullText::All => &[(NARRATIVE, &words.narrative), content],
        };
        for (p, words) in places {
            let keys = words.iter().map(|word| self.hasher.word(word));
            self.keys.extend(keys.map(|v| KeyRow { p: *p, v }));
        }
        if full_text == FullText::All {
            self.pairs(NARRATIVE, &words.narrative_runs);
            self.pairs(CONTENT, &words.content_runs);
        }
    }

    /// A row for each word with its place and the word after it; no place follows across texts.
    fn pairs(&mut self, p: u16, runs: &[Vec<String>]) {
        let mut place = 0;
        for run in runs {
            for pair in run.windows(2) {
                if let [word, next] = pair {
                    let (u, hi) = (self.hasher.word(word), self.hasher.word(next));
                    self.ranges.push(RangeRow {
                        p,
                        u,
                        lo: place,
                        hi,
                    });
                }
                place += 1;
            }
            place += 2;
        }
    }

    fn value(&mut self, param: ParamId, value: &IndexValue<'_>) {
        let p = param.0;
        match value {
            IndexValue::Text { folded, exact } => {
                self.texts.push(TextRow {
                    p,
                    v: cut_text(folded).to_owned(),
                });
                self.keys.push(KeyRow {
                    p,
                    v: self.hasher.exact(exact),
                });
            }
            IndexValue::Range { lo, hi } | IndexValue::Number { lo, hi } => {
                self.ranges.push(RangeRow {
                    p,
                    u: 0,
                    lo: *lo,
                    hi: *hi,
                });
            }
            IndexValue::Quantity { lo, hi, unit } => {
                let u = unit_hash(self.hasher, unit);
                self.ranges.push(RangeRow {
                    p,
                    u,
                    lo: *lo,
                    hi: *hi,
                });
            }
            // Three coordinates fill a row.
            IndexValue::Position(point) => self.ranges.push(RangeRow {
                p,
                u: point.z,
                lo: point.x,
                hi: point.y,
            }),
            IndexValue::Composite(components) => {
                if union_of(param).is_none() {
                    self.composite(p, components);
                }
            }
            hashed => {
                for v in key_forms(self.hasher, hashed) {
                    self.keys.push(KeyRow { p, v });
                }
                self.beside_keys(p, hashed);
            }
        }
    }

    /// What hashes cannot answer: the beginnings of texts and codes, and of URIs.
    fn beside_keys(&mut self, p: u16, value: &IndexValue<'_>) {
        match value {
            IndexValue::Token { code, text, .. } => {
                if let Some(text) = text {
                    let v = coded_text(&fold(text)).to_owned();
                    self.texts.push(TextRow { p, v });
                }
                if let Some(code) = code {
                    let v = code_text(coded_text(&fold(code)));
                    self.texts.push(TextRow { p, v });
                }
            }
            // A mark is no value.
            IndexValue::Uri(uri) if !is_mark(value) => self.texts.push(TextRow {
                p,
                v: cut_text(uri).to_owned(),
            }),
            IndexValue::Reference {
                target: RefTarget::Absolute(url),
            } => self.texts.push(TextRow {
                p,
                v: target_text(url),
            }),
            // Those of other parameters are found by the resource they lead to.
            IndexValue::Reference {
                target: RefTarget::Local { ty, id },
            } if is_own(ParamId(p)) => self.texts.push(TextRow {
                p,
                v: local_text(*ty, id),
            }),
            _ => {}
        }
    }

    /// One row per combination of the forms of the hashed components; at most one component is a range
    /// or a text. Two numbers (MolecularSequence coordinates) are points and lie in one row; other tuples
    /// of two ranges make no row: `predicate` refuses such queries, and no base parameter is one.
    ///
    /// Beside a range, `system|` alone makes no form: nobody asks so, and it would make half as many rows
    /// again; `predicate` refuses it.
    fn composite(&mut self, p: u16, components: &[IndexValue<'_>]) {
        let mut scopes: Forms = smallvec![0];
        let mut open: SmallVec<[&IndexValue<'_>; 2]> = SmallVec::new();
        let with_range = components.iter().any(is_range);
        for component in components {
            let mut forms = key_forms(self.hasher, component);
            if let IndexValue::Token {
                system: Some(system),
                code: Some(_),
                ..
            } = component
                && with_range
            {
                let whole = self.hasher.system(system);
                forms.retain(|form| *form != whole);
            }
            if forms.is_empty() {
                open.push(component);
                continue;
            }
            scopes = scopes
                .iter()
                .flat_map(|scope| forms.iter().map(move |form| (*scope, *form)))
                .map(|(scope, form)| combine(self.hasher, scope, form))
                .collect();
        }
        for scope in scopes {
            match open.as_slice() {
                [] => self.keys.push(KeyRow { p, v: scope }),
                [one] => self.open_component(p, scope, one),
                [
                    IndexValue::Number { lo: first, .. },
                    IndexValue::Number { lo: second, .. },
                ] => {
                    self.ranges.push(RangeRow {
                        p,
                        u: scope,
                        lo: *first,
                        hi: *second,
                    });
                }
                _ => {}
            }
        }
    }

    fn open_component(&mut self, p: u16, scope: i64, open: &IndexValue<'_>) {
        match open {
            IndexValue::Text { folded, .. } => {
                self.texts.push(TextRow {
                    p,
                    v: cut_text(&scoped_text(scope, folded)).to_owned(),
                });
            }
            IndexValue::Range { lo, hi } | IndexValue::Number { lo, hi } => {
                self.ranges.push(RangeRow {
                    p,
                    u: scope,
                    lo: *lo,
                    hi: *hi,
                });
            }
            IndexValue::Quantity { lo, hi, unit } => {
                let u = combine(self.hasher, scope, unit_hash(self.hasher, unit));
                self.ranges.push(RangeRow {
                    p,
                    u,
                    lo: *lo,
                    hi: *hi,
                });
            }
            _ => {}
        }
    }
}

const fn is_range(value: &IndexValue<'_>) -> bool {
    matches!(
        value,
        IndexValue::Range { .. } | IndexValue::Number { .. } | IndexValue::Quantity { .. }
    )
}

/// Joins a scope (0: none yet) and a further component (0: any unit).
fn combine(hasher: &KeyHasher, scope: i64, form: i64) -> i64 {
    match (scope, form) {
        (0, form) => form,
        (scope, 0) => scope,
        (scope, form) => hasher.pair(scope, form),
    }
}

fn unit_hash(hasher: &KeyHasher, unit: &UnitKey<'_>) -> i64 {
    match unit {
        UnitKey::Any => 0,
        UnitKey::Coded { system, code } => hasher.system_code(system, code),
        UnitKey::Label(label) => hasher.code(label),
    }
}

/// Every form a hashed value can be asked for; none for ranges and texts.
fn key_forms(hasher: &KeyHasher, value: &IndexValue<'_>) -> Forms {
    match value {
        IndexValue::Token { system, code, .. } => match (system.as_deref(), code.as_deref()) {
            (Some(system), Some(code)) => {
                smallvec![
                    hasher.code(code),
                    hasher.system_code(system, code),
                    hasher.system(system)
                ]
            }
            (None, Some(code)) => smallvec![hasher.code(code), hasher.no_system(code)],
            (Some(system), None) => smallvec![hasher.system(system)],
            (None, None) => Forms::new(),
        },
        IndexValue::Reference { target } => match target {
            RefTarget::Local { ty, id } => smallvec![hasher.local(*ty, id)],
            RefTarget::Absolute(url) => smallvec![hasher.url(url)],
            RefTarget::Identifier { system, value } => {
                let system = system.as_deref().unwrap_or_default();
                smallvec![
                    hasher.identifier(None, value),
                    hasher.identifier(Some(system), value),
                    hasher.identifier(Some(system), ""),
                ]
            }
        },
        IndexValue::Uri(uri) => smallvec![hasher.url(uri)],
        IndexValue::Typed {
            system,
            code,
            value,
        } => {
            smallvec![hasher.pair(hasher.system_code(system, code), hasher.code(value))]
        }
        _ => Forms::new(),
    }
}
