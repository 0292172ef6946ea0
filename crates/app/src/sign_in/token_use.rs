//! When long-lived tokens were last used, so that unused ones can be found and revoked. Written at most
//! once an hour per token, beside the request that used it: no request waits for it or fails by it.

use identity::TokenUse;
use kernel::TenantId;
use store::{CommitError, DocExpected, DocKind, DocWrite};
use uuid::Uuid;

use crate::App;
use crate::admin::{Versioned, load};
use crate::error::AppError;
use crate::sign_in::scope;

/// The uses that this process wrote down.
pub(crate) struct Noted(moka::sync::Cache<(TenantId, Uuid), TokenUse>);

impl Default for Noted {
    fn default() -> Self {
        Self(moka::sync::Cache::new(50_000))
    }
}

/// Notes that a token was used now.
pub(crate) fn note(app: &App, tenant: TenantId, token: Uuid) {
    let used = TokenUse {
        schema: Default::default(),
        token,
        used: app.now(),
    };
    let noted = &app.caches().token_uses.0;
    let before = noted.get(&(tenant, token));
    if before.is_some_and(|before| !before.is_old(used.used)) {
        return;
    }
    noted.insert((tenant, token), used);
    let app = app.clone();
    tokio::spawn(async move {
        if let Err(error) = save(&app, tenant, &used).await {
            // The next use tries again.
            app.caches().token_uses.0.invalidate(&(tenant, token));
            tracing::warn!(%error, "the use of a token could not be written down");
        }
    });
}

async fn save(app: &App, tenant: TenantId, used: &TokenUse) -> Result<(), AppError> {
    let scope = scope(tenant);
    let id = used.token.to_string();
    let found: Option<Versioned<TokenUse>> = load(app, &scope, DocKind::TokenUse, &id).await?;
    let expected = match &found {
        Some(found) if !found.value.is_old(used.used) => return Ok(()),
        Some(found) => DocExpected::Version(found.version),
        None => DocExpected::Absent,
    };
    let doc = DocWrite {
        kind: DocKind::TokenUse,
        id,
        expected,
        body: Some(serde_json::to_vec(used)?),
        time: used.used,
        expires: None,
        lookups: Vec::new(),
    };
    match app.store().operate(&scope, vec![doc]).await {
        // Another replica noted a use at the same moment.
        Ok(()) | Err(CommitError::DocConflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
