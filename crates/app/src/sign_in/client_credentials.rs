//! Client credentials with `private_key_jwt` (RFC 7523, SMART backend services): a signed assertion for
//! an opaque access token of a few minutes. The algorithm is the key's, never the header's; an assertion
//! counts once.

use data_encoding::BASE64URL_NOPAD;
use identity::assertion::{self, AssertionClaims, AssertionError};
use identity::credential::{Credential, CredentialKind};
use identity::{
    AccessToken, ApiClient, InteractionSet, Jwk, Scope, SigningAlgorithm, Tenant, Types,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use kernel::{Actor, ActorKind, ClientId};
use ledger::leaf::Class;
use store::{CommitError, DocExpected, DocKind, DocWrite};
use zeroize::Zeroizing;

use crate::App;
use crate::context::RequestContext;
use crate::error::{AppError, SignInError};
use crate::sign_in::{bearer, entry, refused, scope, unknown_actor};
use crate::tenants;
use crate::unit::UnitOfWork;

/// A token that was issued.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// Its text; answered once.
    pub access_token: Zeroizing<String>,
    /// Seconds it lives.
    pub expires_in: i64,
    /// The scopes granted, as asked; empty where none were asked for.
    pub scope: String,
}

/// Exchanges an assertion for an access token. `scopes` is the request's `scope` parameter: SMART
/// `system/Type.cruds` words; without it the client's own scopes count.
pub async fn client_credentials(
    app: &App,
    slug: &str,
    assertion: &str,
    scopes: Option<&str>,
    context: RequestContext,
) -> Result<IssuedToken, AppError> {
    let tenant = tenants::by_slug(app, slug).await?;
    let granted = scopes
        .filter(|text| !text.trim().is_empty())
        .map(parse_scopes)
        .transpose()?;
    match checked(app, &tenant, assertion).await {
        Ok((client, once)) => issue(app, &tenant, &client, once, granted, scopes, &context).await,
        Err(Refusal { client, why }) => {
            let actor = client.map_or_else(|| unknown_actor(tenant.id), |client| actor_of(&client));
            let detail = why.to_string();
            refused(app, tenant.id, &context, &actor, "client-assertion", detail).await?;
            Err(SignInError::Assertion(why).into())
        }
    }
}

struct Refusal {
    client: Option<Box<ApiClient>>,
    why: &'static str,
}

impl From<&'static str> for Refusal {
    fn from(why: &'static str) -> Self {
        Self { client: None, why }
    }
}

fn actor_of(client: &ApiClient) -> Actor {
    Actor {
        id: client.id.into(),
        kind: ActorKind::Client,
        name: client.name.clone(),
        role: "integration-service".to_owned(),
        branch: None,
    }
}

const UNKNOWN: &str = "it is not signed by a key of a client known here";
const LONGEST: usize = 8192;

async fn checked(
    app: &App,
    tenant: &Tenant,
    assertion: &str,
) -> Result<(ApiClient, assertion::OnceOnly), Refusal> {
    if assertion.len() > LONGEST {
        return Err("it is too long".into());
    }
    let header =
        jsonwebtoken::decode_header(assertion).map_err(|_| "its header is not readable")?;
    let client = match named_client(assertion) {
        Some(id) if tenant.accepts_sign_in() => bearer::client(app, &scope(tenant.id), id)
            .await
            .map_err(|_| "the record is not available at the moment")?,
        _ => None,
    };
    let client = client
        .filter(|client| client.state == identity::UserState::Active)
        .filter(|client| client.tenant == tenant.id)
        .ok_or(UNKNOWN)?;
    let refusal = |why: &'static str| Refusal {
        client: Some(Box::new(client.clone())),
        why,
    };
    let key = header
        .kid
        .as_deref()
        .and_then(|kid| client.jwks.iter().find(|key| key.kid == kid))
        .ok_or_else(|| refusal(UNKNOWN))?;
    let (algorithm, decoding) = decoding_key(key).ok_or_else(|| refusal(UNKNOWN))?;
    if header.alg != algorithm {
        return Err(refusal("its algorithm is not the one of the key"));
    }
    let mut validation = Validation::new(algorithm);
    // The claims are checked by identity, with our clock.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let claims = jsonwebtoken::decode::<AssertionClaims>(assertion, &decoding, &validation)
        .map_err(|_| refusal("its signature or claims are not right"))?
        .claims;
    let audience = app
        .settings()
        .token_audience
        .replace("{tenant}", tenant.slug.as_str());
    let once = assertion::check(&claims, client.id, &[&audience], app.now())
        .map_err(|error| refusal(why(error)))?;
    Ok((client, once))
}

pub(crate) fn why(error: AssertionError) -> &'static str {
    match error {
        AssertionError::Client => "it is not by the client that is registered",
        AssertionError::Audience => "set aud to the address that is called",
        AssertionError::Expired => "it has expired: make a new one, and check the client's clock",
        AssertionError::TooLong => "it lives too long: set exp at most five minutes ahead",
        AssertionError::NotYet => "it is not valid yet: check the client's clock",
        AssertionError::Jti => "it needs a jti of 1 to 200 characters",
    }
}

// Who the assertion says it is by; believed only once the signature is right.
fn named_client(assertion: &str) -> Option<ClientId> {
    #[derive(serde::Deserialize)]
    struct Issuer {
        iss: String,
    }
    let payload = assertion.split('.').nth(1)?;
    let bytes = BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?;
    let issuer: Issuer = serde_json::from_slice(&bytes).ok()?;
    issuer.iss.parse().ok()
}

