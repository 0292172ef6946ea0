//! API clients, their keys, scopes and tokens.

use kernel::{Categorised, Category, ClientId, TenantId, Timestamp, UserId};
use uuid::Uuid;

use super::{RoleAssignment, Schema, UserState};
use crate::interaction::{Interaction, InteractionSet};
use crate::sealed::Digest32;

/// Which resource types a scope covers.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Types {
    /// Every type.
    All,
    /// These types, by their FHIR names.
    Named(Vec<String>),
}

impl Types {
    /// Whether a type is covered; `None` asks for all types at once.
    #[must_use]
    pub fn covers(&self, resource_type: Option<&str>) -> bool {
        match (self, resource_type) {
            (Self::All, _) => true,
            (Self::Named(names), Some(name)) => names.iter().any(|n| n == name),
            (Self::Named(_), None) => false,
        }
    }
}

/// Some interactions with some types. A client may do what its roles **and** one of its scopes allow.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Scope {
    /// The types.
    pub types: Types,
    /// The interactions.
    pub interactions: InteractionSet,
}

impl Scope {
    /// Whether the scope covers an interaction with a type (`None`: all types at once).
    #[must_use]
    pub fn covers(&self, interaction: Interaction, resource_type: Option<&str>) -> bool {
        self.interactions.contains(interaction) && self.types.covers(resource_type)
    }

    /// What both scopes cover; `None` when that is nothing.
    #[must_use]
    pub fn both(&self, other: &Self) -> Option<Self> {
        let types = match (&self.types, &other.types) {
            (Types::All, types) | (types, Types::All) => types.clone(),
            (Types::Named(a), Types::Named(b)) => {
                Types::Named(a.iter().filter(|name| b.contains(name)).cloned().collect())
            }
        };
        let interactions = self.interactions.intersection(other.interactions);
        let nothing = interactions.is_empty() || types == Types::Named(Vec::new());
        (!nothing).then_some(Self {
            types,
            interactions,
        })
    }
}

/// Signature algorithms that a client's key may be pinned to. No symmetric algorithm and no `none`:
/// the algorithm is chosen by the key, never by the token's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384 (SMART backend services).
    ES384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384 (SMART backend services).
    RS384,
    /// Ed25519.
    EdDSA,
}

/// A public key of a client (RFC 7517), pinned to one algorithm.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Jwk {
    /// Key id, unique in the client.
    pub kid: String,
    /// The algorithm it is pinned to.
    pub alg: SigningAlgorithm,
    /// `EC`, `RSA` or `OKP`.
    pub kty: String,
    /// Curve of `EC` and `OKP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// Coordinate of `EC` and `OKP`, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// Coordinate of `EC`, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// Modulus of `RSA`, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// Exponent of `RSA`, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// Private part: only there to be refused; never written.
    #[serde(default, skip_serializing)]
    pub d: Option<String>,
}

/// A client key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// The private part was sent too.
    #[error("key {0:?} contains its private part: make a new key and send the public part only")]
    Private(String),
    /// Its fields do not fit the algorithm it is pinned to.
    #[error(
        "key {0:?} does not fit its algorithm: give kty, crv, x and y for ES256 and ES384, kty, crv and x for EdDSA, or kty, n and e with 2048 bits or more for RS256 and RS384"
    )]
    Shape(String),
}

impl Categorised for JwkError {
    fn category(&self) -> Category {
        Category::Invalid
    }
}

impl Jwk {
    /// Checks that the key is public and fits its algorithm.
    pub fn check(&self) -> Result<(), JwkError> {
        if self.d.is_some() {
            return Err(JwkError::Private(self.kid.clone()));
        }
        let elliptic = |kty: &str, curve: &str, length: usize| {
            self.kty == kty
                && self.crv.as_deref() == Some(curve)
                && decoded_length(self.x.as_deref()) == Some(length)
        };
        let fits = match self.alg {
            SigningAlgorithm::ES256 => {
                elliptic("EC", "P-256", 32) && decoded_length(self.y.as_deref()) == Some(32)
            }
            SigningAlgorithm::ES384 => {
                elliptic("EC", "P-384", 48) && decoded_length(self.y.as_deref()) == Some(48)
            }
            SigningAlgorithm::EdDSA => elliptic("OKP", "Ed25519", 32),
            SigningAlgorithm::RS256 | SigningAlgorithm::RS384 => {
                self.kty == "RSA"
                    && decoded_length(self.n.as_deref()).is_some_and(|n| (256..=1024).contains(&n))
                    && decoded_length(self.e.as_deref()).is_some_and(|e| (1..=8).contains(&e))
            }
        };
        if fits && !self.kid.is_empty() && self.kid.len() <= 200 {
            Ok(())
        } else {
            Err(JwkError::Shape(self.kid.chars().take(80).collect()))
        }
    }
}

fn decoded_length(text: Option<&str>) -> Option<usize> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(text?)
        .ok()
        .map(|bytes| bytes.len())
}

