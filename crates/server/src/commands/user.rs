//! `theriac user`: makes, lists, disables users and resets passwords.

use app::admin::users::{self, NewUser};
use identity::{Branch, Role, RoleAssignment, SystemTask, UserState};
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::User;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::Printer;
use crate::wiring::Instance;
use crate::{console, tenancy, words};

/// Runs it.
pub async fn run(config: &Config, what: &User, printer: Printer) -> Result<u8, Failure> {
    super::with_instance(config, async |instance| match what {
        User::Create {
            tenant,
            sign_in,
            name,
            roles,
            branches,
        } => create(&instance, tenant, (sign_in, name), roles, branches, printer).await,
        User::List { tenant } => list(&instance, tenant, printer).await,
        User::Disable { tenant, sign_in } => {
            let tenant = tenancy::tenant(&instance, Some(tenant)).await?;
            let user = tenancy::user(&instance, tenant.id, sign_in).await?;
            let caller = console::task(&instance.app, tenant.id, SystemTask::Setup)?;
            let user =
                users::set_state(&instance.app, &caller, user.id, UserState::Suspended).await?;
            printer.object(&json!({ "user": user.sign_in_name.as_str(), "state": "suspended" }));
            Ok(())
        }
        User::ResetPassword { tenant, sign_in } => {
            let tenant = tenancy::tenant(&instance, Some(tenant)).await?;
            let user = tenancy::user(&instance, tenant.id, sign_in).await?;
            let caller = console::task(&instance.app, tenant.id, SystemTask::Setup)?;
            let made = users::reset_password(&instance.app, &caller, user.id).await?;
            let password = made.password.as_ref().map(|password| password.as_str());
            printer
                .object(&json!({ "user": made.user.sign_in_name.as_str(), "password": password }));
            printer
                .note("\nhint: the password is told once and must be changed at the next sign-in");
            Ok(())
        }
    })
    .await
}

async fn create(
    instance: &Instance,
    tenant: &str,
    (sign_in, name): (&str, &str),
    roles: &[String],
    branches: &[String],
    printer: Printer,
) -> Result<(), Failure> {
    let tenant = tenancy::tenant(instance, Some(tenant)).await?;
    let caller = console::task(&instance.app, tenant.id, SystemTask::Setup)?;
    let known = tenancy::branches(instance, tenant.id).await?;
    let roles = assignments(roles, branches, &known)?;
    let password = words::pass_phrase(&*instance.ids);
    let new = NewUser {
        sign_in_name: sign_in.to_owned(),
        display_name: name.to_owned(),
        roles,
        practitioner: None,
        patients: Vec::new(),
        password: Some(Zeroizing::new(password.clone())),
    };
    let made = users::create(&instance.app, &caller, new).await?;
    printer.object(&json!({
        "user": made.user.sign_in_name.as_str(),
        "id": made.user.id.to_string(),
        "password": password,
    }));
    printer.note("\nhint: the password is told once");
    Ok(())
}

/// Roles by name at branches by name; without branches, as far as the role reaches by itself.
pub fn assignments(
    roles: &[String],
    branches: &[String],
    known: &[Branch],
) -> Result<Vec<RoleAssignment>, Failure> {
    let mut ids = Vec::with_capacity(branches.len());
    for name in branches {
        let found = known
            .iter()
            .find(|branch| branch.name.eq_ignore_ascii_case(name));
        let branch = found.ok_or_else(|| {
            Failure::missing(format!(
                "there is no branch {name:?}: `theriac branch list` lists them"
            ))
        })?;
        ids.push(branch.id);
    }
    roles
        .iter()
        .map(|role| {
            let role: Role = role.parse()?;
            Ok(if ids.is_empty() {
                RoleAssignment::of(role)
            } else {
                RoleAssignment::at(role, ids.clone())
            })
        })
        .collect()
}

async fn list(instance: &Instance, tenant: &str, printer: Printer) -> Result<(), Failure> {
    let tenant = tenancy::tenant(instance, Some(tenant)).await?;
    let caller = console::task(&instance.app, tenant.id, SystemTask::Setup)?;
    let branches = tenancy::branches(instance, tenant.id).await?;
    let place = |assignment: &RoleAssignment| match &assignment.branches {
        None => serde_json::Value::from(assignment.role.to_string()),
        Some(ids) => {
            let names: Vec<&str> = branches
                .iter()
                .filter(|branch| ids.contains(&branch.id))
                .map(|branch| branch.name.as_str())
                .collect();
            format!("{} ({})", assignment.role, names.join(", ")).into()
        }
    };
    let rows: Vec<Vec<serde_json::Value>> = users::list(&instance.app, &caller)
        .await?
        .into_iter()
        .map(|user| {
            let roles: Vec<serde_json::Value> = user.roles.iter().map(place).collect();
            let state = format!("{:?}", user.state).to_lowercase();
            vec![
                user.sign_in_name.to_string().into(),
                user.display_name.into(),
                roles.into(),
                state.into(),
                user.id.to_string().into(),
            ]
        })
        .collect();
    printer.cells(&["user", "name", "roles", "state", "id"], &rows);
    Ok(())
}
