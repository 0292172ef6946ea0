//! The validation playground: a resource as text, a profile perhaps, and every issue with its place in the
//! text. Must not store anything.

use std::borrow::Cow;
use std::collections::BTreeMap;

use app::AppError;
use app::operations::validate::{Mode, Validation, validate};
use axum::http::StatusCode;
use axum::response::Response;
use fhir::json::{Document, Limits};
use fhir::validate::{Issue, Severity};
use identity::{Class, Interaction};

use super::answer::{self, sentence, status_of};
use super::form::Form;
use super::tools::{HOME, Tool, check};
use super::visit::Visit;
use super::{placed, plain};
use crate::components::{Choice, ErrorSummary, Notice, Tone};
use crate::pages::validation::{Finding, ValidationPage};

const HERE: &str = "/tools/validation";
/// Bytes of a text at most, as much as a form may carry.
const MOST: usize = super::FORM_BYTES;

/// An example.
struct Example {
    name: &'static str,
    words: &'static str,
    ty: &'static str,
    text: &'static str,
    profile: &'static str,
}

const fn example(
    (name, words): (&'static str, &'static str),
    ty: &'static str,
    text: &'static str,
    profile: &'static str,
) -> Example {
    Example {
        name,
        words,
        ty,
        text,
        profile,
    }
}

static EXAMPLES: [Example; 6] = [
    example(
        ("patient", "A valid patient"),
        "Patient",
        include_str!("examples/patient.json"),
        "",
    ),
    example(
        ("mistakes", "A patient with mistakes"),
        "Patient",
        include_str!("examples/mistakes.json"),
        "",
    ),
    example(
        ("profile", "A blood pressure against its profile"),
        "Observation",
        include_str!("examples/pressure.json"),
        "http://hl7.org/fhir/StructureDefinition/bp",
    ),
    example(
        ("xml", "An observation in XML"),
        "Observation",
        include_str!("examples/observation.xml"),
        "",
    ),
    example(
        ("organization", "A valid organisation"),
        "Organization",
        include_str!("examples/organization.json"),
        "",
    ),
    example(
        ("organization-mistakes", "An organisation with mistakes"),
        "Organization",
        include_str!("examples/organization-mistakes.json"),
        "",
    ),
];

/// Whether a role of the person writes or searches a type: others are not checked for it.
fn may_check(visit: &Visit, ty: &str) -> bool {
    Class::of(ty).is_some_and(|class| {
        visit.may(Interaction::Create, class) || visit.may(Interaction::Search, class)
    })
}

async fn blank(visit: &Visit, text: &str, profile: &str) -> Result<ValidationPage, AppError> {
    let known = app::profiles::known(visit.app(), &visit.caller).await?;
    let profiles = known
        .iter()
        .map(|(url, ty, name)| Choice::new(url, &format!("{ty}: {name}"), false))
        .collect();
    Ok(ValidationPage {
        shell: visit.shell("Validation"),
        back: (visit.href(HOME), "Record tools".to_owned()),
        problem: None,
        action: visit.href(HERE),
        examples: EXAMPLES
            .iter()
            .filter(|example| may_check(visit, example.ty))
            .take(4)
            .map(|example| (example.name, example.words))
            .collect(),
        text: text.to_owned(),
        text_error: String::new(),
        profile: profile.to_owned(),
        profiles,
        summary: None,
        findings: Vec::new(),
        lines: Vec::new(),
    })
}

/// The form.
pub async fn form(visit: Visit) -> Response {
    let result = first(&visit).await;
    visit.answer(result)
}

async fn first(visit: &Visit) -> Result<Response, AppError> {
    check(visit, Tool::Validation)?;
    let page = blank(visit, "", "").await?;
    Ok(answer::page(StatusCode::OK, &page))
}

/// The answer.
pub async fn submit(visit: Visit, body: String) -> Response {
    let result = submitted(&visit, &body).await;
    visit.answer(result)
}

/// What is to be checked: an example, or what was typed. Lines end as on every system.
fn asked(form: &Form) -> (String, String) {
    let wanted = form.text("example");
    match EXAMPLES.iter().find(|example| example.name == wanted) {
        Some(example) => (
            example.text.trim_end().to_owned(),
            example.profile.to_owned(),
        ),
        None => (
            form.exact("resource").replace("\r\n", "\n"),
            form.text("profile").to_owned(),
        ),
    }
}

async fn submitted(visit: &Visit, body: &str) -> Result<Response, AppError> {
    check(visit, Tool::Validation)?;
    let form = visit.form(body)?;
    let (text, profile) = asked(&form);
    let mut page = blank(visit, &text, &profile).await?;
    let status = match issues(visit, &text, &profile).await {
        Ok(found) => {
            page.summary = Some(summary(&found));
            page.findings = findings(&found);
            page.lines = lines(&text, &page.findings);
            StatusCode::OK
        }
        Err(error) if status_of(&error).is_server_error() => return Err(error),
        Err(error) => {
            page.text_error = match &error {
                AppError::Denied { .. } => "Your role neither writes nor searches this type of resource, so that it is not checked for you. Paste another one.".to_owned(),
                other => plain::words(other),
            };
            page.problem = Some(ErrorSummary {
                errors: vec![("resource".to_owned(), page.text_error.clone())],
            });
            status_of(&error)
        }
    };
    Ok(answer::page(status, &page))
}

