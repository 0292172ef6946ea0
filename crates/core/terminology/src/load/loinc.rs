//! LOINC from its release files: `Loinc.csv`, the component hierarchy and answer lists, where present.

use std::io::BufRead;

use super::lines::{Header, Lines};
use super::{LoadError, Report, Wish};
use crate::system::{
    ABSTRACT, Builder, CodeSystem, ConceptDraft, Head, INACTIVE, PropertyKind, Usage,
};
use crate::version::compare;

/// The code system's URL.
pub const URL: &str = "http://loinc.org";

/// The files that are read, in the order they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The terms.
    Terms,
    /// The hierarchy of parts and terms.
    Hierarchy,
    /// Answer lists.
    Answers,
    /// Which term has which answer list.
    AnswerLinks,
}

impl Kind {
    /// The kind of a file by its name; `None` for those that are not read.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Some(
            match name
                .rsplit(['/', '\\'])
                .next()?
                .to_ascii_lowercase()
                .as_str()
            {
                "loinc.csv" => Self::Terms,
                "componenthierarchybysystem.csv" | "multiaxialhierarchy.csv" => Self::Hierarchy,
                "answerlist.csv" => Self::Answers,
                "loincanswerlistlink.csv" => Self::AnswerLinks,
                _ => return None,
            },
        )
    }
}

/// Columns of `Loinc.csv` that are properties (FHIR R4, section 4.3.1.0.5.2).
const PROPERTIES: [&str; 12] = [
    "COMPONENT",
    "PROPERTY",
    "TIME_ASPCT",
    "SYSTEM",
    "SCALE_TYP",
    "METHOD_TYP",
    "CLASS",
    "CLASSTYPE",
    "STATUS",
    "ORDER_OBS",
    "VersionLastChanged",
    "EXAMPLE_UCUM_UNITS",
];

/// A release as it is read.
pub struct Loinc {
    builder: Builder,
    report: Report,
    newest: String,
    wish: Wish,
    list: u16,
}

impl Loinc {
    /// Begins.
    ///
    /// # Errors
    /// Never with so few properties.
    pub fn new(wish: &Wish) -> Result<Self, LoadError> {
        let mut builder = Builder::new(Head::new(URL, None, "LOINC"));
        let head = builder.head_mut();
        head.value_set = Some(format!("{URL}/vs"));
        head.case_sensitive = false;
        for name in PROPERTIES {
            builder.property(name, None, PropertyKind::String)?;
        }
        let list = builder.property("LIST", None, PropertyKind::Code)?;
        Ok(Self {
            builder,
            report: Report::default(),
            newest: String::new(),
            wish: wish.clone(),
            list,
        })
    }

    /// Reads one file.
    ///
    /// # Errors
    /// It cannot be read, or is not of its kind.
    pub fn read(&mut self, kind: Kind, file: &str, reader: impl BufRead) -> Result<(), LoadError> {
        let mut lines = Lines::new(file, reader);
        let names = lines.record(',', &mut self.report)?.unwrap_or_default();
        let header = Header::new(&names);
        let columns: &[&str] = match kind {
            Kind::Terms => &["LOINC_NUM", "LONG_COMMON_NAME", "STATUS"],
            Kind::Hierarchy => &["IMMEDIATE_PARENT", "CODE", "CODE_TEXT"],
            Kind::Answers => &[
                "AnswerListId",
                "AnswerListName",
                "AnswerStringId",
                "DisplayText",
            ],
            Kind::AnswerLinks => &["LoincNumber", "AnswerListId"],
        };
        if let Some(missing) = columns.iter().find(|name| header.place(name).is_none()) {
            return Err(LoadError::format(
                file,
                format!("it has no column {missing}"),
            ));
        }
        while let Some(record) = lines.record(',', &mut self.report)? {
            self.report.read += 1;
            let get = |name: &str| header.get(&record, name);
            let done = match kind {
                Kind::Terms => self.term(&get)?,
                Kind::Hierarchy => self.place(&get)?,
                Kind::Answers => self.answer(&get)?,
                Kind::AnswerLinks => self.link(&get)?,
            };
            if let Err(why) = done {
                self.report.refuse(file, lines.number(), why);
            }
        }
        Ok(())
    }

