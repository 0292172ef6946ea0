//! Long-lived tokens. A token's text is shown once, in the answer to the request that made it.

use app::admin::tokens::{self as use_case, NewToken};
use axum::response::Response;
use identity::{LongLivedToken, Scope, TokenOwner};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::clients::ScopeGrant;
use super::{
    ProblemResponses, created, done, failed, id, input, json_answer, malformed, takes_json, uuid,
};
use crate::edge::{Arrival, EdgeError};
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    vec![
        Route::get("/t/{tenant}/api/v1/tokens", "tokens-list", failed, list),
        Route::post("/t/{tenant}/api/v1/tokens", "token-create", failed, create),
        Route::delete(
            "/t/{tenant}/api/v1/tokens/{id}",
            "token-revoke",
            failed,
            revoke,
        ),
    ]
}

/// A token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    /// Its id.
    id: String,
    /// What it is for.
    name: String,
    /// The user whose it is.
    user: Option<String>,
    /// The client whose it is.
    client: Option<String>,
    /// What it narrows its owner's permissions to.
    scopes: Option<Vec<ScopeGrant>>,
    /// When it was made.
    created: String,
    /// When it ends.
    expires: String,
    /// When it was last used, to the hour; null where it was not.
    last_used: Option<String>,
}

impl From<LongLivedToken> for TokenView {
    fn from(token: LongLivedToken) -> Self {
        let (user, client) = match token.owner {
            TokenOwner::User(id) => (Some(id.to_string()), None),
            TokenOwner::Client(id) => (None, Some(id.to_string())),
        };
        Self {
            id: token.id.to_string(),
            name: token.name,
            user,
            client,
            scopes: token
                .scopes
                .map(|scopes| scopes.into_iter().map(ScopeGrant::from).collect()),
            created: token.created.to_string(),
            expires: token.expires.to_string(),
            last_used: token.last_used.map(|used| used.to_string()),
        }
    }
}

/// A token that was made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeTokenView {
    /// The token.
    token: TokenView,
    /// Its text, shown this once: to be sent as `Authorization: Bearer`.
    text: String,
}

/// A token to be made: for oneself or for a client.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenInput {
    /// What it is for; cut to 120 characters.
    name: String,
    /// Id of the user: oneself.
    user: Option<String>,
    /// Id of the client.
    client: Option<String>,
    /// Narrows the owner's permissions; all of them where it is left out.
    scopes: Option<Vec<ScopeGrant>>,
    /// Days it lives, 1 to 730.
    days: u32,
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/tokens", tag = "tokens",
    params(("tenant" = String, Path)),
    responses((status = 200, description = "the tokens, newest first", body = Vec<TokenView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn list(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let found = use_case::list(arrival.app(), &caller).await?;
    json_answer(&found.into_iter().map(TokenView::from).collect::<Vec<_>>())
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/tokens", tag = "tokens",
    params(("tenant" = String, Path)), request_body = TokenInput,
    responses((status = 201, description = "the token with its text", body = MadeTokenView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn create(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: TokenInput = input(&mut arrival).await?;
    let owner = match (wanted.user.as_deref(), wanted.client.as_deref()) {
        (Some(user), None) => TokenOwner::User(id(user)?),
        (None, Some(client)) => TokenOwner::Client(id(client)?),
        _ => return Err(malformed("give a user or a client, not both")),
    };
    let scopes = wanted
        .scopes
        .map(|scopes| scopes.into_iter().map(Scope::from).collect());
    let new = NewToken {
        owner,
        name: wanted.name,
        scopes,
        days: wanted.days,
    };
    let made = use_case::create(arrival.app(), &caller, new).await?;
    created(&MadeTokenView {
        token: made.token.into(),
        text: (*made.text).clone(),
    })
}

#[utoipa::path(
    delete, path = "/t/{tenant}/api/v1/tokens/{id}", tag = "tokens",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 204, description = "the token is revoked"), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn revoke(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, token): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    use_case::revoke(arrival.app(), &caller, uuid(&token)?).await?;
    Ok(done())
}
