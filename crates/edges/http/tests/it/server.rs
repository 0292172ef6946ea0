//! A server to talk to, and answers written down so that two runs give the same text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use app::admin::branches::{self, NewBranch};
use app::admin::clients::{self, NewClient};
use app::admin::tenants::{self, NewTenant};
use app::admin::tokens::{self, NewToken};
use app::admin::users::{self, NewUser};
use app::init::{self, NewOperator};
use app::{App, Caller, Settings};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_edge::{Edge, EdgeSettings, Metrics};
use identity::{
    BranchKind, Interaction, InteractionSet, Placement, Role, RoleAssignment, Scope, TokenOwner,
    Types,
};
use kernel::{ActorId, BranchId, Clock, Ids, PurposeOfUse, UserId};
use serde_json::Value;
use store::blob::Blobs;
use store::sqlite::{SqliteSettings, SqliteStore};
use store::{FullText, Store};
use testkit::clock::FixedClock;
use testkit::ids::SeededIds;
use tower::ServiceExt as _;
use zeroize::Zeroizing;

/// The two tenants of every server.
pub const ROSEWOOD: &str = "rosewood";
pub const LAKESIDE: &str = "lakeside";
/// Where the server says it is reached.
pub const PUBLIC_URL: &str = "https://records.example.org";
/// Every test account's password.
pub const PASSWORD: &str = "quiet otter under 7 ferns";

pub struct TestServer {
    pub router: Router,
    pub app: App,
    pub clock: Arc<FixedClock>,
    pub store: Arc<dyn Store>,
    _folder: tempfile::TempDir,
}

