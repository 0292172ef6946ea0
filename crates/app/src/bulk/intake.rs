//! Asking for an import: NDJSON sent with the request, files of the tenant's import folder, or files on
//! servers of the egress allow list. What is
//! wrong with the request is said at once; what is wrong with a line comes back with the job.

use std::sync::Arc;

use bytes::Bytes;
use identity::Interaction;
use ledger::leaf::Class;
use store::{DocExpected, Log};
use uuid::Uuid;

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::bulk::input::{self, Input, Source};
use crate::bulk::job::{ImportSpec, Job, Work};
use crate::bulk::kickoff::refuse_too_many;
use crate::bulk::{outputs, remote, sweep, work};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::unit::UnitOfWork;

/// What is to be read.
#[derive(Debug, Clone)]
pub enum InputSource {
    /// These lines.
    Lines(Bytes),
    /// The file of this name in the tenant's import folder.
    File(String),
    /// The file at this address.
    Url(String),
}

/// A request for an import.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// Inputs in order, each with the type of its lines where it is known.
    pub inputs: Vec<(Option<String>, InputSource)>,
    /// The whole address of the request, for the manifest.
    pub url: String,
}

/// Most inputs of a request.
const INPUTS: usize = 1_000;

/// Accepts an import and begins to work on it; answers the job's id.
pub async fn begin_import(
    app: &App,
    caller: &Caller,
    request: ImportRequest,
) -> Result<Uuid, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::Import)).await?;
    app.files()?;
    if request.inputs.is_empty() || request.inputs.len() > INPUTS {
        return Err(AppError::Invalid(format!(
            "an import needs 1 to {INPUTS} inputs: send NDJSON, or Parameters with input parts"
        )));
    }
    refuse_too_many(app, caller).await?;
    let id = app.ids().uuid();
    let kept = keep(app, caller, id, request.inputs).await;
    let (inputs, secret) = match kept {
        Ok(kept) => kept,
        Err(error) => {
            sweep::drop_files(app, &caller.scope, id).await?;
            return Err(error);
        }
    };
    let spec = ImportSpec { inputs };
    let job = Job::new(app, caller, id, Work::Import(spec), request.url, secret);
    let detail = format!("job {id} accepted");
    let (log, class) = (Log::Changes, Class::Import);
    let entry = house_entry(app, caller, log, class, "import", Some(detail));
    UnitOfWork::begin(app, &caller.scope)
        .doc(job.write(app, DocExpected::Absent)?)
        .entry(entry)
        .commit()
        .await?;
    work::start(app, caller.scope.tenant(), id);
    Ok(id)
}

async fn keep(
    app: &App,
    caller: &Caller,
    id: Uuid,
    given: Vec<(Option<String>, InputSource)>,
) -> Result<(Vec<Input>, String), AppError> {
    let secret = outputs::secret(app);
    let key = outputs::key(id, &secret);
    let key =
        Arc::new(key.ok_or_else(|| AppError::Fault("a job's secret is malformed".to_owned()))?);
    let mut inputs = Vec::with_capacity(given.len());
    for (number, (ty, source)) in given.into_iter().enumerate() {
        if let Some(name) = &ty
            && app.definitions().resource(name).is_none()
        {
            return Err(AppError::Invalid(
                "an input's type is not one of FHIR R4: check its spelling and case".to_owned(),
            ));
        }
        let source = match source {
            InputSource::File(name) => input::file(app, caller.tenant.slug.as_str(), &name).await?,
            InputSource::Url(url) => {
                remote::check(app, &url)?;
                Source::Url { url }
            }
            InputSource::Lines(text) => {
                let chunks = input::chunks(&text, app.settings().bulk.chunk_bytes);
                let count = chunks.len() as u64;
                for (chunk, text) in chunks.into_iter().enumerate() {
                    input::keep(app, &caller.scope, &key, id, (number, chunk), text).await?;
                }
                Source::Sent { chunks: count }
            }
        };
        inputs.push(Input { ty, source });
    }
    Ok((inputs, secret))
}
