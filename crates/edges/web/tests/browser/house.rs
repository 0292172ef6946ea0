//! A house to look at with a browser: the pages and the HTTP API on a port of this machine, over SQLite in
//! a temporary folder, with a clock that the test moves.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its house is built in one go"
)]

use std::sync::Arc;

use app::admin::branches::NewBranch;
use app::admin::tenants::NewTenant;
use app::admin::users::NewUser;
use app::init::{self, NewOperator};
use app::medicines::elsewhere::Elsewhere;
use app::{App, Caller, ResourceKey, Settings};
use connect::knowledge::{SourceSetting, source};
use connect::{Client, ClientSettings, EgressPolicy, Limits, SystemResolver};
use http_edge::{Edge, EdgeSettings, Metrics};
use identity::{BranchKind, Placement, Role, RoleAssignment};
use kernel::{ActorId, Clock, Ids, PurposeOfUse, Timestamp};
use medication::checks::elsewhere::Severities;
use serde_json::Value;
use store::sqlite::{SqliteSettings, SqliteStore};
use testkit::browser::{Device, Page};
use testkit::clock::FixedClock;
use testkit::ids::SeededIds;
use tokio::net::TcpListener;
use web_edge::WebSettings;
use zeroize::Zeroizing;

/// Every account's password.
pub const PASSWORD: &str = "quartz lantern meadow";
/// The organisation.
pub const SLUG: &str = "rosewood";

/// A running server with one organisation, one branch, and a person per role.
pub struct House {
    pub app: App,
    pub clock: Arc<FixedClock>,
    /// The organization of the branch, as patients name it.
    pub ward: String,
    base: String,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
    _folder: tempfile::TempDir,
}

impl Drop for House {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn secret() -> Zeroizing<String> {
    Zeroizing::new(PASSWORD.to_owned())
}

impl House {
    /// As of the fixed clock's beginning.
    pub async fn start() -> Self {
        Self::start_at(FixedClock::START).await
    }

