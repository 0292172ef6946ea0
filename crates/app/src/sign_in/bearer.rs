//! Bearer tokens: long-lived ones and the short-lived ones of API clients. A verified token is believed
//! for a few seconds; revoking it in this process counts at once.

use std::sync::Arc;

use identity::credential::{Credential, CredentialKind};
use identity::{
    AccessToken, ApiClient, AuthenticationLevel, LongLivedToken, Scope, Subject, Tenant, TokenOwner,
};
use kernel::{ClientId, TenantScope, Timestamp};
use store::DocKind;

use crate::App;
use crate::admin::{Versioned, load};
use crate::context::{Caller, RequestContext};
use crate::error::{AppError, SignInError};
use crate::sign_in::cache::Principals;
use crate::sign_in::{self, branches, refused, scope, token_use, unknown_actor};
use crate::tenants;

/// The caller a bearer token stands for.
pub async fn bearer(
    app: &App,
    slug: &str,
    token: &str,
    context: RequestContext,
) -> Result<Caller, AppError> {
    // A tenant that is not there answers as one where this token counts for nothing: which tenants there
    // are is nobody's business.
    let tenant = tenants::by_slug(app, slug)
        .await
        .map_err(|error| match error {
            AppError::NotFound { .. } => SignInError::Token.into(),
            other => other,
        })?;
    let key = Principals::key(tenant.id, token);
    let now = app.now();
    let staleness = app.settings().session.staleness_s;
    let principals = &app.caches().principals;
    // Sessions are remembered beside tokens: a cookie does not count as a token.
    if let Some(known) = principals.get(tenant.id, &key, now, staleness)
        && known.session.is_none()
    {
        return sign_in::caller(app, &tenant, known.subject.clone(), context);
    }
    let generation = principals.generation(tenant.id);
    let (subject, until) = verified(app, &tenant, token, &context).await?;
    let at = (generation, now);
    let principal = principals.remember(key, Arc::new(subject), None, until, at);
    sign_in::caller(app, &tenant, principal.subject.clone(), context)
}

async fn verified(
    app: &App,
    tenant: &Tenant,
    token: &str,
    context: &RequestContext,
) -> Result<(Subject, Timestamp), AppError> {
    let credential = Credential::parse(token).map_err(|_| SignInError::Token)?;
    let scope = scope(tenant.id);
    let found = match credential.kind {
        CredentialKind::LongLived => long_lived(app, &scope, &credential).await?,
        CredentialKind::Access => access(app, &scope, &credential).await?,
        CredentialKind::Session => return Err(SignInError::Token.into()),
    };
    let Some(found) = found else {
        return Err(SignInError::Token.into());
    };
    let right = found.matches && tenant.accepts_sign_in();
    let live = right && found.created <= app.now() && app.now() < found.until;
    let subject = if live {
        owner(app, &scope, found.owner, found.scopes.as_deref()).await?
    } else {
        None
    };
    if let Some(subject) = subject {
        if credential.kind == CredentialKind::LongLived {
            token_use::note(app, tenant.id, credential.id);
        }
        return Ok((subject, found.until));
    }
    let actor = unknown_actor(tenant.id);
    let detail = format!("token {} was refused", credential.id);
    refused(app, tenant.id, context, &actor, "bearer-token", detail).await?;
    Err(SignInError::Token.into())
}

struct Found {
    matches: bool,
    owner: TokenOwner,
    scopes: Option<Vec<Scope>>,
    created: Timestamp,
    until: Timestamp,
}

async fn long_lived(
    app: &App,
    scope: &TenantScope,
    credential: &Credential,
) -> Result<Option<Found>, AppError> {
    let id = credential.id.to_string();
    let found: Option<Versioned<LongLivedToken>> = load(app, scope, DocKind::Token, &id).await?;
    let matches = credential.matches(found.as_ref().map(|found| &found.value.hash));
    Ok(found.map(|found| Found {
        matches: matches && found.value.tenant == scope.tenant(),
        owner: found.value.owner,
        scopes: found.value.scopes,
        created: found.value.created,
        until: found.value.expires,
    }))
}

async fn access(
    app: &App,
    scope: &TenantScope,
    credential: &Credential,
) -> Result<Option<Found>, AppError> {
    let id = credential.id.to_string();
    let found: Option<Versioned<AccessToken>> = load(app, scope, DocKind::AccessToken, &id).await?;
    let matches = credential.matches(found.as_ref().map(|found| &found.value.hash));
    Ok(found.map(|found| Found {
        matches: matches && found.value.tenant == scope.tenant(),
        owner: TokenOwner::Client(found.value.client),
        scopes: found.value.scopes,
        created: found.value.created,
        until: found.value.expires,
    }))
}

async fn owner(
    app: &App,
    scope: &TenantScope,
    owner: TokenOwner,
    scopes: Option<&[Scope]>,
) -> Result<Option<Subject>, AppError> {
    let subject = match owner {
        TokenOwner::User(id) => {
            let Some(user) = sign_in::user(app, scope, id).await? else {
                return Ok(None);
            };
            let level = AuthenticationLevel::Password;
            match sign_in::subject_of_user(app, scope, &user.value, level, None).await {
                Ok(subject) => subject,
                Err(AppError::SignIn(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        TokenOwner::Client(id) => {
            let Some(client) = client(app, scope, id).await? else {
                return Ok(None);
            };
            let branches = branches(app, scope).await?;
            match Subject::client(scope, &client, &branches) {
                Ok(subject) => subject,
                Err(_) => return Ok(None),
            }
        }
    };
    Ok(Some(subject.limited_to(scopes)))
}

/// A client by id.
pub(crate) async fn client(
    app: &App,
    scope: &TenantScope,
    id: ClientId,
) -> Result<Option<ApiClient>, AppError> {
    let found: Option<Versioned<ApiClient>> =
        load(app, scope, DocKind::ApiClient, &id.to_string()).await?;
    Ok(found.map(|found| found.value))
}
