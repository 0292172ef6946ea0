//! Who a signed token of a client of hooks stands for (CDS Hooks 2.0, "Trusting CDS Clients"): registered
//! issuer, key and algorithm of the registration, the exact address as audience, and each token once. Must
//! not follow an address that a token names.

use std::sync::Arc;
use std::time::Duration;

use connect::Request;
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderValue, Method, header};
use identity::assertion::{HookClaims, check_hook};
use identity::{
    ApiClient, InteractionSet, Jwk, Role, RoleAssignment, Scope, Subject, Tenant, Types, UserState,
};
use jsonwebtoken::Validation;
use kernel::TenantScope;
use store::{CommitError, DocExpected, DocKind, DocWrite};

use super::answer::Asker;
use super::clients::{HookClient, by_issuer, registered};
use super::{base, setting};
use crate::App;
use crate::context::RequestContext;
use crate::error::{AppError, SignInError};
use crate::medicines::regimen::LOOKED_AT;
use crate::sign_in::client_credentials::{decoding_key, why};
use crate::sign_in::{self, branches, refused, scope, unknown_actor};

const LONGEST: usize = 8_192;
/// How long fetched keys are believed.
const BELIEVED: Duration = Duration::from_mins(5);
/// How soon keys are fetched again for a key that was not among them.
const AGAIN_S: i64 = 30;

/// Keys that were fetched, by tenant and address; all of it can be lost.
pub(crate) struct Keys(moka::sync::Cache<(kernel::TenantId, String), Arc<Fetched>>);

struct Fetched {
    keys: Vec<Jwk>,
    at: kernel::Timestamp,
}

impl Default for Keys {
    fn default() -> Self {
        let cache = moka::sync::Cache::builder().max_capacity(1_000);
        Self(cache.time_to_live(BELIEVED).build())
    }
}

/// Whether a bearer token is a signed one (three parts) and none of this record.
#[must_use]
pub fn is_signed(token: &str) -> bool {
    token.split('.').count() == 3
}

/// The client behind a token that was sent to `address`, below the tenant's base: `cds-services/...`.
pub async fn asker(
    app: &App,
    slug: &str,
    token: &str,
    address: &str,
    context: RequestContext,
) -> Result<Asker, AppError> {
    let tenant = setting::serving(app, slug).await?;
    let scope = scope(tenant.id);
    let full = format!("{}/{address}", base(&context));
    match checked(app, &tenant, &scope, token, &full).await {
        Ok(client) => stand_for(app, &tenant, &scope, client, context).await,
        Err(why) => {
            let actor = unknown_actor(tenant.id);
            let detail = format!("a token for hooks was refused: {why}");
            refused(app, tenant.id, &context, &actor, "cds-client", detail).await?;
            Err(SignInError::Assertion(why).into())
        }
    }
}

const UNKNOWN: &str = "it is not signed by a key of a client known here";
const AWAY: &str = "the record is not available at the moment";

async fn checked(
    app: &App,
    tenant: &Tenant,
    scope: &TenantScope,
    token: &str,
    address: &str,
) -> Result<HookClient, &'static str> {
    if token.len() > LONGEST {
        return Err("it is too long");
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| "its header is not readable")?;
    if header.typ.as_deref() != Some("JWT") {
        return Err("its header has no typ JWT");
    }
    let issuer = issuer(token).ok_or(UNKNOWN)?;
    let client = by_issuer(app, scope, &issuer).await.map_err(|_| AWAY)?;
    let client = client
        .filter(|own| own.state == UserState::Active)
        .ok_or(UNKNOWN)?;
    if header.jku.is_some() && header.jku != client.about.keys_url {
        return Err("its jku is not the address that is registered");
    }
    let kid = header.kid.as_deref().ok_or("its header has no kid")?;
    let key = key(app, tenant, &client, kid).await.ok_or(UNKNOWN)?;
    let (algorithm, decoding) = decoding_key(&key).ok_or(UNKNOWN)?;
    if header.alg != algorithm {
        return Err("its algorithm is not the one of the key");
    }
    let mut validation = Validation::new(algorithm);
    // The claims are checked by identity, with our clock.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let claims = jsonwebtoken::decode::<HookClaims>(token, &decoding, &validation)
        .map_err(|_| "its signature or claims are not right")?
        .claims;
    let about = &client.about;
    let known = (client.id, about.issuer.as_str(), about.tenant.as_deref());
    let once = check_hook(&claims, known, address, app.now()).map_err(why)?;
    let used = DocWrite {
        kind: DocKind::Assertion,
        id: format!("hook.{}", once.key),
        expected: DocExpected::Absent,
        body: Some(b"{}".to_vec()),
        time: app.now(),
        expires: Some(once.keep_until),
        lookups: Vec::new(),
    };
    match app.store().operate(scope, vec![used]).await {
        Ok(()) => Ok(client),
        Err(CommitError::DocConflict { .. }) => Err("it was used before: make a new one"),
        Err(_) => Err(AWAY),
    }
}