    /// As of a time.
    pub async fn start_at(now: Timestamp) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(now));
        let ids: Arc<dyn Ids> = Arc::new(SeededIds::new(7, clock.clone()));
        let ports: Arc<dyn Clock> = clock.clone();
        let mut sqlite = SqliteSettings::new(folder.path().to_path_buf(), "house.example");
        sqlite.access_window = std::time::Duration::ZERO;
        let store = SqliteStore::open(sqlite, ports.clone(), ids.clone()).unwrap();
        let settings = Settings::with_secret([9; 32]);
        let app = App::new(Arc::new(store), ports, ids, settings).unwrap();
        let operator = NewOperator {
            sign_in_name: "olive".to_owned(),
            display_name: "Olive Operator".to_owned(),
            password: Some(secret()),
        };
        init::instance(&app, operator).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let settings = WebSettings {
            public_url: base.clone(),
            trust_forwarded: false,
            zone: "Europe/London".parse().unwrap(),
        };
        let pages = web_edge::router_with(app.clone(), settings);
        let settings = EdgeSettings {
            public_url: base.clone(),
            trust_forwarded: false,
        };
        let edge = Edge::new(app.clone(), Metrics::new().unwrap(), settings);
        // As in the program.
        let router = http_edge::router(edge).merge(pages);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let mut house = Self {
            app,
            clock,
            ward: String::new(),
            base,
            serving,
            _folder: folder,
        };
        house.organisation().await;
        house
    }

    /// Asks sources of knowledge from now on, each an entry of `knowledge.sources` and the address it is at.
    pub fn consulting(&self, entries: &[(String, String)]) {
        let allow: Vec<String> = entries
            .iter()
            .map(|(_, address)| format!("{address} private"))
            .collect();
        let settings = ClientSettings {
            policy: EgressPolicy::parse(allow.iter().map(String::as_str)).unwrap(),
            limits: Limits::default(),
            root_certificates: None,
            mail: None,
        };
        let clock: Arc<dyn Clock> = self.clock.clone();
        let client = Client::new(settings, Arc::new(SystemResolver), clock).unwrap();
        let sources = entries.iter().map(|(entry, _)| {
            let mut setting = SourceSetting::parse(entry).unwrap();
            setting.key = Some(Zeroizing::new("k".to_owned()));
            source(setting)
        });
        let severities = Severities::built_in().unwrap().clone();
        let elsewhere = Elsewhere::new(sources.collect(), severities);
        let _ = self.app.clone().reaching_out(Arc::new(client));
        let _ = self.app.clone().consulting(Arc::new(elsewhere));
    }

    async fn organisation(&mut self) {
        let id = ActorId::from_uuid(uuid::Uuid::from_u128(77));
        let operator = init::console(&self.app, id, "olive").unwrap();
        let new = NewTenant {
            slug: SLUG.parse().unwrap(),
            name: "Rosewood House".to_owned(),
            placement: Placement::File,
            region: "on-premises".to_owned(),
            administrator: ("admin".to_owned(), "Ada Admin".to_owned()),
            password: Some(secret()),
        };
        app::admin::tenants::create(&self.app, &operator, new)
            .await
            .unwrap();
        let admin = self.caller("admin").await;
        let new = NewBranch {
            name: "North".to_owned(),
            kind: BranchKind::CareHome,
            organization: None,
        };
        let branch = app::admin::branches::create(&self.app, &admin, new)
            .await
            .unwrap();
        branch.organization.as_str().clone_into(&mut self.ward);
        for role in [Role::Doctor, Role::Pharmacist, Role::Auditor] {
            self.person(role.as_str(), RoleAssignment::of(role)).await;
        }
        for (name, role) in [
            ("nurse", Role::Nurse),
            ("matron", Role::Nurse),
            ("carer", Role::Carer),
        ] {
            self.person(name, RoleAssignment::at(role, vec![branch.id]))
                .await;
        }
    }

    /// Another account.
    pub async fn person(&self, name: &str, role: RoleAssignment) {
        let admin = self.caller("admin").await;
        let new = NewUser {
            sign_in_name: name.to_owned(),
            display_name: name.to_owned(),
            roles: vec![role],
            practitioner: None,
            patients: Vec::new(),
            password: Some(secret()),
        };
        app::admin::users::create(&self.app, &admin, new)
            .await
            .unwrap();
    }

    /// Somebody as a caller of use-cases.
    pub async fn caller(&self, name: &str) -> Caller {
        init::acting_as(&self.app, SLUG, name, PurposeOfUse::Treatment)
            .await
            .unwrap()
    }

    /// Writes a resource under its own id, as the doctor.
    pub async fn put(&self, body: &Value) {
        let doctor = self.caller("doctor").await;
        let ty = body["resourceType"].as_str().unwrap();
        let key = ResourceKey {
            ty: self.app.definitions().resource(ty).unwrap(),
            id: body["id"].as_str().unwrap().parse().unwrap(),
        };
        let bytes = body.to_string().into_bytes().into();
        app::record::update::update(&self.app, &doctor, &key, bytes, None)
            .await
            .unwrap();
    }

    /// How far a device's clock must be set so that it shows the house's time.
    pub fn shift(&self) -> i64 {
        let real = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_millis();
        self.clock.now().as_millis() - i64::try_from(real).unwrap()
    }

    /// An address of the server.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Signs somebody in on a device and goes to a page below the organisation's address.
    pub async fn signed_in(&self, device: &Device, name: &str, below: &str) -> Page {
        let page = device.open(&self.address("/sign-in")).await;
        page.fill("input[name=tenant]", SLUG).await;
        page.fill("input[name=user]", name).await;
        page.fill("input[name=password]", PASSWORD).await;
        page.follow("form[action='/sign-in'] button").await;
        page.go(&self.address(&format!("/t/{SLUG}{below}"))).await;
        page
    }
}
