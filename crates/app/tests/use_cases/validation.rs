//! Validation: `$validate`, writes held to profiles, a tenant's own profiles, and packages.

use app::operations::validate::{Mode, Validation, validate};
use app::profiles::packages;
use app::{App, AppError, Caller, Settings, record};
use fhir::json::{Document, Limits};
use fhir::validate::Issue;
use identity::{Role, ValidationMode};
use kernel::Ids as _;
use profiles::package::{Package, PackageLimits, PackageReader};
use serde_json::{Value, json};

use crate::house::House;

fn structure(url: &str, differential: &Value) -> Value {
    json!({
        "resourceType": "StructureDefinition", "url": url, "name": "P", "status": "active", "kind": "resource",
        "abstract": false, "type": "Patient", "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "differential": {"element": differential}
    })
}

fn needs_a_name(url: &str) -> Value {
    structure(
        url,
        &json!([{"id": "Patient", "path": "Patient"}, {"id": "Patient.name", "path": "Patient.name", "min": 1}]),
    )
}

fn claiming(url: &str) -> Value {
    json!({"resourceType": "Patient", "active": true, "meta": {"profile": [url]}})
}

async fn asked(house: &House, caller: &Caller, resource: &Value, profiles: &[&str]) -> Vec<Issue> {
    asked_of(&house.app, caller, resource, profiles).await
}

async fn asked_of(app: &App, caller: &Caller, resource: &Value, profiles: &[&str]) -> Vec<Issue> {
    let document = Document::parse(resource.to_string().into_bytes(), &Limits::default()).unwrap();
    let asked = Validation {
        ty: app.definitions().resource("Patient").unwrap(),
        key: None,
        resource: Some(document.root()),
        source: document.source(),
        mode: Mode::Any,
        profiles: profiles.iter().map(|one| (*one).to_owned()).collect(),
    };
    validate(app, caller, &asked).await.unwrap()
}

fn says(issues: &[Issue], text: &str) -> bool {
    issues.iter().any(|issue| issue.diagnostics.contains(text))
}

async fn create(
    house: &House,
    caller: &Caller,
    resource: &Value,
) -> Result<record::Outcome, AppError> {
    let ty = resource["resourceType"].as_str().unwrap();
    let ty = house.key(&format!("{ty}/x")).ty;
    let body = resource.to_string().into_bytes().into();
    record::create::create(&house.app, caller, ty, body, None).await
}

async fn mode(house: &House, mode: ValidationMode) {
    let slug = "ash".parse().unwrap();
    app::admin::tenants::set_validation(&house.app, &house.operator, &slug, Some(mode))
        .await
        .unwrap();
}

#[tokio::test]
pub async fn a_profile_that_was_slow_to_be_committed_is_in_force_elsewhere_too() {
    let house = House::build().await;
    let (admin, doctor) = (house.admin("ash").await, house.doctor().await);
    let settings = Settings::with_secret([9; 32]);
    let (clock, ids) = (house.clock.clone(), house.ids.clone());
    let other = App::new(house.store.clone(), clock, ids, settings).unwrap();
    let early = house.ids.row_id();
    house.clock.advance(1);
    let (url, later) = ("http://ash.example/p", "http://ash.example/q");
    create(&house, &admin, &needs_a_name(later)).await.unwrap();
    let unknown = asked_of(&other, &doctor, &claiming(url), &[]).await;
    assert!(says(&unknown, "not known"), "{unknown:#?}");
    // Prepared before the other one, and committed after it.
    house.ids.rows_from(Some(early));
    create(&house, &admin, &needs_a_name(url)).await.unwrap();
    house.ids.rows_from(None);
    house.clock.advance(3);
    let known = asked_of(&other, &doctor, &claiming(url), &[]).await;
    assert!(!says(&known, "not known"), "{known:#?}");
    assert!(says(&known, "name"), "{known:#?}");
}

