//! The beginning: an instance with its registry and first operator, and callers for those who stand at
//! the machine itself.

use std::sync::Arc;

use identity::{
    AuthenticationLevel, Placement, Role, RoleAssignment, Schema, Subject, SystemTask, Tenant,
    TenantState, admit, system_scope,
};
use kernel::{ActorId, PurposeOfUse, RequestId, RowId, TenantId, TenantSlug};
use ledger::leaf::Class;
use store::{DocExpected, DocKind, TenantSpec};
use zeroize::Zeroizing;

use crate::App;
use crate::admin::users::{self, MadeUser, NewUser};
use crate::admin::{changed, write};
use crate::context::{Caller, RequestContext};
use crate::error::AppError;
use crate::sign_in;
use crate::tenants::{SLUG, info};
use crate::unit::UnitOfWork;

/// The instance's name in addresses: where operators sign in.
pub const INSTANCE_SLUG: &str = "instance";

/// The first operator.
#[derive(Debug, Clone)]
pub struct NewOperator {
    /// The sign-in name.
    pub sign_in_name: String,
    /// The name shown to people.
    pub display_name: String,
    /// A password; `None` makes one.
    pub password: Option<Zeroizing<String>>,
}

/// Whether there is an instance in this store.
pub async fn is_initialised(app: &App) -> Result<bool, AppError> {
    if !app.store().tenants().await?.contains(&TenantId::INSTANCE) {
        return Ok(false);
    }
    let scope = system_scope(TenantId::INSTANCE, SystemTask::Setup);
    let found = app
        .store()
        .doc_by(&scope, DocKind::Tenant, SLUG, INSTANCE_SLUG)
        .await?;
    Ok(found.is_some())
}

/// Makes the instance: its store, its place in the registry and its first operator, in one commit.
pub async fn instance(app: &App, operator: NewOperator) -> Result<MadeUser, AppError> {
    if is_initialised(app).await? {
        return Err(AppError::Conflict(
            "there is an instance here already: choose another data folder".to_owned(),
        ));
    }
    let scope = system_scope(TenantId::INSTANCE, SystemTask::Setup);
    let spec = TenantSpec {
        tenant: TenantId::INSTANCE,
        dedicated: None,
    };
    app.store().create_tenant(&scope, &spec).await?;
    let caller = system_caller(app, TenantId::INSTANCE, SystemTask::Setup)?;
    let new = NewUser {
        sign_in_name: operator.sign_in_name,
        display_name: operator.display_name,
        roles: vec![RoleAssignment::of(Role::Operator)],
        practitioner: None,
        patients: Vec::new(),
        password: operator.password,
    };
    let (made, user) = users::prepare(app, TenantId::INSTANCE, new).await?;
    let tenant = instance_tenant(app)?;
    let registry = write(
        app,
        DocKind::Tenant,
        tenant.id,
        DocExpected::Absent,
        &tenant,
        vec![(SLUG, INSTANCE_SLUG.to_owned())],
    )?;
    let detail = format!("first operator {}", made.user.sign_in_name);
    UnitOfWork::begin(app, &scope)
        .doc(registry)
        .doc(user)
        .entry(changed(
            app,
            &caller,
            Class::Tenant,
            "instance-create",
            detail,
        ))
        .commit()
        .await?;
    Ok(made)
}

fn instance_tenant(app: &App) -> Result<Tenant, AppError> {
    let slug: TenantSlug = INSTANCE_SLUG
        .parse()
        .map_err(|_| AppError::Fault("the instance's name is not a tenant name".to_owned()))?;
    Ok(Tenant {
        schema: Schema,
        id: TenantId::INSTANCE,
        slug,
        name: "Instance".to_owned(),
        placement: Placement::File,
        state: TenantState::Active,
        created: app.now(),
        region: "instance".to_owned(),
        time_zone: None,
        validation: None,
        references: None,
        deletions: None,
    })
}

/// Raises the id port above everything stored; call once at start, before anything is written.
pub async fn raise_row_floor(app: &App) -> Result<(), AppError> {
    let mut greatest: Option<RowId> = None;
    for tenant in app.store().tenants().await? {
        let scope = system_scope(tenant, SystemTask::Setup);
        greatest = greatest.max(app.store().greatest_row(&scope).await?);
    }
    if let Some(row) = greatest {
        app.ids().raise_row_floor(row);
    }
    Ok(())
}

fn context(app: &App, purpose: PurposeOfUse) -> RequestContext {
    RequestContext {
        id: RequestId::from_uuid(app.ids().uuid()),
        client_address: None,
        received: app.now(),
        purpose,
        base: Arc::from("http://localhost/fhir"),
        idempotency: None,
        advice: Default::default(),
    }
}

fn at_instance(app: &App, subject: Subject, context: RequestContext) -> Result<Caller, AppError> {
    let tenant = instance_tenant(app)?;
    sign_in::caller(app, &tenant, Arc::new(subject), context)
}

/// The operator at the command line of the machine, in the instance. `id` is kept by the command line,
/// so that the same person is the same actor each time.
pub fn console(app: &App, id: ActorId, name: &str) -> Result<Caller, AppError> {
    let subject = Subject::operator_at_console(id, name);
    at_instance(
        app,
        subject,
        context(app, PurposeOfUse::SystemAdministration),
    )
}

/// The platform itself in a tenant, for a task; what the task may do is `identity`'s decision.
pub fn system_caller(app: &App, tenant: TenantId, task: SystemTask) -> Result<Caller, AppError> {
    let subject = Subject::system(tenant, task);
    let scope = admit(tenant, &subject, app.now()).map_err(|_| AppError::not_found("tenant"))?;
    let instance = instance_tenant(app)?;
    Ok(Caller {
        scope,
        subject: Arc::new(subject),
        context: Arc::new(context(app, PurposeOfUse::SystemAdministration)),
        tenant: info(&Tenant {
            id: tenant,
            ..instance
        }),
    })
}

/// A user of a tenant as a caller without signing in, for set-up and tests of the machine's operator:
/// the demo's population is loaded by its own users.
pub async fn acting_as(
    app: &App,
    slug: &str,
    sign_in_name: &str,
    purpose: PurposeOfUse,
) -> Result<Caller, AppError> {
    let tenant = crate::tenants::by_slug(app, slug).await?;
    let scope = system_scope(tenant.id, SystemTask::Setup);
    let doc = app
        .store()
        .doc_by(&scope, DocKind::User, sign_in::NAME, sign_in_name)
        .await?
        .ok_or_else(|| AppError::not_found("user"))?;
    let user: identity::User = serde_json::from_slice(&doc.body)?;
    let level = AuthenticationLevel::Password;
    let subject = sign_in::subject_of_user(app, &scope, &user, level, None).await?;
    sign_in::caller(app, &tenant, Arc::new(subject), context(app, purpose))
}