/// A program that calls the API.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ApiClient {
    /// Schema of this document.
    pub schema: Schema<1>,
    /// The tenant it belongs to; checked whenever a subject is made.
    pub tenant: TenantId,
    /// Its id, which is also its OAuth `client_id`.
    pub id: ClientId,
    /// Its name for people, unique in the tenant.
    pub name: String,
    /// Roles, usually [`Role::IntegrationService`](crate::Role::IntegrationService) alone.
    pub roles: Vec<RoleAssignment>,
    /// What it may do with resources, within its roles. Empty: nothing.
    pub scopes: Vec<Scope>,
    /// Which operations it may do, within its roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Interaction>,
    /// Public keys for `private_key_jwt`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jwks: Vec<Jwk>,
    /// Whether it may call.
    pub state: UserState,
    /// When it was made.
    pub created: Timestamp,
}

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenOwner {
    /// A person's own token.
    User(UserId),
    /// A client's token.
    Client(ClientId),
}

/// A token that lives for months, kept as a hash. Text form `thr_<id>_<secret>`, see
/// [`crate::credential`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LongLivedToken {
    /// Schema of this document.
    pub schema: Schema<1>,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Its id, which the text form names.
    pub id: Uuid,
    /// Whose it is.
    pub owner: TokenOwner,
    /// What it is for, in its owner's words.
    pub name: String,
    /// Hash of the secret.
    pub hash: Digest32,
    /// Narrows the owner's permissions; `None` leaves them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// When it was last used, to the hour; filled in from its [`TokenUse`] when tokens are listed.
    pub last_used: Option<Timestamp>,
}

/// When a long-lived token was last used. Kept apart from the token, which changes only by an
/// administrator's hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TokenUse {
    /// Schema of this document.
    pub schema: Schema<1>,
    /// The token.
    pub token: Uuid,
    /// When, to the hour.
    pub used: Timestamp,
}

/// A token that lives for minutes, answered to client credentials. Text form `tha_<id>_<secret>`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AccessToken {
    /// Schema of this document.
    pub schema: Schema<1>,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Its id, which the text form names.
    pub id: Uuid,
    /// The client it was given to.
    pub client: ClientId,
    /// Hash of the secret.
    pub hash: Digest32,
    /// The scopes that were granted; the client's own still apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends; at most an hour after it was made.
    pub expires: Timestamp,
}

impl LongLivedToken {
    /// Whether it is still good at a time.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.created <= now && now < self.expires
    }
}

impl TokenUse {
    /// Whether a use now should be written over this one (once an hour, so that use is not a write each).
    #[must_use]
    pub fn is_old(&self, now: Timestamp) -> bool {
        now.seconds_since(self.used) >= 3600
    }
}

impl AccessToken {
    /// Whether it is still good at a time.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.created <= now && now < self.expires
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(json: &str) -> Jwk {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn keys_must_be_public_and_fit_their_algorithm() {
        let x32 = "A".repeat(43);
        let x48 = "A".repeat(64);
        let n = "A".repeat(342);
        let good = [
            format!(
                r#"{{"kid":"a","alg":"ES384","kty":"EC","crv":"P-384","x":"{x48}","y":"{x48}"}}"#
            ),
            format!(
                r#"{{"kid":"a","alg":"ES256","kty":"EC","crv":"P-256","x":"{x32}","y":"{x32}"}}"#
            ),
            format!(r#"{{"kid":"a","alg":"EdDSA","kty":"OKP","crv":"Ed25519","x":"{x32}"}}"#),
            format!(r#"{{"kid":"a","alg":"RS384","kty":"RSA","n":"{n}","e":"AQAB","use":"sig"}}"#),
        ];
        for json in &good {
            assert_eq!(key(json).check(), Ok(()), "{json}");
        }
        let bad = [
            format!(
                r#"{{"kid":"a","alg":"ES384","kty":"EC","crv":"P-256","x":"{x32}","y":"{x32}"}}"#
            ),
            format!(
                r#"{{"kid":"a","alg":"RS384","kty":"EC","crv":"P-384","x":"{x48}","y":"{x48}"}}"#
            ),
            format!(r#"{{"kid":"","alg":"EdDSA","kty":"OKP","crv":"Ed25519","x":"{x32}"}}"#),
            r#"{"kid":"a","alg":"RS256","kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(),
        ];
        for json in &bad {
            assert!(key(json).check().is_err(), "{json}");
        }
        let private = good[2].replace("\"kty\"", "\"d\":\"AAAA\",\"kty\"");
        assert!(matches!(key(&private).check(), Err(JwkError::Private(_))));
        for alg in ["none", "HS256"] {
            let json = good[2].replace("EdDSA", alg);
            assert!(serde_json::from_str::<Jwk>(&json).is_err());
        }
    }

    #[test]
    fn scopes_cover_types() {
        let named = Types::Named(vec!["Observation".to_owned()]);
        assert!(named.covers(Some("Observation")));
        assert!(!named.covers(Some("Patient")) && !named.covers(None));
        assert!(Types::All.covers(None) && Types::All.covers(Some("Patient")));
    }
}
