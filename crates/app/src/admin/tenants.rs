//! Tenants of the instance: made by operators, each with its store, logs and first administrator. And
//! support grants, by which an operator is let into one for a while.

use std::sync::Arc;

use identity::{
    DeletionMode, Interaction, Placement, ReferenceMode, Role, RoleAssignment, SupportGrant,
    SystemTask, Tenant, TenantState, ValidationMode, admit, system_scope,
};
use kernel::{TenantId, TenantSlug, ZoneName};
use ledger::leaf::Class;
use store::{DocExpected, DocKind, TenantSpec};

use crate::App;
use crate::admin::users::{self, MadeUser, NewUser};
use crate::admin::{Versioned, all, allow, changed, commit, load, write};
use crate::context::Caller;
use crate::error::AppError;
use crate::search_parameters;
use crate::tenants::{SLUG, info};
use crate::unit::UnitOfWork;

/// A tenant to be made.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// Its name in addresses.
    pub slug: TenantSlug,
    /// Its name for people.
    pub name: String,
    /// Where its data lies.
    pub placement: Placement,
    /// Region the data must stay in, such as `on-premises`.
    pub region: String,
    /// The sign-in name and shown name of its first administrator.
    pub administrator: (String, String),
    /// The first administrator's password; `None` makes one.
    pub password: Option<zeroize::Zeroizing<String>>,
}

/// A tenant that was made.
#[derive(Debug, Clone)]
pub struct MadeTenant {
    /// The tenant.
    pub tenant: Tenant,
    /// Its first administrator.
    pub administrator: MadeUser,
}

/// Every tenant, by name in addresses.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Tenant>, AppError> {
    allow(app, caller, Interaction::ManageTenants).await?;
    let found: Vec<Versioned<Tenant>> = all(app, &caller.scope, DocKind::Tenant).await?;
    let mut tenants: Vec<Tenant> = found.into_iter().map(|found| found.value).collect();
    tenants.sort_by(|a, b| a.slug.cmp(&b.slug));
    Ok(tenants)
}

/// Makes a tenant: its store and keys, its first administrator, and last its entry in the registry, so
/// that nobody can reach a half-made one.
pub async fn create(app: &App, caller: &Caller, new: NewTenant) -> Result<MadeTenant, AppError> {
    allow(app, caller, Interaction::ManageTenants).await?;
    let taken = app
        .store()
        .doc_by(&caller.scope, DocKind::Tenant, SLUG, new.slug.as_str())
        .await?;
    if taken.is_some() {
        return Err(AppError::Conflict(format!(
            "the tenant name {} is taken: choose another one",
            new.slug
        )));
    }
    let id = TenantId::from_uuid(app.ids().uuid());
    let scope = system_scope(id, SystemTask::Setup);
    let spec = TenantSpec {
        tenant: id,
        dedicated: match &new.placement {
            Placement::Dedicated { database } => Some(database.clone()),
            Placement::File | Placement::Shared => None,
        },
    };
    app.store().create_tenant(&scope, &spec).await?;
    search_parameters::begin(app, &scope).await?;
    let (sign_in_name, display_name) = new.administrator;
    let administrator = NewUser {
        sign_in_name,
        display_name,
        roles: vec![RoleAssignment::of(Role::Administrator)],
        practitioner: None,
        patients: Vec::new(),
        password: new.password,
    };
    let (administrator, doc) = users::prepare(app, id, administrator).await?;
    let detail = format!("first administrator {}", administrator.user.sign_in_name);
    let entry = changed(app, caller, Class::User, "user-create", detail);
    UnitOfWork::begin(app, &scope)
        .doc(doc)
        .entry(entry)
        .commit()
        .await?;
    let tenant = Tenant {
        schema: Default::default(),
        id,
        slug: new.slug,
        name: new.name,
        placement: new.placement,
        state: TenantState::Active,
        created: app.now(),
        region: new.region,
        time_zone: None,
        validation: None,
        references: None,
        deletions: None,
    };
    save(app, caller, &tenant, DocExpected::Absent, "tenant-create").await?;
    Ok(MadeTenant {
        tenant,
        administrator,
    })
}

/// Opens, suspends or closes a tenant.
pub async fn set_state(
    app: &App,
    caller: &Caller,
    slug: &TenantSlug,
    state: TenantState,
) -> Result<Tenant, AppError> {
    allow(app, caller, Interaction::ManageTenants).await?;
    let found = find(app, caller, slug).await?;
    let mut tenant = found.value;
    tenant.state = state;
    let expected = DocExpected::Version(found.version);
    save(app, caller, &tenant, expected, "tenant-state").await?;
    app.caches().principals.forget_tenant(tenant.id);
    Ok(tenant)
}

/// Sets the zone a tenant's times are shown in; `None`: the instance's.
pub async fn set_time_zone(
    app: &App,
    caller: &Caller,
    slug: &TenantSlug,
    zone: Option<ZoneName>,
) -> Result<Tenant, AppError> {
    allow(app, caller, Interaction::ManageTenants).await?;
    let found = find(app, caller, slug).await?;
    let mut tenant = found.value;
    tenant.time_zone = zone;
    let expected = DocExpected::Version(found.version);
    save(app, caller, &tenant, expected, "tenant-time-zone").await?;
    app.caches().principals.forget_tenant(tenant.id);
    Ok(tenant)
}

