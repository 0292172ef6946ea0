//! Client credentials: what an assertion must be, and what is refused.

use app::sign_in::{self, IssuedToken};
use app::{AppError, Log, SignInError};
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer as _, SigningKey};
use identity::{ApiClient, InteractionSet, Jwk, Role, RoleAssignment, Scope, Types, UserState};
use serde_json::{Value, json};

use crate::house::{House, patient};

const AUDIENCE: &str = "http://127.0.0.1:8090/t/ash/token";

struct Program {
    client: ApiClient,
    key: SigningKey,
}

impl Program {
    async fn register(house: &House) -> Self {
        let key = SigningKey::from_bytes(&[3; 32]);
        let x = BASE64URL_NOPAD.encode(key.verifying_key().as_bytes());
        let jwk: Jwk = serde_json::from_value(json!({
            "kid": "k1", "alg": "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": x,
        }))
        .unwrap();
        let new = app::admin::clients::NewClient {
            name: "engine".to_owned(),
            roles: vec![RoleAssignment::of(Role::IntegrationService)],
            scopes: vec![Scope {
                types: Types::All,
                interactions: InteractionSet::ALL,
            }],
            operations: Vec::new(),
            jwks: vec![jwk],
        };
        let admin = house.admin("ash").await;
        let client = app::admin::clients::create(&house.app, &admin, new)
            .await
            .unwrap();
        Self { client, key }
    }

    fn claims(&self, house: &House, jti: &str) -> Value {
        let id = self.client.id.to_string();
        let exp = house.app.now().as_millis() / 1000 + 120;
        json!({"iss": id, "sub": id, "aud": AUDIENCE, "exp": exp, "jti": jti})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let text = format!("{}.{}", encode(header), encode(claims));
        let signature = self.key.sign(text.as_bytes());
        format!("{text}.{}", BASE64URL_NOPAD.encode(&signature.to_bytes()))
    }
}

fn header() -> Value {
    json!({"alg": "EdDSA", "typ": "JWT", "kid": "k1"})
}

async fn exchange(
    house: &House,
    slug: &str,
    assertion: &str,
    scope: Option<&str>,
) -> Result<IssuedToken, AppError> {
    sign_in::client_credentials(&house.app, slug, assertion, scope, house.context()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assertion_buys_a_short_token_once() {
    let house = House::build().await;
    let program = Program::register(&house).await;
    let assertion = program.sign(&header(), &program.claims(&house, "j1"));
    let issued = exchange(&house, "ash", &assertion, Some("system/Patient.rs"))
        .await
        .unwrap();
    assert_eq!(
        (issued.expires_in, issued.scope.as_str()),
        (300, "system/Patient.rs")
    );
    let caller = sign_in::bearer(&house.app, "ash", &issued.access_token, house.context())
        .await
        .unwrap();
    assert!(house.search(&caller, "Patient?_id=a").await.is_ok());
    assert!(
        house.put(&caller, &patient("p1", "One")).await.is_err(),
        "narrowed by scope"
    );
    let replay = exchange(&house, "ash", &assertion, None).await.unwrap_err();
    assert!(matches!(
        replay,
        AppError::SignIn(SignInError::Assertion(_))
    ));
    let whole = program.sign(&header(), &program.claims(&house, "j2"));
    let issued = exchange(&house, "ash", &whole, None).await.unwrap();
    let caller = sign_in::bearer(&house.app, "ash", &issued.access_token, house.context())
        .await
        .unwrap();
    assert!(house.put(&caller, &patient("p1", "One")).await.is_ok());
    house.clock.advance(301);
    let over = sign_in::bearer(&house.app, "ash", &issued.access_token, house.context()).await;
    assert!(matches!(over, Err(AppError::SignIn(SignInError::Token))));
    let trail = house.trail("ash", Log::Access, 60).await;
    assert!(trail.contains(&"login success - -".to_owned()));
    assert!(trail.contains(&"login-failed failed - -".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_assertions_are_refused() {
    let house = House::build().await;
    let program = Program::register(&house).await;
    let claims = || program.claims(&house, "j");
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        program.sign(&header(), &claims)
    };
    let now = house.app.now().as_millis() / 1000;
    let mut forged = program.sign(&header(), &claims());
    forged.pop();
    let unsigned = program.sign(&json!({"alg": "none", "kid": "k1"}), &claims());
    let refused = [
        ("no JWT", "x".to_owned()),
        ("too long", "x".repeat(9000)),
        ("forged", forged),
        ("none", unsigned),
        (
            "HS256",
            program.sign(&json!({"alg": "HS256", "kid": "k1"}), &claims()),
        ),
        (
            "ES256",
            program.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims()),
        ),
        ("no kid", program.sign(&json!({"alg": "EdDSA"}), &claims())),
        (
            "other kid",
            program.sign(&json!({"alg": "EdDSA", "kid": "../k1"}), &claims()),
        ),
        (
            "audience",
            with("aud", json!("http://127.0.0.1:8090/t/birch/token")),
        ),
        ("expired", with("exp", json!(now - 60))),
        ("long", with("exp", json!(now + 3600))),
        ("early", with("nbf", json!(now + 600))),
        ("subject", with("sub", json!("somebody"))),
        ("no jti", with("jti", json!(""))),
        (
            "issuer",
            with("iss", json!("00000000-0000-0000-0000-000000000001")),
        ),
    ];
    for (what, assertion) in refused {
        let error = exchange(&house, "ash", &assertion, None).await.unwrap_err();
        assert!(
            matches!(error, AppError::SignIn(SignInError::Assertion(_))),
            "{what}: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assertion_counts_in_its_tenant_for_active_clients() {
    let house = House::build().await;
    let program = Program::register(&house).await;
    let claims = || program.claims(&house, "j");
    let good = program.sign(&header(), &claims());
    assert!(
        exchange(&house, "birch", &good, None).await.is_err(),
        "another tenant"
    );
    assert!(matches!(
        exchange(&house, "ash", &good, Some("openid")).await,
        Err(AppError::Invalid(_))
    ));
    let admin = house.admin("ash").await;
    let id = program.client.id;
    app::admin::clients::set_state(&house.app, &admin, id, UserState::Suspended)
        .await
        .unwrap();
    assert!(
        exchange(&house, "ash", &good, None).await.is_err(),
        "suspended"
    );
}