// Who the token says it is by; believed only once the signature is right.
fn issuer(token: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Issuer {
        iss: String,
    }
    let payload = token.split('.').nth(1)?;
    let bytes = BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?;
    let issuer: Issuer = serde_json::from_slice(&bytes).ok()?;
    Some(issuer.iss).filter(|own| own.len() <= 500)
}

/// A key of a client: of its registration, or from the address that is registered.
async fn key(app: &App, tenant: &Tenant, client: &HookClient, kid: &str) -> Option<Jwk> {
    let among = |keys: &[Jwk]| keys.iter().find(|own| own.kid == kid).cloned();
    if let Some(key) = among(&client.about.keys) {
        return Some(key);
    }
    let url = client.about.keys_url.as_deref()?;
    let cache = &app.caches().hook_keys.0;
    let place = (tenant.id, url.to_owned());
    let known = cache.get(&place);
    if let Some(known) = &known {
        let fresh = app.now().seconds_since(known.at) < AGAIN_S;
        if let found @ Some(_) = among(&known.keys) {
            return found;
        }
        if fresh {
            return None;
        }
    }
    // Where nothing came the old ones go on counting for their time, and nobody has us ask without end.
    let old = || known.map(|own| own.keys.clone()).unwrap_or_default();
    let keys = fetch(app, url).await.unwrap_or_else(old);
    let found = among(&keys);
    let at = app.now();
    cache.insert(place, Arc::new(Fetched { keys, at }));
    found
}

/// The keys at an address; those that cannot be used are left out.
async fn fetch(app: &App, url: &str) -> Option<Vec<Jwk>> {
    let call = Request {
        method: Method::GET,
        url: url.to_owned(),
        headers: vec![(header::ACCEPT, HeaderValue::from_static("application/json"))],
        body: bytes::Bytes::new(),
        deadline: Some(Duration::from_secs(2)),
        answer_bytes: Some(256 << 10),
    };
    let answer = app.outbound().call(call).await;
    let answer = match answer {
        Ok(answer) if answer.status.is_success() => answer,
        Ok(answer) => {
            tracing::warn!(
                status = answer.status.as_u16(),
                "keys of a client of hooks were not answered"
            );
            return None;
        }
        Err(error) => {
            tracing::warn!(%error, "keys of a client of hooks were not reached");
            return None;
        }
    };
    let set: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let keys = set.get("keys")?.as_array()?.iter().take(100);
    let keys = keys.filter_map(|own| serde_json::from_value::<Jwk>(own.clone()).ok());
    Some(keys.filter(|own| own.check().is_ok()).collect())
}

/// The client as a subject: with a role only where its patients may be of this record.
async fn stand_for(
    app: &App,
    tenant: &Tenant,
    scope: &TenantScope,
    client: HookClient,
    context: RequestContext,
) -> Result<Asker, AppError> {
    let about = client.about;
    let role = Role::IntegrationService;
    let role = match about.branch {
        Some(branch) => RoleAssignment::at(role, vec![branch]),
        None => RoleAssignment::of(role),
    };
    let mut types: Vec<String> = LOOKED_AT.iter().map(|own| (*own).to_owned()).collect();
    types.extend(["Patient".to_owned(), "Medication".to_owned()]);
    let interactions = InteractionSet::parse("rs").unwrap_or(InteractionSet::NONE);
    let seen = Scope {
        types: Types::Named(types),
        interactions,
    };
    let stands = ApiClient {
        schema: Default::default(),
        tenant: tenant.id,
        id: client.id,
        name: about.name,
        roles: if about.record { vec![role] } else { Vec::new() },
        scopes: if about.record { vec![seen] } else { Vec::new() },
        operations: Vec::new(),
        jwks: Vec::new(),
        state: client.state,
        created: client.created,
    };
    let branches = branches(app, scope).await?;
    let subject = Subject::client(scope, &stands, &branches)
        .map_err(|_| AppError::from(SignInError::Assertion(UNKNOWN)))?;
    Ok(Asker {
        caller: sign_in::caller(app, tenant, Arc::new(subject), context)?,
        reads: about.record,
        services: about.services,
    })
}

/// Whether pages of an origin may call a tenant's hooks: a registered one of an active client.
pub async fn allows_origin(app: &App, slug: &str, origin: &str) -> Result<bool, AppError> {
    let tenant = setting::serving(app, slug).await?;
    let clients = registered(app, &scope(tenant.id)).await?;
    let mut active = clients.iter().filter(|own| own.state == UserState::Active);
    Ok(active.any(|own| own.about.origins.iter().any(|own| own == origin)))
}
