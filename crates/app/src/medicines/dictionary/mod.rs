//! The products that the house knows: lists that were installed on the instance for all its tenants, the
//! newest before the small one that is built in, and the call-backs of packs. A governed document names
//! each list, a blob holds it; looked at every few seconds, so that every replica has the same soon after.
//! Must not install anything.

pub mod install;

use std::sync::{Arc, OnceLock};

use identity::{SystemTask, system_scope};
use kernel::TenantId;
use medication::checks::NotChecked;
use medication::dictionary::pack::Recall;
use medication::dictionary::{Dictionary, DictionaryError, stored};
use medication::knowledge::Knowledge;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use store::{Doc, DocKind};

use crate::App;
use crate::error::AppError;
use crate::terminology::install::blob_name;

/// How long what another process changed may stay unseen, in milliseconds.
const UNSEEN_MS: i64 = 3_000;
/// How long after a failure a blob is tried again, in milliseconds.
const RETRY_MS: i64 = 60_000;
/// The start of the ids of call-backs; no list is named so.
const RECALL: &str = "recall/";

/// An installed list, as its document says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstalledProducts {
    /// `dmd` or `rxnorm`.
    pub kind: String,
    /// The release, as whoever loaded it named it.
    pub release: String,
    /// How many products it has.
    pub products: u64,
    /// How many numbers of packs.
    pub numbers: u64,
    /// Bytes of its blob.
    pub bytes: u64,
    /// The blob: SHA-256 in hexadecimal.
    pub blob: String,
    /// The file or folder it was loaded from, by its last name.
    pub source: String,
}

/// What is known of products now.
pub(crate) struct Known {
    /// What the checks rest on.
    pub knowledge: &'static Knowledge,
    /// Every list, one over the other.
    pub dictionary: Arc<Dictionary>,
    /// Call-backs.
    pub recalls: Vec<Recall>,
    /// Lists that cannot be used, and why.
    pub broken: Vec<(String, String)>,
    checked_ms: i64,
    read_ms: i64,
    /// Ids and versions of the documents it was made from.
    documents: Vec<(String, u32)>,
}

impl Known {
    /// Ids and versions of the lists of products that names are resolved with.
    pub fn lists(&self) -> impl Iterator<Item = (&str, u32)> {
        let all = self
            .documents
            .iter()
            .map(|(id, version)| (id.as_str(), *version));
        all.filter(|(id, _)| !id.starts_with(RECALL))
    }

    /// What could not be looked up for want of a list.
    pub fn gaps(&self) -> Vec<NotChecked> {
        let broken = self.broken.iter();
        broken
            .map(|(kind, why)| {
                NotChecked::Source(format!("the list of products {kind}"), why.clone())
            })
            .collect()
    }
}

/// What is kept between requests.
#[derive(Default)]
pub(crate) struct Board(Mutex<Option<Arc<Known>>>);

impl Board {
    /// Has this process look again before it answers, after it changed something.
    fn forget(&self) {
        *self.0.lock() = None;
    }
}

fn built_in() -> Result<(&'static Knowledge, Arc<Dictionary>), AppError> {
    static PRODUCTS: OnceLock<Result<Arc<Dictionary>, String>> = OnceLock::new();
    let knowledge = medication::knowledge::builtin::built_in()
        .map_err(|error| AppError::Fault(error.to_string()))?;
    let made = PRODUCTS.get_or_init(|| {
        medication::dictionary::built_in(knowledge)
            .map(Arc::new)
            .map_err(|error| error.to_string())
    });
    let dictionary = made.as_ref().map_err(|why| AppError::Fault(why.clone()))?;
    Ok((knowledge, Arc::clone(dictionary)))
}

/// What is known now.
pub(crate) async fn known(app: &App) -> Result<Arc<Known>, AppError> {
    let now = app.now().as_millis();
    let board = &app.caches().products;
    let before = board.0.lock().clone();
    if let Some(before) = &before
        && (0..UNSEEN_MS).contains(&now.saturating_sub(before.checked_ms))
    {
        return Ok(Arc::clone(before));
    }
    let docs = docs(app).await?;
    let documents: Vec<(String, u32)> = docs
        .iter()
        .map(|doc| (doc.id.clone(), doc.version))
        .collect();
    let made = match &before {
        Some(before)
            if before.documents == documents
                && (before.broken.is_empty() || now.saturating_sub(before.read_ms) < RETRY_MS) =>
        {
            Known {
                knowledge: before.knowledge,
                dictionary: Arc::clone(&before.dictionary),
                recalls: before.recalls.clone(),
                broken: before.broken.clone(),
                checked_ms: now,
                read_ms: before.read_ms,
                documents,
            }
        }
        _ => read(app, &docs, documents, now).await?,
    };
    let made = Arc::new(made);
    *board.0.lock() = Some(Arc::clone(&made));
    Ok(made)
}

async fn read(
    app: &App,
    docs: &[Doc],
    documents: Vec<(String, u32)>,
    now: i64,
) -> Result<Known, AppError> {
    let (knowledge, mut dictionary) = built_in()?;
    let mut recalls = Vec::new();
    let mut installed: Vec<InstalledProducts> = Vec::new();
    for doc in docs {
        if doc.id.starts_with(RECALL) {
            recalls.push(serde_json::from_slice(&doc.body)?);
        } else {
            installed.push(serde_json::from_slice(&doc.body)?);
        }
    }
    // The national list over the other: it states schedules.
    installed.sort_by_key(|one| core::cmp::Reverse(one.kind.clone()));
    let mut broken = Vec::new();
    for one in &installed {
        match fetch(app, one, knowledge, Arc::clone(&dictionary)).await {
            Ok(made) => dictionary = Arc::new(made),
            Err(why) => {
                tracing::error!(kind = one.kind, why, "a list of products cannot be used");
                broken.push((one.kind.clone(), why));
            }
        }
    }
    Ok(Known {
        knowledge,
        dictionary,
        recalls,
        broken,
        checked_ms: now,
        read_ms: now,
        documents,
    })
}

/// Reads a list from its blob. What cannot be read holds up nothing else: it is said wherever it is missed.
async fn fetch(
    app: &App,
    one: &InstalledProducts,
    knowledge: &'static Knowledge,
    below: Arc<Dictionary>,
) -> Result<Dictionary, String> {
    let broken = |what: &str| format!("it {what}: load it again with `theriac products load`");
    let scope = system_scope(TenantId::INSTANCE, SystemTask::Jobs);
    let name = blob_name(&one.blob).ok_or_else(|| broken("names no blob"))?;
    let files = app.files().map_err(|error| error.to_string())?;
    let bytes = files.get(&scope, name).await;
    let bytes = bytes
        .map_err(|error| broken(&format!("cannot be read ({error})")))?
        .ok_or_else(|| broken("has lost its blob"))?;
    let made = move || {
        let products = stored::unpack(&bytes, knowledge)?;
        Ok::<_, DictionaryError>(Dictionary::of(products).over(below))
    };
    tokio::task::spawn_blocking(made)
        .await
        .map_err(|error| broken(&format!("cannot be unpacked ({error})")))?
        .map_err(|error| error.to_string())
}

/// Every document of a list or a call-back.
async fn docs(app: &App) -> Result<Vec<Doc>, AppError> {
    let scope = system_scope(TenantId::INSTANCE, SystemTask::Jobs);
    let mut found: Vec<Doc> = Vec::new();
    loop {
        let after = found.last().map(|doc| doc.id.clone());
        let page = app
            .store()
            .docs(&scope, DocKind::Products, after.as_deref(), 200)
            .await?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}
