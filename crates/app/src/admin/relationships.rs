//! Explicit relationships between staff and patients, beside the branch that manages the patient.

use identity::{Interaction, Party, Relationship, RelationshipKind};
use kernel::{LogicalId, Timestamp};
use ledger::leaf::Class;
use store::{DocExpected, DocKind};
use uuid::Uuid;

use crate::App;
use crate::admin::{Versioned, acting_user, all, allow, changed, commit, load, refuse, write};
use crate::context::Caller;
use crate::error::AppError;

/// A relationship to be made.
#[derive(Debug, Clone)]
pub struct NewRelationship {
    /// Who.
    pub party: Party,
    /// To whom.
    pub patient: LogicalId,
    /// What it is.
    pub kind: RelationshipKind,
    /// Until when; `None` while it lasts.
    pub until: Option<Timestamp>,
}

/// The relationships of a patient, or all of them.
pub async fn list(
    app: &App,
    caller: &Caller,
    patient: Option<&LogicalId>,
) -> Result<Vec<Relationship>, AppError> {
    allow(app, caller, Interaction::ManageUsers).await?;
    let found: Vec<Versioned<Relationship>> =
        all(app, &caller.scope, DocKind::Relationship).await?;
    Ok(found
        .into_iter()
        .map(|found| found.value)
        .filter(|one| patient.is_none_or(|patient| one.patient == *patient))
        .collect())
}

/// Makes a relationship from now on, for somebody else: nobody gives themselves reach, nor a branch that
/// they belong to.
pub async fn create(
    app: &App,
    caller: &Caller,
    new: NewRelationship,
) -> Result<Relationship, AppError> {
    allow(app, caller, Interaction::ManageUsers).await?;
    let own = match new.party {
        Party::User(user) => !caller.subject.may_administer(user),
        Party::Branch(branch) => caller.subject.belongs_to(branch),
    };
    if own {
        let sentence = "nobody relates themselves or their own branch to a patient: ask another \
             administrator, or take emergency access";
        return Err(refuse(app, caller, Class::Relationship, "own-reach", sentence).await?);
    }
    let now = app.now();
    if new.until.is_some_and(|until| until <= now) {
        return Err(AppError::Unprocessable(
            "the relationship would end before it begins: give a later end".to_owned(),
        ));
    }
    let relationship = Relationship {
        schema: Default::default(),
        id: app.ids().uuid(),
        party: new.party,
        patient: new.patient,
        kind: new.kind,
        from: now,
        until: new.until,
        made_by: acting_user(caller.subject.actor()),
    };
    let doc = write(
        app,
        DocKind::Relationship,
        relationship.id,
        DocExpected::Absent,
        &relationship,
        Vec::new(),
    )?;
    let mut entry = changed(
        app,
        caller,
        Class::Relationship,
        "relationship-create",
        format!("{:?}", relationship.kind),
    );
    about(&mut entry, &relationship);
    commit(app, &caller.scope, doc, entry).await?;
    app.caches().principals.forget_tenant(caller.scope.tenant());
    Ok(relationship)
}

/// Ends a relationship now.
pub async fn end(app: &App, caller: &Caller, id: Uuid) -> Result<Relationship, AppError> {
    allow(app, caller, Interaction::ManageUsers).await?;
    let found: Option<Versioned<Relationship>> =
        load(app, &caller.scope, DocKind::Relationship, &id.to_string()).await?;
    let mut found = found.ok_or_else(|| AppError::not_found("relationship"))?;
    let now = app.now();
    found.value.until = Some(found.value.until.map_or(now, |until| until.min(now)));
    let doc = write(
        app,
        DocKind::Relationship,
        id,
        DocExpected::Version(found.version),
        &found.value,
        Vec::new(),
    )?;
    let mut entry = changed(
        app,
        caller,
        Class::Relationship,
        "relationship-end",
        format!("{:?}", found.value.kind),
    );
    about(&mut entry, &found.value);
    commit(app, &caller.scope, doc, entry).await?;
    app.caches().principals.forget_tenant(caller.scope.tenant());
    Ok(found.value)
}

fn about(entry: &mut store::Entry, relationship: &Relationship) {
    entry.subject = Some(relationship.patient.clone());
    entry.payload.patient = Some(relationship.patient.as_str().to_owned());
}