impl TestServer {
    /// An instance with two tenants, each with its administrator.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(adjust: impl FnOnce(&mut Settings)) -> Self {
        Self::start_over(FullText::default(), adjust).await
    }

    /// The same over a store that indexes these words.
    pub async fn start_over(words: FullText, adjust: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::default());
        let ids: Arc<dyn Ids> = Arc::new(SeededIds::new(7, clock.clone()));
        let mut sqlite = SqliteSettings::new(folder.path().join("data"), "records.example.org");
        sqlite.access_window = Duration::ZERO;
        sqlite.cache_kib = 2048;
        sqlite.full_text = words;
        let ports: Arc<dyn Clock> = clock.clone();
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(sqlite, ports.clone(), ids.clone()).unwrap());
        let mut settings = Settings::with_secret([9; 32]);
        adjust(&mut settings);
        let files = Blobs::in_folder(&folder.path().join("blobs")).unwrap();
        let app = App::new(Arc::clone(&store), ports, ids, settings)
            .unwrap()
            .with_files(files);
        let operator = NewOperator {
            sign_in_name: "operator".to_owned(),
            display_name: "Olga Operator".to_owned(),
            password: Some(Zeroizing::new(PASSWORD.to_owned())),
        };
        init::instance(&app, operator).await.unwrap();
        let edge = Edge::new(
            app.clone(),
            Metrics::new().unwrap(),
            EdgeSettings {
                public_url: PUBLIC_URL.to_owned(),
                trust_forwarded: false,
            },
        );
        let server = Self {
            router: http_edge::router(edge),
            app,
            clock,
            store,
            _folder: folder,
        };
        for slug in [ROSEWOOD, LAKESIDE] {
            server.make_tenant(slug).await;
        }
        server
    }

    async fn make_tenant(&self, slug: &str) {
        let console = init::console(
            &self.app,
            ActorId::from_uuid(uuid::Uuid::from_u128(1)),
            "console",
        )
        .unwrap();
        let new = NewTenant {
            slug: slug.parse().unwrap(),
            name: format!("{slug} house"),
            placement: Placement::File,
            region: "on-premises".to_owned(),
            administrator: ("admin".to_owned(), "Ada Admin".to_owned()),
            password: Some(Zeroizing::new(PASSWORD.to_owned())),
        };
        tenants::create(&self.app, &console, new).await.unwrap();
    }

    /// A user as a caller of use-cases.
    pub async fn acting(&self, tenant: &str, name: &str) -> Caller {
        init::acting_as(&self.app, tenant, name, PurposeOfUse::Operations)
            .await
            .unwrap()
    }

    async fn administrator(&self, tenant: &str) -> Caller {
        let name = if tenant == init::INSTANCE_SLUG {
            "operator"
        } else {
            "admin"
        };
        self.acting(tenant, name).await
    }

    async fn token_of(&self, maker: &Caller, owner: TokenOwner) -> String {
        let new = NewToken {
            owner,
            name: "test".to_owned(),
            scopes: None,
            days: 30,
        };
        let made = tokens::create(&self.app, maker, new).await.unwrap();
        made.text.to_string()
    }

    /// A token of a program that may do everything with resources.
    pub async fn program(&self, tenant: &str) -> String {
        let operations = [Interaction::VerifyLedger, Interaction::Merge];
        self.program_with(tenant, "feed", &operations).await
    }

    pub async fn program_with(
        &self,
        tenant: &str,
        name: &str,
        operations: &[Interaction],
    ) -> String {
        let new = NewClient {
            name: name.to_owned(),
            roles: vec![RoleAssignment::of(Role::IntegrationService)],
            scopes: vec![Scope {
                types: Types::All,
                interactions: InteractionSet::ALL,
            }],
            operations: operations.to_vec(),
            jwks: Vec::new(),
        };
        let administrator = self.administrator(tenant).await;
        let client = clients::create(&self.app, &administrator, new)
            .await
            .unwrap();
        self.token_of(&administrator, TokenOwner::Client(client.id))
            .await
    }

    /// A branch, and the id of the Organization that it stands for.
    pub async fn branch(&self, tenant: &str, name: &str) -> (BranchId, String) {
        let new = NewBranch {
            name: name.to_owned(),
            kind: BranchKind::Ward,
            organization: None,
        };
        let administrator = self.administrator(tenant).await;
        let made = branches::create(&self.app, &administrator, new)
            .await
            .unwrap();
        (made.id, made.organization.as_str().to_owned())
    }

    /// A token of a program that may do everything with the patients of a branch.
    pub async fn program_at(&self, tenant: &str, branch: BranchId) -> String {
        let new = NewClient {
            name: format!("feed of {branch}"),
            roles: vec![RoleAssignment::at(Role::IntegrationService, vec![branch])],
            scopes: vec![Scope {
                types: Types::All,
                interactions: InteractionSet::ALL,
            }],
            operations: vec![Interaction::Merge, Interaction::Export],
            jwks: Vec::new(),
        };
        let administrator = self.administrator(tenant).await;
        let client = clients::create(&self.app, &administrator, new)
            .await
            .unwrap();
        self.token_of(&administrator, TokenOwner::Client(client.id))
            .await
    }

    /// A token of a person with one role at a branch, who is named after the role.
    pub async fn person_at(&self, tenant: &str, role: Role, branch: BranchId) -> String {
        self.person_with(tenant, RoleAssignment::at(role, vec![branch]))
            .await
    }

    /// A token of a person with one role, who is named after it. The administrator is there already.
    pub async fn person(&self, tenant: &str, role: Role) -> String {
        self.person_with(tenant, RoleAssignment::of(role)).await
    }

    async fn person_with(&self, tenant: &str, assignment: RoleAssignment) -> String {
        let role = assignment.role;
        let administrator = self.administrator(tenant).await;
        let person = if matches!(role, Role::Administrator | Role::Operator) {
            administrator
        } else {
            let new = NewUser {
                sign_in_name: role.as_str().to_owned(),
                display_name: format!("Test {role}"),
                roles: vec![assignment],
                practitioner: None,
                patients: Vec::new(),
                password: Some(Zeroizing::new(PASSWORD.to_owned())),
            };
            users::create(&self.app, &administrator, new).await.unwrap();
            self.acting(tenant, role.as_str()).await
        };
        let id = UserId::from_uuid(person.subject.actor().id.as_uuid());
        self.token_of(&person, TokenOwner::User(id)).await
    }

    /// Stores a resource under its own type and id.
    pub async fn put(&self, tenant: &str, token: &str, resource: &Value) {
        let text = |name: &str| resource[name].as_str().unwrap().to_owned();
        let at = format!("/t/{tenant}/fhir/{}/{}", text("resourceType"), text("id"));
        let answer = self.send(Call::put(at).bearer(token).json(resource)).await;
        assert!(answer.status.is_success(), "{}", answer.text());
    }

    /// One request, one second after the one before.
    pub async fn send(&self, call: Call) -> Answer {
        self.clock.advance(1);
        self.send_now(call).await
    }

    /// One request without moving the clock.
    pub async fn send_now(&self, call: Call) -> Answer {
        let response = self
            .router
            .clone()
            .oneshot(call.into_request())
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }
}

