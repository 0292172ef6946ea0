//! `theriac tenant`: makes and lists tenants.

use app::admin::tenants::{self, NewTenant};
use identity::{DeletionMode, Placement, ReferenceMode, ValidationMode};
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::Tenant;
use crate::config::Config;
use crate::console;
use crate::failure::Failure;
use crate::output::Printer;
use crate::wiring::{Instance, is_postgres};
use crate::words;

/// Runs it.
pub async fn run(config: &Config, what: &Tenant, printer: Printer) -> Result<u8, Failure> {
    super::with_instance(config, async |instance| match what {
        Tenant::Create {
            slug,
            name,
            administrator,
            dedicated,
        } => {
            let password = words::pass_phrase(&*instance.ids);
            let new = NewTenant {
                slug: slug.parse().map_err(Failure::of_id)?,
                name: name.clone(),
                placement: placement(&instance, dedicated.as_deref())?,
                region: "on-premises".to_owned(),
                administrator: (administrator.clone(), administrator.clone()),
                password: Some(Zeroizing::new(password.clone())),
            };
            let caller = console::operator(&instance.app)?;
            let made = tenants::create(&instance.app, &caller, new).await?;
            printer.object(&json!({
                "tenant": made.tenant.slug.as_str(),
                "id": made.tenant.id.to_string(),
                "administrator": made.administrator.user.sign_in_name.as_str(),
                "password": password,
            }));
            printer.note("\nhint: the password is told once");
            Ok(())
        }
        Tenant::Set {
            slug,
            time_zone,
            validation,
            references,
            deletions,
        } => {
            if let Some(zone) = time_zone {
                set_zone(&instance, slug, zone, printer).await?;
            }
            if let Some(mode) = validation {
                set_validation(&instance, slug, mode, printer).await?;
            }
            if let Some(mode) = references {
                set_references(&instance, slug, mode, printer).await?;
            }
            match deletions {
                Some(mode) => set_deletions(&instance, slug, mode, printer).await,
                None => Ok(()),
            }
        }
        Tenant::List => list(&instance, printer).await,
    })
    .await
}

/// Prints the tenants.
async fn list(instance: &Instance, printer: Printer) -> Result<(), Failure> {
    let rows: Vec<Vec<String>> = crate::tenancy::tenants(instance)
        .await?
        .into_iter()
        .map(|tenant| {
            let state = format!("{:?}", tenant.state).to_lowercase();
            let zone = shown_zone(instance, &tenant)?;
            Ok(vec![
                tenant.slug.to_string(),
                tenant.name,
                state,
                tenant.id.to_string(),
                tenant.created.to_fhir_instant(),
                zone,
            ])
        })
        .collect::<Result<_, Failure>>()?;
    let columns = ["tenant", "name", "state", "id", "created", "time zone"];
    printer.rows(&columns, &rows);
    Ok(())
}

/// Sets the zone a tenant's times are shown in; `default` is the instance's.
async fn set_zone(
    instance: &Instance,
    slug: &str,
    zone: &str,
    printer: Printer,
) -> Result<(), Failure> {
    let zone = match zone {
        "default" => None,
        name => Some(
            name.parse()
                .map_err(|error: kernel::ZoneError| Failure::from_error(&error))?,
        ),
    };
    let slug = slug.parse().map_err(Failure::of_id)?;
    let caller = console::operator(&instance.app)?;
    let tenant = tenants::set_time_zone(&instance.app, &caller, &slug, zone).await?;
    printer.object(&json!({
        "tenant": tenant.slug.as_str(),
        "time_zone": shown_zone(instance, &tenant)?,
    }));
    Ok(())
}

/// Sets whether a tenant's writes are held to profiles; `default` is as the instance says.
async fn set_validation(
    instance: &Instance,
    slug: &str,
    mode: &str,
    printer: Printer,
) -> Result<(), Failure> {
    let mode = match mode {
        "default" => None,
        word => Some(ValidationMode::of_word(word).ok_or_else(|| {
            Failure::new(
                kernel::Category::Invalid,
                format!("validation {word:?} is unknown: say off, warn, enforce or default"),
            )
        })?),
    };
    let slug = slug.parse().map_err(Failure::of_id)?;
    let caller = console::operator(&instance.app)?;
    let tenant = tenants::set_validation(&instance.app, &caller, &slug, mode).await?;
    let default = instance.app.settings().validation;
    printer.object(&json!({
        "tenant": tenant.slug.as_str(),
        "validation": tenant.validation.unwrap_or(default).as_str(),
    }));
    Ok(())
}

fn unknown(what: &str, word: &str, known: &str) -> Failure {
    let text = format!("{what} {word:?} is unknown: say {known}");
    Failure::new(kernel::Category::Invalid, text)
}

/// Sets whether references within a tenant must point to something.
async fn set_references(
    instance: &Instance,
    slug: &str,
    word: &str,
    printer: Printer,
) -> Result<(), Failure> {
    let mode = ReferenceMode::of_word(word)
        .ok_or_else(|| unknown("references", word, "off, warn or enforce"))?;
    let slug = slug.parse().map_err(Failure::of_id)?;
    let caller = console::operator(&instance.app)?;
    let tenant = tenants::set_references(&instance.app, &caller, &slug, mode).await?;
    printer.object(&json!({
        "tenant": tenant.slug.as_str(),
        "references": mode.as_str(),
    }));
    Ok(())
}

/// Sets how many resources a conditional delete may take away.
async fn set_deletions(
    instance: &Instance,
    slug: &str,
    word: &str,
    printer: Printer,
) -> Result<(), Failure> {
    let mode = DeletionMode::of_word(word)
        .ok_or_else(|| unknown("deletions", word, "single or multiple"))?;
    let slug = slug.parse().map_err(Failure::of_id)?;
    let caller = console::operator(&instance.app)?;
    let tenant = tenants::set_deletions(&instance.app, &caller, &slug, mode).await?;
    printer.object(&json!({
        "tenant": tenant.slug.as_str(),
        "deletions": mode.as_str(),
    }));
    Ok(())
}

/// The zone a tenant's times are shown in.
fn shown_zone(instance: &Instance, tenant: &identity::Tenant) -> Result<String, Failure> {
    Ok(match &tenant.time_zone {
        Some(zone) => zone.to_string(),
        None => format!("{} (default)", crate::wiring::time_zone(&instance.config)?),
    })
}

/// Where a new tenant's data goes.
pub fn placement(instance: &Instance, dedicated: Option<&str>) -> Result<Placement, Failure> {
    Ok(match dedicated {
        Some(name) => Placement::Dedicated {
            database: name.to_owned(),
        },
        None if is_postgres(&instance.config)? => Placement::Shared,
        None => Placement::File,
    })
}
