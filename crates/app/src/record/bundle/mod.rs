//! Batch and transaction bundles (FHIR R4 http.html, batch and transaction). A transaction is one
//! commit: all of it or nothing. A batch is one use-case per entry. Entries are done in the order
//! DELETE, POST, PUT and PATCH, GET whatever their place; answers stand in the place of their entries.

mod address;
mod batch;
mod links;
mod look;
mod transaction;

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use fhir::json::{Document, Kind, Limits, Value};
use store::{DocWrite, Entry, Guard};
use tokio::sync::Semaphore;

use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::idempotency;
use crate::record::{WriteReceipt, render};

use self::address::{Item, Method};

/// What came of an entry, for those who count (imports).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Done {
    /// A new version was stored.
    Stored,
    /// What was sent is what is there: nothing was written.
    Unchanged,
    /// It failed by itself (batches only); why, as it may be told.
    Failed(String),
    /// A look, a deletion, or a create whose condition matched.
    #[default]
    Other,
}

/// What a bundle answers.
#[derive(Debug, Clone)]
pub struct BundleAnswer {
    /// The response bundle.
    pub body: Bytes,
    /// What came of each entry, in the order of entries; what came of it then, when an answer is given again
    /// for an idempotency key.
    pub done: Vec<Done>,
    /// The receipt of a transaction's first change.
    pub receipt: Option<WriteReceipt>,
}

/// A parsed bundle.
pub(super) struct Parsed {
    document: Document,
    items: Vec<Item>,
}

impl Parsed {
    /// The resources in order of entries. Walks the document once.
    fn resources(&self) -> Vec<Option<Value<'_>>> {
        entries(&self.document)
            .map(|entry| entry.get("resource"))
            .collect()
    }
}

fn outcomes(answers: &mut [render::ResponseEntry]) -> Vec<Done> {
    answers
        .iter_mut()
        .map(|answer| std::mem::take(&mut answer.done))
        .collect()
}

fn entries(document: &Document) -> impl Iterator<Item = Value<'_>> {
    document
        .root()
        .get("entry")
        .into_iter()
        .flat_map(Value::items)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Batch,
    Transaction,
}

/// Does a bundle. `representation` puts written resources into the answer (`Prefer:
/// return=representation`).
pub async fn bundle(
    app: &App,
    caller: &Caller,
    body: Bytes,
    representation: bool,
) -> Result<BundleAnswer, AppError> {
    let key = idempotency::Request::of(caller, "bundle", &body);
    let beside = Beside::default();
    done(app, caller, body, key, beside, representation).await
}

/// Does a transaction made here, if what `guards` saw is still so; [`AppError::Conflict`] where it is not.
/// `key` is that of the request it is made for: with one that was done, the answer is that of then.
pub(crate) async fn guarded(
    app: &App,
    caller: &Caller,
    body: Bytes,
    key: Option<idempotency::Request>,
    guards: Vec<Guard>,
) -> Result<BundleAnswer, AppError> {
    let beside = Beside {
        guards,
        ..Beside::default()
    };
    done(app, caller, body, key, beside, true).await
}

/// What is committed with a transaction's resources, or not at all.
#[derive(Default)]
pub(crate) struct Beside {
    /// What must still be so.
    pub guards: Vec<Guard>,
    /// Documents.
    pub docs: Vec<DocWrite>,
    /// Entries beside those of the versions.
    pub entries: Vec<Entry>,
    /// Documents that name what the entries store.
    pub naming: Option<Naming>,
}

/// Documents made from the names of what entries store, in the order of entries: `Type/id`, none of an entry
/// that stores nothing.
pub(crate) type Naming =
    Box<dyn Fn(&[Option<String>]) -> Result<Vec<DocWrite>, AppError> + Send + Sync>;

/// The same with documents and their entries in the same commit; [`AppError::Conflict`] where one of them
/// changed meanwhile.
pub(crate) async fn guarded_with(
    app: &App,
    caller: &Caller,
    body: Bytes,
    key: Option<idempotency::Request>,
    beside: Beside,
) -> Result<BundleAnswer, AppError> {
    done(app, caller, body, key, beside, true).await
}

async fn done(
    app: &App,
    caller: &Caller,
    body: Bytes,
    key: Option<idempotency::Request>,
    beside: Beside,
    representation: bool,
) -> Result<BundleAnswer, AppError> {
    let small = body.len() < SMALL_BYTES;
    let (shape, parsed) = {
        let (app, caller) = (app.clone(), caller.clone());
        on_worker(small, move || parse(&app, &caller, body)).await??
    };
    let parsed = Arc::new(parsed);
    match shape {
        Shape::Batch => batch::run(app, caller, &parsed, representation).await,
        Shape::Transaction => {
            let job = transaction::Transaction {
                app,
                caller,
                parsed: &parsed,
                key: key.as_ref(),
                beside,
                representation,
            };
            job.run().await
        }
    }
}

/// Below this many bytes a bundle is prepared where it is; above, on a blocking thread.
const SMALL_BYTES: usize = 16 << 10;

/// Bundles prepared at a time, one per core: more would finish together, late, and leave the writer idle
/// until then.
static PREPARING: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from)));

/// Runs work here when it is small, on a blocking thread otherwise.
async fn on_worker<T: Send + 'static>(
    small: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AppError> {
    if small {
        return Ok(work());
    }
    let _permit = PREPARING
        .acquire()
        .await
        .map_err(|error| AppError::Fault(error.to_string()))?;
    Ok(tokio::task::spawn_blocking(work).await?)
}

fn parse(app: &App, caller: &Caller, body: Bytes) -> Result<(Shape, Parsed), AppError> {
    let limits = &app.settings().limits;
    if body.len() > limits.bundle_bytes {
        return Err(AppError::TooLarge(format!(
            "the bundle has {} bytes, the limit is {}: split it",
            body.len(),
            limits.bundle_bytes
        )));
    }
    let bounds = Limits {
        max_bytes: limits.bundle_bytes,
        ..Limits::default()
    };
    let document = Document::parse(body.into(), &bounds)?;
    let root = document.root();
    let shape = shape(root)?;
    if root
        .get("entry")
        .is_some_and(|entry| entry.kind() != Kind::Array)
    {
        return Err(AppError::Invalid("Bundle.entry is not an array".to_owned()));
    }
    let count = entries(&document).count();
    if count > limits.bundle_entries {
        return Err(AppError::TooLarge(format!(
            "the bundle has {count} entries, the limit is {}: split it",
            limits.bundle_entries
        )));
    }
    let mut items = Vec::with_capacity(count);
    for (index, entry) in entries(&document).enumerate() {
        items.push(Item::parse(app, &caller.context.base, index, entry));
    }
    Ok((shape, Parsed { document, items }))
}

fn shape(root: Value<'_>) -> Result<Shape, AppError> {
    let text = |name| root.get(name).and_then(Value::as_str);
    if text("resourceType").as_deref() != Some("Bundle") {
        return Err(AppError::Invalid(
            "the body is not a Bundle: send resources to the address of their type".to_owned(),
        ));
    }
    match text("type").as_deref() {
        Some("batch") => Ok(Shape::Batch),
        Some("transaction") => Ok(Shape::Transaction),
        _ => Err(AppError::Invalid(
            "Bundle.type is neither batch nor transaction: only these can be sent here".to_owned(),
        )),
    }
}

/// The order of doing.
const ORDER: [Method; 5] = [
    Method::Delete,
    Method::Post,
    Method::Put,
    Method::Patch,
    Method::Get,
];