/// A request being put together.
pub struct Call {
    method: Method,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
}

impl Call {
    pub fn new(method: &str, path: impl Into<String>) -> Self {
        Self {
            method: method.parse().unwrap(),
            path: path.into(),
            headers: Vec::new(),
            body: Body::empty(),
        }
    }
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }
    pub fn post(path: impl Into<String>) -> Self {
        Self::new("POST", path)
    }
    pub fn put(path: impl Into<String>) -> Self {
        Self::new("PUT", path)
    }
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path)
    }
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/fhir+json")
            .bytes(body.to_string())
    }
    pub fn patch(self, body: &Value) -> Self {
        self.header("content-type", "application/json-patch+json")
            .bytes(body.to_string())
    }
    pub fn form(self, body: &str) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded")
            .bytes(body.to_owned())
    }
    pub fn bytes(self, body: impl Into<Bytes>) -> Self {
        self.body(Body::from(body.into()))
    }
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    fn into_request(self) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(self.body).unwrap()
    }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}: {}", self.status, self.text()))
    }
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
    /// The logical id of the resource in the body.
    pub fn id(&self) -> String {
        self.json()["id"].as_str().unwrap().to_owned()
    }
    /// Fails unless the status is this one.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }
    /// Every byte that left, for searches of what must not.
    pub fn everything(&self) -> String {
        format!("{} {:?} {}", self.status, self.headers, self.text())
    }
    /// The first finding's code and text; of problem documents and OAuth errors, what stands for them.
    pub fn first_issue(&self) -> (String, String) {
        let json = self.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if json["resourceType"] == "OperationOutcome" {
            let issue = &json["issue"][0];
            (text(&issue["code"]), text(&issue["diagnostics"]))
        } else if json["error"].is_string() {
            (text(&json["error"]), text(&json["error_description"]))
        } else {
            (text(&json["title"]), text(&json["detail"]))
        }
    }
}

/// A conversation written down: ids, hashes and cursors replaced by names in order of appearance.
#[derive(Default)]
pub struct Transcript {
    text: String,
    names: BTreeMap<String, String>,
}

impl Transcript {
    /// One answer under a heading.
    pub fn note(&mut self, heading: &str, answer: &Answer) {
        let mut text = format!("## {heading}\n{}\n", answer.status);
        let mut headers: Vec<String> = answer
            .headers
            .iter()
            .filter(|(name, _)| *name != "x-request-id" && *name != header::CONTENT_LENGTH)
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort();
        for line in headers {
            let _ = writeln!(text, "{line}");
        }
        if !answer.body.is_empty() {
            let shown = serde_json::from_slice::<Value>(&answer.body).map_or_else(
                |_| answer.text(),
                |json| serde_json::to_string_pretty(&json).unwrap(),
            );
            let _ = writeln!(text, "\n{}", shown.trim_end());
        }
        let steady = self.steady(&text);
        self.text.push_str(&steady);
        self.text.push('\n');
    }

    /// One failure on one line, for tables.
    pub fn line(&mut self, heading: &str, answer: &Answer) {
        let (code, text) = answer.first_issue();
        let line = self.steady(&format!(
            "{heading}: {} {code}: {text}\n",
            answer.status.as_u16()
        ));
        self.text.push_str(&line);
    }

    pub fn finish(self) -> String {
        self.text
    }

    fn steady(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(word) = rest.get(..36).filter(|word| is_uuid(word)) {
                let next = self.names.len() + 1;
                let name = self
                    .names
                    .entry(word.to_owned())
                    .or_insert_with(|| format!("<id {next}>"));
                out.push_str(name);
                rest = &rest[36..];
            } else if rest
                .get(..64)
                .is_some_and(|word| word.bytes().all(|b| b.is_ascii_hexdigit()))
            {
                out.push_str("<hash>");
                rest = &rest[64..];
            } else if let Some(after) = rest.strip_prefix("\"lastUsed\": ") {
                // Written beside the request that uses it: whether it is there yet is no matter here.
                out.push_str("\"lastUsed\": <when>");
                rest = &after[after.find([',', '\n']).unwrap_or(after.len())..];
            } else if let Some(after) = rest.strip_prefix("_cursor=") {
                out.push_str("_cursor=<cursor>");
                let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
                rest = &after[end.unwrap_or(after.len())..];
            } else {
                let first = rest.chars().next().unwrap();
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        out
    }
}

fn is_uuid(word: &str) -> bool {
    word.bytes().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}
