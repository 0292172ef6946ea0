//! Branches: each stands for one Organization resource of the tenant.

use identity::{Branch, BranchKind, BranchState, Interaction};
use kernel::{BranchId, LogicalId};
use ledger::leaf::Class;
use store::{DocExpected, DocKind, ResourceKey};

use crate::App;
use crate::admin::{Versioned, all, allow, changed, commit, load, write};
use crate::context::Caller;
use crate::error::AppError;
use crate::record::prepare::{self, Slot};
use crate::unit::UnitOfWork;

const NAME: &str = "name";

/// A branch to be made.
#[derive(Debug, Clone)]
pub struct NewBranch {
    /// Its name for people, unique in the tenant.
    pub name: String,
    /// What kind of place it is.
    pub kind: BranchKind,
    /// The Organization resource it stands for; `None` makes one with the branch's name.
    pub organization: Option<LogicalId>,
}

/// The tenant's branches, by name.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Branch>, AppError> {
    allow(app, caller, Interaction::ManageBranches).await?;
    let found: Vec<Versioned<Branch>> = all(app, &caller.scope, DocKind::Branch).await?;
    let mut branches: Vec<Branch> = found.into_iter().map(|found| found.value).collect();
    branches.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(branches)
}

/// Makes a branch, and its Organization where none is named, in one commit.
pub async fn create(app: &App, caller: &Caller, new: NewBranch) -> Result<Branch, AppError> {
    allow(app, caller, Interaction::ManageBranches).await?;
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 120 {
        return Err(AppError::Unprocessable(
            "a branch's name has 1 to 120 characters: shorten it".to_owned(),
        ));
    }
    let mut unit = UnitOfWork::begin(app, &caller.scope);
    let (organization, change) = organization(app, caller, new.organization, &name).await?;
    let branch = Branch {
        schema: Default::default(),
        id: BranchId::from_uuid(app.ids().uuid()),
        name: name.clone(),
        kind: new.kind,
        organization,
        state: BranchState::Active,
    };
    let lookups = vec![(NAME, name.to_lowercase())];
    unit = unit.doc(write(
        app,
        DocKind::Branch,
        branch.id,
        DocExpected::Absent,
        &branch,
        lookups,
    )?);
    let entry = changed(app, caller, Class::Branch, "branch-create", name);
    let unit = unit.entry(entry);
    let unit = match change {
        Some(change) => unit.change(change),
        None => unit,
    };
    unit.commit().await?;
    app.caches().principals.forget_tenant(caller.scope.tenant());
    Ok(branch)
}

/// The Organization of a branch: the one that is named, or a new one with its change.
async fn organization(
    app: &App,
    caller: &Caller,
    named: Option<LogicalId>,
    name: &str,
) -> Result<(LogicalId, Option<store::Change>), AppError> {
    let ty = app
        .definitions()
        .resource("Organization")
        .ok_or_else(|| AppError::Fault("the definitions lack Organization".to_owned()))?;
    if let Some(id) = named {
        let key = ResourceKey { ty, id: id.clone() };
        let heads = app.store().heads(&caller.scope, &[key]).await?;
        if !heads.into_iter().flatten().any(|head| !head.is_deleted()) {
            return Err(AppError::not_found(format!("Organization/{}", id.as_str())));
        }
        return Ok((id, None));
    }
    let id = LogicalId::from_uuid(app.ids().uuid());
    let key = ResourceKey { ty, id: id.clone() };
    let body = serde_json::to_vec(&serde_json::json!({
        "resourceType": "Organization", "active": true, "name": name,
    }))?;
    let document = prepare::parse(app, body.into())?;
    let slot = Slot::first(app, key);
    let prepared = prepare::change(app, caller, slot, document.root(), None)?;
    Ok((id, Some(prepared.allow(app, caller, None, false).await?)))
}

/// Opens or closes a branch; assignments to a closed one give no reach.
pub async fn set_state(
    app: &App,
    caller: &Caller,
    id: BranchId,
    state: BranchState,
) -> Result<Branch, AppError> {
    allow(app, caller, Interaction::ManageBranches).await?;
    let found: Option<Versioned<Branch>> =
        load(app, &caller.scope, DocKind::Branch, &id.to_string()).await?;
    let mut found = found.ok_or_else(|| AppError::not_found("branch"))?;
    found.value.state = state;
    let doc = write(
        app,
        DocKind::Branch,
        id,
        DocExpected::Version(found.version),
        &found.value,
        vec![(NAME, found.value.name.to_lowercase())],
    )?;
    let what = match state {
        BranchState::Active => "branch-open",
        BranchState::Closed => "branch-close",
    };
    let entry = changed(app, caller, Class::Branch, what, found.value.name.clone());
    commit(app, &caller.scope, doc, entry).await?;
    app.caches().principals.forget_tenant(caller.scope.tenant());
    Ok(found.value)
}