    fn term<'r>(
        &mut self,
        get: &dyn Fn(&str) -> &'r str,
    ) -> Result<Result<(), &'static str>, LoadError> {
        let code = get("LOINC_NUM");
        let is_number = code
            .rsplit_once('-')
            .is_some_and(|(number, check)| check.len() == 1 && !number.is_empty());
        if !is_number {
            return Ok(Err("LOINC_NUM is no LOINC number"));
        }
        let inactive = matches!(get("STATUS"), "DEPRECATED" | "DISCOURAGED");
        let added = self.builder.add(&ConceptDraft {
            code,
            display: Some(get("LONG_COMMON_NAME")),
            definition: Some(get("DefinitionDescription")),
            flags: if inactive { INACTIVE } else { 0 },
        })?;
        let Some(at) = added else {
            return Ok(Err("this term was there already"));
        };
        for name in PROPERTIES {
            let value = get(name);
            if !value.is_empty() {
                let property = self.builder.property(name, None, PropertyKind::String)?;
                self.builder
                    .value(at, property, PropertyKind::String, value)?;
            }
        }
        for name in ["SHORTNAME", "CONSUMER_NAME", "DisplayName"] {
            let value = get(name);
            if !value.is_empty() {
                let usage = Usage {
                    system: URL.to_owned(),
                    code: name.to_owned(),
                    display: name.to_owned(),
                };
                self.builder.designation(at, "en", &usage, value)?;
            }
        }
        let changed = get("VersionLastChanged");
        if compare(Some(changed), Some(&self.newest)).is_gt() {
            changed.clone_into(&mut self.newest);
        }
        Ok(Ok(()))
    }

    /// A concept that may be there already.
    fn known_or_new(&mut self, code: &str, display: &str, flags: u8) -> Result<u32, LoadError> {
        if let Some(at) = self.builder.find(code) {
            return Ok(at);
        }
        let added = self.builder.add(&ConceptDraft {
            code,
            display: Some(display),
            definition: None,
            flags,
        })?;
        Ok(added.unwrap_or_default())
    }

    fn place<'r>(
        &mut self,
        get: &dyn Fn(&str) -> &'r str,
    ) -> Result<Result<(), &'static str>, LoadError> {
        let (code, parent) = (get("CODE"), get("IMMEDIATE_PARENT"));
        if code.is_empty() {
            return Ok(Err("has no code"));
        }
        let at = self.known_or_new(code, get("CODE_TEXT"), ABSTRACT)?;
        if !self.builder.has_display(at) {
            self.builder.set_display(at, get("CODE_TEXT"))?;
        }
        if !parent.is_empty() {
            let parent = self.known_or_new(parent, "", ABSTRACT)?;
            self.builder.parent(at, parent);
        }
        Ok(Ok(()))
    }

    fn answer<'r>(
        &mut self,
        get: &dyn Fn(&str) -> &'r str,
    ) -> Result<Result<(), &'static str>, LoadError> {
        let (list, code) = (get("AnswerListId"), get("AnswerStringId"));
        if list.is_empty() {
            return Ok(Err("has no answer list"));
        }
        self.known_or_new(list, get("AnswerListName"), ABSTRACT)?;
        // Lists that are defined elsewhere have one line without an answer.
        if !code.is_empty() {
            let at = self.known_or_new(code, get("DisplayText"), 0)?;
            self.builder
                .value(at, self.list, PropertyKind::Code, list)?;
        }
        Ok(Ok(()))
    }

    fn link<'r>(
        &mut self,
        get: &dyn Fn(&str) -> &'r str,
    ) -> Result<Result<(), &'static str>, LoadError> {
        let Some(at) = self.builder.find(get("LoincNumber")) else {
            return Ok(Err("speaks of a term that is not there"));
        };
        let property = self
            .builder
            .property("answer-list", None, PropertyKind::Code)?;
        self.builder
            .value(at, property, PropertyKind::Code, get("AnswerListId"))?;
        Ok(Ok(()))
    }

    /// Packs what was read.
    ///
    /// # Errors
    /// There was no term, or the hierarchy is circular.
    pub fn finish(mut self) -> Result<(CodeSystem, Report), LoadError> {
        if self.builder.is_empty() {
            return Err(LoadError::Missing("Loinc.csv"));
        }
        let newest = (!self.newest.is_empty()).then_some(self.newest);
        let head = self.builder.head_mut();
        head.version = self.wish.version.or(newest);
        if let Some(url) = self.wish.url {
            head.url = url;
        }
        Ok((self.builder.finish()?, self.report))
    }
}
