//! With whose authority a subscription acts: that of whoever wrote it, as it is now. What the token of
//! that moment allowed stays its limit.

use std::sync::Arc;

use identity::{AuthenticationLevel, Scope, Subject, Tenant};
use kernel::{ActorId, ActorKind, ClientId, PurposeOfUse, RequestId, TenantScope, UserId};
use store::{DocExpected, DocKind};

use super::documents;
use crate::App;
use crate::admin;
use crate::context::{Advice, Caller, RequestContext};
use crate::error::AppError;
use crate::sign_in;

/// Who wrote a version of a Subscription.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Owner {
    pub actor: ActorId,
    pub kind: ActorKind,
    pub scopes: Option<Vec<Scope>>,
    pub purpose: PurposeOfUse,
    /// The FHIR base address they used.
    pub base: String,
    /// The channel's headers, whose values the stored resource does not hold.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

/// How long an owner waits for the version it was noted for to be committed and seen, in seconds.
const WAITS_S: i64 = 7 * 24 * 3600;

// Rows are given out once: no other attempt can take this note for its own.
fn note_id(id: &str, row: kernel::RowId) -> String {
    format!("{id}/{}", row.0)
}

/// Notes who is about to write a version, before it is committed.
pub(crate) async fn note(
    app: &App,
    caller: &Caller,
    change: &store::Change,
    headers: Vec<(String, String)>,
) -> Result<(), AppError> {
    let actor = caller.subject.actor();
    let owner = Owner {
        actor: actor.id,
        kind: actor.kind,
        scopes: caller.subject.scopes().map(<[Scope]>::to_vec),
        purpose: caller.context.purpose,
        base: caller.context.base.to_string(),
        headers,
    };
    let id = note_id(change.key.id.as_str(), change.version_row);
    let expires = Some(app.now().plus_seconds(WAITS_S));
    let kind = DocKind::SubscriptionOwner;
    let write = documents::write(app, kind, &id, DocExpected::Any, &owner, expires)?;
    app.store().operate(&caller.scope, vec![write]).await?;
    Ok(())
}

/// Who wrote a version; `None` where the platform did, or it was loaded by a restore.
pub(crate) async fn noted(
    app: &App,
    scope: &TenantScope,
    version: &store::StoredVersion,
) -> Result<Option<Owner>, AppError> {
    let id = note_id(version.key.id.as_str(), version.version_row);
    let found = admin::load(app, scope, DocKind::SubscriptionOwner, &id).await?;
    Ok(found.map(|found| found.value))
}

/// The tenant of a scope, if its people may do anything now.
pub(crate) async fn tenant(app: &App, scope: &TenantScope) -> Result<Option<Tenant>, AppError> {
    let instance = super::engine::instance_scope();
    let id = scope.tenant().to_string();
    let found = admin::load::<Tenant>(app, &instance, DocKind::Tenant, &id).await?;
    Ok(found
        .map(|found| found.value)
        .filter(Tenant::accepts_sign_in))
}

impl Owner {
    /// The same without the headers, which stand elsewhere by then.
    pub(crate) fn without_headers(mut self) -> Self {
        self.headers.clear();
        self
    }

    /// The owner as a caller with what they may do now; `None` when they may do nothing any more.
    pub(crate) async fn caller(
        &self,
        app: &App,
        scope: &TenantScope,
        tenant: &Tenant,
    ) -> Result<Option<Caller>, AppError> {
        let subject = match self.kind {
            ActorKind::User => {
                let id = UserId::from_uuid(self.actor.as_uuid());
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
            ActorKind::Client => {
                let id = ClientId::from_uuid(self.actor.as_uuid());
                let Some(client) = sign_in::bearer::client(app, scope, id).await? else {
                    return Ok(None);
                };
                let branches = sign_in::branches(app, scope).await?;
                match Subject::client(scope, &client, &branches) {
                    Ok(subject) => subject,
                    Err(_) => return Ok(None),
                }
            }
            ActorKind::System | ActorKind::Operator => return Ok(None),
        };
        let subject = subject.limited_to(self.scopes.as_deref());
        let context = RequestContext {
            id: RequestId::from_uuid(app.ids().uuid()),
            client_address: None,
            received: app.now(),
            purpose: self.purpose,
            base: Arc::from(self.base.as_str()),
            idempotency: None,
            advice: Advice::default(),
        };
        Ok(Some(sign_in::caller(
            app,
            tenant,
            Arc::new(subject),
            context,
        )?))
    }
}