/// The issues with their lines.
async fn issues(
    visit: &Visit,
    text: &str,
    profile: &str,
) -> Result<Vec<(Issue, Option<usize>)>, AppError> {
    if text.trim().is_empty() {
        return Err(AppError::Invalid(
            "there is no resource: paste one, or begin with an example".to_owned(),
        ));
    }
    let definitions = visit.app().definitions();
    let is_xml = text.trim_start().starts_with('<');
    let json: Cow<'_, [u8]> = if is_xml {
        let limits = fhir::xml::Limits {
            max_bytes: MOST,
            ..fhir::xml::Limits::default()
        };
        let read = fhir::xml::to_json(definitions, text.as_bytes(), &limits);
        Cow::Owned(read.map_err(|error| AppError::Invalid(error.to_string()))?)
    } else {
        Cow::Borrowed(text.as_bytes())
    };
    let document = Document::parse(json.to_vec(), &Limits::default())?;
    let root = document.root();
    let name = root.get_str("resourceType").unwrap_or_default();
    let ty = definitions.resource(&name).ok_or_else(|| {
        AppError::Invalid("the resource has no resourceType of FHIR R4: add it".to_owned())
    })?;
    let asked = Validation {
        ty,
        key: None,
        resource: Some(root),
        source: &json,
        mode: Mode::Any,
        profiles: (!profile.is_empty())
            .then(|| profile.to_owned())
            .into_iter()
            .collect(),
    };
    let found = validate(visit.app(), &visit.caller, &asked).await?;
    let line = |issue: &Issue| {
        let place = issue.expression.as_str();
        (!place.is_empty()).then(|| {
            if is_xml {
                placed::in_xml(text, place)
            } else {
                placed::in_json(&json, root, place)
            }
        })
    };
    Ok(found
        .into_iter()
        .filter(|issue| !says_nothing(issue))
        .map(|issue| {
            let line = line(&issue);
            (issue, line)
        })
        .collect())
}

/// The issue that stands for none; the sentence above says it.
fn says_nothing(issue: &Issue) -> bool {
    issue.severity == Severity::Information && issue.diagnostics == "no errors were found"
}

const fn grave(severity: Severity) -> (Tone, &'static str) {
    match severity {
        Severity::Fatal | Severity::Error => (Tone::Bad, "Error"),
        Severity::Warning => (Tone::Warn, "Warning"),
        Severity::Information => (Tone::Info, "Note"),
    }
}

const fn rank(tone: Tone) -> u8 {
    match tone {
        Tone::Bad => 0,
        Tone::Warn => 1,
        _ => 2,
    }
}

fn summary(found: &[(Issue, Option<usize>)]) -> Notice {
    let count = |wanted: Tone| {
        found
            .iter()
            .filter(|(issue, _)| grave(issue.severity).0 == wanted)
            .count()
    };
    let (errors, warnings) = (count(Tone::Bad), count(Tone::Warn));
    let many = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    };
    let words = format!("{}, {}.", many(errors, "error"), many(warnings, "warning"));
    match (errors, warnings) {
        (0, 0) => Notice::new(
            Tone::Good,
            "Valid",
            "No error and no warning was found by the checks that ran.",
        ),
        (0, _) => Notice::new(Tone::Warn, "Valid, with warnings", &words),
        _ => Notice::new(Tone::Bad, "Not valid", &words),
    }
}

fn findings(found: &[(Issue, Option<usize>)]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = found
        .iter()
        .map(|(issue, line)| {
            let (tone, severity) = grave(issue.severity);
            Finding {
                tone,
                severity,
                line: *line,
                place: issue.expression.clone(),
                words: sentence(without_place(&issue.diagnostics)),
            }
        })
        .collect();
    findings.sort_by_key(|finding| rank(finding.tone));
    findings
}

/// A diagnostic without the line and column it may begin with: those of the text as it was sent stand
/// beside it.
fn without_place(text: &str) -> &str {
    text.strip_prefix("line ")
        .and_then(|rest| rest.split_once(": "))
        .filter(|(place, _)| place.len() < 40 && place.contains("column"))
        .map_or(text, |(_, rest)| rest)
}

fn lines(text: &str, findings: &[Finding]) -> Vec<(usize, String, Option<Tone>)> {
    let mut worst: BTreeMap<usize, Tone> = BTreeMap::new();
    for finding in findings.iter().rev() {
        if let Some(line) = finding.line {
            worst.insert(line, finding.tone);
        }
    }
    if worst.is_empty() {
        return Vec::new();
    }
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.to_owned(), worst.get(&(at + 1)).copied()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_other_texts_are_left_out() {
        assert_eq!(without_place("line 3, column 14: x: y"), "x: y");
        assert_eq!(without_place("line up: y"), "line up: y");
        assert_eq!(without_place("a: b"), "a: b");
    }

    #[test]
    fn examples_are_resources() {
        for Example { name, text, .. } in &EXAMPLES {
            let json = if text.starts_with('<') {
                let limits = fhir::xml::Limits::default();
                fhir::xml::to_json(fhir::Definitions::r4(), text.as_bytes(), &limits).unwrap()
            } else {
                text.as_bytes().to_vec()
            };
            let document = Document::parse(json, &Limits::default()).unwrap();
            let issues = fhir::validate::validate(fhir::Definitions::r4(), document.root());
            assert_eq!(
                issues.is_empty(),
                !name.contains("mistakes"),
                "{name}: {issues:?}"
            );
        }
    }
}
