//! SNOMED CT in Release Format 2: snapshots of concepts, descriptions, relationships, language and simple
//! reference sets. Files must come in the order of [`Kind`]: concepts before what speaks of them.

use std::collections::HashMap;
use std::io::BufRead;

use super::lines::Lines;
use super::{LoadError, Report, Wish};
use crate::refine::Number;
use crate::system::{Builder, CodeSystem, ConceptDraft, Head, INACTIVE, PropertyKind, Usage};

/// The code system's URL.
pub const URL: &str = "http://snomed.info/sct";
const IS_A: &str = "116680003";
const FULLY_SPECIFIED: &str = "900000000000003001";
const SYNONYM: &str = "900000000000013009";
const PREFERRED: &str = "900000000000548007";
const DEFINED: &str = "900000000000073002";
/// US and GB English, where the caller names no language reference set.
const ENGLISH: [&str; 2] = ["900000000000509007", "900000000000508004"];
/// The NHS realm's, then GB and US English: for editions of the United Kingdom.
const BRITISH: [&str; 4] = [
    "999001261000000100",
    "999000691000001104",
    "900000000000508004",
    "900000000000509007",
];

/// The kinds of files that are read, in the order they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Concepts.
    Concept,
    /// Which descriptions a language prefers.
    Language,
    /// Names.
    Description,
    /// Definitions in words.
    TextDefinition,
    /// The hierarchy and attributes.
    Relationship,
    /// Attributes whose values are numbers or texts.
    ConcreteValues,
    /// Simple reference sets.
    SimpleRefset,
}

impl Kind {
    /// The kind of a file by its name (RF2 file naming); `None` for those that are not read.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
        if !name.to_ascii_lowercase().ends_with(".txt") || !name.contains("Snapshot") {
            return None;
        }
        let name = name.trim_start_matches('x');
        Some(
            match name.split('_').take(2).collect::<Vec<_>>().as_slice() {
                ["sct2", "Concept"] => Self::Concept,
                ["sct2", "Description"] => Self::Description,
                ["sct2", "TextDefinition"] => Self::TextDefinition,
                ["sct2", "Relationship"] => Self::Relationship,
                ["sct2", "RelationshipConcreteValues"] => Self::ConcreteValues,
                ["der2", "cRefset"] if name.contains("Language") => Self::Language,
                ["der2", "Refset"] if name.contains("Simple") => Self::SimpleRefset,
                _ => return None,
            },
        )
    }
}

impl Kind {
    /// The columns a file of this kind begins with.
    const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Concept => &[
                "id",
                "effectiveTime",
                "active",
                "moduleId",
                "definitionStatusId",
            ],
            Self::Language => &[
                "id",
                "effectiveTime",
                "active",
                "moduleId",
                "refsetId",
                "referencedComponentId",
                "acceptabilityId",
            ],
            Self::Description | Self::TextDefinition => &[
                "id",
                "effectiveTime",
                "active",
                "moduleId",
                "conceptId",
                "languageCode",
                "typeId",
                "term",
            ],
            Self::Relationship => &[
                "id",
                "effectiveTime",
                "active",
                "moduleId",
                "sourceId",
                "destinationId",
                "relationshipGroup",
                "typeId",
            ],
            Self::ConcreteValues => &[
                "id",
                "effectiveTime",
                "active",
                "moduleId",
                "sourceId",
                "value",
                "relationshipGroup",
                "typeId",
            ],
            Self::SimpleRefset => &[
                "id",
                "effectiveTime",
                "active",
                "moduleId",
                "refsetId",
                "referencedComponentId",
            ],
        }
    }
}

/// A release as it is read.
pub struct Rf2 {
    builder: Builder,
    report: Report,
    /// How much a description is preferred: the place of the best language reference set.
    preferred: HashMap<u64, u8>,
    /// How good the display is that a concept has so far.
    shown: HashMap<u32, u8>,
    languages: Vec<String>,
    edition: Option<String>,
    date: String,
    wish: Wish,
    properties: Properties,
}

struct Properties {
    defined: u16,
    module: u16,
}

fn group(text: &str) -> Option<u8> {
    text.parse().ok()
}

/// A synonym that no language reference set prefers, and a fully specified name.
const ANY_SYNONYM: u8 = 200;
const ANY_NAME: u8 = 250;

