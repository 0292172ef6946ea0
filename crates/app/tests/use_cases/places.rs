//! Searches of the system and of compartments, what goes with the matches, and the limits of it all.

use app::record::place::Place;
use app::record::search::{SearchAnswer, search_in};
use app::record::{query_string, render};
use app::{AppError, Caller, Log, QueryError};
use identity::Role;
use kernel::{Categorised as _, Category};
use serde_json::{Value, json};

use crate::house::{House, observation, patient};
use crate::web::ty;

async fn ask(
    house: &House,
    caller: &Caller,
    place: &Place,
    query: &str,
) -> Result<SearchAnswer, AppError> {
    let params = query_string::parse(query).unwrap();
    search_in(&house.app, caller, place, &params, false).await
}

fn names(versions: &[app::StoredVersion]) -> String {
    let mut names: Vec<String> = versions
        .iter()
        .map(|version| app::record::name_of(&version.key))
        .collect();
    names.sort_unstable();
    names.join(" ")
}

fn compartment(house: &House, of: &str, member: Option<&str>) -> Place {
    Place::Compartment {
        of: house.key(of),
        ty: member.map(ty),
    }
}

/// Two organisations that are part of each other, patients, a practitioner, observations, provenances.
async fn populated(change: impl FnOnce(&mut app::Settings)) -> (House, Caller) {
    let house = House::build_with(change).await;
    let writer = house.integration("ash").await;
    let organization = |id: &str, above: &str| {
        json!({ "resourceType": "Organization", "id": id, "name": id,
            "partOf": { "reference": format!("Organization/{above}") } })
    };
    let of_patient = |id: &str, encounter: &str| {
        let mut body = observation(id, "a");
        body["encounter"] = json!({ "reference": format!("Encounter/{encounter}") });
        body["performer"] = json!([{ "reference": "Practitioner/d" }]);
        body
    };
    let mut a = patient("a", "Archer");
    a["managingOrganization"] = json!({ "reference": "Organization/o1" });
    a["generalPractitioner"] = json!([{ "reference": "Practitioner/d" }]);
    let bodies = [
        organization("o1", "o2"),
        organization("o2", "o1"),
        json!({ "resourceType": "Practitioner", "id": "d", "name": [{ "family": "Okafor" }] }),
        a,
        patient("b", "Baker"),
        json!({ "resourceType": "Encounter", "id": "e", "status": "finished", "class": { "code": "AMB" },
            "subject": { "reference": "Patient/a" } }),
        of_patient("x", "e"),
        of_patient("y", "elsewhere"),
        observation("z", "b"),
        json!({ "resourceType": "Provenance", "id": "v", "recorded": "2026-03-01T00:00:00Z",
            "target": [{ "reference": "Observation/x" }], "agent": [{ "who": { "reference": "Practitioner/d" } }] }),
    ];
    for body in &bodies {
        house.put(&writer, body).await.unwrap();
    }
    (house, writer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn includes_bring_each_thing_once_and_circles_end() {
    let (house, caller) = populated(|_| {}).await;
    let cases = [
        (
            "Observation",
            "_include=Observation:subject",
            "Patient/a Patient/b",
        ),
        (
            "Observation",
            "_id=z&_include=Observation:subject",
            "Patient/b",
        ),
        ("Observation", "_include=Observation:subject:Group", ""),
        (
            "Observation",
            "_include=Observation:subject:Patient",
            "Patient/a Patient/b",
        ),
        (
            "Observation",
            "_id=x&_include=*",
            "Encounter/e Patient/a Practitioner/d",
        ),
        (
            "Observation",
            "_id=x&_include=Observation:*",
            "Encounter/e Patient/a Practitioner/d",
        ),
        ("Observation", "_id=y&_include=Observation:encounter", ""),
        (
            "Observation",
            "_id=x&_include=Observation:patient&_include:iterate=Patient:organization&_include:iterate=Organization:partof",
            "Organization/o1 Organization/o2 Patient/a",
        ),
        ("Organization", "_include=Organization:partof", ""),
        (
            "Organization",
            "_id=o1&_include=Organization:partof",
            "Organization/o2",
        ),
        (
            "Organization",
            "_id=o1&_include:iterate=Organization:partof",
            "Organization/o2",
        ),
        (
            "Patient",
            "_id=a&_revinclude=Observation:subject",
            "Observation/x Observation/y",
        ),
        (
            "Patient",
            "_id=a&_revinclude=Observation:subject&_revinclude:iterate=Provenance:target",
            "Observation/x Observation/y Provenance/v",
        ),
        (
            "Practitioner",
            "_revinclude=*",
            "Observation/x Observation/y Patient/a Provenance/v",
        ),
        (
            "Patient",
            "_id=b&_revinclude=Observation:subject&_include=Patient:organization",
            "Observation/z",
        ),
    ];
    for (name, query, expected) in cases {
        let answer = ask(&house, &caller, &Place::Type(ty(name)), query)
            .await
            .unwrap();
        assert_eq!(names(&answer.included), expected, "{name}?{query}");
        assert!(
            answer.notices.is_empty(),
            "{name}?{query}: {:?}",
            answer.notices
        );
    }
    let answer = ask(
        &house,
        &caller,
        &Place::Type(ty("Patient")),
        "_id=a&_revinclude=Observation:subject&_summary=true",
    )
    .await
    .unwrap();
    let shown = render::searchset("http://h", "Patient", &answer);
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    let modes: Vec<&str> = shown["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["search"]["mode"].as_str().unwrap())
        .collect();
    assert_eq!(modes, ["match", "include", "include"]);
    for entry in shown["entry"].as_array().unwrap() {
        assert_eq!(entry["resource"]["meta"]["tag"][0]["code"], "SUBSETTED");
    }
    let answer = ask(
        &house,
        &caller,
        &Place::Type(ty("Observation")),
        "_id=x&_include=Observation:subject&_elements=status,Patient.name",
    )
    .await
    .unwrap();
    let body: Value = serde_json::from_slice(answer.included[0].body.as_ref().unwrap()).unwrap();
    assert!(
        body.get("name").is_some() && body.get("managingOrganization").is_none(),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_included_is_refused_and_what_is_too_much_is_said() {
    let (house, caller) = populated(|settings| {
        settings.limits.included = 2;
        settings.limits.include_directives = 3;
        settings.limits.include_rounds = 1;
    })
    .await;
    let patients = Place::Type(ty("Patient"));
    for query in [
        "_include=Observation:subject",
        "_include=Patient:nope",
        "_include=Patient:birthdate",
        "_include=Patient",
        "_include=Nope:subject",
        "_include=Patient:organization:Patient",
        "_include:recurse=Patient:organization",
        "_include=",
        "_revinclude=Observation:encounter",
        "_summary=text&_include=Patient:organization",
    ] {
        let error = ask(&house, &caller, &patients, query).await.unwrap_err();
        assert_eq!(error.category(), Category::Invalid, "{query}: {error}");
    }
    let many = ["_include=Patient:organization"; 4].join("&");
    let error = ask(&house, &caller, &patients, &many).await.unwrap_err();
    assert!(
        matches!(error, AppError::Query(QueryError::TooMany { .. })),
        "{error}"
    );

    let whole = ask(
        &house,
        &caller,
        &patients,
        "_id=a&_revinclude=Observation:subject",
    )
    .await
    .unwrap();
    assert_eq!((whole.included.len(), whole.notices.len()), (2, 0));
    let cut = ask(
        &house,
        &caller,
        &patients,
        "_id=a&_revinclude=Observation:subject&_include=Patient:organization",
    )
    .await
    .unwrap();
    assert_eq!((cut.included.len(), cut.notices.len()), (2, 1));
    let shown = render::searchset("http://h", "Patient", &cut);
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    let last = shown["entry"].as_array().unwrap().last().unwrap();
    assert_eq!(last["search"]["mode"], "outcome");
    assert_eq!(last["resource"]["issue"][0]["code"], "incomplete");
    let far = ask(
        &house,
        &caller,
        &patients,
        "_id=a&_include=Patient:organization&_include:iterate=Organization:partof",
    )
    .await
    .unwrap();
    assert_eq!(far.notices.len(), 1, "{:?}", far.notices);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_brought_in_is_a_look() {
    let (house, caller) = populated(|_| {}).await;
    let place = Place::Type(ty("Organization"));
    ask(
        &house,
        &caller,
        &place,
        "_id=o1&_revinclude=Patient:organization",
    )
    .await
    .unwrap();
    let trail = house.trail("ash", Log::Access, 2).await;
    assert_eq!(trail[1], "search success - a", "{trail:?}");
    // Left out of the answer of somebody who may not search it, and so no look.
    let desk = house.caller("ash", Role::Receptionist).await;
    let place = Place::Type(ty("Patient"));
    let answer = ask(
        &house,
        &desk,
        &place,
        "_id=a&_revinclude=Observation:subject&_include=Patient:organization",
    )
    .await
    .unwrap();
    assert_eq!(names(&answer.included), "Organization/o1");
    // A chain into it is refused, as a search of it is.
    for query in [
        "_has:Observation:subject:code=8867-4",
        "_has:Encounter:subject:_has:Observation:encounter:code=x",
    ] {
        let error = ask(&house, &desk, &place, query).await.unwrap_err();
        assert!(matches!(error, AppError::Denied { .. }), "{query}: {error}");
        let trail = house.trail("ash", Log::Access, 2).await;
        assert!(trail[1].starts_with("search denied"), "{trail:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compartments_hold_what_their_definitions_say() {
    let (house, caller) = populated(|_| {}).await;
    let cases = [
        (
            "Patient/a",
            Some("Observation"),
            "",
            "Observation/x Observation/y",
        ),
        ("Patient/a", Some("Observation"), "_id=x", "Observation/x"),
        ("Patient/a", Some("Patient"), "", "Patient/a"),
        (
            "Patient/a",
            None,
            "",
            "Encounter/e Observation/x Observation/y Patient/a",
        ),
        (
            "Patient/a",
            None,
            "_type=Encounter,Patient",
            "Encounter/e Patient/a",
        ),
        ("Patient/b", None, "", "Observation/z Patient/b"),
        ("Patient/nobody", None, "", ""),
        ("Encounter/e", Some("Observation"), "", "Observation/x"),
        ("Encounter/e", None, "", "Encounter/e Observation/x"),
        (
            "Practitioner/d",
            Some("Observation"),
            "",
            "Observation/x Observation/y",
        ),
        (
            "Practitioner/d",
            None,
            "",
            "Observation/x Observation/y Patient/a Practitioner/d Provenance/v",
        ),
        ("Device/none", None, "", ""),
        ("RelatedPerson/none", Some("Patient"), "", ""),
    ];
    for (of, member, query, expected) in cases {
        let place = compartment(&house, of, member);
        let answer = ask(&house, &caller, &place, query).await.unwrap();
        assert_eq!(names(&answer.matches), expected, "{of}/{member:?}?{query}");
    }
    for (of, member, query) in [
        ("Organization/o1", None, ""),
        ("Patient/a", Some("Organization"), ""),
        ("Encounter/e", None, "_type=Organization"),
        ("Patient/a", Some("Observation"), "nope=1"),
    ] {
        let place = compartment(&house, of, member);
        let error = ask(&house, &caller, &place, query).await.unwrap_err();
        assert_eq!(error.category(), Category::Invalid, "{of} {query}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn the_system_is_searched_by_what_all_types_have() {
    let (house, caller) = populated(|_| {}).await;
    let cases = [
        (
            "_type=Patient,Organization",
            "Organization/o1 Organization/o2 Patient/a Patient/b",
        ),
        (
            "_type=Patient,Organization&_id=a,o1",
            "Organization/o1 Patient/a",
        ),
        ("_type=Patient&family=archer", "Patient/a"),
        (
            "_type=Patient,Practitioner&family=archer,okafor",
            "Patient/a Practitioner/d",
        ),
        (
            "_type=Patient,Practitioner&family:missing=false",
            "Patient/a Patient/b Practitioner/d",
        ),
        (
            "_type=Patient,Practitioner&gender:missing=true&_id:not=a",
            "Patient/b Practitioner/d",
        ),
        (
            "_type=Patient,Practitioner&family:contains=k",
            "Patient/b Practitioner/d",
        ),
        (
            "_type=Patient,Practitioner&_filter=not (family eq archer)",
            "Patient/b Practitioner/d",
        ),
        (
            "_type=Observation,Encounter&subject.family=archer",
            "Encounter/e Observation/x Observation/y",
        ),
        (
            "_type=Patient,Encounter&_has:Observation:patient:code=8867-4",
            "Patient/a Patient/b",
        ),
        (
            "_type=Patient,Organization&_sort=-_id,_lastUpdated&_id=a,b",
            "Patient/a Patient/b",
        ),
        ("_id=a", "Patient/a"),
    ];
    for (query, expected) in cases {
        let answer = ask(&house, &caller, &Place::System, query).await;
        let answer = match (answer, query.contains("_has")) {
            // The type Encounter is pointed to by no such parameter: the search says so.
            (Err(error), true) => {
                assert_eq!(error.category(), Category::Invalid, "{query}: {error}");
                continue;
            }
            (answer, _) => answer.unwrap(),
        };
        assert_eq!(names(&answer.matches), expected, "?{query}");
    }
    for query in [
        "_type=Nope",
        "_type=",
        "family=archer",
        "_type=Patient,Organization&_sort=family",
        "_type=Patient,Observation&_sort=identifier,name",
    ] {
        let error = ask(&house, &caller, &Place::System, query)
            .await
            .unwrap_err();
        assert_eq!(error.category(), Category::Invalid, "{query}: {error}");
    }
    // Everybody sees what each type's own search would show.
    let desk = house.caller("ash", Role::Receptionist).await;
    let answer = ask(&house, &desk, &Place::System, "_count=100")
        .await
        .unwrap();
    assert!(
        !names(&answer.matches).contains("Observation"),
        "{}",
        names(&answer.matches)
    );
    assert!(names(&answer.matches).contains("Patient/a"));
    let error = ask(&house, &desk, &Place::System, "_type=Patient,Observation")
        .await
        .unwrap_err();
    assert!(matches!(error, AppError::Denied { .. }), "{error}");
    // Pages of several types go on where they ended.
    let mut seen = Vec::new();
    let mut query = "_type=Patient,Organization&_count=1".to_owned();
    while let Ok(answer) = ask(&house, &caller, &Place::System, &query).await {
        seen.push(names(&answer.matches));
        let Some(next) = answer.next else { break };
        query = format!("_type=Patient,Organization&_count=1&_cursor={next}");
    }
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            "Organization/o1",
            "Organization/o2",
            "Patient/a",
            "Patient/b"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_stop_bombs_before_the_store_sees_them() {
    let (house, caller) = populated(|settings| settings.limits.chain_steps = 40).await;
    let observations = Place::Type(ty("Observation"));
    let patients = Place::Type(ty("Patient"));
    let deep = format!("{}code=x", "has-member.".repeat(200));
    let has = format!("{}family=x", "_has:Patient:link:".repeat(200));
    let nested = format!(
        "_filter={}family eq x{}",
        "(".repeat(5000),
        ")".repeat(5000)
    );
    let wide = format!("_filter={}", vec!["family eq x"; 2000].join(" or "));
    let many = format!("family={}", vec!["x"; 5000].join(","));
    let fans = "target._lastUpdated=gt2020";
    for (place, query) in [
        (&observations, deep.as_str()),
        (&patients, has.as_str()),
        (&patients, nested.as_str()),
        (&patients, wide.as_str()),
        (&patients, many.as_str()),
        (&patients, "_sort=_id,family,given,birthdate,_lastUpdated"),
        (&Place::Type(ty("Provenance")), fans),
    ] {
        let error = ask(&house, &caller, place, query).await.unwrap_err();
        assert!(
            matches!(error, AppError::Query(QueryError::TooMany { .. })),
            "{}: {error}",
            query.chars().take(60).collect::<String>()
        );
    }
    // Lenient handling does not turn them into searches without them.
    let params = query_string::parse(&many).unwrap();
    assert!(
        search_in(&house.app, &caller, &patients, &params, true)
            .await
            .is_err()
    );
    for (query, says) in [
        ("code:in=http://nobody.example/vs", "nobody.example"),
        ("code:not-in=http://nobody.example/vs", "nobody.example"),
        ("code:below=urn:nobody|x", "urn:nobody|x"),
        ("_filter=code in http://nobody.example/vs", "nobody.example"),
    ] {
        let error = ask(&house, &caller, &observations, query)
            .await
            .unwrap_err();
        assert!(
            matches!(error, AppError::Query(QueryError::Terminology { .. })),
            "{query}: {error}"
        );
        assert!(error.to_string().contains(says), "{query}: {error}");
        let params = query_string::parse(query).unwrap();
        assert!(
            search_in(&house.app, &caller, &observations, &params, true)
                .await
                .is_err()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_are_explained_to_those_who_run_the_house() {
    let (house, doctor) = populated(|_| {}).await;
    let admin = house.admin("ash").await;
    let params =
        query_string::parse("family=archer&general-practitioner.family=okafor&_sort=birthdate")
            .unwrap();
    let explained = app::record::explain::explain(&house.app, &admin, ty("Patient"), &params)
        .await
        .unwrap();
    let text = String::from_utf8(explained).unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["resourceType"], "Parameters");
    let parts: Vec<&str> = body["parameter"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["name"].as_str().unwrap())
        .collect();
    for wanted in [
        "strategy",
        "clause",
        "walked",
        "limit",
        "row-limit",
        "statement",
        "engine",
    ] {
        assert!(parts.contains(&wanted), "{text}");
    }
    assert!(
        !text.contains("archer") && !text.contains("okafor"),
        "{text}"
    );
    let refused = app::record::explain::explain(&house.app, &doctor, ty("Patient"), &params)
        .await
        .unwrap_err();
    assert!(matches!(refused, AppError::Denied { .. }), "{refused}");
    let trail = house.trail("ash", Log::Access, 3).await;
    assert_eq!(trail[2], "search success - -", "{trail:?}");
}

/// Refused before it is run, with what makes it costly and what to add, also under lenient handling.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_walk_too_much_is_refused_with_what_to_add() {
    let (house, doctor) = populated(|settings| settings.limits.search_rows = 2).await;
    let observations = Place::Type(ty("Observation"));
    let query = "status:not=final&_total=accurate";
    let params = query_string::parse(query).unwrap();
    let refused = search_in(&house.app, &doctor, &observations, &params, true)
        .await
        .unwrap_err();
    assert_eq!(refused.category(), Category::TooCostly);
    assert_eq!(refused.issues()[0].code, "too-costly");
    let text = refused.public_text();
    assert!(
        text.contains("not (status)") && text.contains("patient, subject, identifier"),
        "{text}"
    );
    ask(&house, &doctor, &observations, "_id=x&status:not=draft")
        .await
        .unwrap();
    let admin = house.admin("ash").await;
    let explained =
        app::record::explain::explain(&house.app, &admin, ty("Observation"), &params).await;
    let explained: Value = serde_json::from_slice(&explained.unwrap()).unwrap();
    let part = |name: &str| {
        let parts = explained["parameter"].as_array().unwrap();
        parts.iter().find(|part| part["name"] == name).unwrap()
    };
    assert_eq!(part("row-limit")["valueDecimal"], 2);
    // An administrator searches no observations: what is told is rounded up.
    assert_eq!(part("walked")["valueDecimal"], 1000);
    assert!(part("refused")["valueString"].is_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn includes_of_everything_take_so_many_searches_and_no_more() {
    let query = "_revinclude=*&_revinclude:iterate=*";
    let patients = Place::Type(ty("Patient"));
    let (house, caller) = populated(|_| {}).await;
    let whole = ask(&house, &caller, &patients, query).await.unwrap();
    assert!(whole.notices.is_empty(), "{:?}", whole.notices);
    let (house, caller) = populated(|settings| settings.limits.include_searches = 20).await;
    let cut = ask(&house, &caller, &patients, query).await.unwrap();
    assert!(cut.included.len() < whole.included.len());
    let said = &cut.notices[0].diagnostics;
    assert!(said.contains("more than 20 searches"), "{said}");
    // What is asked for by name is found with as few.
    let query = "_revinclude=Observation:subject";
    let few = ask(&house, &caller, &patients, query).await.unwrap();
    assert!(
        few.notices.is_empty() && few.included.len() == 3,
        "{:?}",
        few.notices
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explanations_tell_nothing_of_a_patient() {
    let (house, writer) = populated(|_| {}).await;
    let admin = house.admin("ash").await;
    let of = async |name: &str, query: &str| {
        let params = query_string::parse(query).unwrap();
        let body = app::record::explain::explain(&house.app, &admin, ty(name), &params).await;
        String::from_utf8(body.unwrap()).unwrap()
    };
    // Who may search the type whole sees what is counted, where nothing else is looked at.
    let few = of("Organization", "name=o1").await;
    assert!(few.contains("\"valueDecimal\":1}"), "{few}");
    // What differs is whether there is something about one patient: the answers do not.
    for (name, there, nowhere) in [
        (
            "Practitioner",
            "_has:Observation:performer:patient=Patient/a",
            "_has:Observation:performer:patient=Patient/q",
        ),
        (
            "Organization",
            "_has:Patient:organization:family=archer",
            "_has:Patient:organization:family=nobody",
        ),
        (
            "Organization",
            "_filter=partof re Organization/o1 and _id eq o2&_has:Patient:organization:_id=a",
            "_filter=partof re Organization/o1 and _id eq o2&_has:Patient:organization:_id=q",
        ),
        (
            "Patient",
            "family=archer&birthdate=gt1900",
            "family=nobody&birthdate=gt1900",
        ),
    ] {
        let (there, nowhere) = (of(name, there).await, of(name, nowhere).await);
        assert_eq!(there, nowhere, "{name}");
        assert!(there.contains("\"rows\""), "{there}");
    }
    drop(writer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn value_sets_and_hierarchies_are_searched_by_their_codes() {
    let house = House::build().await;
    let caller = house.integration("ash").await;
    let system = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    for (id, code) in [
        ("a", "active"),
        ("b", "relapse"),
        ("c", "resolved"),
        ("d", ""),
    ] {
        let mut body = json!({ "resourceType": "Condition", "id": id, "subject": { "reference": "Patient/p" } });
        if !code.is_empty() {
            body["clinicalStatus"] = json!({ "coding": [{ "system": system, "code": code }] });
        }
        house.put(&caller, &body).await.unwrap();
    }
    let below = format!("clinical-status:below={system}|active");
    let above = format!("clinical-status:above={system}|relapse");
    let both = format!("clinical-status:below={system}|active,{system}|resolved");
    let filter = format!("_filter=clinical-status ss {system}|active");
    let not_filter = format!("_filter=not (clinical-status sb {system}|relapse)");
    let set = "http://hl7.org/fhir/ValueSet/condition-clinical";
    let (inside, outside) = (
        format!("clinical-status:in={set}"),
        format!("clinical-status:not-in={set}"),
    );
    let ni = format!("_filter=clinical-status ni {set}");
    let place = Place::Type(ty("Condition"));
    for (query, expected) in [
        (below.as_str(), "Condition/a Condition/b"),
        (above.as_str(), "Condition/a Condition/b"),
        (both.as_str(), "Condition/a Condition/b Condition/c"),
        (filter.as_str(), "Condition/a Condition/b"),
        (not_filter.as_str(), "Condition/c Condition/d"),
        (inside.as_str(), "Condition/a Condition/b Condition/c"),
        (outside.as_str(), "Condition/d"),
        (ni.as_str(), "Condition/d"),
    ] {
        let answer = ask(&house, &caller, &place, query).await.unwrap();
        assert_eq!(names(&answer.matches), expected, "{query}");
    }
}
