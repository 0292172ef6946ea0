//! Client assertions (RFC 7523, SMART backend services): what the claims of a `private_key_jwt` must
//! say. The signature was verified before, with the key the header's `kid` names and that key's own
//! algorithm; this looks at the claims only.

use kernel::{Categorised, Category, ClientId, Timestamp};

/// One audience or several.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several; one of them must be us.
    Many(Vec<String>),
}

impl Audience {
    fn names(&self, accepted: &[&str]) -> bool {
        match self {
            Self::One(name) => accepted.contains(&name.as_str()),
            Self::Many(names) => names.iter().any(|name| accepted.contains(&name.as_str())),
        }
    }
}

/// The claims of a verified assertion. A claim that is missing or of another type fails to parse.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct AssertionClaims {
    /// Issuer: the client id.
    pub iss: String,
    /// Subject: the client id.
    pub sub: String,
    /// Audience: the token endpoint's URL.
    pub aud: Audience,
    /// Expiry, seconds since the epoch.
    pub exp: i64,
    /// Not before, seconds since the epoch.
    #[serde(default)]
    pub nbf: Option<i64>,
    /// Issued at, seconds since the epoch.
    #[serde(default)]
    pub iat: Option<i64>,
    /// A name for this assertion that is never used again.
    pub jti: String,
}

/// Why an assertion is not accepted. All are answered as `invalid_client`; the text is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// `iss` and `sub` are not both the client's id.
    #[error("client assertion is not by and about the client: set iss and sub to the client id")]
    Client,
    /// `aud` does not name the token endpoint.
    #[error("client assertion is for another audience: set aud to the token endpoint's URL")]
    Audience,
    /// `exp` has passed.
    #[error("client assertion has expired: make a new one, and check the client's clock")]
    Expired,
    /// `exp` is too far away.
    #[error("client assertion lives too long: set exp at most five minutes ahead")]
    TooLong,
    /// `nbf` or `iat` is to come.
    #[error("client assertion is not valid yet: check the client's clock")]
    NotYet,
    /// `jti` is empty or too long.
    #[error("client assertion needs a jti of 1 to 200 characters")]
    Jti,
}

impl Categorised for AssertionError {
    fn category(&self) -> Category {
        Category::Unauthenticated
    }
}

/// Seconds that `exp` may be ahead (SMART backend services: five minutes).
pub const LONGEST_SECONDS: i64 = 300;
/// Seconds that clocks may differ.
pub const SKEW_SECONDS: i64 = 30;

/// An assertion that is good, once: store `key` until `keep_until`, and refuse it when it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceOnly {
    /// Client and `jti`: the id of the document that marks it as used.
    pub key: String,
    /// Until when it could be replayed.
    pub keep_until: Timestamp,
}

/// Checks the claims of an assertion of a client. `accepted` are the URLs that the token endpoint is
/// known by.
pub fn check(
    claims: &AssertionClaims,
    client: ClientId,
    accepted: &[&str],
    now: Timestamp,
) -> Result<OnceOnly, AssertionError> {
    use base64::Engine;
    let id = client.to_string();
    if claims.iss != id || claims.sub != id {
        return Err(AssertionError::Client);
    }
    if !claims.aud.names(accepted) {
        return Err(AssertionError::Audience);
    }
    let seconds = now.as_millis().div_euclid(1000);
    if claims.exp <= seconds.saturating_sub(SKEW_SECONDS) {
        return Err(AssertionError::Expired);
    }
    if claims.exp > seconds.saturating_add(LONGEST_SECONDS + SKEW_SECONDS) {
        return Err(AssertionError::TooLong);
    }
    let latest = seconds.saturating_add(SKEW_SECONDS);
    if [claims.nbf, claims.iat]
        .into_iter()
        .flatten()
        .any(|t| t > latest)
    {
        return Err(AssertionError::NotYet);
    }
    if !(1..=200).contains(&claims.jti.len()) {
        return Err(AssertionError::Jti);
    }
    // Hashed, because a jti is free text and a document id is at most 200 bytes.
    let digest = <sha2::Sha256 as sha2::Digest>::digest(claims.jti.as_bytes());
    let jti = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest);
    Ok(OnceOnly {
        key: format!("{id}.{jti}"),
        keep_until: now.plus_seconds(LONGEST_SECONDS + 2 * SKEW_SECONDS),
    })
}

/// The claims of a verified token of a client of CDS Hooks. A claim that is missing or of another type fails
/// to parse.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct HookClaims {
    /// Issuer: the address that the client is registered by.
    pub iss: String,
    /// Audience: the address of the service that is called.
    pub aud: Audience,
    /// Expiry, seconds since the epoch.
    pub exp: i64,
    /// Not before, seconds since the epoch.
    #[serde(default)]
    pub nbf: Option<i64>,
    /// Issued at, seconds since the epoch.
    pub iat: i64,
    /// A name for this token that is never used again.
    pub jti: String,
    /// Which organisation of the issuer.
    #[serde(default)]
    pub tenant: Option<String>,
}

