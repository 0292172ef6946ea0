//! The validation playground: a resource as text, a profile perhaps, and every issue with its place. Must not
//! store anything.

use app::AppError;
use app::operations::validate::{Mode, Validation, validate};
use axum::http::StatusCode;
use axum::response::Response;
use fhir::json::{Document, Limits};
use fhir::validate::{Issue, Severity};

use super::answer::{self, sentence, status_of};
use super::form::Form;
use super::tools::{check, empty};
use super::visit::Visit;
use crate::components::{Cell, ErrorSummary, Field, Notice, Table, Tone};
use crate::pages::tools::ToolPage;

const HERE: &str = "/tools/validation";

fn blank(visit: &Visit, form: &Form) -> ToolPage {
    let mut page = empty(visit, "Validation", HERE, "Validate");
    page.lead = String::from(
        "Nothing is stored. The resource is checked against FHIR R4, the profiles it claims and the one you name.",
    );
    page.posts = true;
    page.fields = vec![
        Field::area("resource", "Resource")
            .value(form.text("resource"))
            .hint("One FHIR resource as JSON"),
        Field::text("profile", "Profile")
            .optional()
            .value(form.text("profile"))
            .hint("The canonical address of a profile, such as http://hl7.org/fhir/StructureDefinition/bp"),
    ];
    page
}

/// The form.
pub async fn form(visit: Visit) -> Response {
    let result =
        check(&visit).map(|()| answer::page(StatusCode::OK, &blank(&visit, &Form::default())));
    visit.answer(result)
}

/// The answer.
pub async fn submit(visit: Visit, body: String) -> Response {
    let result = submitted(&visit, &body).await;
    visit.answer(result)
}

async fn submitted(visit: &Visit, body: &str) -> Result<Response, AppError> {
    check(visit)?;
    let form = visit.form(body)?;
    let mut page = blank(visit, &form);
    let status = match issues(visit, &form).await {
        Ok(issues) => {
            page.summary = Some(summary(&issues));
            page.sections = vec![("issues".to_owned(), "Issues".to_owned(), table(&issues))];
            StatusCode::OK
        }
        Err(error) if status_of(&error).is_server_error() => return Err(error),
        Err(error) => {
            page.problem = Some(ErrorSummary::whole(&sentence(&error.public_text())));
            status_of(&error)
        }
    };
    Ok(answer::page(status, &page))
}

async fn issues(visit: &Visit, form: &Form) -> Result<Vec<Issue>, AppError> {
    let text = form.text("resource");
    let document = Document::parse(text.as_bytes().to_vec(), &Limits::default())?;
    let root = document.root();
    let name = root.get_str("resourceType").unwrap_or_default();
    let ty = visit.app().definitions().resource(&name).ok_or_else(|| {
        AppError::Invalid("the resource has no resourceType of FHIR R4: add it".to_owned())
    })?;
    let profile = form.text("profile");
    let asked = Validation {
        ty,
        key: None,
        resource: Some(root),
        source: text.as_bytes(),
        mode: Mode::Any,
        profiles: (!profile.is_empty())
            .then(|| profile.to_owned())
            .into_iter()
            .collect(),
    };
    validate(visit.app(), &visit.caller, &asked).await
}

fn summary(issues: &[Issue]) -> Notice {
    let count =
        |wanted: fn(Severity) -> bool| issues.iter().filter(|issue| wanted(issue.severity)).count();
    let errors = count(|severity| matches!(severity, Severity::Error | Severity::Fatal));
    let warnings = count(|severity| severity == Severity::Warning);
    let words = format!("{errors} errors, {warnings} warnings");
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

fn table(issues: &[Issue]) -> Table {
    let mut table = Table::new(
        "Issues",
        &["Severity", "Where", "What, and what to do"],
        "No issues.",
    );
    for issue in issues {
        let (tone, words) = match issue.severity {
            Severity::Fatal | Severity::Error => (Tone::Bad, "Error"),
            Severity::Warning => (Tone::Warn, "Warning"),
            Severity::Information => (Tone::Info, "Information"),
        };
        table = table.row(vec![
            Cell::tag(tone, words),
            Cell::code(&issue.expression),
            Cell::text(&sentence(&issue.diagnostics)),
        ]);
    }
    table
}
