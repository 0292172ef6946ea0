//! The clients of a tenant's hooks: who signs their calls, with which keys, and what they may call. Must not
//! take a key's private part, nor fetch keys from an address that nobody registered.

use identity::{Interaction, Jwk, UserState};
use kernel::{BranchId, ClientId, TenantScope, Timestamp};
use ledger::leaf::Class;
use serde::{Deserialize, Serialize};
use store::{DocExpected, DocKind};

use super::services::service;
use crate::App;
use crate::admin::clients::check_keys;
use crate::admin::{Versioned, all, allow, changed, commit, load, write};
use crate::context::Caller;
use crate::error::AppError;
use crate::sign_in;

const ISSUER: &str = "issuer";

/// A client of hooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookClient {
    /// Its id here.
    pub id: ClientId,
    /// What is registered of it.
    pub about: About,
    /// Whether its calls are answered.
    pub state: UserState,
    /// When it was made.
    pub created: Timestamp,
}

/// What is registered of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its name for people, which the log shows.
    pub name: String,
    /// The `iss` of its tokens, one client for each.
    pub issuer: String,
    /// The `tenant` claim that its tokens must have; none where any will do.
    pub tenant: Option<String>,
    /// Its public keys.
    pub keys: Vec<Jwk>,
    /// Where its public keys are fetched; the only `jku` that its tokens may name.
    pub keys_url: Option<String>,
    /// The services it may call; all where nothing is said.
    pub services: Option<Vec<String>>,
    /// Whether its patients may be those of this record.
    pub record: bool,
    /// The branch whose patients it reaches then; all where nothing is said.
    pub branch: Option<BranchId>,
    /// Origins of its browser clients, such as `https://ehr.example.org`.
    pub origins: Vec<String>,
}

fn no<T>(text: impl Into<String>) -> Result<T, AppError> {
    Err(AppError::Unprocessable(text.into()))
}

/// Whether a text is an origin: scheme, host and, where it is not the usual one, port.
fn is_origin(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && rest.len() <= 253
            && rest.bytes().all(|own| {
                own.is_ascii_lowercase() || own.is_ascii_digit() || b".-:[]".contains(&own)
            })
    })
}

async fn check(app: &App, scope: &TenantScope, about: &About) -> Result<(), AppError> {
    let name = about.name.trim();
    if name.is_empty() || name.chars().count() > 120 {
        return no("a client's name has 1 to 120 characters: correct it");
    }
    let plain =
        |text: &str| text.len() <= 500 && text.bytes().all(|own| (0x21..0x7f).contains(&own));
    if about.issuer.is_empty() || !plain(&about.issuer) {
        return no(
            "issuer is the iss of the client's tokens: give an address of at most 500 letters",
        );
    }
    if about
        .tenant
        .as_deref()
        .is_some_and(|own| own.is_empty() || own.len() > 500)
    {
        return no("tenant has 1 to 500 letters: correct it, or leave it out");
    }
    check_keys(&about.keys)?;
    match &about.keys_url {
        None if about.keys.is_empty() => {
            return no("a client needs keys or keysUrl: without them no token can be checked");
        }
        None => {}
        Some(url) if !plain(url) => return no("keysUrl is no address: correct it"),
        Some(url) => app
            .outbound()
            .permits(url)
            .map_err(|error| AppError::Unprocessable(error.to_string()))?,
    }
    let unknown = about
        .services
        .iter()
        .flatten()
        .find(|id| service(id).is_none());
    if let Some(id) = unknown {
        return no(format!(
            "{id:?} is no service: see cds-services for their ids"
        ));
    }
    if about.origins.len() > 20 || about.origins.iter().any(|own| !is_origin(own)) {
        return no("origins are at most 20, such as https://ehr.example.org: correct them");
    }
    let Some(branch) = about.branch else {
        return Ok(());
    };
    if !about.record {
        return no("a branch was named for a client that does not read this record: leave one out");
    }
    let branches = sign_in::branches(app, scope).await?;
    if branches.iter().any(|own| own.id == branch) {
        return Ok(());
    }
    no("there is no such branch: see branches for their ids")
}