#[tokio::test]
pub async fn a_tenants_own_profile_is_in_force_at_once_and_only_there() {
    let house = House::build().await;
    let (admin, doctor) = (house.admin("ash").await, house.doctor().await);
    let url = "http://ash.example/p";
    let unknown = asked(&house, &doctor, &claiming(url), &[]).await;
    assert!(
        says(
            &unknown,
            "not checked: profile \"http://ash.example/p\" is not known"
        ),
        "{unknown:#?}"
    );
    let made = create(&house, &admin, &needs_a_name(url)).await.unwrap();
    let found = asked(&house, &doctor, &claiming(url), &[]).await;
    assert!(says(&found, "name is required"), "{found:#?}");
    assert!(found.iter().any(|issue| issue.expression == "Patient.name"));
    assert!(says(&found, "line 1, column "), "{found:#?}");
    let elsewhere = house.caller("birch", Role::Doctor).await;
    let other = asked(&house, &elsewhere, &claiming(url), &[]).await;
    assert!(says(&other, "is not known"), "{other:#?}");
    record::delete::delete(&house.app, &admin, &made.version.key, None)
        .await
        .unwrap();
    let gone = asked(&house, &doctor, &claiming(url), &[]).await;
    assert!(says(&gone, "is not known"), "{gone:#?}");
}

#[tokio::test]
pub async fn writes_are_held_to_profiles_as_the_tenant_says() {
    let house = House::build().await;
    let url = "http://ash.example/p";
    let admin = house.admin("ash").await;
    create(&house, &admin, &needs_a_name(url)).await.unwrap();
    let doctor = house.doctor().await;
    create(&house, &doctor, &claiming(url)).await.unwrap();
    assert!(doctor.context.advice.take().is_empty());

    mode(&house, ValidationMode::Warn).await;
    let doctor = house.doctor().await;
    create(&house, &doctor, &claiming(url)).await.unwrap();
    let advice = doctor.context.advice.take();
    assert!(says(&advice, "name is required"), "{advice:#?}");

    mode(&house, ValidationMode::Enforce).await;
    let doctor = house.doctor().await;
    let refused = create(&house, &doctor, &claiming(url)).await.unwrap_err();
    assert!(says(&refused.issues(), "name is required"), "{refused}");
    assert!(matches!(refused, AppError::Validation(_)));
    let mut good = claiming(url);
    good["name"] = json!([{"family": "A"}]);
    let stored = create(&house, &doctor, &good).await.unwrap();
    // Updates and bundles too.
    let mut worse = claiming(url);
    worse["id"] = json!(stored.version.key.id.as_str());
    let body = worse.to_string().into_bytes().into();
    let update = record::update::update(&house.app, &doctor, &stored.version.key, body, None).await;
    assert!(matches!(update, Err(AppError::Validation(_))), "{update:?}");
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": good, "request": {"method": "POST", "url": "Patient"}},
        {"resource": claiming(url), "request": {"method": "POST", "url": "Patient"}}]});
    let error = house.bundle(&doctor, &bundle).await.unwrap_err();
    assert!(
        error.issues()[0].diagnostics.contains("Bundle.entry[1]"),
        "{error}"
    );
    // Others are not touched by it.
    let elsewhere = house.caller("birch", Role::Doctor).await;
    create(&house, &elsewhere, &claiming(url)).await.unwrap();
}