impl Rf2 {
    /// Begins. `names` are the names of all files of the release, which tell the edition.
    ///
    /// # Errors
    /// Never with so few properties.
    pub fn new(wish: &Wish, names: &[String]) -> Result<Self, LoadError> {
        let mut builder = Builder::new(Head::new(URL, None, "SNOMED CT"));
        builder.head_mut().value_set = Some(format!("{URL}?fhir_vs"));
        let properties = Properties {
            defined: builder.property("sufficientlyDefined", None, PropertyKind::Boolean)?,
            module: builder.property("moduleId", None, PropertyKind::Code)?,
        };
        let edition = wish.edition.clone().or_else(|| edition(names));
        let british = edition
            .as_deref()
            .is_some_and(|edition| BRITISH_EDITIONS.contains(&edition));
        let languages: Vec<String> = if !wish.languages.is_empty() {
            wish.languages.clone()
        } else if british {
            BRITISH.iter().map(|one| (*one).to_owned()).collect()
        } else {
            ENGLISH.iter().map(|one| (*one).to_owned()).collect()
        };
        Ok(Self {
            builder,
            report: Report::default(),
            preferred: HashMap::new(),
            shown: HashMap::new(),
            languages,
            edition,
            date: names
                .iter()
                .filter_map(|name| date(name))
                .max()
                .unwrap_or_default(),
            wish: wish.clone(),
            properties,
        })
    }

    /// Reads one file.
    ///
    /// # Errors
    /// It cannot be read, or is not of its kind.
    pub fn read(&mut self, kind: Kind, file: &str, reader: impl BufRead) -> Result<(), LoadError> {
        let mut lines = Lines::new(file, reader);
        let header = lines.next(&mut self.report)?.unwrap_or_default().to_owned();
        let columns = kind.columns();
        let found: Vec<&str> = header.split('\t').collect();
        if !columns.iter().zip(&found).all(|(a, b)| a == b) || found.len() < columns.len() {
            let why = format!("its columns are not {}", columns.join(", "));
            return Err(LoadError::format(file, why));
        }
        loop {
            let Some(line) = lines.next(&mut self.report)? else {
                return Ok(());
            };
            let line = line.to_owned();
            self.report.read += 1;
            if let Err(why) = self.line(kind, &line, columns.len())? {
                self.report.refuse(file, lines.number(), why);
            }
        }
    }

