//! Criteria: a search, and whether it finds one resource. The current version is asked of the store by
//! the very plan of a search; versions that are no longer current (before an update or a deletion, or
//! overtaken meanwhile) are compared by the same values in memory.

use fhir::definitions::TypeId;
use fhir::json::{Document, Limits};
use fhir::search::{Modifier, parse_query_value, split_alternatives};
use kernel::LogicalId;

use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::record::query_string;
use crate::record::search::{self, SearchRequest};

/// A search without anything about its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Criteria {
    pub ty: TypeId,
    pub params: Vec<(String, String)>,
}

/// Parameters that shape an answer and mean nothing here.
const SHAPING: &[&str] = &[
    "_count",
    "_sort",
    "_total",
    "_summary",
    "_elements",
    "_include",
    "_revinclude",
    "_contained",
    "_containedType",
    "_format",
    "_pretty",
    "_type",
    search::CURSOR,
];

impl Criteria {
    /// Reads `Type?query`; says what is wrong with it.
    pub(crate) fn parse(app: &App, text: &str) -> Result<Self, String> {
        let (name, query) = text.split_once('?').unwrap_or((text, ""));
        let ty = app.definitions().resource(name).ok_or_else(|| {
            let shown: String = name.chars().take(60).collect();
            format!(
                "criteria {shown:?} do not begin with a resource type: write Type?parameter=value"
            )
        })?;
        let params = query_string::parse(query)
            .ok_or_else(|| "the criteria have a broken percent escape".to_owned())?;
        let shaping = params.iter().find(|(name, _)| {
            let code = name.split(':').next().unwrap_or_default();
            SHAPING.contains(&code)
        });
        match shaping {
            Some((name, _)) => Err(format!(
                "criteria cannot have {name}, which shapes an answer: leave it out"
            )),
            None => Ok(Self { ty, params }),
        }
    }

    pub(crate) fn request(&self) -> SearchRequest {
        SearchRequest {
            ty: self.ty,
            params: self.params.clone(),
            lenient: false,
        }
    }

    /// Whether a search by the caller finds a resource now.
    pub(crate) async fn finds(
        &self,
        app: &App,
        caller: &Caller,
        id: &LogicalId,
    ) -> Result<bool, AppError> {
        search::finds(app, caller, &self.request(), id).await
    }

    /// Whether it would have found a version; `None` where that cannot be told from the version alone.
    /// The body is one of the record, with id and meta.
    pub(crate) fn would_find(
        &self,
        app: &App,
        caller: &Caller,
        body: &[u8],
    ) -> Result<Option<bool>, AppError> {
        let document = Document::parse(body.to_vec(), &Limits::default())?;
        let values = fhir::search::extract(app.definitions(), self.ty, document.root());
        let mut told = true;
        for (name, value) in &self.params {
            let (code, suffix) = name.split_once(':').unwrap_or((name, ""));
            if code == "_id" {
                let id = document.root().get_str("id").unwrap_or_default();
                if !value.split(',').any(|wanted| wanted == id) {
                    return Ok(Some(false));
                }
                continue;
            }
            let param = app.definitions().search_param(self.ty, code);
            let modifier = Modifier::parse(app.definitions(), suffix);
            let (Some(param), Some(modifier)) = (param, modifier) else {
                told = false;
                continue;
            };
            let mut all = true;
            let mut any = false;
            let mut read = true;
            for part in split_alternatives(value) {
                let part = part
                    .strip_prefix(&*caller.context.base)
                    .and_then(|rest| rest.strip_prefix('/'))
                    .unwrap_or(part);
                let Ok(wanted) = parse_query_value(param, modifier, part, app.now()) else {
                    read = false;
                    break;
                };
                if !wanted.is_of_values() {
                    read = false;
                    break;
                }
                let found = fhir::search::matches(&values, param, modifier, &wanted);
                any |= found;
                all &= found;
            }
            if !read {
                told = false;
                continue;
            }
            // Under :not none of the alternatives may match.
            let matches = if suffix == "not" { all } else { any };
            if !matches {
                return Ok(Some(false));
            }
        }
        Ok(told.then_some(true))
    }
}
