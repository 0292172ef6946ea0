//! ICD-10 from ClaML (the XML of WHO and of national editions) or from a table.

use std::io::BufRead;

use super::xml::{Elements, Part, attribute};
use super::{LoadError, Report, Wish, table};
use crate::system::{ABSTRACT, Builder, CodeSystem, ConceptDraft, Head, PropertyKind, Usage};

/// The code system's URL (WHO's edition).
pub const URL: &str = "http://hl7.org/fhir/sid/icd-10";

/// A classification as it is read.
pub struct Icd10 {
    builder: Builder,
    report: Report,
    version: Option<String>,
    /// (code, its parent, line).
    parents: Vec<(u32, String, u64)>,
    wish: Wish,
}

/// A class as it is read.
#[derive(Default)]
struct Class {
    code: String,
    kind: String,
    usage: Option<String>,
    parents: Vec<String>,
    /// (kind, language, text).
    rubrics: Vec<(String, String, String)>,
}

impl Icd10 {
    /// Begins.
    #[must_use]
    pub fn new(wish: &Wish) -> Self {
        Self {
            builder: Builder::new(Head::new(URL, None, "ICD-10")),
            report: Report::default(),
            version: None,
            parents: Vec::new(),
            wish: wish.clone(),
        }
    }

    /// Reads a table with the columns code, display and parent.
    ///
    /// # Errors
    /// It cannot be read, or has no such columns.
    pub fn read_table(&mut self, file: &str, reader: impl BufRead) -> Result<(), LoadError> {
        table::read(&mut self.builder, &mut self.report, file, reader)
    }

    /// Reads ClaML.
    ///
    /// # Errors
    /// It cannot be read, or is no ClaML.
    pub fn read_claml(&mut self, file: &str, reader: impl BufRead) -> Result<(), LoadError> {
        let mut elements = Elements::new(file, reader);
        let mut is_claml = false;
        loop {
            let (name, attributes) = match elements.next()? {
                Part::Open(name, attributes) => (name, attributes),
                Part::End if is_claml => return Ok(()),
                Part::End => return Err(LoadError::format(file, "its root is not ClaML")),
                Part::Text(_) | Part::Close => continue,
            };
            match name.as_str() {
                "ClaML" => is_claml = true,
                "Title" => {
                    let version = attribute(&attributes, "version");
                    self.version = version
                        .or(attribute(&attributes, "date"))
                        .map(str::to_owned);
                }
                "Class" => {
                    let line = elements.line();
                    let class = class(&mut elements, &attributes)?;
                    self.report.read += 1;
                    self.class(file, line, class)?;
                }
                _ => {}
            }
        }
    }

    fn class(&mut self, file: &str, line: u64, class: Class) -> Result<(), LoadError> {
        if class.code.is_empty() {
            self.report.refuse(file, line, "a class has no code");
            return Ok(());
        }
        let rubric = |kind: &str| {
            let found = class.rubrics.iter().find(|(known, ..)| known == kind);
            found.map(|(.., text)| text.as_str())
        };
        let added = self.builder.add(&ConceptDraft {
            code: &class.code,
            display: rubric("preferredLong").or(rubric("preferred")),
            definition: rubric("definition"),
            // Chapters and blocks order the categories.
            flags: if class.kind == "category" {
                0
            } else {
                ABSTRACT
            },
        })?;
        let Some(at) = added else {
            self.report.refuse(
                file,
                line,
                format!("class {} was there already", class.code),
            );
            return Ok(());
        };
        let kind = self.builder.property("kind", None, PropertyKind::Code)?;
        self.builder
            .value(at, kind, PropertyKind::Code, &class.kind)?;
        if let Some(usage) = &class.usage {
            let property = self.builder.property("usage", None, PropertyKind::Code)?;
            self.builder
                .value(at, property, PropertyKind::Code, usage)?;
        }
        for (kind, language, text) in &class.rubrics {
            match kind.as_str() {
                "definition" => {}
                "preferred" | "preferredLong" | "inclusion" => {
                    let usage = Usage {
                        system: String::new(),
                        code: kind.clone(),
                        display: String::new(),
                    };
                    self.builder.designation(at, language, &usage, text)?;
                }
                _ => {
                    let property = self.builder.property(kind, None, PropertyKind::String)?;
                    self.builder
                        .value(at, property, PropertyKind::String, text)?;
                }
            }
        }
        let parents = class.parents.into_iter();
        self.parents
            .extend(parents.map(|parent| (at, parent, line)));
        Ok(())
    }

    /// Packs what was read.
    ///
    /// # Errors
    /// There was nothing, or the hierarchy is circular.
    pub fn finish(mut self) -> Result<(CodeSystem, Report), LoadError> {
        if self.builder.is_empty() {
            return Err(LoadError::Missing("class or line of ICD-10"));
        }
        for (at, parent, line) in core::mem::take(&mut self.parents) {
            if let Some(parent) = self.builder.find(&parent) {
                self.builder.parent(at, parent);
            } else {
                let why = format!("its parent {parent:?} is not there");
                self.report.refuse("ClaML", line, why);
            }
        }
        let head = self.builder.head_mut();
        head.version = self.wish.version.or(self.version);
        if let Some(url) = self.wish.url {
            head.url = url;
        }
        Ok((self.builder.finish()?, self.report))
    }
}

/// Reads a class up to its end.
fn class<R: BufRead>(
    elements: &mut Elements<'_, R>,
    attributes: &[(String, String)],
) -> Result<Class, LoadError> {
    let own = |name: &str| attribute(attributes, name).unwrap_or_default().to_owned();
    let mut class = Class {
        code: own("code"),
        kind: own("kind"),
        usage: attribute(attributes, "usage").map(str::to_owned),
        ..Class::default()
    };
    let outside = elements.depth() - 1;
    let mut rubric = String::new();
    loop {
        match elements.next()? {
            Part::Open(name, attributes) => match name.as_str() {
                "SuperClass" => {
                    class
                        .parents
                        .extend(attribute(&attributes, "code").map(str::to_owned));
                }
                "Rubric" => {
                    attribute(&attributes, "kind")
                        .unwrap_or_default()
                        .clone_into(&mut rubric);
                }
                "Label" => {
                    let language = attribute(&attributes, "xml:lang")
                        .unwrap_or_default()
                        .to_owned();
                    let text = elements.text()?;
                    if !text.is_empty() && class.rubrics.len() < 1000 {
                        class.rubrics.push((rubric.clone(), language, text));
                    }
                }
                _ => {}
            },
            Part::Close if elements.depth() == outside => return Ok(class),
            Part::End => return Ok(class),
            Part::Text(_) | Part::Close => {}
        }
    }
}
