//! Validation of codes against value sets and code systems by look-up, without expanding. "It is not in
//! it" and "it cannot be told" are different answers: the second is an error.

use std::sync::Arc;

use crate::engine::Compiled;
use crate::error::TerminologyError;
use crate::grammar::Grammar;
use crate::library::Library;
use crate::names::{best_name, is_name};
use crate::system::{CodeSystem, Content};
use crate::value_set::ListedConcept;
use crate::value_set::compile::{Foreign, Membership};
use crate::value_set::expand::{foreign_display, same_name};
use crate::version;

/// A code to validate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// Its code system; `None` takes the one of the value set.
    pub system: Option<&'a str>,
    /// The version of that.
    pub version: Option<&'a str>,
    /// The code.
    pub code: &'a str,
    /// The display that was given with it.
    pub display: Option<&'a str>,
}

/// How strictly.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner<'a> {
    /// Whether concepts that only group others are right here.
    pub abstract_allowed: bool,
    /// The language of the display that is answered.
    pub language: Option<&'a str>,
}

/// Something found on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// error, warning or information.
    pub severity: &'static str,
    /// OperationOutcome.issue.code.
    pub code: &'static str,
    /// What.
    pub text: String,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the code is right.
    pub result: bool,
    /// The code.
    pub code: String,
    /// Its code system, found or given.
    pub system: Option<String>,
    /// The version it was looked up in.
    pub version: Option<String>,
    /// The display to use.
    pub display: Option<String>,
    /// Whether the concept must not be used any more.
    pub inactive: bool,
    /// Why not, and what else is to be said.
    pub findings: Vec<Finding>,
}

impl Verdict {
    fn new(asked: &Asked<'_>) -> Self {
        Self {
            code: asked.code.to_owned(),
            system: asked.system.map(str::to_owned),
            version: asked.version.map(str::to_owned),
            ..Self::default()
        }
    }

    fn refuse(mut self, code: &'static str, text: String) -> Self {
        self.result = false;
        self.findings.push(Finding {
            severity: "error",
            code,
            text,
        });
        self
    }

