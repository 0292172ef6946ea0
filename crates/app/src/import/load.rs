//! Loads bundles of entries through the bundle use-case: as a transaction, and where that is refused,
//! entry by entry, so that one bad resource does not lose the rest.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use kernel::{Categorised as _, Category};
use sha2::{Digest as _, Sha256};

use crate::App;
use crate::context::{Caller, RequestContext};
use crate::error::AppError;
use crate::import::convert::{self, Item};
use crate::record::bundle::{self, Done};

/// How often something that may pass (a full queue) is tried again.
const TRIES: u32 = 8;

/// What came of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A new version was stored.
    Stored,
    /// It was there already, byte for byte.
    Unchanged,
    /// Not stored, and why.
    Refused(String),
}

/// Loads into one tenant as one caller. Cheap to clone.
#[derive(Clone)]
pub struct Loader {
    app: App,
    caller: Arc<Caller>,
}

impl Loader {
    /// As a caller who may import.
    #[must_use]
    pub fn new(app: App, caller: Caller) -> Self {
        Self {
            app,
            caller: Arc::new(caller),
        }
    }

    /// Loads entries that do not depend on each other.
    pub async fn load(&self, items: Vec<Item>) -> Result<Vec<(Item, Verdict)>, AppError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let verdicts = match self.transaction(&items).await {
            Ok(verdicts) => verdicts,
            Err(error) if is_of_content(&error) => self.one_by_one(&items).await?,
            Err(error) => return Err(error),
        };
        Ok(items.into_iter().zip(verdicts).collect())
    }

    /// Loads entries that do not depend on each other, once: asked for again under the same name, soon enough
    /// for idempotency keys to be kept, it answers what came of them and changes nothing, whatever was
    /// written meanwhile. The name is at most 100 bytes.
    pub async fn load_once(
        &self,
        name: &str,
        items: Vec<Item>,
    ) -> Result<Vec<(Item, Verdict)>, AppError> {
        let mut content = Sha256::new();
        for item in &items {
            content.update(&item.json);
        }
        let content = HEXLOWER.encode(&content.finalize());
        let context = RequestContext {
            idempotency: Some(format!("{name} {content}")),
            ..(*self.caller.context).clone()
        };
        let once = Caller {
            context: Arc::new(context),
            ..(*self.caller).clone()
        };
        Self::new(self.app.clone(), once).load(items).await
    }

    /// Loads entries all or none.
    pub async fn transaction(&self, items: &[Item]) -> Result<Vec<Verdict>, AppError> {
        let done = self.send(convert::bundle(items, "transaction")).await?;
        Ok(done.into_iter().map(verdict).collect())
    }

    /// Loads the bytes of a whole transaction bundle as they are.
    pub async fn bundle(&self, body: Vec<u8>) -> Result<Vec<Verdict>, AppError> {
        Ok(self.send(body).await?.into_iter().map(verdict).collect())
    }

    async fn one_by_one(&self, items: &[Item]) -> Result<Vec<Verdict>, AppError> {
        let done = self.send(convert::bundle(items, "batch")).await?;
        Ok(done.into_iter().map(verdict).collect())
    }

    async fn send(&self, body: Vec<u8>) -> Result<Vec<Done>, AppError> {
        let body = bytes::Bytes::from(body);
        let mut tries = 0;
        loop {
            match bundle::bundle(&self.app, &self.caller, body.clone(), false).await {
                Ok(answer) => return Ok(answer.done),
                // Two files that bring the same resource at the same time, or a full queue.
                Err(error) if tries < TRIES && may_pass(&error) => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(10 << tries)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What an earlier run kept of a file.
    pub async fn finished(&self, digest: &str) -> Result<Option<Vec<u8>>, AppError> {
        super::finished(&self.app, &self.caller, digest).await
    }

    /// Remembers a finished file; see [`super::finish`].
    pub async fn finish(
        &self,
        digest: &str,
        kept: Vec<u8>,
        detail: String,
    ) -> Result<(), AppError> {
        super::finish(&self.app, &self.caller, digest, kept, detail).await
    }
}

fn verdict(done: Done) -> Verdict {
    match done {
        Done::Stored => Verdict::Stored,
        Done::Unchanged | Done::Other => Verdict::Unchanged,
        Done::Failed(why) => Verdict::Refused(why),
    }
}

fn may_pass(error: &AppError) -> bool {
    matches!(
        error.category(),
        Category::Throttled | Category::Conflict | Category::Stale
    )
}

// The content is to blame, not the machine: tried by itself, the rest can be stored.
fn is_of_content(error: &AppError) -> bool {
    matches!(
        error.category(),
        Category::Invalid
            | Category::Unprocessable
            | Category::TooLarge
            | Category::NotFound
            | Category::Gone
            | Category::Conflict
            | Category::Stale
            | Category::Unsupported
    )
}
