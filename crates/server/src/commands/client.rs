//! `theriac client`: registers and lists API clients.

use app::admin::clients::{self, NewClient};
use identity::{Interaction, InteractionSet, Jwk, Role, RoleAssignment, Scope, SystemTask, Types};
use kernel::Category;
use serde_json::json;

use crate::cli::Client;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::Printer;
use crate::{console, tenancy};

/// Runs it.
pub async fn run(config: &Config, what: &Client, printer: Printer) -> Result<u8, Failure> {
    super::with_instance(config, async |instance| match what {
        Client::Create {
            tenant,
            name,
            jwks,
            scopes,
        } => {
            let tenant = tenancy::tenant(&instance, Some(tenant)).await?;
            let caller = console::task(&instance.app, tenant.id, SystemTask::Setup)?;
            let scopes = scopes
                .iter()
                .map(|text| scope(text))
                .collect::<Result<_, _>>()?;
            let jwks = jwks.as_deref().map(keys).transpose()?.unwrap_or_default();
            let made =
                clients::create(&instance.app, &caller, integration(name, scopes, jwks)).await?;
            printer.object(&json!({ "client": made.name, "id": made.id.to_string() }));
            printer.note("\nhint: `theriac token create` makes a long-lived token for it");
            Ok(())
        }
        Client::List { tenant } => {
            let tenant = tenancy::tenant(&instance, Some(tenant)).await?;
            let caller = console::task(&instance.app, tenant.id, SystemTask::Setup)?;
            let rows: Vec<Vec<serde_json::Value>> = clients::list(&instance.app, &caller)
                .await?
                .into_iter()
                .map(|client| {
                    let scopes: Vec<String> = client.scopes.iter().map(shown).collect();
                    let state = format!("{:?}", client.state).to_lowercase();
                    vec![
                        client.name.into(),
                        scopes.into(),
                        client.jwks.len().into(),
                        state.into(),
                        client.id.to_string().into(),
                    ]
                })
                .collect();
            printer.cells(&["client", "scopes", "keys", "state", "id"], &rows);
            Ok(())
        }
    })
    .await
}

/// An integration client with scopes and keys.
pub fn integration(name: &str, scopes: Vec<Scope>, jwks: Vec<Jwk>) -> NewClient {
    NewClient {
        name: name.to_owned(),
        roles: vec![RoleAssignment::of(Role::IntegrationService)],
        scopes,
        operations: vec![
            Interaction::VerifyLedger,
            Interaction::Import,
            Interaction::Export,
            Interaction::Merge,
        ],
        jwks,
    }
}

/// Reads `Patient.read`, `Patient.*`, `*.read` or `*.*`; interactions are `read`, `write`, or the letters `rshcud`.
pub fn scope(text: &str) -> Result<Scope, Failure> {
    let refuse = || {
        Failure::new(
            Category::Invalid,
            format!(
                "scope {text:?} cannot be read: give TYPE.INTERACTION such as Patient.read, Observation.write, Patient.rs or *.*"
            ),
        )
    };
    let (ty, what) = text.split_once('.').ok_or_else(refuse)?;
    let types = match ty {
        "*" => Types::All,
        name if fhir::definitions::Definitions::r4()
            .resource(name)
            .is_some() =>
        {
            Types::Named(vec![name.to_owned()])
        }
        _ => return Err(refuse()),
    };
    let letters = match what {
        "*" => "rshcud",
        "read" => "rsh",
        "write" => "cud",
        "" => return Err(refuse()),
        letters => letters,
    };
    let interactions = InteractionSet::parse(letters).ok_or_else(refuse)?;
    Ok(Scope {
        types,
        interactions,
    })
}

fn shown(scope: &Scope) -> String {
    let types = match &scope.types {
        Types::All => "*".to_owned(),
        Types::Named(names) => names.join(","),
    };
    format!("{types}.{}", scope.interactions)
}

fn keys(path: &std::path::Path) -> Result<Vec<Jwk>, Failure> {
    #[derive(serde::Deserialize)]
    struct Set {
        keys: Vec<Jwk>,
    }
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    let set: Set = serde_json::from_str(&text).map_err(|error| {
        Failure::new(
            Category::Invalid,
            format!(
                "{} is no JWK set with kid and alg in each key: {error}",
                path.display()
            ),
        )
    })?;
    Ok(set.keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_shown() {
        for (written, meant) in [
            ("*.*", "*.rshcud"),
            ("Patient.read", "Patient.rsh"),
            ("Observation.cu", "Observation.cu"),
        ] {
            assert_eq!(shown(&scope(written).unwrap()), meant);
        }
        for bad in ["", "Patient", "Nothing.read", "Patient.", "Patient.fly"] {
            assert!(scope(bad).is_err(), "{bad}");
        }
    }
}