    /// The findings in one sentence each.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        let texts: Vec<&str> = self.findings.iter().map(|one| one.text.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}

/// Whether a code is in a value set.
///
/// # Errors
/// It cannot be told: something the value set needs is not here.
pub fn in_value_set(
    library: &Library,
    compiled: &Compiled,
    asked: &Asked<'_>,
    manner: &Manner<'_>,
) -> Result<Verdict, TerminologyError> {
    let verdict = Verdict::new(asked);
    match compiled.contents.find(asked.system, asked.code) {
        Membership::Unknown(error) => Err(error.clone()),
        Membership::Concept(system, at) => {
            let own = compiled.contents.names(&system.head().url, asked.code);
            Ok(concept(library, system, at, own, asked, manner))
        }
        Membership::Listed(foreign) => Ok(listed(verdict, foreign, asked, manner)),
        Membership::Formed(grammar) => Ok(Verdict {
            result: true,
            system: Some(grammar.system().to_owned()),
            ..verdict
        }),
        Membership::No => {
            let text = format!(
                "code {:?}{} is not in value set {}",
                asked.code,
                asked
                    .system
                    .map_or(String::new(), |system| format!(" of {system}")),
                compiled.set.canonical()
            );
            let mut verdict = verdict.refuse("code-invalid", text);
            // It helps to know whether the code is wrong or only out of place.
            if let Some(url) = asked.system
                && let Some(system) = library.system(url, asked.version)
                && system.is_complete()
                && system.find(asked.code).is_none()
            {
                let text = format!(
                    "code {:?} is not in code system {}",
                    asked.code,
                    system.canonical()
                );
                verdict = verdict.refuse("code-invalid", text);
            }
            Ok(verdict)
        }
    }
}

/// Whether one of several codings is in a value set.
///
/// # Errors
/// None is, and of one or more it cannot be told.
pub fn any_in_value_set(
    library: &Library,
    compiled: &Compiled,
    codings: &[Asked<'_>],
    manner: &Manner<'_>,
) -> Result<Verdict, TerminologyError> {
    let mut unknown = None;
    let mut refused: Option<Verdict> = None;
    for asked in codings {
        match in_value_set(library, compiled, asked, manner) {
            Ok(verdict) if verdict.result => return Ok(verdict),
            Ok(verdict) => match &mut refused {
                Some(refused) => refused.findings.extend(verdict.findings),
                None => refused = Some(verdict),
            },
            Err(error) => unknown = Some(error),
        }
    }
    if let Some(error) = unknown {
        return Err(error);
    }
    Ok(refused.unwrap_or_else(|| {
        let text = "there is no coding, only text: give one with system and code".to_owned();
        Verdict::default().refuse("invalid", text)
    }))
}

/// Whether a code is in its code system.
///
/// # Errors
/// The code system is not here, or not all of it.
pub fn in_system(
    library: &Library,
    url: &str,
    asked: &Asked<'_>,
    manner: &Manner<'_>,
) -> Result<Verdict, TerminologyError> {
    let asked = Asked {
        system: Some(url),
        ..*asked
    };
    let system = match library.require(url, asked.version) {
        Ok(system) => system,
        Err(error) => {
            return match Grammar::of(url) {
                Some(grammar) => Ok(formed(grammar, &asked)),
                None => Err(error),
            };
        }
    };
    match system.find(asked.code) {
        Some(at) => Ok(concept(library, &system, at, None, &asked, manner)),
        None if system.is_complete() => {
            let text = format!(
                "code {:?} is not in code system {}",
                asked.code,
                system.canonical()
            );
            Ok(Verdict::new(&asked).refuse("code-invalid", text))
        }
        None if system.head().content == Content::NotPresent => {
            Err(TerminologyError::SystemUnknown(url.to_owned()))
        }
        None => Err(TerminologyError::SystemIncomplete(system.canonical())),
    }
}

fn formed(grammar: Grammar, asked: &Asked<'_>) -> Verdict {
    let verdict = Verdict::new(asked);
    if grammar.allows(asked.code) {
        return Verdict {
            result: true,
            ..verdict
        };
    }
    let text = format!(
        "code {:?} is not formed as {} says",
        asked.code,
        grammar.system()
    );
    verdict.refuse("code-invalid", text)
}

fn concept(
    library: &Library,
    system: &Arc<CodeSystem>,
    at: u32,
    own: Option<&ListedConcept>,
    asked: &Asked<'_>,
    manner: &Manner<'_>,
) -> Verdict {
    let head = system.head();
    let mut verdict = Verdict {
        result: true,
        code: system.code(at).to_owned(),
        system: Some(head.url.clone()),
        version: head.version.clone(),
        display: best_name(library, system, at, own, manner.language),
        inactive: system.is_inactive(at),
        findings: Vec::new(),
    };
    if let Some(wanted) = asked.version
        && !version::answers(head.version.as_deref(), wanted)
    {
        let text = format!(
            "version {wanted:?} was asked for, but the code was looked up in {}",
            system.canonical()
        );
        verdict = verdict.refuse("conflict", text);
    }
    if system.is_abstract(at) && !manner.abstract_allowed {
        let text = format!(
            "code {:?} only groups others and is not for use by itself: choose one below it",
            asked.code
        );
        verdict = verdict.refuse("business-rule", text);
    }
    if verdict.inactive {
        verdict.findings.push(Finding {
            severity: "warning",
            code: "business-rule",
            text: format!("code {:?} is inactive", asked.code),
        });
    }
    if let Some(given) = asked.display
        && !is_name(library, system, at, own, given)
    {
        let right = verdict.display.clone().unwrap_or_default();
        let text = format!(
            "display {given:?} is not a name of {:?}: use {right:?}",
            asked.code
        );
        verdict = verdict.refuse("invalid", text);
    }
    verdict
}

fn listed(verdict: Verdict, foreign: &Foreign, asked: &Asked<'_>, manner: &Manner<'_>) -> Verdict {
    let concept = &foreign.concept;
    let mut verdict = Verdict {
        result: true,
        system: Some(foreign.system.to_string()),
        version: foreign.version.as_deref().map(str::to_owned),
        display: foreign_display(concept, manner.language),
        ..verdict
    };
    verdict.findings.push(Finding {
        severity: "information",
        code: "informational",
        text: format!(
            "code system {} is not loaded: the code is in the value set by its list",
            foreign.system
        ),
    });
    if let (Some(given), Some(right)) = (asked.display, &concept.display) {
        let names = concept.names.iter().map(|name| &name.value);
        if !core::iter::once(right)
            .chain(names)
            .any(|name| same_name(name, given))
        {
            let text = format!(
                "display {given:?} is not a name of {:?}: use {right:?}",
                asked.code
            );
            verdict = verdict.refuse("invalid", text);
        }
    }
    verdict
}
