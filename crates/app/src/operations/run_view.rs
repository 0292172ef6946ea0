//! `ViewDefinition/$run`: the rows of a view over what a search shows its caller, batch by batch. The
//! resources come through the search use-case, page by page, so that policy narrows them and every look is
//! recorded as for any search. Holds one page of resources at most. Must not write rows anywhere.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use fhir::json::{Document, Limits as JsonLimits, Value};
use kernel::{Categorised as _, Category, LogicalId, Timestamp};
use views::{Limits, RowError};

pub use views::{Column, Row, View, write_csv, write_csv_header, write_ndjson};

use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::record::place::Place;
use crate::record::search::{self, CURSOR};

/// Resources looked at before rows are handed out.
const BATCH_RESOURCES: usize = 50;
/// Rows one resource may make.
const ROWS_OF_ONE: usize = 10_000;

/// What to run a view over.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Only resources about this patient.
    pub patient: Option<LogicalId>,
    /// Only resources changed at this time or later, as `_lastUpdated` takes it.
    pub since: Option<String>,
    /// Resources that were sent along: the record is not looked at.
    pub inline: Option<Vec<Bytes>>,
    /// At most so many rows.
    pub limit: Option<u64>,
}

/// Where the next resources come from.
enum Next {
    Begin,
    Page(String),
    End,
}

/// A view being run.
pub struct Run {
    app: App,
    caller: Caller,
    view: Arc<View>,
    place: Place,
    params: Vec<(String, String)>,
    next: Next,
    waiting: VecDeque<Bytes>,
    left: u64,
}

/// Compiles a ViewDefinition.
///
/// # Errors
/// [`AppError::Unprocessable`] with the place of what is wrong.
pub fn compile(definition: Value<'_>) -> Result<View, AppError> {
    View::compile(definition).map_err(|error| AppError::Unprocessable(error.to_string()))
}

/// Begins to run a view. Whoever may not search the view's type is refused here.
///
/// # Errors
/// A refused search, and a patient for a type that is in no patient's compartment.
pub async fn begin(
    app: &App,
    caller: &Caller,
    view: View,
    source: Source,
) -> Result<Run, AppError> {
    let (place, params) = searched(app, &view, &source);
    search::planned(app, caller, &place, &params, false).await?;
    let (next, waiting) = match source.inline {
        Some(resources) => (Next::End, resources.into()),
        None => (Next::Begin, VecDeque::new()),
    };
    Ok(Run {
        app: app.clone(),
        caller: caller.clone(),
        view: Arc::new(view),
        place,
        params,
        next,
        waiting,
        left: source.limit.unwrap_or(u64::MAX),
    })
}

/// Where the view's resources are searched, and how: of a patient, those in its compartment.
fn searched(app: &App, view: &View, source: &Source) -> (Place, Vec<(String, String)>) {
    let ty = view.resource();
    let count = app.settings().limits.page_max.to_string();
    let mut params = vec![("_count".to_owned(), count)];
    let mut place = Place::Type(ty);
    match &source.patient {
        Some(patient) if ty == app.patient_type() => {
            params.push(("_id".to_owned(), patient.to_string()));
        }
        Some(patient) => {
            let of = app.patient_key(patient);
            place = Place::Compartment { of, ty: Some(ty) };
        }
        None => {}
    }
    if let Some(since) = &source.since {
        params.push(("_lastUpdated".to_owned(), format!("ge{since}")));
    }
    (place, params)
}

impl Run {
    /// The view's columns.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        self.view.columns()
    }

    /// The next rows, at least one; none at the end.
    ///
    /// # Errors
    /// A search that fails, and resources the view has no rows for.
    pub async fn next_rows(&mut self) -> Result<Option<Vec<Row>>, AppError> {
        while self.left > 0 {
            if self.waiting.is_empty() && !self.turn_page().await? {
                return Ok(None);
            }
            let count = self.waiting.len().min(BATCH_RESOURCES);
            let batch: Vec<Bytes> = self.waiting.drain(..count).collect();
            let (view, now) = (Arc::clone(&self.view), self.app.now());
            let mut rows =
                tokio::task::spawn_blocking(move || rows_of(&view, &batch, now)).await??;
            if rows.is_empty() {
                continue;
            }
            rows.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= rows.len() as u64;
            return Ok(Some(rows));
        }
        Ok(None)
    }

    /// Searches the next page; whether there was one.
    async fn turn_page(&mut self) -> Result<bool, AppError> {
        let mut params = self.params.clone();
        match std::mem::replace(&mut self.next, Next::End) {
            Next::End => return Ok(false),
            Next::Begin => {}
            Next::Page(cursor) => params.push((CURSOR.to_owned(), cursor)),
        }
        let answer =
            search::search_in(&self.app, &self.caller, &self.place, &params, false).await?;
        self.waiting.extend(
            answer
                .matches
                .into_iter()
                .filter_map(|version| version.body),
        );
        if let Some(cursor) = answer.next {
            self.next = Next::Page(cursor);
        }
        Ok(true)
    }
}

fn rows_of(view: &View, batch: &[Bytes], now: Timestamp) -> Result<Vec<Row>, AppError> {
    let limits = Limits {
        rows: ROWS_OF_ONE,
        ..Limits::default()
    };
    let mut rows = Vec::new();
    for body in batch {
        let document = Document::parse(body.to_vec(), &JsonLimits::default())?;
        rows.extend(
            view.rows(document.root(), Some(now), &limits)
                .map_err(|error| refused(&error))?,
        );
    }
    Ok(rows)
}

fn refused(error: &RowError) -> AppError {
    match error.category() {
        Category::TooCostly => AppError::TooLarge(error.to_string()),
        _ => AppError::Unprocessable(error.to_string()),
    }
}