pub(crate) fn decoding_key(key: &Jwk) -> Option<(Algorithm, DecodingKey)> {
    let point = || DecodingKey::from_ec_components(key.x.as_deref()?, key.y.as_deref()?).ok();
    let modulus = || DecodingKey::from_rsa_components(key.n.as_deref()?, key.e.as_deref()?).ok();
    Some(match key.alg {
        SigningAlgorithm::ES256 => (Algorithm::ES256, point()?),
        SigningAlgorithm::ES384 => (Algorithm::ES384, point()?),
        SigningAlgorithm::RS256 => (Algorithm::RS256, modulus()?),
        SigningAlgorithm::RS384 => (Algorithm::RS384, modulus()?),
        SigningAlgorithm::EdDSA => (
            Algorithm::EdDSA,
            DecodingKey::from_ed_components(key.x.as_deref()?).ok()?,
        ),
    })
}

async fn issue(
    app: &App,
    tenant: &Tenant,
    client: &ApiClient,
    once: assertion::OnceOnly,
    granted: Option<Vec<Scope>>,
    asked: Option<&str>,
    context: &RequestContext,
) -> Result<IssuedToken, AppError> {
    let mut secret = [0; 32];
    app.ids().fill(&mut secret);
    let credential = Credential::new(CredentialKind::Access, app.ids().uuid(), secret);
    let now = app.now();
    let lives = app.settings().session.access_token_s.clamp(1, 3600);
    let token = AccessToken {
        schema: Default::default(),
        tenant: tenant.id,
        id: credential.id,
        client: client.id,
        hash: credential.hash(),
        scopes: granted,
        created: now,
        expires: now.plus_seconds(lives),
    };
    let used = DocWrite {
        kind: DocKind::Assertion,
        id: once.key,
        expected: DocExpected::Absent,
        body: Some(b"{}".to_vec()),
        time: now,
        expires: Some(once.keep_until),
        lookups: Vec::new(),
    };
    let kept = DocWrite {
        kind: DocKind::AccessToken,
        id: token.id.to_string(),
        expected: DocExpected::Absent,
        body: Some(serde_json::to_vec(&token)?),
        time: now,
        expires: Some(token.expires),
        lookups: Vec::new(),
    };
    let actor = actor_of(client);
    let entry = entry(app, context, &actor, Class::Login, "client-assertion", None);
    let committed = UnitOfWork::begin(app, &scope(tenant.id))
        .doc(used)
        .doc(kept)
        .entry(entry)
        .commit()
        .await;
    match committed {
        Ok(_) => Ok(IssuedToken {
            access_token: credential.to_text(),
            expires_in: lives,
            scope: asked.unwrap_or_default().trim().to_owned(),
        }),
        Err(CommitError::DocConflict {
            kind: DocKind::Assertion,
            ..
        }) => {
            let detail = "assertion used twice".to_owned();
            refused(app, tenant.id, context, &actor, "client-assertion", detail).await?;
            Err(SignInError::Assertion("it was used before: make a new one").into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads SMART v2 `system/Type.cruds` words (and v1 `.read`, `.write`, `.*`).
pub(crate) fn parse_scopes(text: &str) -> Result<Vec<Scope>, AppError> {
    text.split_whitespace()
        .map(|word| {
            parse_scope(word).ok_or_else(|| {
                let shown: String = word.chars().take(80).collect();
                AppError::Invalid(format!(
                    "scope {shown:?} is not offered: write system/Type.cruds, such as system/Observation.rs"
                ))
            })
        })
        .collect()
}

fn parse_scope(word: &str) -> Option<Scope> {
    let (name, letters) = word.strip_prefix("system/")?.split_once('.')?;
    let types = match name {
        "*" => Types::All,
        name => {
            fhir::definitions::Definitions::r4().resource(name)?;
            Types::Named(vec![name.to_owned()])
        }
    };
    let ours = match letters {
        "read" => "rsh".to_owned(),
        "write" => "cud".to_owned(),
        "*" => "rshcud".to_owned(),
        letters => {
            // SMART's `r` covers read, vread and history.
            let mut rest = letters.chars();
            let ordered = "cruds".chars().filter(|letter| letters.contains(*letter));
            if !ordered.eq(rest.by_ref()) || letters.is_empty() {
                return None;
            }
            letters.replace('r', "rh")
        }
    };
    Some(Scope {
        types,
        interactions: InteractionSet::parse(&ours)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_and_others_refused() {
        let read = |text: &str| -> Vec<String> {
            parse_scopes(text)
                .unwrap()
                .iter()
                .map(|scope| scope.interactions.to_string())
                .collect()
        };
        assert_eq!(read("system/Observation.rs system/*.read"), ["rsh", "rsh"]);
        assert_eq!(
            read("system/Patient.cruds system/*.*"),
            ["rshcud", "rshcud"]
        );
        assert_eq!(read("system/Patient.write"), ["cud"]);
        for bad in [
            "patient/*.rs",
            "system/Nope.r",
            "system/Patient",
            "system/Patient.",
            "system/Patient.sr",
            "system/Patient.x",
            "openid",
        ] {
            assert!(parse_scopes(bad).is_err(), "{bad}");
        }
    }
}
