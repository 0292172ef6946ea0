//! The NHS dictionary of medicines and devices (dm+d) from its XML release files: virtual therapeutic
//! moieties, virtual and actual products and packs, ingredients. What stands in other tables about a
//! product becomes its properties.

use std::io::BufRead;

use super::xml::{Elements, Part};
use super::{LoadError, Report, Wish};
use crate::system::{Builder, CodeSystem, ConceptDraft, Head, INACTIVE, PropertyKind, Usage};

/// The code system's URL (UK Core).
pub const URL: &str = "https://dmd.nhs.uk";

/// The files that are read, in the order they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Ingredients.
    Ingredient,
    /// Virtual therapeutic moieties.
    Vtm,
    /// Virtual medicinal products.
    Vmp,
    /// Virtual packs.
    Vmpp,
    /// Actual medicinal products.
    Amp,
    /// Actual packs.
    Ampp,
}

impl Kind {
    /// The kind of a file by its name (`f_vmp2_3260821.xml`); `None` for those that are not read.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let name = name.rsplit(['/', '\\']).next()?.to_ascii_lowercase();
        Some(match name.strip_suffix(".xml")?.split('_').nth(1)? {
            "ingredient2" => Self::Ingredient,
            "vtm2" => Self::Vtm,
            "vmp2" => Self::Vmp,
            "vmpp2" => Self::Vmpp,
            "amp2" => Self::Amp,
            "ampp2" => Self::Ampp,
            _ => return None,
        })
    }
}

/// A row that is a concept: element, its id, and the concepts it is a kind of.
const CONCEPTS: [(&str, &str, &[&str]); 6] = [
    ("ING", "ISID", &[]),
    ("VTM", "VTMID", &[]),
    ("VMP", "VPID", &["VTMID"]),
    ("VMPP", "VPPID", &[]),
    ("AMP", "APID", &["VPID"]),
    ("AMPP", "APPID", &["VPPID"]),
];
/// Ids by which other rows speak of a concept.
const IDS: [&str; 5] = ["VPID", "APID", "VPPID", "APPID", "VTMID"];

/// A release as it is read.
pub struct Dmd {
    builder: Builder,
    report: Report,
    version: Option<String>,
    wish: Wish,
}

impl Dmd {
    /// Begins.
    #[must_use]
    pub fn new(wish: &Wish) -> Self {
        Self {
            builder: Builder::new(Head::new(URL, None, "dm+d")),
            report: Report::default(),
            version: None,
            wish: wish.clone(),
        }
    }

    /// Reads one file; files must come in the order of [`Kind`].
    ///
    /// # Errors
    /// It cannot be read, or is no XML.
    pub fn read(&mut self, file: &str, reader: impl BufRead) -> Result<(), LoadError> {
        self.version = release(file).or(self.version.take());
        let mut elements = Elements::new(file, reader);
        loop {
            let name = match elements.next()? {
                Part::Open(name, _) => name,
                Part::End => return Ok(()),
                Part::Text(_) | Part::Close => continue,
            };
            // Rows stand right below the root, or below a table of the root.
            let is_concept = CONCEPTS.iter().any(|(known, ..)| *known == name);
            if elements.depth() == 3 || (elements.depth() == 2 && is_concept) {
                let line = elements.line();
                let fields = row(&mut elements)?;
                self.report.read += 1;
                if let Err(why) = self.row(&name, &fields)? {
                    self.report.refuse(file, line, why);
                }
            }
        }
    }

    fn row(
        &mut self,
        name: &str,
        fields: &[(String, String)],
    ) -> Result<Result<(), &'static str>, LoadError> {
        let get = |wanted: &str| {
            let found = fields.iter().find(|(known, _)| known == wanted);
            found.map(|(_, value)| value.as_str())
        };
        if let Some((_, id, parents)) = CONCEPTS.iter().find(|(known, ..)| *known == name) {
            let Some(code) = get(id).filter(|code| !code.is_empty()) else {
                return Ok(Err("has no id"));
            };
            let Some(display) = get("DESC").or(get("NM")) else {
                return Ok(Err("has no name"));
            };
            let invalid = get("INVALID") == Some("1");
            let added = self.builder.add(&ConceptDraft {
                code,
                display: Some(display),
                definition: None,
                flags: if invalid { INACTIVE } else { 0 },
            })?;
            let Some(at) = added else {
                return Ok(Err("this id was there already"));
            };
            let class = self.builder.property("class", None, PropertyKind::Code)?;
            self.builder.value(at, class, PropertyKind::Code, name)?;
            for other in ["ABBREVNM", "NM"].into_iter().filter_map(get) {
                if other != display {
                    self.builder
                        .designation(at, "en-GB", &Usage::default(), other)?;
                }
            }
            for parent in parents.iter().filter_map(|parent| get(parent)) {
                match self.builder.find(parent) {
                    Some(parent) => self.builder.parent(at, parent),
                    None => return Ok(Err("is a kind of something that is not there")),
                }
            }
            return self.values(at, fields, &["NM", "DESC", "ABBREVNM", "INVALID", id]);
        }
        let Some((id, code)) = IDS.iter().find_map(|id| Some((*id, get(id)?))) else {
            return Ok(Ok(()));
        };
        match self.builder.find(code) {
            Some(at) => self.values(at, fields, &[id]),
            None => Ok(Err("speaks of something that is not there")),
        }
    }

    fn values(
        &mut self,
        at: u32,
        fields: &[(String, String)],
        without: &[&str],
    ) -> Result<Result<(), &'static str>, LoadError> {
        for (name, value) in fields {
            if !without.contains(&name.as_str()) && !value.is_empty() {
                let is_id = IDS.contains(&name.as_str()) || name == "ISID";
                let kind = if is_id {
                    PropertyKind::Code
                } else {
                    PropertyKind::String
                };
                let property = self.builder.property(name, None, kind)?;
                self.builder.value(at, property, kind, value)?;
            }
        }
        Ok(Ok(()))
    }

    /// Packs what was read.
    ///
    /// # Errors
    /// There was nothing, or products are kinds of each other.
    pub fn finish(mut self) -> Result<(CodeSystem, Report), LoadError> {
        if self.builder.is_empty() {
            return Err(LoadError::Missing("dm+d file (f_vmp2_...xml)"));
        }
        let head = self.builder.head_mut();
        head.version = self.wish.version.or(self.version);
        if let Some(url) = self.wish.url {
            head.url = url;
        }
        Ok((self.builder.finish()?, self.report))
    }
}

/// The fields of a row: its elements with their text.
fn row<R: BufRead>(elements: &mut Elements<'_, R>) -> Result<Vec<(String, String)>, LoadError> {
    let outside = elements.depth() - 1;
    let mut fields = Vec::new();
    loop {
        match elements.next()? {
            Part::Open(name, _) => {
                let text = elements.text()?;
                // A row of the schema has about thirty.
                if fields.len() < 200 {
                    fields.push((name, text));
                }
            }
            Part::Close if elements.depth() == outside => return Ok(fields),
            Part::End => return Ok(fields),
            Part::Text(_) | Part::Close => {}
        }
    }
}

/// The date of a release: the last six digits of the name are day, month and year.
fn release(file: &str) -> Option<String> {
    let stem = file.rsplit(['/', '\\']).next()?.split('.').next()?;
    let digits = stem.rsplit('_').next()?;
    let date = digits.get(digits.len().checked_sub(6)?..)?;
    if !date.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |range: core::ops::Range<usize>| date.get(range);
    Some(format!("20{}-{}-{}", part(4..6)?, part(2..4)?, part(0..2)?))
}
