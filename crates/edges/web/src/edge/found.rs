//! Reading the record for pages: searches through the use-case, parsed bodies, and what a page shows of
//! a search that failed or was refused. Must not read around the use-cases.

use app::record::search::{CURSOR, SearchRequest, search};
use app::{AppError, Caller, StoredVersion};
use fhir::json::{Document, Limits, Value};
use kernel::LogicalId;

use super::visit::Visit;
use crate::pages::summary::Part;

/// A parsed resource.
pub struct Found {
    pub id: LogicalId,
    pub document: Document,
}

/// The matches of a search, parsed.
#[derive(Default)]
pub struct Matches {
    pub found: Vec<Found>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

impl Matches {
    /// Each with the address of its page.
    pub fn values(&self, visit: &Visit, type_name: &str) -> Vec<(Value<'_>, String)> {
        let href = |found: &Found| visit.href(&format!("/records/{type_name}/{}", found.id));
        self.found
            .iter()
            .map(|found| (found.document.root(), href(found)))
            .collect()
    }
}

/// The body of a version, parsed; `None` where it is gone.
pub fn parse(version: &StoredVersion) -> Result<Option<Document>, AppError> {
    let Some(body) = &version.body else {
        return Ok(None);
    };
    Ok(Some(Document::parse(body.to_vec(), &Limits::default())?))
}

/// Searches a type.
pub async fn find(
    visit: &Visit,
    caller: &Caller,
    type_name: &str,
    params: &[(&str, &str)],
) -> Result<Matches, AppError> {
    let ty = visit
        .app()
        .definitions()
        .resource(type_name)
        .ok_or_else(|| AppError::NotFound {
            what: "resource type".to_owned(),
        })?;
    let params = params
        .iter()
        .filter(|(name, value)| !(*name == CURSOR && value.is_empty()))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let answer = search(
        visit.app(),
        caller,
        &SearchRequest {
            ty,
            params,
            lenient: false,
        },
    )
    .await?;
    let mut found = Vec::with_capacity(answer.matches.len());
    for version in &answer.matches {
        if let Some(document) = parse(version)? {
            found.push(Found {
                id: version.key.id.clone(),
                document,
            });
        }
    }
    Ok(Matches {
        found,
        next: answer.next,
    })
}

/// What a page shows of a search: read, refused to the role, or not available. A fault is logged and
/// does not take the rest of the page with it.
pub fn part<T>(result: Result<Matches, AppError>, map: impl FnOnce(&Matches) -> T) -> Part<T> {
    match result {
        Ok(matches) => Part::Read {
            items: map(&matches),
            more: matches.next.is_some(),
        },
        Err(AppError::Denied { .. }) => Part::Hidden,
        Err(error) => {
            tracing::error!(%error, "a part of a page could not be read");
            Part::Unavailable
        }
    }
}

/// A text as one search value: what is special in FHIR searches is escaped.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | ',' | '|' | '$') {
            shown.push('\\');
        }
        shown.push(c);
    }
    shown
}
