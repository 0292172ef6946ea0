//! What the population promises: the same bytes for the same seed, valid JSON, every reference
//! answered inside the tenant, nothing recorded after the reference day, coherent records.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "shared test code outside #[test] functions; a wrong shape must fail the test"
)]

use std::collections::{BTreeMap, HashMap, HashSet};

use population::{Day, Population, Profile, Tenant, branches, nhs_check_digit, staff};
use proptest::prelude::*;
use serde_json::Value;

fn reference() -> Day {
    Day::from_civil(2026, 11, 23).unwrap()
}

fn demo(tenant: Tenant) -> Population {
    Population::new(tenant, 1, reference(), tenant.profile())
}

/// Every resource of the bundles, in order.
fn resources(population: &Population) -> Vec<Value> {
    let mut all = Vec::new();
    for written in population.bundles() {
        let bundle: Value = serde_json::from_slice(&written.bytes).unwrap();
        assert_eq!(bundle["resourceType"], "Bundle");
        assert_eq!(bundle["type"], "transaction");
        let entries = bundle["entry"].as_array().unwrap();
        assert_eq!(entries.len(), written.resources as usize);
        for entry in entries {
            let resource = &entry["resource"];
            let address = format!(
                "{}/{}",
                resource["resourceType"].as_str().unwrap(),
                resource["id"].as_str().unwrap()
            );
            assert_eq!(entry["request"]["method"], "PUT");
            assert_eq!(entry["request"]["url"], *address);
            assert!(entry["fullUrl"].as_str().unwrap().starts_with("urn:uuid:"));
            all.push(resource.clone());
        }
    }
    all
}

fn of_type<'a>(all: &'a [Value], name: &'a str) -> impl Iterator<Item = &'a Value> {
    all.iter().filter(move |r| r["resourceType"] == name)
}

fn fnv(bytes: &[u8], hash: u64) -> u64 {
    bytes.iter().fold(hash, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn fingerprint(population: &Population) -> String {
    let hash = population
        .bundles()
        .fold(0xcbf2_9ce4_8422_2325, |h, w| fnv(&w.bytes, h));
    format!("{hash:016x}")
}

fn walk<'a>(value: &'a Value, path: &mut Vec<&'a str>, visit: &mut impl FnMut(&[&str], &'a Value)) {
    visit(path, value);
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                path.push(key);
                walk(member, path, visit);
                path.pop();
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, path, visit)),
        _ => {}
    }
}

fn references(resource: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(resource, &mut Vec::new(), &mut |path, value| {
        if path.last() == Some(&"reference") {
            // A Consent holds references in a member of that name.
            found.extend(value.as_str().map(str::to_owned));
        }
    });
    found
}

