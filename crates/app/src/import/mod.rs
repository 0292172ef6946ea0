//! Loading FHIR: resources become bundle entries that can be loaded any number of times, and go through
//! the bundle use-case. And what an import remembers: which files are finished, by their digest, so that it resumes where it
//! stopped; loading a file again is harmless, only slower.

pub mod convert;
mod load;

pub use load::{Loader, Verdict};

use identity::Interaction;
use ledger::leaf::Class;
use store::{DocExpected, DocKind, DocWrite, Log};

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::unit::UnitOfWork;

fn document(app: &App, digest: &str, body: Option<Vec<u8>>) -> DocWrite {
    DocWrite {
        kind: DocKind::Import,
        id: digest.to_owned(),
        expected: DocExpected::Any,
        body,
        time: app.now(),
        expires: None,
        lookups: Vec::new(),
    }
}

/// What was kept of a finished file; `None` where it was never finished. `digest` is up to 200 bytes.
pub async fn finished(
    app: &App,
    caller: &Caller,
    digest: &str,
) -> Result<Option<Vec<u8>>, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::Import)).await?;
    let doc = app
        .store()
        .doc(&caller.scope, DocKind::Import, digest)
        .await?;
    Ok(doc.map(|doc| doc.body))
}

/// Says that every resource of a file is stored or refused. `summary` is JSON for the next run; `detail`
/// stands in the ledger and names no patient.
pub async fn finish(
    app: &App,
    caller: &Caller,
    digest: &str,
    summary: Vec<u8>,
    detail: String,
) -> Result<(), AppError> {
    authorise(app, caller, &Ask::operation(Interaction::Import)).await?;
    let entry = house_entry(
        app,
        caller,
        Log::Changes,
        Class::Import,
        "import",
        Some(detail),
    );
    UnitOfWork::begin(app, &caller.scope)
        .doc(document(app, digest, Some(summary)))
        .entry(entry)
        .commit()
        .await?;
    Ok(())
}
