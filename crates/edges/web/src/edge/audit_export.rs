//! Exports of the audit trail as tar archives: what fits the filters, or a whole log.

use app::audit::ExportSink;
use app::{AppError, audit};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use ledger::note::Note;

use super::audit::{Asked, filter, filters, log_named, meant};
use super::visit::Visit;

/// The largest log that is exported through a page; larger ones through the command line.
const EXPORT_ENTRIES: u64 = 200_000;

/// Collects the files of an export into one tar archive.
struct Archive(tar::Builder<Vec<u8>>, u64);

impl ExportSink for Archive {
    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<(), AppError> {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(self.1);
        header.set_cksum();
        self.0
            .append_data(&mut header, path, bytes)
            .map_err(|error| AppError::Fault(error.to_string()))
    }
}

/// The entries that fit the filters, or with `whole` a log as `theriac verify` reads it: a tar archive.
pub async fn export(visit: Visit) -> Response {
    let result = if visit.query.text("whole").is_empty() {
        extract_of(&visit).await
    } else {
        export_of(&visit).await
    };
    visit.answer(result)
}

async fn extract_of(visit: &Visit) -> Result<Response, AppError> {
    let meant = meant(visit, Asked::of(visit)).await?;
    let filter = filter(visit, meant.patient.clone());
    let wrong = filters(visit, &meant, filter.log)
        .into_iter()
        .find_map(|field| field.error);
    if let Some(problem) = wrong {
        return Err(AppError::Invalid(problem));
    }
    let mut archive = archive(visit);
    audit::extract(visit.app(), &visit.caller, &filter, &mut archive).await?;
    download(visit, archive, &format!("{}-entries", filter.log.as_str()))
}

fn archive(visit: &Visit) -> Archive {
    let seconds = u64::try_from(visit.app().now().as_millis() / 1000).unwrap_or(0);
    Archive(tar::Builder::new(Vec::new()), seconds)
}

async fn export_of(visit: &Visit) -> Result<Response, AppError> {
    let log = log_named(visit.query.text("log"))
        .ok_or_else(|| AppError::Invalid("name the log to export, changes or access".to_owned()))?;
    let note = audit::checkpoint(visit.app(), &visit.caller, log).await?;
    let size = Note::parse(&note)
        .ok()
        .and_then(|note| ledger::checkpoint::Checkpoint::of_note(&note).ok())
        .map_or(0, |checkpoint| checkpoint.size);
    if size > EXPORT_ENTRIES {
        return Err(AppError::TooLarge(format!(
            "the log has {size} entries, a page exports at most {EXPORT_ENTRIES}: use theriac export --ledger"
        )));
    }
    let mut archive = archive(visit);
    audit::export(visit.app(), &visit.caller, log, &mut archive).await?;
    download(visit, archive, log.as_str())
}

fn download(visit: &Visit, archive: Archive, what: &str) -> Result<Response, AppError> {
    let bytes = archive
        .0
        .into_inner()
        .map_err(|error| AppError::Fault(error.to_string()))?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-tar"),
    );
    let name = format!("attachment; filename=\"{}-{what}.tar\"", visit.slug);
    if let Ok(value) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}
