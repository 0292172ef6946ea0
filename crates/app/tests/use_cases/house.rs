//! A small house for the tests: an instance with two tenants on SQLite in a temporary folder, a fixed
//! clock and seeded ids, users of several roles, and short ways to call use-cases.

use std::cell::Cell;
use std::path::Path;
use std::sync::{Arc, Mutex};

use app::admin::tenants::{MadeTenant, NewTenant};
use app::admin::users::NewUser;
use app::init::{self, NewOperator};
use app::record::{self, Outcome};
use app::{App, AppError, Caller, RequestContext, ResourceKey, Settings};
use identity::{Placement, Role, RoleAssignment};
use kernel::{ActorId, Ids, PurposeOfUse, RequestId, RowId};
use serde_json::{Value, json};
use store::Store;
use store::keys::FileKeyRing;
use store::postgres::{PostgresSettings, PostgresStore};
use store::sqlite::{SqliteSettings, SqliteStore};
use testkit::clock::FixedClock;
use testkit::ids::SeededIds;
use uuid::Uuid;
use zeroize::Zeroizing;

pub const PASSWORD: &str = "quartz lantern meadow";

/// Ids that let something else happen at a moment inside a use-case: when it asks for a 32-byte secret.
pub struct MeddledIds {
    ids: SeededIds,
    meddling: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    slow: Mutex<Option<i64>>,
}

impl MeddledIds {
    pub fn at_the_next_secret(&self, what: impl FnOnce() + Send + 'static) {
        *self.meddling.lock().unwrap() = Some(Box::new(what));
    }
}

impl MeddledIds {
    /// Gives the rows from this one on, as if they had been asked for when it was: what is written now was
    /// prepared then, and is slow to be committed. `None` ends it.
    pub fn rows_from(&self, row: Option<RowId>) {
        *self.slow.lock().unwrap() = row.map(|row| row.0);
    }
}

impl Ids for MeddledIds {
    fn uuid(&self) -> Uuid {
        self.ids.uuid()
    }
    fn row_id(&self) -> RowId {
        if let Some(next) = &mut *self.slow.lock().unwrap() {
            *next += 1;
            return RowId(*next);
        }
        self.ids.row_id()
    }
    fn raise_row_floor(&self, floor: RowId) {
        self.ids.raise_row_floor(floor);
    }
    fn fill(&self, buffer: &mut [u8]) {
        if buffer.len() == 32 {
            let what = self.meddling.lock().unwrap().take();
            if let Some(what) = what {
                what();
            }
        }
        self.ids.fill(buffer);
    }
}

thread_local! {
    /// Where houses of this thread keep their record; a test has a thread of its own.
    static ON_POSTGRES: Cell<bool> = const { Cell::new(false) };
}

/// Runs a test with its houses on PostgreSQL; not where there is none, with the reason printed.
pub fn on_postgres(test: impl FnOnce()) {
    if testkit::peers::required(testkit::postgres::fresh_database()).is_none() {
        return;
    }
    ON_POSTGRES.set(true);
    test();
    ON_POSTGRES.set(false);
}

async fn postgres(folder: &Path, ids: Arc<dyn Ids>) -> Arc<dyn Store> {
    let database = testkit::postgres::fresh_database().unwrap();
    let ring = FileKeyRing::open(&folder.join("root.key"), true, ids.clone()).unwrap();
    let mut settings = PostgresSettings::new(
        Some(database.connection("postgres")),
        database.connection("theriac_app"),
        folder.join("replica"),
        "house.example",
    );
    settings.access_window = std::time::Duration::ZERO;
    let store = PostgresStore::open(settings, Arc::new(ring), ids).await;
    Arc::new(store.unwrap())
}

pub struct House {
    pub app: App,
    pub clock: Arc<FixedClock>,
    pub ids: Arc<MeddledIds>,
    pub operator: Caller,
    pub store: Arc<dyn Store>,
    placement: Placement,
    _folder: tempfile::TempDir,
}

impl House {
    /// An instance with the tenants `ash` and `birch`, each with an administrator `admin`.
    pub async fn build() -> Self {
        Self::build_with(|_| {}).await
    }