/// The clients, by name.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<HookClient>, AppError> {
    allow(app, caller, Interaction::ManageClients).await?;
    let mut found = registered(app, &caller.scope).await?;
    found.sort_by(|a, b| a.about.name.cmp(&b.about.name));
    Ok(found)
}

pub(super) async fn registered(
    app: &App,
    scope: &TenantScope,
) -> Result<Vec<HookClient>, AppError> {
    let found = all::<HookClient>(app, scope, DocKind::HookClient).await?;
    Ok(found.into_iter().map(|own| own.value).collect())
}

/// The client of an issuer.
pub(super) async fn by_issuer(
    app: &App,
    scope: &TenantScope,
    issuer: &str,
) -> Result<Option<HookClient>, AppError> {
    let store = app.store();
    let found = store
        .doc_by(scope, DocKind::HookClient, ISSUER, issuer)
        .await?;
    Ok(found
        .map(|own| serde_json::from_slice(&own.body))
        .transpose()?)
}

/// Registers a client.
pub async fn create(app: &App, caller: &Caller, about: About) -> Result<HookClient, AppError> {
    allow(app, caller, Interaction::ManageClients).await?;
    check(app, &caller.scope, &about).await?;
    let client = HookClient {
        id: ClientId::from_uuid(app.ids().uuid()),
        about,
        state: UserState::Active,
        created: app.now(),
    };
    save(
        app,
        caller,
        &client,
        DocExpected::Absent,
        "cds-client-create",
    )
    .await?;
    Ok(client)
}

/// Changes what is registered of a client: the whole of it. Keys that are left out stop counting at once.
pub async fn change(
    app: &App,
    caller: &Caller,
    id: ClientId,
    about: About,
) -> Result<HookClient, AppError> {
    allow(app, caller, Interaction::ManageClients).await?;
    check(app, &caller.scope, &about).await?;
    let found = find(app, caller, id).await?;
    let client = HookClient {
        about,
        ..found.value
    };
    let expected = DocExpected::Version(found.version);
    save(app, caller, &client, expected, "cds-client-change").await?;
    Ok(client)
}

/// Suspends or readmits a client.
pub async fn set_state(
    app: &App,
    caller: &Caller,
    id: ClientId,
    state: UserState,
) -> Result<HookClient, AppError> {
    allow(app, caller, Interaction::ManageClients).await?;
    let found = find(app, caller, id).await?;
    let client = HookClient {
        state,
        ..found.value
    };
    let expected = DocExpected::Version(found.version);
    save(app, caller, &client, expected, "cds-client-state").await?;
    Ok(client)
}

async fn find(app: &App, caller: &Caller, id: ClientId) -> Result<Versioned<HookClient>, AppError> {
    let found = load(app, &caller.scope, DocKind::HookClient, &id.to_string()).await?;
    found.ok_or_else(|| AppError::not_found("client"))
}

async fn save(
    app: &App,
    caller: &Caller,
    client: &HookClient,
    expected: DocExpected,
    what: &'static str,
) -> Result<(), AppError> {
    let about = &client.about;
    let lookups = vec![(ISSUER, about.issuer.clone())];
    let doc = write(
        app,
        DocKind::HookClient,
        client.id,
        expected,
        client,
        lookups,
    )?;
    let keys = about.keys.iter().map(|own| own.kid.as_str());
    let detail = format!(
        "{} ({}), keys {}",
        about.name,
        about.issuer,
        keys.chain(about.keys_url.as_deref())
            .collect::<Vec<_>>()
            .join(" ")
    );
    let entry = changed(app, caller, Class::Client, what, detail);
    commit(app, &caller.scope, doc, entry).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_no_path() {
        for good in [
            "https://ehr.example.org",
            "http://localhost:8080",
            "http://[::1]:80",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "*",
            "null",
            "https://",
            "https://ehr.example.org/",
            "ftp://a",
            "https://EHR.example.org",
            "https://a b",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