/// Sets whether a tenant's writes are held to profiles; `None`: as the instance says.
pub async fn set_validation(
    app: &App,
    caller: &Caller,
    slug: &TenantSlug,
    mode: Option<ValidationMode>,
) -> Result<Tenant, AppError> {
    allow(app, caller, Interaction::ManageTenants).await?;
    let found = find(app, caller, slug).await?;
    let mut tenant = found.value;
    tenant.validation = mode;
    let expected = DocExpected::Version(found.version);
    save(app, caller, &tenant, expected, "tenant-validation").await?;
    Ok(tenant)
}

/// Sets whether references within a tenant must point to something. What is stored already is not
/// looked at.
pub async fn set_references(
    app: &App,
    caller: &Caller,
    slug: &TenantSlug,
    mode: ReferenceMode,
) -> Result<Tenant, AppError> {
    allow(app, caller, Interaction::ManageTenants).await?;
    let found = find(app, caller, slug).await?;
    let mut tenant = found.value;
    tenant.references = Some(mode);
    let expected = DocExpected::Version(found.version);
    save(app, caller, &tenant, expected, "tenant-references").await?;
    app.caches().principals.forget_tenant(tenant.id);
    Ok(tenant)
}

/// Sets how many resources a conditional delete of a tenant may take away.
pub async fn set_deletions(
    app: &App,
    caller: &Caller,
    slug: &TenantSlug,
    mode: DeletionMode,
) -> Result<Tenant, AppError> {
    allow(app, caller, Interaction::ManageTenants).await?;
    let found = find(app, caller, slug).await?;
    let mut tenant = found.value;
    tenant.deletions = Some(mode);
    let expected = DocExpected::Version(found.version);
    save(app, caller, &tenant, expected, "tenant-deletions").await?;
    app.caches().principals.forget_tenant(tenant.id);
    Ok(tenant)
}

async fn find(
    app: &App,
    caller: &Caller,
    slug: &TenantSlug,
) -> Result<Versioned<Tenant>, AppError> {
    let doc = app
        .store()
        .doc_by(&caller.scope, DocKind::Tenant, SLUG, slug.as_str())
        .await?
        .ok_or_else(|| AppError::not_found("tenant"))?;
    Ok(Versioned {
        value: serde_json::from_slice(&doc.body)?,
        version: doc.version,
    })
}

async fn save(
    app: &App,
    caller: &Caller,
    tenant: &Tenant,
    expected: DocExpected,
    what: &'static str,
) -> Result<(), AppError> {
    let lookups = vec![(SLUG, tenant.slug.as_str().to_owned())];
    let doc = write(app, DocKind::Tenant, tenant.id, expected, tenant, lookups)?;
    let zone = tenant
        .time_zone
        .as_ref()
        .map_or("default", ZoneName::as_str);
    let validation = tenant.validation.map_or("default", ValidationMode::as_str);
    let references = tenant.references.map_or("default", ReferenceMode::as_str);
    let deletions = tenant.deletions.map_or("default", DeletionMode::as_str);
    let detail = format!(
        "{} ({:?}, time zone {zone}, validation {validation}, references {references}, deletions {deletions})",
        tenant.slug, tenant.state
    );
    let entry = changed(app, caller, Class::Tenant, what, detail);
    commit(app, &caller.scope, doc, entry).await?;
    app.caches().tenants.forget(&tenant.slug);
    Ok(())
}

/// Lets the operator into a tenant for a while, with a reason of 10 to 1000 characters. `content` allows
/// clinical content to be touched: import, export, erasure. Both the instance's and the tenant's ledger
/// say so. Answers the operator as a caller in the tenant.
pub async fn support(
    app: &App,
    operator: &Caller,
    slug: &TenantSlug,
    text: &str,
    content: bool,
    minutes: u32,
) -> Result<Caller, AppError> {
    allow(app, operator, Interaction::GrantSupport).await?;
    let tenant = find(app, operator, slug).await?.value;
    let grant = SupportGrant::make(
        tenant.id,
        app.ids().uuid(),
        operator.subject.actor().id,
        text,
        content,
        minutes,
        app.now(),
    )
    .map_err(|error| AppError::Unprocessable(error.to_string()))?;
    let doc = write(
        app,
        DocKind::Setting,
        format!("support-{}", grant.id),
        DocExpected::Absent,
        &grant,
        Vec::new(),
    )?;
    let entry = |detail: String| {
        let mut entry = changed(app, operator, Class::Config, "support-grant", detail);
        entry.prior = Some(grant.id);
        entry
    };
    let detail = format!("{}: {}", tenant.slug, grant.text);
    commit(app, &operator.scope, doc, entry(detail)).await?;
    UnitOfWork::begin(app, &system_scope(tenant.id, SystemTask::Setup))
        .entry(entry(grant.text.clone()))
        .commit()
        .await?;
    let refused = |_| AppError::not_found("tenant");
    let subject = operator
        .subject
        .supporting(&grant, app.now())
        .map_err(|_| AppError::not_found("tenant"))?;
    let scope = admit(tenant.id, &subject, app.now()).map_err(refused)?;
    Ok(Caller {
        scope,
        subject: Arc::new(subject),
        context: operator.context.clone(),
        tenant: info(&tenant),
    })
}

/// One tenant of the registry.
pub async fn get(app: &App, caller: &Caller, id: TenantId) -> Result<Tenant, AppError> {
    allow(app, caller, Interaction::ManageTenants).await?;
    let found: Option<Versioned<Tenant>> =
        load(app, &caller.scope, DocKind::Tenant, &id.to_string()).await?;
    found
        .map(|found| found.value)
        .ok_or_else(|| AppError::not_found("tenant"))
}
