//! The record to take away: every current resource of a type, page by page. The export is one entry of
//! the access ledger, not one for each page.

use bytes::Bytes;
use fhir::definitions::TypeId;
use identity::Interaction;
use ledger::leaf::Class;
use store::{Log, Position, SearchPlan, Sort, SortKey, Total};

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;

/// An export that was allowed and recorded.
#[derive(Clone)]
pub struct Export<'a> {
    app: &'a App,
    caller: &'a Caller,
}

/// Where the next page begins.
#[derive(Debug, Clone)]
pub struct Onward(Position);

/// Resources of one page.
#[derive(Debug, Clone)]
pub struct ExportPage {
    /// Their exact bytes, oldest first.
    pub bodies: Vec<Bytes>,
    /// Where to go on, if more follow.
    pub next: Option<Onward>,
}

/// Begins an export; `detail` says what of, for the ledger.
pub async fn begin<'a>(
    app: &'a App,
    caller: &'a Caller,
    detail: String,
) -> Result<Export<'a>, AppError> {
    let allowed = authorise(app, caller, &Ask::operation(Interaction::Export)).await?;
    if allowed.is_narrowed() {
        // The archive holds everything: there is no part of it that belongs to a branch.
        return Err(AppError::Denied {
            reason: "an archive holds the whole tenant: use a role for all of it, or a bulk export"
                .to_owned(),
            code: "needs-tenant".to_owned(),
        });
    }
    let mut entry = house_entry(app, caller, Log::Access, Class::Export, "export", None);
    entry.payload.query = Some(detail);
    app.store()
        .record_access(&caller.scope, vec![entry])
        .await?;
    app.store().settle(&caller.scope).await?;
    Ok(Export { app, caller })
}

impl Export<'_> {
    /// How many resources of a type there are now.
    pub async fn count(&self, ty: TypeId) -> Result<u64, AppError> {
        let mut plan = self.plan(ty, 0, None);
        plan.total = Total::Accurate;
        let page = self.app.store().search(&self.caller.scope, &plan).await?;
        Ok(page.total.unwrap_or_default())
    }

    /// A page of a type, after another one.
    pub async fn page(
        &self,
        ty: TypeId,
        count: u32,
        after: Option<Onward>,
    ) -> Result<ExportPage, AppError> {
        let plan = self.plan(ty, count, after.map(|after| after.0));
        let page = self.app.store().search(&self.caller.scope, &plan).await?;
        let bodies = page
            .matches
            .into_iter()
            .filter_map(|version| version.body)
            .collect();
        Ok(ExportPage {
            bodies,
            next: page.next.map(Onward),
        })
    }

    fn plan(&self, ty: TypeId, count: u32, after: Option<Position>) -> SearchPlan {
        SearchPlan {
            types: vec![ty],
            all_of: Vec::new(),
            sort: vec![Sort {
                key: SortKey::Row,
                descending: false,
            }],
            count,
            bytes: self.app.settings().limits.answer_bytes,
            rows: u64::MAX,
            after,
            total: Total::None,
        }
    }
}