    pub async fn build_with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::default());
        let ids = Arc::new(MeddledIds {
            ids: SeededIds::new(7, clock.clone()),
            meddling: Mutex::new(None),
            slow: Mutex::new(None),
        });
        let (store, placement): (Arc<dyn Store>, _) = if ON_POSTGRES.get() {
            let store = postgres(folder.path(), ids.clone()).await;
            (store, Placement::Shared)
        } else {
            let mut sqlite = SqliteSettings::new(folder.path().to_path_buf(), "house.example");
            sqlite.access_window = std::time::Duration::ZERO;
            let store = SqliteStore::open(sqlite, clock.clone(), ids.clone()).unwrap();
            (Arc::new(store), Placement::File)
        };
        let mut settings = Settings::with_secret([9; 32]);
        change(&mut settings);
        let app = App::new(store.clone(), clock.clone(), ids.clone(), settings).unwrap();
        let operator = NewOperator {
            sign_in_name: "operator".to_owned(),
            display_name: "Olive Operator".to_owned(),
            password: Some(Zeroizing::new(PASSWORD.to_owned())),
        };
        init::instance(&app, operator).await.unwrap();
        let id = ActorId::from_uuid(Uuid::from_u128(77));
        let operator = init::console(&app, id, "olive").unwrap();
        let house = Self {
            app,
            clock,
            ids,
            operator,
            store,
            placement,
            _folder: folder,
        };
        for slug in ["ash", "birch"] {
            house.tenant(slug).await.unwrap();
        }
        house
    }

    pub async fn tenant(&self, slug: &str) -> Result<MadeTenant, AppError> {
        let new = NewTenant {
            slug: slug.parse().unwrap(),
            name: format!("The {slug} house"),
            placement: self.placement.clone(),
            region: "on-premises".to_owned(),
            administrator: ("admin".to_owned(), "Ada Min".to_owned()),
            password: Some(Zeroizing::new(PASSWORD.to_owned())),
        };
        app::admin::tenants::create(&self.app, &self.operator, new).await
    }

    /// A user of a role, made on first use, as a caller.
    pub async fn caller(&self, slug: &str, role: Role) -> Caller {
        self.caller_with(slug, RoleAssignment::of(role)).await
    }

    pub async fn caller_with(&self, slug: &str, assignment: RoleAssignment) -> Caller {
        let name = assignment.role.as_str().to_owned();
        let purpose = PurposeOfUse::Treatment;
        if let Ok(caller) = init::acting_as(&self.app, slug, &name, purpose).await {
            return caller;
        }
        let admin = init::acting_as(&self.app, slug, "admin", purpose)
            .await
            .unwrap();
        app::admin::users::create(&self.app, &admin, new_user(&name, assignment))
            .await
            .unwrap();
        init::acting_as(&self.app, slug, &name, purpose)
            .await
            .unwrap()
    }

    pub async fn doctor(&self) -> Caller {
        self.caller("ash", Role::Doctor).await
    }

    pub async fn admin(&self, slug: &str) -> Caller {
        init::acting_as(&self.app, slug, "admin", PurposeOfUse::Operations)
            .await
            .unwrap()
    }

    pub fn key(&self, name: &str) -> ResourceKey {
        let (ty, id) = name.split_once('/').unwrap();
        ResourceKey {
            ty: self.app.definitions().resource(ty).unwrap(),
            id: id.parse().unwrap(),
        }
    }

    pub async fn create(&self, caller: &Caller, body: &Value) -> Result<Outcome, AppError> {
        let ty = body["resourceType"].as_str().unwrap();
        let ty = self.app.definitions().resource(ty).unwrap();
        let body = body.to_string().into_bytes().into();
        record::create::create(&self.app, caller, ty, body, None).await
    }

    pub async fn put(&self, caller: &Caller, body: &Value) -> Result<Outcome, AppError> {
        let name = format!(
            "{}/{}",
            body["resourceType"].as_str().unwrap(),
            body["id"].as_str().unwrap()
        );
        let bytes = body.to_string().into_bytes().into();
        record::update::update(&self.app, caller, &self.key(&name), bytes, None).await
    }

    pub async fn read(&self, caller: &Caller, name: &str) -> Result<Value, AppError> {
        let version = record::read::read(&self.app, caller, &self.key(name)).await?;
        Ok(serde_json::from_slice(&version.body.unwrap()).unwrap())
    }

    /// Ids of the matches of `Type?query`, and the next cursor.
    pub async fn search(
        &self,
        caller: &Caller,
        query: &str,
    ) -> Result<(Vec<String>, Option<String>), AppError> {
        let (ty, query) = query.split_once('?').unwrap();
        let request = record::search::SearchRequest {
            ty: self.app.definitions().resource(ty).unwrap(),
            params: record::query_string::parse(query).unwrap(),
            lenient: false,
        };
        let answer = record::search::search(&self.app, caller, &request).await?;
        let ids = answer
            .matches
            .iter()
            .map(|version| version.key.id.as_str().to_owned())
            .collect();
        Ok((ids, answer.next))
    }

    pub async fn bundle(&self, caller: &Caller, bundle: &Value) -> Result<Value, AppError> {
        let body = bundle.to_string().into_bytes().into();
        let answer = record::bundle::bundle(&self.app, caller, body, false).await?;
        Ok(serde_json::from_slice(&answer.body).unwrap())
    }

    pub fn context(&self) -> RequestContext {
        RequestContext {
            id: RequestId::from_uuid(self.app.ids().uuid()),
            client_address: Some("192.0.2.7".parse().unwrap()),
            received: self.app.now(),
            purpose: PurposeOfUse::Treatment,
            base: Arc::from("http://localhost/t/ash/fhir"),
            idempotency: None,
            advice: Default::default(),
        }
    }

    pub fn with_key(caller: &Caller, key: &str) -> Caller {
        let context = RequestContext {
            idempotency: Some(key.to_owned()),
            ..(*caller.context).clone()
        };
        Caller {
            context: Arc::new(context),
            ..caller.clone()
        }
    }

    /// What the auditor of a tenant sees: class, outcome and patient of the newest entries.
    pub async fn trail(&self, slug: &str, log: app::Log, count: u32) -> Vec<String> {
        let auditor = self.caller(slug, Role::Auditor).await;
        let filter = app::audit::Filter::newest(log, count);
        let page = app::audit::recent(&self.app, &auditor, &filter)
            .await
            .unwrap();
        page.entries
            .iter()
            .map(|entry| {
                let payload = entry.payload.as_ref().unwrap();
                let resource = payload
                    .resource
                    .as_ref()
                    .map_or("-".to_owned(), ledger::payload::ResourceFacts::reference);
                format!(
                    "{} {} {} {}",
                    entry.leaf.class.as_str(),
                    entry.leaf.outcome.as_str(),
                    resource,
                    payload.patient.as_deref().unwrap_or("-")
                )
            })
            .collect()
    }
}

