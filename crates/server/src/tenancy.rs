//! Finding what the command line names: a tenant by its name in addresses, branches, users and clients by
//! theirs.

use app::admin;
use identity::{ApiClient, Branch, SystemTask, Tenant, User};
use kernel::{Category, TenantId};

use crate::console;
use crate::failure::Failure;
use crate::wiring::Instance;

/// All tenants but the instance itself, by name in addresses.
pub async fn tenants(instance: &Instance) -> Result<Vec<Tenant>, Failure> {
    let caller = console::operator(&instance.app)?;
    let mut tenants = admin::tenants::list(&instance.app, &caller).await?;
    tenants.retain(|tenant| !tenant.id.is_instance());
    Ok(tenants)
}

/// The tenant named, or the only one.
pub async fn tenant(instance: &Instance, named: Option<&str>) -> Result<Tenant, Failure> {
    let tenants = tenants(instance).await?;
    let names = || {
        tenants
            .iter()
            .map(|tenant| tenant.slug.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (named, tenants.as_slice()) {
        (Some(slug), _) => tenants
            .iter()
            .find(|tenant| tenant.slug.as_str() == slug)
            .cloned()
            .ok_or_else(|| {
                Failure::missing(format!(
                    "there is no tenant {slug:?}: the tenants are {}",
                    names()
                ))
            }),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(Failure::missing(
            "there is no tenant: make one with `theriac tenant create`",
        )),
        (None, _) => Err(Failure::new(
            Category::Invalid,
            format!(
                "there are several tenants ({}): name one with --tenant",
                names()
            ),
        )),
    }
}

/// The branches of a tenant.
pub async fn branches(instance: &Instance, tenant: TenantId) -> Result<Vec<Branch>, Failure> {
    let caller = console::task(&instance.app, tenant, SystemTask::Setup)?;
    Ok(admin::branches::list(&instance.app, &caller).await?)
}

/// A user by sign-in name.
pub async fn user(instance: &Instance, tenant: TenantId, sign_in: &str) -> Result<User, Failure> {
    let caller = console::task(&instance.app, tenant, SystemTask::Setup)?;
    let users = admin::users::list(&instance.app, &caller).await?;
    let folded = sign_in.trim().to_lowercase();
    users
        .into_iter()
        .find(|user| user.sign_in_name.as_str() == folded)
        .ok_or_else(|| {
            Failure::missing(format!(
                "there is no user {sign_in:?}: `theriac user list` lists them"
            ))
        })
}

/// A client by id or name.
pub async fn client(
    instance: &Instance,
    tenant: TenantId,
    named: &str,
) -> Result<ApiClient, Failure> {
    let caller = console::task(&instance.app, tenant, SystemTask::Setup)?;
    let clients = admin::clients::list(&instance.app, &caller).await?;
    clients
        .into_iter()
        .find(|client| client.id.to_string() == named || client.name.eq_ignore_ascii_case(named))
        .ok_or_else(|| {
            Failure::missing(format!(
                "there is no client {named:?}: `theriac client list` lists them"
            ))
        })
}