/// Ids, references and dates of a population hold together.
fn check(population: &Population, reference: &str) {
    let all = resources(population);
    let mut ids = HashSet::new();
    for resource in &all {
        let id = resource["id"].as_str().unwrap();
        assert!(id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        let address = format!("{}/{id}", resource["resourceType"].as_str().unwrap());
        assert!(ids.insert(address), "{id} twice");
    }
    let lives: HashMap<String, (&str, &str)> = of_type(&all, "Patient")
        .map(|p| {
            let died = p["deceasedDateTime"].as_str().map_or("9999", |d| &d[..10]);
            let address = format!("Patient/{}", p["id"].as_str().unwrap());
            (address, (p["birthDate"].as_str().unwrap(), died))
        })
        .collect();
    for resource in &all {
        let whose = ["subject", "patient", "beneficiary"]
            .iter()
            .find_map(|key| resource[key]["reference"].as_str());
        let life = whose.map_or(("0000", "9999"), |p| lives[p]);
        for target in references(resource) {
            assert!(ids.contains(&target), "{} -> {target}", resource["id"]);
        }
        dates(resource, reference, life);
        filled(resource);
    }
}

/// No date lies on or after the reference day, before birth or after death, but for what is planned.
fn dates(resource: &Value, reference: &str, (born, died): (&str, &str)) {
    let kind = resource["resourceType"].as_str().unwrap();
    walk(resource, &mut Vec::new(), &mut |path, value| {
        let Some(text) = value.as_str() else { return };
        let bytes = text.as_bytes();
        let dated = bytes.len() >= 10
            && bytes[4] == b'-'
            && bytes[7] == b'-'
            && bytes[..4].iter().all(u8::is_ascii_digit);
        if !dated {
            return;
        }
        let planned = matches!(
            (kind, path),
            ("Appointment", ["start" | "end"]) | ("MedicationRequest" | "Consent", [.., "end"])
        );
        assert!(
            planned || (&text[..10] < reference && &text[..10] >= born && &text[..10] <= died),
            "{} {path:?} {text}",
            resource["id"]
        );
    });
}

/// FHIR allows no empty string, array or object.
fn filled(resource: &Value) {
    walk(resource, &mut Vec::new(), &mut |path, value| {
        let empty = match value {
            Value::String(text) => text.trim().is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            Value::Null => true,
            _ => false,
        };
        assert!(!empty, "{} {path:?}", resource["id"]);
    });
}

#[test]
fn the_demo_is_the_same_bytes_for_ever() {
    insta::assert_snapshot!(fingerprint(&demo(Tenant::RosewoodHouse)), @"3ffdf2ef151270f4");
    insta::assert_snapshot!(fingerprint(&demo(Tenant::HarbourClinic)), @"09d35e8bd5d6c569");
}

#[test]
fn another_seed_or_day_is_another_population() {
    let tenant = Tenant::HarbourClinic;
    let base = fingerprint(&demo(tenant));
    let seed = Population::new(tenant, 2, reference(), tenant.profile());
    let day = Population::new(tenant, 1, reference().plus(1), tenant.profile());
    assert_ne!(base, fingerprint(&seed));
    assert_ne!(base, fingerprint(&day));
}

#[test]
fn a_bundle_depends_on_its_number_alone() {
    let population = demo(Tenant::RosewoodHouse);
    let larger = Population::new(
        Tenant::RosewoodHouse,
        1,
        reference(),
        Profile {
            patients: 500,
            ..Tenant::RosewoodHouse.profile()
        },
    );
    assert_eq!(population.bundle(7), larger.bundle(7));
    assert_eq!(population.bundle(0), larger.bundle(0));
    assert_eq!(population.bundle(41), None);
    let kept = population.bundle_into(7, b"before".to_vec()).unwrap();
    assert_eq!(&kept.bytes[..6], b"before");
    assert_eq!(kept.bytes[6..], population.bundle(7).unwrap().bytes);
}

#[test]
fn counts_per_type() {
    let mut lines = Vec::new();
    for tenant in Tenant::ALL {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for resource in resources(&demo(tenant)) {
            let name = resource["resourceType"].as_str().unwrap().to_owned();
            *counts.entry(name).or_default() += 1;
        }
        let total: u32 = counts.values().sum();
        lines.push(format!("{} {total}", tenant.slug()));
        let each = counts.iter();
        lines.extend(each.map(|(name, count)| format!("  {name} {count}")));
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    rosewood-house 17969
      AllergyIntolerance 43
      Appointment 60
      CarePlan 84
      CareTeam 2
      Condition 308
      Consent 6
      Coverage 40
      DiagnosticReport 184
      DocumentReference 314
      Encounter 354
      Immunization 190
      Location 43
      MedicationAdministration 8985
      MedicationRequest 272
      Observation 6788
      Organization 8
      Patient 40
      Practitioner 9
      PractitionerRole 15
      RelatedPerson 40
      ServiceRequest 184
    harbour-clinic 9203
      AllergyIntolerance 88
      Appointment 624
      CareTeam 2
      Claim 323
      Composition 347
      Condition 390
      Coverage 120
      DiagnosticReport 465
      Encounter 528
      ImagingStudy 67
      Immunization 172
      Location 11
      MedicationRequest 428
      Observation 4903
      Organization 7
      Patient 120
      Practitioner 8
      PractitionerRole 11
      Procedure 86
      RelatedPerson 38
      ServiceRequest 465
    ");
}

#[test]
fn the_demo_holds_together() {
    for tenant in Tenant::ALL {
        check(&demo(tenant), "2026-11-23");
    }
}

#[test]
fn nhs_numbers_are_valid_test_numbers() {
    let all = resources(&demo(Tenant::RosewoodHouse));
    let mut seen = HashSet::new();
    for patient in of_type(&all, "Patient") {
        let identifier = &patient["identifier"][0];
        assert_eq!(identifier["system"], "https://fhir.nhs.uk/Id/nhs-number");
        let number = identifier["value"].as_str().unwrap();
        assert!(number.starts_with("999") && number.len() == 10);
        let body: u32 = number[..9].parse().unwrap();
        assert_eq!(nhs_check_digit(body), number[9..].parse().ok());
        assert!(seen.insert(number.to_owned()));
    }
    assert_eq!(seen.len(), 40);
}

#[test]
fn allergies_are_known_known_to_be_none_or_not_recorded() {
    let all = resources(&demo(Tenant::RosewoodHouse));
    let mut by_patient: HashMap<&str, Vec<&Value>> = HashMap::new();
    for patient in of_type(&all, "Patient") {
        by_patient.insert(patient["id"].as_str().unwrap(), Vec::new());
    }
    for allergy in of_type(&all, "AllergyIntolerance") {
        let patient = allergy["patient"]["reference"].as_str().unwrap();
        let list = by_patient.get_mut(&patient["Patient/".len()..]).unwrap();
        list.push(allergy);
    }
    let none_known = |a: &Value| a["code"]["coding"][0]["code"] == "716186003";
    let (mut unrecorded, mut none, mut known) = (0, 0, 0);
    for list in by_patient.values() {
        match list.as_slice() {
            [] => unrecorded += 1,
            [one] if none_known(one) => none += 1,
            several => {
                assert!(!several.iter().any(|a| none_known(a)));
                known += 1;
            }
        }
    }
    assert!(
        unrecorded >= 3 && none >= 8 && known >= 8,
        "{unrecorded} {none} {known}"
    );
}

#[test]
fn a_month_of_doses_holds_everything_that_happens_in_a_home() {
    let all = resources(&demo(Tenant::RosewoodHouse));
    let extension = |own: &Value, name: &str| -> Option<Value> {
        let list = own["extension"].as_array()?.iter();
        let mut own = list.filter(|own| own["url"].as_str().unwrap().ends_with(name));
        own.next().cloned()
    };
    let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
    let (mut corrected, mut witnessed, mut needed, mut days) = (0, 0, 0, HashSet::new());
    for own in of_type(&all, "MedicationAdministration") {
        let outcome = extension(own, "administration-outcome").unwrap();
        let outcome = outcome["valueCode"].as_str().unwrap().to_owned();
        *outcomes.entry(outcome).or_default() += 1;
        corrected += u32::from(extension(own, "administration-corrects").is_some());
        needed += u32::from(extension(own, "administration-need").is_some());
        witnessed += u32::from(own["performer"].as_array().unwrap().len() == 2);
        days.insert(own["effectiveDateTime"].as_str().unwrap()[..10].to_owned());
    }
    assert_eq!(outcomes.len(), 10, "{outcomes:?}");
    assert!(outcomes.values().all(|count| *count >= 5), "{outcomes:?}");
    assert!(corrected >= 10 && needed >= 100 && witnessed >= 100);
    assert!(days.len() >= 28, "{}", days.len());
    // Of a morning medicine there is a record for most days, and for some there is none.
    let controlled = of_type(&all, "MedicationAdministration").filter(|own| {
        let text = &own["medicationCodeableConcept"]["text"];
        text == "Morphine 10mg modified-release tablet" && own["status"] == "completed"
    });
    for own in controlled {
        assert_eq!(own["performer"].as_array().unwrap().len(), 2, "{own}");
    }
    let rest = Profile {
        today: 700,
        ..Tenant::RosewoodHouse.profile()
    };
    let morning = Population::new(Tenant::RosewoodHouse, 1, reference(), rest);
    let today = resources(&morning);
    let today = of_type(&today, "MedicationAdministration").filter_map(|own| {
        let at = own["effectiveDateTime"].as_str().unwrap();
        at.starts_with("2026-11-23").then(|| at[11..16].to_owned())
    });
    let last = today.max().unwrap();
    assert!(last.as_str() < "11:40" && last.as_str() > "07:00", "{last}");
}

#[test]
fn records_are_coherent() {
    for tenant in Tenant::ALL {
        let population = Population::new(
            tenant,
            9,
            reference(),
            Profile {
                patients: 150,
                months: 12,
                mar_days: 2,
                today: 0,
            },
        );
        let all = resources(&population);
        let of = |r: &Value, key: &str| r[key]["reference"].as_str().unwrap_or("").to_owned();
        let having = |code: &str| -> HashSet<String> {
            of_type(&all, "Condition")
                .filter(|c| c["code"]["coding"][0]["code"] == *code)
                .map(|c| of(c, "subject"))
                .collect()
        };
        let taking = |prefix: &str| -> HashSet<String> {
            of_type(&all, "MedicationRequest")
                .filter(|m| {
                    m["medicationCodeableConcept"]["coding"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .any(|c| c["code"].as_str().unwrap().starts_with(prefix))
                })
                .map(|m| of(m, "subject"))
                .collect()
        };
        let fibrillation = having("49436004");
        let anticoagulated: HashSet<String> =
            taking("B01AF").union(&taking("B01AA")).cloned().collect();
        assert!(!fibrillation.is_empty() && fibrillation == anticoagulated);
        let measured: HashSet<String> = of_type(&all, "Observation")
            .filter(|o| {
                let code = &o["code"]["coding"][0]["code"];
                code == "59261-8" || code == "4548-4"
            })
            .map(|o| of(o, "subject"))
            .collect();
        assert_eq!(having("44054006"), measured);
        let allergic: HashSet<String> = of_type(&all, "AllergyIntolerance")
            .filter(|a| a["code"]["coding"][0]["code"] == "91936005")
            .filter(|a| a["verificationStatus"]["coding"][0]["code"] != "refuted")
            .map(|a| of(a, "patient"))
            .collect();
        assert!(!allergic.is_empty() && allergic.is_disjoint(&taking("J01CA")));
        let dead: HashSet<String> = of_type(&all, "Patient")
            .filter(|p| p["deceasedDateTime"].is_string())
            .map(|p| format!("Patient/{}", p["id"].as_str().unwrap()))
            .collect();
        assert!(!dead.is_empty());
        for order in of_type(&all, "MedicationRequest") {
            assert!(order["status"] != "active" || !dead.contains(&of(order, "subject")));
        }
    }
}

#[test]
fn patients_belong_to_the_branch_that_is_said() {
    for tenant in Tenant::ALL {
        let population = demo(tenant);
        let mut seen = HashSet::new();
        for number in 1..population.len() {
            let bundle = population.bundle(number).unwrap();
            let value: Value = serde_json::from_slice(&bundle.bytes).unwrap();
            let patient = &value["entry"][0]["resource"];
            assert_eq!(patient["id"], *population.patient_id(number));
            let branch = population.branch_of(number);
            let expected = format!("Organization/{}", branch.organization);
            assert_eq!(patient["managingOrganization"]["reference"], *expected);
            seen.insert(branch.name);
        }
        assert_eq!(seen.len(), branches(tenant).len());
    }
}

#[test]
fn sign_ins_match_practitioners_and_branches() {
    let roles = |tenant| {
        let mut roles: Vec<&str> = staff(tenant).map(|s| s.role).collect();
        roles.sort_unstable();
        roles.dedup();
        roles.join(" ")
    };
    assert_eq!(
        roles(Tenant::RosewoodHouse),
        "administrator auditor carer doctor nurse pharmacist"
    );
    assert_eq!(
        roles(Tenant::HarbourClinic),
        "administrator auditor doctor nurse receptionist"
    );
    for tenant in Tenant::ALL {
        let all = resources(&Population::new(
            tenant,
            1,
            reference(),
            Profile {
                patients: 0,
                ..tenant.profile()
            },
        ));
        let mut names = HashSet::new();
        for person in staff(tenant) {
            assert!(names.insert(person.sign_in));
            assert!(!person.branches.is_empty());
            for name in person.branches {
                assert!(branches(tenant).iter().any(|b| b.name == *name));
            }
            let practitioner = of_type(&all, "Practitioner")
                .find(|p| p["id"] == person.practitioner)
                .unwrap();
            let name = &practitioner["name"][0];
            let shown = format!(
                "{} {}",
                name["given"][0].as_str().unwrap(),
                name["family"].as_str().unwrap()
            );
            assert_eq!(shown, person.display_name);
        }
    }
}

/// Every resource, and every bundle, by the house's own validator.
fn valid(population: &Population) {
    let definitions = fhir::definitions::Definitions::r4();
    let limits = fhir::json::Limits::default();
    for written in population.bundles() {
        let bundle = fhir::json::Document::parse(written.bytes, &limits).unwrap();
        let entries = bundle.root().get("entry").unwrap();
        assert_eq!(entries.items().count(), written.resources as usize);
        for entry in entries.items() {
            let resource = entry.get("resource").unwrap();
            let issues = fhir::validate::validate(definitions, resource);
            assert!(
                issues.is_empty(),
                "{issues:?} in {}",
                String::from_utf8_lossy(resource.raw())
            );
        }
        let issues = fhir::validate::validate(definitions, bundle.root());
        assert!(issues.is_empty(), "{issues:?}");
    }
}

#[test]
fn every_resource_of_the_demo_is_valid() {
    for tenant in Tenant::ALL {
        valid(&demo(tenant));
    }
}

#[test]
fn a_wrong_resource_would_be_noticed() {
    let wrong = br#"{"resourceType":"Patient","gender":"sideways"}"#.to_vec();
    let document = fhir::json::Document::parse(wrong, &fhir::json::Limits::default()).unwrap();
    let definitions = fhir::definitions::Definitions::r4();
    assert_eq!(
        fhir::validate::validate(definitions, document.root()).len(),
        1
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_seed_and_profile_holds_together(
        seed: u64,
        days in 0..20_000_i32,
        patients in 0..14_u32,
        months in 0..20_u16,
        mar_days in 0..10_u16,
        harbour: bool,
    ) {
        let tenant = if harbour { Tenant::HarbourClinic } else { Tenant::RosewoodHouse };
        let reference = Day::from_civil(1990, 1, 1).unwrap().plus(days);
        let (year, month, day) = reference.civil();
        let profile = Profile { patients, months, mar_days, today: 0 };
        let population = Population::new(tenant, seed, reference, profile);
        check(&population, &format!("{year:04}-{month:02}-{day:02}"));
        valid(&population);
    }
}
