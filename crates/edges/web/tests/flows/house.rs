//! An instance with two tenants, their users and records, on SQLite in a temporary folder.

#![expect(
    clippy::unnecessary_wraps,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its pages are long lists"
)]

use std::sync::Arc;

use app::admin::branches::NewBranch;
use app::admin::tenants::NewTenant;
use app::admin::users::NewUser;
use app::init::{self, NewOperator};
use app::record;
use app::{App, Caller, ResourceKey, Settings};
use identity::{BranchKind, Placement, Role, RoleAssignment};
use kernel::{ActorId, BranchId, PurposeOfUse};
use serde_json::{Value, json};
use store::sqlite::{SqliteSettings, SqliteStore};
use testkit::clock::FixedClock;
use testkit::ids::SeededIds;
use uuid::Uuid;
use web_edge::WebSettings;
use zeroize::Zeroizing;

use crate::browser::Browser;

pub const PASSWORD: &str = "quartz lantern meadow";

pub struct House {
    pub app: App,
    pub clock: Arc<FixedClock>,
    pub router: axum::Router,
    _folder: tempfile::TempDir,
}

fn secret() -> Option<Zeroizing<String>> {
    Some(Zeroizing::new(PASSWORD.to_owned()))
}

impl House {
    /// The tenants `ash` and `birch`, each with one user per role named like it, two branches, and the
    /// same records but for a word that names the tenant.
    pub async fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::default());
        let ids = Arc::new(SeededIds::new(7, clock.clone()));
        let mut sqlite = SqliteSettings::new(folder.path().to_path_buf(), "house.example");
        sqlite.access_window = std::time::Duration::ZERO;
        let store = SqliteStore::open(sqlite, clock.clone(), ids.clone()).unwrap();
        let app = App::new(
            Arc::new(store),
            clock.clone(),
            ids,
            Settings::with_secret([9; 32]),
        )
        .unwrap();
        let operator = NewOperator {
            sign_in_name: "olive".to_owned(),
            display_name: "Olive Operator".to_owned(),
            password: secret(),
        };
        init::instance(&app, operator).await.unwrap();
        let settings = WebSettings {
            public_url: "https://house.example".to_owned(),
            trust_forwarded: false,
            zone: "Europe/London".parse().unwrap(),
        };
        let router = web_edge::router_with(app.clone(), settings);
        let house = Self {
            app,
            clock,
            router,
            _folder: folder,
        };
        for slug in ["ash", "birch"] {
            house.tenant(slug).await;
        }
        house
    }

    async fn tenant(&self, slug: &str) {
        let id = ActorId::from_uuid(Uuid::from_u128(77));
        let operator = init::console(&self.app, id, "olive").unwrap();
        let new = NewTenant {
            slug: slug.parse().unwrap(),
            name: format!("The {slug} house"),
            placement: Placement::File,
            region: "on-premises".to_owned(),
            administrator: ("admin".to_owned(), format!("Ada {slug}canary")),
            password: secret(),
        };
        app::admin::tenants::create(&self.app, &operator, new)
            .await
            .unwrap();
        let north = self.branch(slug, "North").await;
        let south = self.branch(slug, "South").await;
        for role in [Role::Doctor, Role::Receptionist, Role::Auditor] {
            self.user(slug, role.as_str(), RoleAssignment::of(role))
                .await;
        }
        self.user(
            slug,
            "nurse",
            RoleAssignment::at(Role::Nurse, vec![north.0]),
        )
        .await;
        self.user(
            slug,
            "carer",
            RoleAssignment::at(Role::Carer, vec![south.0]),
        )
        .await;
        self.records(slug, &north.1, &south.1).await;
    }

    async fn branch(&self, slug: &str, name: &str) -> (BranchId, String) {
        let admin = self.caller(slug, "admin").await;
        let new = NewBranch {
            name: format!("{name} {slug}canary"),
            kind: BranchKind::CareHome,
            organization: None,
        };
        let branch = app::admin::branches::create(&self.app, &admin, new)
            .await
            .unwrap();
        (branch.id, branch.organization.as_str().to_owned())
    }

    pub async fn user(&self, slug: &str, name: &str, role: RoleAssignment) {
        let admin = self.caller(slug, "admin").await;
        let new = NewUser {
            sign_in_name: name.to_owned(),
            display_name: format!("{name} {slug}canary"),
            roles: vec![role],
            practitioner: None,
            patients: Vec::new(),
            password: secret(),
        };
        app::admin::users::create(&self.app, &admin, new)
            .await
            .unwrap();
    }

    pub async fn caller(&self, slug: &str, name: &str) -> Caller {
        init::acting_as(&self.app, slug, name, PurposeOfUse::Treatment)
            .await
            .unwrap()
    }

    pub async fn put(&self, caller: &Caller, body: &Value) {
        let ty = self
            .app
            .definitions()
            .resource(body["resourceType"].as_str().unwrap())
            .unwrap();
        let key = ResourceKey {
            ty,
            id: body["id"].as_str().unwrap().parse().unwrap(),
        };
        let bytes = body.to_string().into_bytes().into();
        record::update::update(&self.app, caller, &key, bytes, None)
            .await
            .unwrap();
    }

    async fn records(&self, slug: &str, north: &str, south: &str) {
        let doctor = self.caller(slug, "doctor").await;
        let word = format!("{slug}canary");
        // Ids differ by tenant, so that a foreign id exists in one of them alone.
        let subject = json!({"reference": format!("Patient/{slug}-p1"), "display": word});
        for (id, given, organization, number) in [
            ("p1", "Jane", north, "9434765919"),
            ("p2", "Alan", south, "9434765870"),
        ] {
            let patient = json!({
                "resourceType": "Patient", "id": format!("{slug}-{id}"), "active": true,
                "name": [{"use": "official", "family": format!("Smith{word}"), "given": [given], "prefix": ["Mrs"]}],
                "gender": "female", "birthDate": "1941-03-05",
                "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": number}],
                "address": [{"line": [format!("1 {word} Lane")], "city": "Leeds"}],
                "managingOrganization": {"reference": format!("Organization/{organization}"), "display": word},
            });
            self.put(&doctor, &patient).await;
        }
        let observation = |id: &str, date: &str, value: f64| {
            json!({
                "resourceType": "Observation", "id": format!("{slug}-{id}"), "status": "final", "subject": subject,
                "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}],
                "code": {"text": format!("Potassium {word}")}, "effectiveDateTime": date,
                "valueQuantity": {"value": value, "unit": "mmol/L"},
                "referenceRange": [{"low": {"value": 3.5, "unit": "mmol/L"}, "high": {"value": 5.3, "unit": "mmol/L"}}],
            })
        };
        for body in [
            observation("o1", "2025-12-01T10:00:00Z", 4.1),
            observation("o2", "2026-02-01T10:00:00Z", 5.9),
            observation("o2", "2026-02-01T10:00:00Z", 5.8),
            json!({"resourceType": "AllergyIntolerance", "id": format!("{slug}-a1"), "patient": subject,
                "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]},
                "code": {"coding": [{"system": "http://snomed.info/sct", "code": "91936005"}], "text": format!("penicillin {word}")}}),
            // Entered in error: it neither names an allergy nor answers whether there is one.
            json!({"resourceType": "AllergyIntolerance", "id": format!("{slug}-a2"), "patient": {"reference": format!("Patient/{slug}-p2")},
                "verificationStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification", "code": "entered-in-error"}]},
                "code": {"text": "nuts"}}),
            json!({"resourceType": "Condition", "id": format!("{slug}-c1"), "subject": subject, "code": {"text": format!("Gout {word}")}}),
            json!({"resourceType": "MedicationRequest", "id": format!("{slug}-m1"), "status": "active", "intent": "order", "subject": subject,
                "medicationCodeableConcept": {"text": format!("allopurinol {word}")},
                "dosageInstruction": [{"doseAndRate": [{"doseQuantity": {"value": 100, "unit": "mg"}}]}]}),
            json!({"resourceType": "Encounter", "id": format!("{slug}-e1"), "status": "finished", "subject": subject,
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}, "type": [{"text": format!("Visit {word}")}]}),
            json!({"resourceType": "Immunization", "id": format!("{slug}-i1"), "status": "completed", "patient": subject,
                "vaccineCode": {"text": format!("Influenza {word}")}, "occurrenceDateTime": "2025-10-03"}),
        ] {
            self.put(&doctor, &body).await;
        }
        let now = self.app.now();
        let appointment = json!({
            "resourceType": "Appointment", "id": format!("{slug}-t1"), "status": "booked",
            "start": now.to_fhir_instant(), "end": now.plus_seconds(600).to_fhir_instant(),
            "description": format!("Review {word}"),
            "participant": [{"actor": subject, "status": "accepted"}],
        });
        let receptionist = self.caller(slug, "receptionist").await;
        self.put(&receptionist, &appointment).await;
    }

    /// A browser in which a user has signed in.
    pub async fn signed_in(&self, slug: &str, name: &str) -> Browser {
        let mut browser = Browser::new(self.router.clone());
        let answer = browser.sign_in(slug, name, PASSWORD).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        browser
    }
}