/// Checks the claims of a token of a client of CDS Hooks (2.0, "Trusting CDS Clients"): `issuer` and `tenant`
/// are those of its registration `client`, `address` is that of the service that is called.
pub fn check_hook(
    claims: &HookClaims,
    (client, issuer, tenant): (ClientId, &str, Option<&str>),
    address: &str,
    now: Timestamp,
) -> Result<OnceOnly, AssertionError> {
    if claims.iss != issuer || tenant.is_some_and(|own| claims.tenant.as_deref() != Some(own)) {
        return Err(AssertionError::Client);
    }
    let id = client.to_string();
    // What follows is the same for both kinds of token.
    let same = AssertionClaims {
        iss: id.clone(),
        sub: id,
        aud: claims.aud.clone(),
        exp: claims.exp,
        nbf: claims.nbf,
        iat: Some(claims.iat),
        jti: claims.jti.clone(),
    };
    check(&same, client, &[address], now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp::from_millis(1_772_698_150_000);
    const SECONDS: i64 = 1_772_698_150;
    const URL: &str = "https://theriac.example.org/t/rosewood/token";

    fn client() -> ClientId {
        ClientId::from_uuid(Uuid::from_u128(5))
    }

    fn good() -> AssertionClaims {
        AssertionClaims {
            iss: client().to_string(),
            sub: client().to_string(),
            aud: Audience::One(URL.to_owned()),
            exp: SECONDS + 300,
            nbf: None,
            iat: Some(SECONDS),
            jti: "a1".to_owned(),
        }
    }

    #[test]
    fn a_good_assertion_is_good_once() {
        let once = check(&good(), client(), &[URL], NOW).unwrap();
        assert_eq!(once, check(&good(), client(), &["x", URL], NOW).unwrap());
        assert!(once.key.len() <= 200);
        assert!(once.keep_until.seconds_since(NOW) >= 300 + 2 * SKEW_SECONDS);
        let several = AssertionClaims {
            aud: Audience::Many(vec!["other".to_owned(), URL.to_owned()]),
            jti: "a2".to_owned(),
            ..good()
        };
        assert_ne!(
            check(&several, client(), &[URL], NOW).unwrap().key,
            once.key
        );
    }

    #[test]
    fn each_rule_refuses() {
        type Change = fn(&mut AssertionClaims);
        let cases: [(Change, AssertionError); 12] = [
            (|c| c.iss = "x".into(), AssertionError::Client),
            (|c| c.sub = "x".into(), AssertionError::Client),
            (
                |c| c.aud = Audience::One("x".into()),
                AssertionError::Audience,
            ),
            (|c| c.aud = Audience::Many(vec![]), AssertionError::Audience),
            (|c| c.exp = SECONDS - 30, AssertionError::Expired),
            (|c| c.exp = i64::MIN, AssertionError::Expired),
            (|c| c.exp = SECONDS + 331, AssertionError::TooLong),
            (|c| c.exp = i64::MAX, AssertionError::TooLong),
            (|c| c.nbf = Some(SECONDS + 31), AssertionError::NotYet),
            (|c| c.iat = Some(i64::MAX), AssertionError::NotYet),
            (|c| c.jti = String::new(), AssertionError::Jti),
            (|c| c.jti = "x".repeat(201), AssertionError::Jti),
        ];
        for (at, (change, error)) in cases.into_iter().enumerate() {
            let mut claims = good();
            change(&mut claims);
            assert_eq!(
                check(&claims, client(), &[URL], NOW),
                Err(error),
                "case {at}"
            );
        }
    }

    #[test]
    fn a_token_of_hooks_is_held_to_its_registration() {
        let claims = HookClaims {
            iss: "https://ehr.example.org".to_owned(),
            aud: Audience::One(URL.to_owned()),
            exp: SECONDS + 300,
            nbf: None,
            iat: SECONDS,
            jti: "a1".to_owned(),
            tenant: Some("north".to_owned()),
        };
        let own = "https://ehr.example.org";
        let asked = |claims: &HookClaims, issuer, tenant, address| {
            check_hook(claims, (client(), issuer, tenant), address, NOW)
        };
        assert!(asked(&claims, own, None, URL).is_ok());
        assert!(asked(&claims, own, Some("north"), URL).is_ok());
        let not_it = Err(AssertionError::Client);
        assert_eq!(asked(&claims, own, Some("south"), URL), not_it);
        assert_eq!(
            asked(&claims, "https://other.example.org", None, URL),
            not_it
        );
        let other = format!("{URL}/feedback");
        assert_eq!(
            asked(&claims, own, None, &other),
            Err(AssertionError::Audience)
        );
        let nameless = HookClaims {
            tenant: None,
            ..claims.clone()
        };
        assert_eq!(asked(&nameless, own, Some("north"), URL), not_it);
        let old = HookClaims {
            exp: SECONDS - 31,
            ..claims.clone()
        };
        assert_eq!(asked(&old, own, None, URL), Err(AssertionError::Expired));
        let early = HookClaims {
            iat: SECONDS + 31,
            ..claims
        };
        assert_eq!(asked(&early, own, None, URL), Err(AssertionError::NotYet));
    }

    #[test]
    fn required_claims_must_be_there() {
        let full = r#"{"iss":"a","sub":"a","aud":["u"],"exp":1,"jti":"j"}"#;
        assert!(serde_json::from_str::<AssertionClaims>(full).is_ok());
        for part in [
            r#""iss":"a","#,
            r#""sub":"a","#,
            r#""aud":["u"],"#,
            r#""exp":1,"#,
        ] {
            let without = full.replace(part, "");
            assert!(
                serde_json::from_str::<AssertionClaims>(&without).is_err(),
                "{part}"
            );
        }
        assert!(serde_json::from_str::<AssertionClaims>(&full.replace("1,", "\"1\",")).is_err());
    }
}
