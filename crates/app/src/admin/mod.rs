//! Running a tenant: users, branches, clients, tokens, relationships, emergency access; and the
//! tenants of the instance. Every change is a document and a ledger entry in one commit.

pub mod branches;
pub mod break_glass;
pub mod clients;
pub mod relationships;
pub mod tenants;
pub mod tokens;
pub mod users;

use identity::Interaction;
use kernel::{Actor, TenantScope};
use ledger::leaf::Class;
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{DocExpected, DocKind, DocWrite, Entry, Log};

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::{Refused, house_entry, refusal_entry};
use crate::error::AppError;
use crate::unit::UnitOfWork;

/// A document with the version it was read at.
#[derive(Debug, Clone)]
pub struct Versioned<T> {
    /// What it says.
    pub value: T,
    /// Its version.
    pub version: u32,
}

pub(crate) async fn allow(
    app: &App,
    caller: &Caller,
    interaction: Interaction,
) -> Result<(), AppError> {
    authorise(app, caller, &Ask::operation(interaction)).await?;
    Ok(())
}

/// The refusal of what the caller's role may do in general but not here. It is in the access ledger
/// before it is answered.
pub(crate) async fn refuse(
    app: &App,
    caller: &Caller,
    class: Class,
    code: &'static str,
    sentence: &str,
) -> Result<AppError, AppError> {
    let refused = Refused {
        class,
        key: None,
        type_name: None,
        patient: None,
        code,
        sentence,
    };
    let entry = refusal_entry(app, caller, &refused);
    app.store()
        .record_access(&caller.scope, vec![entry])
        .await?;
    Ok(AppError::Denied {
        reason: sentence.to_owned(),
        code: code.to_owned(),
    })
}

/// Reads a document.
pub(crate) async fn load<T: DeserializeOwned>(
    app: &App,
    scope: &TenantScope,
    kind: DocKind,
    id: &str,
) -> Result<Option<Versioned<T>>, AppError> {
    let Some(doc) = app.store().doc(scope, kind, id).await? else {
        return Ok(None);
    };
    Ok(Some(Versioned {
        value: serde_json::from_slice(&doc.body)?,
        version: doc.version,
    }))
}

/// Reads every document of a kind, by ascending id.
pub(crate) async fn all<T: DeserializeOwned>(
    app: &App,
    scope: &TenantScope,
    kind: DocKind,
) -> Result<Vec<Versioned<T>>, AppError> {
    const PAGE: u32 = 500;
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let docs = app
            .store()
            .docs(scope, kind, after.as_deref(), PAGE)
            .await?;
        let full = docs.len() == PAGE as usize;
        after = docs.last().map(|doc| doc.id.clone());
        for doc in docs {
            found.push(Versioned {
                value: serde_json::from_slice(&doc.body)?,
                version: doc.version,
            });
        }
        if !full {
            return Ok(found);
        }
    }
}

/// A write of a governed document.
pub(crate) fn write<T: Serialize>(
    app: &App,
    kind: DocKind,
    id: impl std::fmt::Display,
    expected: DocExpected,
    value: &T,
    lookups: Vec<(&'static str, String)>,
) -> Result<DocWrite, AppError> {
    Ok(DocWrite {
        kind,
        id: id.to_string(),
        expected,
        body: Some(serde_json::to_vec(value)?),
        time: app.now(),
        expires: None,
        lookups,
    })
}

/// Commits a document with its entry.
pub(crate) async fn commit(
    app: &App,
    scope: &TenantScope,
    doc: DocWrite,
    entry: Entry,
) -> Result<(), AppError> {
    UnitOfWork::begin(app, scope)
        .doc(doc)
        .entry(entry)
        .commit()
        .await?;
    Ok(())
}

/// The entry of a change of the house. `what` is a word such as `user-create`; `detail` names what was
/// changed, without secrets.
pub(crate) fn changed(
    app: &App,
    caller: &Caller,
    class: Class,
    what: &'static str,
    detail: String,
) -> Entry {
    house_entry(app, caller, Log::Changes, class, what, Some(detail))
}

/// The user who acts; programs and jobs have none.
pub(crate) fn acting_user(actor: &Actor) -> kernel::UserId {
    kernel::UserId::from_uuid(actor.id.as_uuid())
}
