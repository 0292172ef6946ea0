//! `ViewDefinition/$run` and `$viewdefinition-run` (SQL on FHIR v2): a view sent along, its rows streamed as
//! NDJSON, CSV or JSON. R4 has no type ViewDefinition: one that is kept is the content of a Library or Binary,
//! named as `viewReference`. A failure after the first rows ends the connection without its last chunk.

use app::AppError;
use app::operations::run_view::{self, Run, Source, write_csv, write_csv_header, write_ndjson};
use app::operations::stored_view::stored_view;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use fhir::json::{Document, Limits, Value};
use futures_util::stream;
use kernel::{Category, LogicalId};

use super::parameters::{Parameters, RESOURCE};
use crate::edge::{Arrival, EdgeError, logical_id};
use crate::fhir_routes::failed;
use crate::routing::Route;

/// The routes.
#[must_use]
pub fn table() -> Vec<Route> {
    let of_type = "/t/{tenant}/fhir/ViewDefinition/$run";
    let of_system = "/t/{tenant}/fhir/$viewdefinition-run";
    vec![
        Route::post(of_type, "run-view", failed, run),
        Route::post(of_system, "run-view", failed, run),
    ]
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Ndjson,
    Csv { header: bool },
    Json,
}

impl Form {
    fn of(parameters: &Parameters, headers: &HeaderMap) -> Result<Self, EdgeError> {
        let accept = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let asked = parameters.text("_format");
        let asked = asked.as_deref().unwrap_or(accept);
        let asked = asked.split([',', ';']).next().unwrap_or_default().trim();
        match asked {
            "" | "*/*" | "ndjson" | "application/x-ndjson" | "application/ndjson" => {
                Ok(Self::Ndjson)
            }
            "csv" | "text/csv" => Ok(Self::Csv {
                header: parameters.flag("header")?.unwrap_or(true),
            }),
            "json" | "application/json" | "application/fhir+json" => Ok(Self::Json),
            other => Err(invalid(format!(
                "rows are not offered as {other:?}: use ndjson, csv or json"
            ))),
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv { .. } => "text/csv; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

fn invalid(text: impl Into<String>) -> EdgeError {
    EdgeError::Address(Category::Invalid, text.into())
}

async fn run(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let limit = arrival.app().settings().limits.bundle_bytes;
    let parameters = Parameters::read(&mut arrival, limit).await?;
    let form = Form::of(&parameters, arrival.headers())?;
    for absent in ["group", "source"] {
        if parameters.parts().any(|(name, _)| name == absent) {
            return Err(invalid(format!("{absent} is not offered: leave it out")));
        }
    }
    let view = match (definition(&parameters), reference(&parameters)) {
        (Some(definition), None) => run_view::compile(definition)?,
        (None, Some(named)) => {
            let kept = stored_view(arrival.app(), &caller, &named).await?;
            let kept =
                Document::parse(kept.to_vec(), &Limits::default()).map_err(AppError::from)?;
            run_view::compile(kept.root())?
        }
        (Some(_), Some(_)) => {
            return Err(invalid(
                "viewResource and viewReference are both there: send one of them",
            ));
        }
        (None, None) => {
            return Err(invalid(
                "there is no view: send a ViewDefinition as viewResource, or name one as viewReference",
            ));
        }
    };
    let source = source(&parameters)?;
    let mut run = run_view::begin(arrival.app(), &caller, view, source).await?;
    // The first rows come before the status, so that what fails at once is answered as a failure.
    let first = run.next_rows().await?;
    let writing = Writing {
        run,
        form,
        pending: first,
        begun: false,
        rows: 0,
        ended: false,
    };
    let body = Body::from_stream(stream::try_unfold(writing, |mut writing| async move {
        let chunk = writing.chunk().await?;
        Ok::<_, AppError>(chunk.map(|chunk| (chunk, writing)))
    }));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(form.media_type()),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The view: a part of the Parameters, or the whole body.
fn definition(parameters: &Parameters) -> Option<Value<'_>> {
    let is_view =
        |value: &Value<'_>| value.get_str("resourceType").as_deref() == Some("ViewDefinition");
    parameters
        .resources("viewResource")
        .next()
        .or_else(|| parameters.resources(RESOURCE).find(is_view))
}

/// The name of a view that is kept: a Reference, or a canonical.
fn reference(parameters: &Parameters) -> Option<String> {
    let mut named = parameters.values("viewReference");
    let reference = named.find_map(|value| value.get_str("reference"));
    let text = || parameters.text("viewReference");
    reference.or_else(text).map(std::borrow::Cow::into_owned)
}

fn source(parameters: &Parameters) -> Result<Source, EdgeError> {
    let limit = match parameters.text("_limit") {
        None => None,
        Some(text) => Some(
            text.parse()
                .map_err(|_| invalid("_limit is no number of rows: give a whole number"))?,
        ),
    };
    let inline: Vec<Bytes> = parameters
        .parts()
        .filter(|(name, _)| name == RESOURCE)
        .filter_map(|(_, part)| part.get("resource"))
        .map(|resource| Bytes::copy_from_slice(resource.raw()))
        .collect();
    Ok(Source {
        patient: patient(parameters)?,
        since: parameters.text("_since").map(std::borrow::Cow::into_owned),
        inline: (!inline.is_empty()).then_some(inline),
        limit,
    })
}

/// A reference to one patient, as text or as a Reference.
fn patient(parameters: &Parameters) -> Result<Option<LogicalId>, EdgeError> {
    let reference = parameters
        .values("patient")
        .find_map(|value| value.get_str("reference"));
    let Some(text) = parameters.text("patient").or(reference) else {
        return Ok(None);
    };
    let id = text.strip_prefix("Patient/").unwrap_or(&text);
    logical_id(id).map(Some)
}

/// Rows on their way out.
struct Writing {
    run: Run,
    form: Form,
    pending: Option<Vec<run_view::Row>>,
    begun: bool,
    rows: u64,
    ended: bool,
}

impl Writing {
    /// The next bytes; none when everything is written.
    async fn chunk(&mut self) -> Result<Option<Bytes>, AppError> {
        if self.ended {
            return Ok(None);
        }
        let mut out = Vec::new();
        if !self.begun {
            self.begun = true;
            match self.form {
                Form::Csv { header: true } => write_csv_header(self.run.columns(), &mut out),
                Form::Json => out.push(b'['),
                _ => {}
            }
        }
        let rows = match self.pending.take() {
            Some(rows) => Some(rows),
            None if self.rows == 0 => None,
            None => self.run.next_rows().await?,
        };
        if let Some(rows) = rows {
            self.write(&rows, &mut out);
        } else {
            self.ended = true;
            if self.form == Form::Json {
                out.extend_from_slice(b"]\n");
            }
        }
        Ok(Some(Bytes::from(out)))
    }

    fn write(&mut self, rows: &[run_view::Row], out: &mut Vec<u8>) {
        for row in rows {
            match self.form {
                Form::Ndjson => write_ndjson(self.run.columns(), row, out),
                Form::Csv { .. } => write_csv(row, out),
                Form::Json => {
                    if self.rows > 0 {
                        out.push(b',');
                    }
                    write_ndjson(self.run.columns(), row, out);
                }
            }
            self.rows += 1;
        }
    }
}