pub fn new_user(name: &str, assignment: RoleAssignment) -> NewUser {
    NewUser {
        sign_in_name: name.to_owned(),
        display_name: format!("Test {name}"),
        roles: vec![assignment],
        practitioner: None,
        patients: Vec::new(),
        password: Some(Zeroizing::new(PASSWORD.to_owned())),
    }
}

pub fn patient(id: &str, family: &str) -> Value {
    json!({"resourceType": "Patient", "id": id, "name": [{"family": family}]})
}

pub fn observation(id: &str, patient: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": format!("Patient/{patient}")},
        "valueQuantity": {"value": 72.50, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    })
}

pub fn transaction(entries: &[Value]) -> Value {
    json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})
}

pub fn entry(method: &str, url: &str, resource: Option<Value>) -> Value {
    let mut entry = json!({"request": {"method": method, "url": url}});
    if let Some(resource) = resource {
        entry["resource"] = resource;
    }
    entry
}

impl House {
    /// An API client that may do everything with resources, as a caller.
    pub async fn integration(&self, slug: &str) -> Caller {
        let (token, _) = self.client_token(slug, None).await;
        app::sign_in::bearer(&self.app, slug, &token, self.context())
            .await
            .unwrap()
    }

    /// A client with a long-lived token.
    pub async fn client_token(
        &self,
        slug: &str,
        scopes: Option<Vec<identity::Scope>>,
    ) -> (String, Uuid) {
        let admin = self.admin(slug).await;
        let name = format!("engine {}", self.app.ids().uuid());
        let new = app::admin::clients::NewClient {
            name,
            roles: vec![RoleAssignment::of(Role::IntegrationService)],
            scopes: vec![identity::Scope {
                types: identity::Types::All,
                interactions: identity::InteractionSet::ALL,
            }],
            operations: vec![identity::Interaction::VerifyLedger],
            jwks: Vec::new(),
        };
        let client = app::admin::clients::create(&self.app, &admin, new)
            .await
            .unwrap();
        let token = app::admin::tokens::NewToken {
            owner: identity::TokenOwner::Client(client.id),
            name: "test".to_owned(),
            scopes,
            days: 30,
        };
        let made = app::admin::tokens::create(&self.app, &admin, token)
            .await
            .unwrap();
        (made.text.to_string(), made.token.id)
    }
}