    fn line(
        &mut self,
        kind: Kind,
        line: &str,
        columns: usize,
    ) -> Result<Result<(), &'static str>, LoadError> {
        let mut fields: [&str; 10] = [""; 10];
        let mut count = 0;
        for (slot, field) in fields.iter_mut().zip(line.split('\t')) {
            *slot = field;
            count += 1;
        }
        if count < columns {
            return Ok(Err("too few columns"));
        }
        let active = match fields[2] {
            "1" => true,
            "0" => false,
            _ => return Ok(Err("active is neither 0 nor 1")),
        };
        let known = |builder: &Builder, code: &str| builder.find(code);
        match kind {
            Kind::Concept => return self.concept(&fields, active),
            _ if !active => {}
            Kind::Language => return Ok(self.language(&fields)),
            Kind::Description => return self.description(&fields),
            Kind::TextDefinition => {
                let Some(at) = known(&self.builder, fields[4]) else {
                    return Ok(Err("speaks of a concept that is not there"));
                };
                let usage = Usage {
                    system: URL.to_owned(),
                    code: fields[6].to_owned(),
                    display: "Definition".to_owned(),
                };
                self.builder.designation(at, fields[5], &usage, fields[7])?;
            }
            Kind::Relationship => {
                let (Some(from), Some(to)) = (
                    known(&self.builder, fields[4]),
                    known(&self.builder, fields[5]),
                ) else {
                    return Ok(Err("speaks of a concept that is not there"));
                };
                if fields[7] == IS_A {
                    self.builder.parent(from, to);
                } else {
                    let property = self.builder.property(fields[7], None, PropertyKind::Code)?;
                    let Some(group) = group(fields[6]) else {
                        return Ok(Err("has a group that is no number up to 255"));
                    };
                    let value = (property, PropertyKind::Code);
                    self.builder.value_in_group(from, value, group, fields[5])?;
                }
            }
            Kind::ConcreteValues => return self.concrete(&fields),
            Kind::SimpleRefset => {
                // Members that are descriptions are of no use here, and no fault.
                if let Some(at) = known(&self.builder, fields[5]) {
                    self.builder.subset(fields[4], at);
                }
            }
        }
        Ok(Ok(()))
    }

    fn concrete(&mut self, fields: &[&str; 10]) -> Result<Result<(), &'static str>, LoadError> {
        let Some(at) = self.builder.find(fields[4]) else {
            return Ok(Err("speaks of a concept that is not there"));
        };
        let Some(group) = group(fields[6]) else {
            return Ok(Err("has a group that is no number up to 255"));
        };
        let value = fields[5];
        let text = value
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let (kind, text) = match (value.strip_prefix('#'), text) {
            (Some(number), _) if Number::read(number).is_some() => (PropertyKind::Decimal, number),
            (None, Some(text)) => (PropertyKind::String, text),
            (None, None) if matches!(value, "true" | "false") => (PropertyKind::Boolean, value),
            _ => return Ok(Err("has a value that is no number, text or boolean")),
        };
        let property = self.builder.property(fields[7], None, kind)?;
        self.builder
            .value_in_group(at, (property, kind), group, text)?;
        Ok(Ok(()))
    }

    fn language(&mut self, fields: &[&str; 10]) -> Result<(), &'static str> {
        let Ok(id) = fields[5].parse::<u64>() else {
            return Err("referencedComponentId is no number");
        };
        let rank = self.languages.iter().position(|one| one == fields[4]);
        if let Some(rank) = rank.filter(|_| fields[6] == PREFERRED) {
            let best = self.preferred.entry(id).or_insert(u8::MAX);
            *best = (*best).min(rank.min(100) as u8);
        }
        Ok(())
    }

    fn concept(
        &mut self,
        fields: &[&str; 10],
        active: bool,
    ) -> Result<Result<(), &'static str>, LoadError> {
        let id = fields[0];
        if id.len() < 6 || id.len() > 18 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Err("id is no SNOMED CT identifier"));
        }
        let draft = ConceptDraft {
            code: id,
            flags: if active { 0 } else { INACTIVE },
            ..ConceptDraft::default()
        };
        let Some(at) = self.builder.add(&draft)? else {
            return Ok(Err("this concept was there already"));
        };
        let defined = if fields[4] == DEFINED {
            "true"
        } else {
            "false"
        };
        let (properties, builder) = (&self.properties, &mut self.builder);
        builder.value(at, properties.defined, PropertyKind::Boolean, defined)?;
        builder.value(at, properties.module, PropertyKind::Code, fields[3])?;
        if fields[1] > self.date.as_str() && fields[1].len() == 8 && self.date.is_empty() {
            fields[1].clone_into(&mut self.date);
        }
        Ok(Ok(()))
    }

    fn description(&mut self, fields: &[&str; 10]) -> Result<Result<(), &'static str>, LoadError> {
        let Some(at) = self.builder.find(fields[4]) else {
            return Ok(Err("speaks of a concept that is not there"));
        };
        let (term, kind) = (fields[7], fields[6]);
        if term.is_empty() {
            return Ok(Err("has no term"));
        }
        let preferred = fields[0]
            .parse()
            .ok()
            .and_then(|id: u64| self.preferred.get(&id));
        let rank = match (kind, preferred) {
            (SYNONYM, Some(rank)) => *rank,
            (SYNONYM, None) => ANY_SYNONYM,
            _ => ANY_NAME,
        };
        let best = self.shown.entry(at).or_insert(u8::MAX);
        if rank < *best {
            *best = rank;
            self.builder.set_display(at, term)?;
        }
        let display = match kind {
            FULLY_SPECIFIED => "Fully specified name",
            SYNONYM => "Synonym",
            _ => "",
        };
        let usage = Usage {
            system: URL.to_owned(),
            code: kind.to_owned(),
            display: display.to_owned(),
        };
        self.builder.designation(at, fields[5], &usage, term)?;
        Ok(Ok(()))
    }

    /// Packs what was read.
    ///
    /// # Errors
    /// There was no concept, or the hierarchy is circular.
    pub fn finish(mut self) -> Result<(CodeSystem, Report), LoadError> {
        if self.builder.is_empty() {
            return Err(LoadError::Missing(
                "concept snapshot (sct2_Concept_Snapshot_...txt)",
            ));
        }
        let edition = self.edition.as_deref().unwrap_or("900000000000207008");
        let version = format!("{URL}/{edition}/version/{}", self.date);
        let head = self.builder.head_mut();
        head.version = Some(self.wish.version.unwrap_or(version));
        if let Some(url) = self.wish.url {
            head.url = url;
        }
        Ok((self.builder.finish()?, self.report))
    }
}

const BRITISH_EDITIONS: [&str; 3] = ["83821000000107", "999000041000000102", "999000021000000109"];

/// The edition that the files' names tell: `sct2_Concept_Snapshot_GB_20240410.txt`.
fn edition(names: &[String]) -> Option<String> {
    const EDITIONS: [(&str, &str); 7] = [
        ("GB", "83821000000107"),
        ("UK", "83821000000107"),
        ("US", "731000124108"),
        ("AU", "32506021000036107"),
        ("IE", "11000220105"),
        ("IN", "1121000189102"),
        ("INT", "900000000000207008"),
    ];
    EDITIONS
        .iter()
        .find(|(country, _)| {
            names.iter().any(|name| {
                let mut parts = name.rsplit('_');
                let of = parts.nth(1).unwrap_or_default();
                let letters = of.trim_end_matches(|letter: char| letter.is_ascii_digit());
                letters == *country && Kind::of(name) == Some(Kind::Concept)
            })
        })
        .map(|(_, edition)| (*edition).to_owned())
}

/// The date in a file's name.
fn date(name: &str) -> Option<String> {
    let stem = name.rsplit('_').next()?.split('.').next()?;
    let is_date = stem.len() == 8 && stem.bytes().all(|byte| byte.is_ascii_digit());
    is_date.then(|| stem.to_owned())
}
