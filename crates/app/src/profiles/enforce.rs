//! Whether a write is held to profiles: the tenant says off, warn or enforce, else the instance. Must be
//! asked after the decision whether the caller may write at all.

use std::sync::Arc;

use fhir::json::{Document, Limits};
use fhir::validate::Severity;
use identity::ValidationMode;

use super::Knowledge;
use crate::App;
use crate::context::Caller;
use crate::error::AppError;

/// Validates what is about to be stored. In `warn` what is found goes to the request's advice; in
/// `enforce` errors refuse the write.
pub(crate) async fn enforce(app: &App, caller: &Caller, body: &[u8]) -> Result<(), AppError> {
    let mode = caller
        .tenant
        .validation
        .unwrap_or(app.settings().validation);
    if mode == ValidationMode::Off || body.is_empty() {
        return Ok(());
    }
    let knowledge = Knowledge::of(app, caller).await?;
    let document = Arc::new(Document::parse(body.to_vec(), &Limits::default())?);
    let work = move || super::issues(knowledge.report(document.root(), &[]));
    // On a thread of its own: what a small body costs is up to the tenant's rules.
    let issues = tokio::task::spawn_blocking(work).await?;
    let refused = |severity: Severity| matches!(severity, Severity::Error | Severity::Fatal);
    if mode == ValidationMode::Enforce && issues.iter().any(|issue| refused(issue.severity)) {
        return Err(AppError::Validation(issues));
    }
    caller.context.advice.add(issues);
    Ok(())
}