#[tokio::test]
async fn modes_ask_for_what_the_interaction_needs() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    let patient = json!({"resourceType": "Patient", "id": "p1", "active": true});
    let body = patient.to_string().into_bytes().into();
    record::update::update(&house.app, &doctor, &house.key("Patient/p1"), body, None)
        .await
        .unwrap();
    let ask = async |key: Option<&str>, resource: Option<&Value>, mode: Mode| {
        let document = resource.map(|resource| {
            Document::parse(resource.to_string().into_bytes(), &Limits::default()).unwrap()
        });
        let asked = Validation {
            ty: house.key("Patient/x").ty,
            key: key.map(|key| house.key(key)),
            resource: document.as_ref().map(Document::root),
            source: document.as_ref().map(Document::source).unwrap_or_default(),
            mode,
            profiles: Vec::new(),
        };
        validate(&house.app, &doctor, &asked).await
    };
    let good = ask(Some("Patient/p1"), Some(&patient), Mode::Update)
        .await
        .unwrap();
    assert!(says(&good, "no errors were found"), "{good:#?}");
    let other = ask(Some("Patient/p2"), Some(&patient), Mode::Update)
        .await
        .unwrap();
    assert!(says(&other, "set it to p2"), "{other:#?}");
    let create = ask(None, Some(&patient), Mode::Create).await.unwrap();
    assert!(says(&create, "this one is left out"), "{create:#?}");
    let wrong = ask(None, Some(&json!({"resourceType": "Group"})), Mode::Any)
        .await
        .unwrap();
    assert!(says(&wrong, "the resource is a Group"), "{wrong:#?}");
    assert!(says(&wrong, "type is required"), "{wrong:#?}");
    let stored = ask(Some("Patient/p1"), None, Mode::Any).await.unwrap();
    assert!(says(&stored, "no errors were found"), "{stored:#?}");
    assert!(matches!(
        ask(Some("Patient/none"), None, Mode::Any).await,
        Err(AppError::NotFound { .. })
    ));
    assert!(matches!(
        ask(None, None, Mode::Any).await,
        Err(AppError::Invalid(_))
    ));
    // Doctors do not delete.
    assert!(matches!(
        ask(Some("Patient/p1"), None, Mode::Delete).await,
        Err(AppError::Denied { .. } | AppError::NotFound { .. })
    ));
    let auditor = house.caller("ash", Role::Auditor).await;
    let asked = Validation {
        ty: house.key("Patient/x").ty,
        key: None,
        resource: None,
        source: &[],
        mode: Mode::Any,
        profiles: Vec::new(),
    };
    assert!(validate(&house.app, &auditor, &asked).await.is_err());
}

/// A package like the national ones: an identifier sliced by system, a nested extension, must-support, a
/// required binding to a value set inside it.
fn package(version: &str) -> Package {
    let profile = json!({
        "resourceType": "StructureDefinition", "url": "http://core.example/patient", "version": version,
        "name": "CorePatient", "kind": "resource", "abstract": false, "type": "Patient", "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "differential": {"element": [
            {"id": "Patient", "path": "Patient"},
            {"id": "Patient.extension", "path": "Patient.extension", "slicing": {"discriminator": [{"type": "value", "path": "url"}], "rules": "open"}},
            {"id": "Patient.extension:status", "path": "Patient.extension", "sliceName": "status", "min": 1, "max": "1",
             "type": [{"code": "Extension", "profile": ["http://core.example/status"]}]},
            {"id": "Patient.identifier", "path": "Patient.identifier", "mustSupport": true,
             "slicing": {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}},
            {"id": "Patient.identifier:nhs", "path": "Patient.identifier", "sliceName": "nhs", "min": 1, "max": "1"},
            {"id": "Patient.identifier:nhs.system", "path": "Patient.identifier.system", "min": 1, "fixedUri": "urn:nhs"},
            {"id": "Patient.identifier:nhs.value", "path": "Patient.identifier.value", "min": 1, "mustSupport": true},
            {"id": "Patient.maritalStatus", "path": "Patient.maritalStatus",
             "binding": {"strength": "required", "valueSet": "http://core.example/vs"}}]}
    });
    let status = json!({
        "resourceType": "StructureDefinition", "url": "http://core.example/status", "version": version, "name": "Status",
        "kind": "complex-type", "abstract": false, "type": "Extension", "derivation": "constraint",
        "context": [{"type": "element", "expression": "Patient"}],
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Extension",
        "differential": {"element": [
            {"id": "Extension", "path": "Extension"},
            {"id": "Extension.extension:kind", "path": "Extension.extension", "sliceName": "kind", "min": 1, "max": "1"},
            {"id": "Extension.extension:kind.url", "path": "Extension.extension.url", "fixedUri": "kind"},
            {"id": "Extension.extension:kind.value[x]", "path": "Extension.extension.value[x]", "min": 1, "type": [{"code": "Coding"}]},
            {"id": "Extension.url", "path": "Extension.url", "fixedUri": "http://core.example/status"},
            {"id": "Extension.value[x]", "path": "Extension.value[x]", "max": "0"}]}
    });
    let set = json!({"resourceType": "ValueSet", "url": "http://core.example/vs", "status": "active",
        "compose": {"include": [{"system": "http://core.example/cs", "concept": [{"code": "a"}]}]}});
    let manifest = json!({"name": "example.core", "version": version, "fhirVersions": ["4.0.1"],
        "dependencies": {"hl7.fhir.r4.core": "4.0.1", "example.base": "1.0.0"}});
    let mut reader = PackageReader::new(PackageLimits::default());
    for (name, json) in [
        ("package/package.json", manifest),
        ("package/a.json", profile),
        ("package/b.json", status),
        ("package/c.json", set),
    ] {
        let bytes = json.to_string().into_bytes();
        assert!(reader.wants(name, bytes.len() as u64).unwrap());
        reader.add(name, bytes).unwrap();
    }
    reader.finish().unwrap()
}

