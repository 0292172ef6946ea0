//! `theriac token`: makes, lists and revokes long-lived tokens.

use app::admin::tokens::{self, NewToken};
use identity::{SystemTask, TokenOwner};
use kernel::{Category, Timestamp};
use serde_json::json;

use crate::cli::Token;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::Printer;
use crate::{console, tenancy, wiring};

/// Runs it.
pub async fn run(config: &Config, what: &Token, printer: Printer) -> Result<u8, Failure> {
    super::with_instance(config, async |instance| match what {
        Token::Create { tenant, client, name, days } => {
            let tenant = tenancy::tenant(&instance, Some(tenant)).await?;
            let client = tenancy::client(&instance, tenant.id, client).await?;
            let caller = console::task(&instance.app, tenant.id, SystemTask::Setup)?;
            let new =
                NewToken { owner: TokenOwner::Client(client.id), name: name.clone(), scopes: None, days: *days };
            let made = tokens::create(&instance.app, &caller, new).await?;
            printer.object(&json!({
                "token": made.text.as_str(),
                "id": made.token.id.to_string(),
                "expires": made.token.expires.to_fhir_instant(),
            }));
            let base = wiring::public_url(config);
            let slug = tenant.slug.as_str();
            printer.note(&format!("\nhint: the token is told once; curl -H \"Authorization: Bearer TOKEN\" {base}/t/{slug}/fhir/Patient"));
            Ok(())
        }
        Token::List { tenant } => {
            let tenant = tenancy::tenant(&instance, Some(tenant)).await?;
            let caller = console::task(&instance.app, tenant.id, SystemTask::Setup)?;
            let rows: Vec<Vec<String>> = tokens::list(&instance.app, &caller)
                .await?
                .into_iter()
                .map(|token| {
                    let owner = match token.owner {
                        TokenOwner::User(id) => format!("user {id}"),
                        TokenOwner::Client(id) => format!("client {id}"),
                    };
                    let used = token.last_used.map_or("never".to_owned(), Timestamp::to_fhir_instant);
                    vec![token.name, owner, token.expires.to_fhir_instant(), used, token.id.to_string()]
                })
                .collect();
            printer.rows(&["token", "owner", "expires", "last used", "id"], &rows);
            Ok(())
        }
        Token::Revoke { tenant, id } => {
            let tenant = tenancy::tenant(&instance, Some(tenant)).await?;
            let caller = console::task(&instance.app, tenant.id, SystemTask::Setup)?;
            let token = uuid::Uuid::try_parse(id).map_err(|_| {
                Failure::new(Category::Invalid, format!("{id:?} is no token id: `theriac token list` lists them"))
            })?;
            tokens::revoke(&instance.app, &caller, token)
                .await
                .map_err(|error| match Failure::from_error(&error) {
                    Failure {
                        category: Category::NotFound,
                        ..
                    } => Failure::missing(format!(
                        "there is no token {id}: `theriac token list` lists them"
                    )),
                    other => other,
                })?;
            printer.object(&json!({ "id": id, "state": "revoked" }));
            Ok(())
        }
    })
    .await
}
