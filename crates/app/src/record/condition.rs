//! Conditions: a search that must match none or one resource (conditional create, update, delete and
//! conditional references), or, for a delete where the tenant allows it, a bounded number of them.

use fhir::definitions::TypeId;
use identity::DeletionMode;
use store::{Guard, ResourceKey, SearchPlan, StoredVersion, Total};

use crate::App;
use crate::context::Caller;
use crate::error::{AppError, QueryError};
use crate::record::narrow;
use crate::record::plan::{self, Request};
use crate::record::query_string;
use crate::search_parameters;

/// Bytes of bodies read at a time where a delete looks for all that it takes away.
const PAGE: usize = 8 << 20;

/// What a condition matches.
#[derive(Debug, Clone)]
pub(crate) enum Matched {
    None,
    One(Box<StoredVersion>),
    Several,
}

/// A parsed condition.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub ty: TypeId,
    pub plan: SearchPlan,
    /// `_count`, where it was given: how many matches a delete may have.
    most: Option<u32>,
}

impl Condition {
    /// Reads criteria such as `identifier=http://x|1`; a leading `Type?` is accepted. Criteria must
    /// narrow: none at all is refused. Never lenient: an ignored criterion would match too much.
    pub(crate) async fn parse(
        app: &App,
        caller: &Caller,
        ty: TypeId,
        query: &str,
    ) -> Result<Self, AppError> {
        let name = app.definitions().resource_name(ty);
        let query = query
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('?'))
            .unwrap_or(query);
        let params = query_string::parse(query).ok_or_else(|| QueryError::Malformed {
            name: "the condition".to_owned(),
            detail: "a percent escape is broken".to_owned(),
        })?;
        Self::from_params(app, caller, ty, &params).await
    }

    /// The same from decoded pairs.
    pub(crate) async fn from_params(
        app: &App,
        caller: &Caller,
        ty: TypeId,
        params: &[(String, String)],
    ) -> Result<Self, AppError> {
        let request = Request {
            ty,
            params,
            lenient: false,
        };
        // Criteria may use parameters of the tenant's own, and need to know whether the index is whole.
        search_parameters::current(app, &caller.scope).await?;
        let mut planned = plan::plan(app, caller, &request)?;
        if planned.plan.all_of.is_empty() {
            return Err(AppError::Invalid(format!(
                "the condition on {} has no criteria: add at least one search parameter",
                app.definitions().resource_name(ty)
            )));
        }
        let given = params.iter().find(|(name, _)| name == "_count");
        let most = given.and_then(|(_, count)| count.parse().ok());
        planned.plan.count = 2;
        // A page that ended early would hide a second match.
        planned.plan.bytes = usize::MAX;
        planned.plan.total = Total::None;
        planned.plan.after = None;
        Ok(Self {
            ty,
            plan: planned.plan,
            most,
        })
    }

    /// Looks at everything in the tenant, also what the caller may not see: for deciding whether a
    /// resource may be created. What is found must be authorised before it is shown.
    pub(crate) async fn find_any(&self, app: &App, caller: &Caller) -> Result<Matched, AppError> {
        self.run(app, caller, self.plan.clone()).await
    }

    /// Looks only at what the caller may see.
    pub(crate) async fn find(&self, app: &App, caller: &Caller) -> Result<Matched, AppError> {
        let mut narrowed = self.plan.clone();
        narrowed.all_of.extend(narrow::clause(app, caller, self.ty));
        self.run(app, caller, narrowed).await
    }

    /// Whether a delete takes all that the criteria match.
    pub(crate) fn takes_several(caller: &Caller) -> bool {
        caller.tenant.deletions == Some(DeletionMode::Multiple)
    }

    /// All that a delete takes away, of what the caller may see, with the guard that makes the commit fail
    /// when the matches change meanwhile.
    ///
    /// # Errors
    /// More matches than the limits allow, or than `_count` said.
    pub(crate) async fn all(
        &self,
        app: &App,
        caller: &Caller,
    ) -> Result<(Vec<ResourceKey>, Guard), AppError> {
        let limit = app.settings().limits.deletions;
        let most = self.most.map_or(limit, |most| {
            limit.min(usize::try_from(most).unwrap_or(limit))
        });
        let mut plan = self.plan.clone();
        plan.all_of.extend(narrow::clause(app, caller, self.ty));
        plan.count = u32::try_from(most).unwrap_or(u32::MAX).saturating_add(1);
        // Page by page, without the bodies: all of them at once could be very large. The order of creation
        // does not change between pages.
        let mut look = SearchPlan {
            sort: Vec::new(),
            bytes: PAGE,
            ..plan.clone()
        };
        let (mut keys, mut seen) = (Vec::new(), Vec::new());
        loop {
            let left = most.saturating_add(1).saturating_sub(keys.len());
            look.count = u32::try_from(left).unwrap_or(u32::MAX);
            let page = app.store().search(&caller.scope, &look).await?;
            for one in page.matches {
                keys.push(one.key);
                seen.push(one.row);
            }
            if keys.len() > most {
                return Err(AppError::TooCostly(format!(
                    "the condition on {} matches more than {most} resources, so none was deleted: make it more precise, or delete in parts",
                    app.definitions().resource_name(self.ty)
                )));
            }
            match page.next {
                Some(next) => look.after = Some(next),
                None => return Ok((keys, Guard { plan, seen })),
            }
        }
    }

    async fn run(&self, app: &App, caller: &Caller, plan: SearchPlan) -> Result<Matched, AppError> {
        let page = app.store().search(&caller.scope, &plan).await?;
        let mut matches = page.matches.into_iter();
        Ok(match (matches.next(), matches.next()) {
            (None, _) => Matched::None,
            (Some(one), None) => Matched::One(Box::new(one)),
            _ => Matched::Several,
        })
    }

    /// The guard that makes the commit fail when the matches change meanwhile.
    pub(crate) fn guard(&self, app: &App, caller: &Caller, matched: &Matched) -> Guard {
        let mut plan = self.plan.clone();
        plan.all_of.extend(narrow::clause(app, caller, self.ty));
        let seen = match matched {
            Matched::One(found) => vec![found.row],
            _ => Vec::new(),
        };
        Guard { plan, seen }
    }

    pub(crate) fn ambiguous(&self, app: &App) -> AppError {
        AppError::MultipleMatches {
            what: app.definitions().resource_name(self.ty).to_owned(),
        }
    }
}