fn patient(kind: &Value) -> Value {
    json!({"resourceType": "Patient", "meta": {"profile": ["http://core.example/patient"]},
        "extension": [{"url": "http://core.example/status", "extension": [kind]}],
        "identifier": [{"system": "urn:nhs", "value": "1"}]})
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]
pub async fn packages_are_installed_for_every_tenant_replaced_and_removed() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    let good = patient(&json!({"url": "kind", "valueCoding": {"code": "x"}}));
    let before = asked(&house, &doctor, &good, &[]).await;
    assert!(says(&before, "is not known"), "{before:#?}");

    let added = packages::add(&house.app, &house.operator, package("1.0.0"), [1; 32])
        .await
        .unwrap();
    assert_eq!((added.installed.definitions, added.installed.terms), (2, 1));
    assert_eq!(added.missing, ["example.base#1.0.0"]);
    assert_eq!(added.unusable, []);
    for tenant in ["ash", "birch"] {
        let doctor = house.caller(tenant, Role::Doctor).await;
        let found = asked(&house, &doctor, &good, &[]).await;
        assert!(says(&found, "no errors were found"), "{found:#?}");
        let mut bad = patient(&json!({"url": "kind", "valueCode": "x"}));
        bad["identifier"] = json!([{"system": "urn:other", "value": "1"}]);
        let found = asked(&house, &doctor, &bad, &[]).await;
        assert!(
            says(&found, "identifier (slice nhs) is required"),
            "{found:#?}"
        );
        assert!(says(&found, "value is a code here"), "{found:#?}");
        // The value set inside the package decides.
        for (code, is_refused) in [("a", false), ("b", true)] {
            let mut married = good.clone();
            married["maritalStatus"] =
                json!({"coding": [{"system": "http://core.example/cs", "code": code}]});
            let found = asked(&house, &doctor, &married, &[]).await;
            let refused = says(
                &found,
                "is not in the required value set http://core.example/vs",
            );
            assert_eq!(refused, is_refused, "{found:#?}");
        }
    }
    // A newer version beside it answers for the URL without a version.
    packages::add(&house.app, &house.operator, package("2.0.0"), [2; 32])
        .await
        .unwrap();
    let listed = packages::list(&house.app, &house.operator).await.unwrap();
    let versions: Vec<&str> = listed
        .iter()
        .map(|one| one.manifest.version.as_str())
        .collect();
    assert_eq!(versions, ["1.0.0", "2.0.0"]);
    let found = asked(
        &house,
        &doctor,
        &good,
        &["http://core.example/patient|1.0.0"],
    )
    .await;
    assert!(says(&found, "no errors were found"), "{found:#?}");

    let removed = packages::remove(&house.app, &house.operator, "example.core")
        .await
        .unwrap();
    assert_eq!(removed, ["example.core#1.0.0", "example.core#2.0.0"]);
    let after = asked(&house, &doctor, &good, &[]).await;
    assert!(says(&after, "is not known"), "{after:#?}");
    let missing = packages::remove(&house.app, &house.operator, "example.core").await;
    assert!(matches!(missing, Err(AppError::NotFound { .. })));
    let admin = house.admin("ash").await;
    let refused = packages::add(&house.app, &admin, package("1.0.0"), [1; 32]).await;
    assert!(
        matches!(refused, Err(AppError::Denied { .. })),
        "{refused:?}"
    );
}
