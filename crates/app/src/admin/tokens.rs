//! Long-lived tokens: made once, shown once, kept as hashes, revoked at once.

use std::collections::HashMap;

use identity::credential::{Credential, CredentialKind};
use identity::{Interaction, LongLivedToken, Scope, TokenOwner, TokenUse};
use kernel::Timestamp;
use ledger::leaf::Class;
use store::{DocExpected, DocKind, DocWrite};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::App;
use crate::admin::{Versioned, all, allow, changed, commit, load, refuse, write};
use crate::context::Caller;
use crate::error::AppError;
use crate::sign_in::{self, bearer};
use crate::unit::UnitOfWork;

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Whose.
    pub owner: TokenOwner,
    /// What it is for.
    pub name: String,
    /// Narrows the owner's permissions.
    pub scopes: Option<Vec<Scope>>,
    /// Days it lives, 1 to 730.
    pub days: u32,
}

/// A token that was made.
#[derive(Debug, Clone)]
pub struct MadeToken {
    /// What is kept.
    pub token: LongLivedToken,
    /// Its text, to be told once.
    pub text: Zeroizing<String>,
}

/// The tenant's tokens, newest first, with when each was last used.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<LongLivedToken>, AppError> {
    allow(app, caller, Interaction::ManageClients).await?;
    let found: Vec<Versioned<LongLivedToken>> = all(app, &caller.scope, DocKind::Token).await?;
    let uses: Vec<Versioned<TokenUse>> = all(app, &caller.scope, DocKind::TokenUse).await?;
    let uses: HashMap<Uuid, Timestamp> = uses
        .into_iter()
        .map(|found| (found.value.token, found.value.used))
        .collect();
    let mut tokens: Vec<LongLivedToken> = found.into_iter().map(|found| found.value).collect();
    for token in &mut tokens {
        token.last_used = uses.get(&token.id).copied();
    }
    tokens.sort_by_key(|token| std::cmp::Reverse(token.created));
    Ok(tokens)
}

fn is_own(caller: &Caller, owner: TokenOwner) -> bool {
    matches!(owner, TokenOwner::User(id) if caller.subject.actor().id == id.into())
}

fn needed(caller: &Caller, owner: TokenOwner) -> Interaction {
    if is_own(caller, owner) {
        Interaction::ManageOwnAccount
    } else {
        Interaction::ManageClients
    }
}

/// Makes a token: for a client, or for oneself. Nobody makes one for somebody else, because whoever
/// makes it could act as them.
pub async fn create(app: &App, caller: &Caller, new: NewToken) -> Result<MadeToken, AppError> {
    allow(app, caller, needed(caller, new.owner)).await?;
    if matches!(new.owner, TokenOwner::User(_)) && !is_own(caller, new.owner) {
        let sentence =
            "a person's token is made by that person: let them make it, or make one for a client";
        return Err(refuse(app, caller, Class::Token, "not-own-token", sentence).await?);
    }
    if !(1..=730).contains(&new.days) {
        return Err(AppError::Unprocessable(
            "a token lives 1 to 730 days: give a number in that range".to_owned(),
        ));
    }
    let exists = match new.owner {
        TokenOwner::User(id) => sign_in::user(app, &caller.scope, id).await?.is_some(),
        TokenOwner::Client(id) => bearer::client(app, &caller.scope, id).await?.is_some(),
    };
    if !exists {
        return Err(AppError::not_found("the token's owner"));
    }
    let mut secret = [0; 32];
    app.ids().fill(&mut secret);
    let credential = Credential::new(CredentialKind::LongLived, app.ids().uuid(), secret);
    let now = app.now();
    let token = LongLivedToken {
        schema: Default::default(),
        tenant: caller.scope.tenant(),
        id: credential.id,
        owner: new.owner,
        name: new.name.trim().chars().take(120).collect(),
        hash: credential.hash(),
        scopes: new.scopes,
        created: now,
        expires: now.plus_seconds(i64::from(new.days) * 86_400),
        last_used: None,
    };
    let doc = write(
        app,
        DocKind::Token,
        token.id,
        DocExpected::Absent,
        &token,
        Vec::new(),
    )?;
    let entry = changed(
        app,
        caller,
        Class::Token,
        "token-create",
        token.name.clone(),
    );
    commit(app, &caller.scope, doc, entry).await?;
    Ok(MadeToken {
        token,
        text: credential.to_text(),
    })
}

/// Revokes a token: a client's, anybody's for who manages clients, one's own for everybody.
pub async fn revoke(app: &App, caller: &Caller, id: Uuid) -> Result<(), AppError> {
    let found: Option<Versioned<LongLivedToken>> =
        load(app, &caller.scope, DocKind::Token, &id.to_string()).await?;
    let interaction = found.as_ref().map_or(Interaction::ManageClients, |found| {
        needed(caller, found.value.owner)
    });
    allow(app, caller, interaction).await?;
    let found = found.ok_or_else(|| AppError::not_found("token"))?;
    let expected = DocExpected::Version(found.version);
    let doc = DocWrite {
        body: None,
        ..write(app, DocKind::Token, id, expected, &found.value, Vec::new())?
    };
    let used = DocWrite {
        kind: DocKind::TokenUse,
        id: id.to_string(),
        expected: DocExpected::Any,
        body: None,
        time: app.now(),
        expires: None,
        lookups: Vec::new(),
    };
    let entry = changed(app, caller, Class::Token, "token-revoke", found.value.name);
    UnitOfWork::begin(app, &caller.scope)
        .doc(doc)
        .doc(used)
        .entry(entry)
        .commit()
        .await?;
    app.caches().principals.forget_tenant(caller.scope.tenant());
    Ok(())
}
