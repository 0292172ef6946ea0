//! What searches reach beside current resources and plain values: versions, canonicals, positions, and
//! expressions of words.

use app::record::place::Place;
use app::record::query_string;
use app::record::search::{SearchAnswer, search_in};
use app::{AppError, Caller, QueryError, admin::branches};
use identity::{BranchKind, Role, RoleAssignment};
use serde_json::{Value, json};

use crate::house::House;
use crate::web::ty;

async fn ask(house: &House, caller: &Caller, query: &str) -> Result<SearchAnswer, AppError> {
    let (name, query) = query.split_once('?').unwrap();
    let params = query_string::parse(query).unwrap();
    search_in(&house.app, caller, &Place::Type(ty(name)), &params, false).await
}

/// `Type/id/version` of what came beside the matches.
async fn brought(house: &House, caller: &Caller, query: &str) -> Vec<String> {
    let answer = ask(house, caller, query).await.unwrap();
    assert!(answer.notices.is_empty(), "{query}: {:?}", answer.notices);
    let mut names: Vec<String> = answer
        .included
        .iter()
        .map(|version| {
            let body: Value = serde_json::from_slice(version.body.as_ref().unwrap()).unwrap();
            let said = body["meta"]["versionId"].as_str().unwrap().to_owned();
            assert_eq!(said, version.version.0.to_string());
            format!("{}/{said}", app::record::name_of(&version.key))
        })
        .collect();
    names.sort_unstable();
    names
}

fn about(id: &str, reference: &str) -> Value {
    json!({ "resourceType": "Observation", "id": id, "status": "final", "code": { "text": "x" },
        "subject": { "reference": reference } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_versioned_reference_brings_that_version() {
    let house = House::build().await;
    let doctor = house.integration("ash").await;
    for family in ["One", "Two", "Three"] {
        let body = json!({ "resourceType": "Patient", "id": "a", "name": [{ "family": family }] });
        house.put(&doctor, &body).await.unwrap();
    }
    let mut both = about("both", "Patient/a");
    both["performer"] = json!([{ "reference": "Patient/a/_history/2" }]);
    for body in [
        about("now", "Patient/a"),
        about("first", "Patient/a/_history/1"),
        about("third", "Patient/a/_history/3"),
        about("never", "Patient/a/_history/9"),
        about("odd", "Patient/a/_history/x"),
        both,
    ] {
        house.put(&doctor, &body).await.unwrap();
    }
    for (query, expected) in [
        ("_id=now", vec!["Patient/a/3"]),
        ("_id=first", vec!["Patient/a/1"]),
        ("_id=third", vec!["Patient/a/3"]),
        ("_id=third,now", vec!["Patient/a/3"]),
        ("_id=first,third", vec!["Patient/a/1", "Patient/a/3"]),
        ("_id=never,odd", vec![]),
        ("_id=both", vec!["Patient/a/2", "Patient/a/3"]),
    ] {
        let query = format!("Observation?{query}&_include=Observation:subject");
        assert_eq!(brought(&house, &doctor, &query).await, expected, "{query}");
    }
    // What is a match already comes once; another version of it comes beside it.
    let itself = json!({ "resourceType": "Observation", "id": "now", "status": "final", "code": { "text": "x" },
        "hasMember": [{ "reference": "Observation/now/_history/1" }, { "reference": "Observation/now/_history/2" }] });
    house.put(&doctor, &itself).await.unwrap();
    let query = "Observation?_id=now&_include=Observation:has-member";
    assert_eq!(brought(&house, &doctor, query).await, ["Observation/now/1"]);
    // What was deleted is not found, in no version.
    let key = house.key("Patient/a");
    app::record::delete::delete(&house.app, &doctor, &key, None)
        .await
        .unwrap();
    let query = "Observation?_include=Observation:subject";
    assert!(brought(&house, &doctor, query).await.is_empty());
}

/// A carer of one branch gets no version about somebody of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_about_others_are_not_brought_to_a_narrowed_role() {
    let house = House::build().await;
    let admin = house.admin("ash").await;
    let mut wards = Vec::new();
    for name in ["north", "south"] {
        let new = branches::NewBranch {
            name: name.to_owned(),
            kind: BranchKind::Ward,
            organization: None,
        };
        wards.push(branches::create(&house.app, &admin, new).await.unwrap());
    }
    let writer = house.integration("ash").await;
    for (id, ward) in [("mine", 0), ("other", 1)] {
        let organization = wards[ward].organization.as_str();
        let body = json!({ "resourceType": "Patient", "id": id, "name": [{ "family": id }],
            "managingOrganization": { "reference": format!("Organization/{organization}") } });
        house.put(&writer, &body).await.unwrap();
    }
    // First about somebody else, then corrected.
    for (subject, status) in [
        ("Patient/other", "final"),
        ("Patient/mine", "final"),
        ("Patient/mine", "amended"),
    ] {
        let mut body = about("o", subject);
        body["status"] = json!(status);
        house.put(&writer, &body).await.unwrap();
    }
    let entries = [1, 2, 3].map(
        |version| json!({ "item": { "reference": format!("Observation/o/_history/{version}") } }),
    );
    let list = json!({ "resourceType": "List", "id": "l", "status": "current", "mode": "working",
        "subject": { "reference": "Patient/mine" },
        "entry": entries });
    house.put(&writer, &list).await.unwrap();
    let carer = RoleAssignment::at(Role::Carer, vec![wards[0].id]);
    let carer = house.caller_with("ash", carer).await;
    let query = "List?_include=List:item";
    assert_eq!(
        brought(&house, &writer, query).await,
        ["Observation/o/1", "Observation/o/2", "Observation/o/3"]
    );
    assert_eq!(
        brought(&house, &carer, query).await,
        ["Observation/o/2", "Observation/o/3"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canonicals_are_included_both_ways() {
    let house = House::build_with(|settings| settings.validate = false).await;
    let writer = house.integration("ash").await;
    let form = |id: &str, url: &str, version: &str| json!({ "resourceType": "Questionnaire", "id": id, "status": "active", "url": url, "version": version });
    let filled = |id: &str, canonical: &str| json!({ "resourceType": "QuestionnaireResponse", "id": id, "status": "completed", "questionnaire": canonical });
    for body in [
        form("q1", "http://acme.org/q", "1"),
        form("q2", "http://acme.org/q", "2"),
        form("r", "http://acme.org/r", "1"),
        filled("any", "http://acme.org/q"),
        filled("first", "http://acme.org/q|1"),
        filled("none", "http://acme.org/q|3"),
        filled("elsewhere", "http://acme.org/never"),
    ] {
        house.put(&writer, &body).await.unwrap();
    }
    let of = "&_include=QuestionnaireResponse:questionnaire";
    for (query, expected) in [
        ("_id=first", vec!["Questionnaire/q1/1"]),
        ("_id=any", vec!["Questionnaire/q1/1", "Questionnaire/q2/1"]),
        ("_id=none,elsewhere", vec![]),
    ] {
        let query = format!("QuestionnaireResponse?{query}{of}");
        assert_eq!(brought(&house, &writer, &query).await, expected, "{query}");
    }
    let back = "_revinclude=QuestionnaireResponse:questionnaire";
    let query = format!("Questionnaire?_id=q1&{back}");
    assert_eq!(
        brought(&house, &writer, &query).await,
        [
            "QuestionnaireResponse/any/1",
            "QuestionnaireResponse/first/1",
            "QuestionnaireResponse/none/1"
        ]
    );
    let query = format!("Questionnaire?_id=r&{back}");
    assert!(brought(&house, &writer, &query).await.is_empty());
}

async fn ids(house: &House, caller: &Caller, query: &str) -> Vec<String> {
    let (mut ids, _) = house.search(caller, query).await.unwrap();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locations_are_found_near_a_position() {
    let house = House::build().await;
    let writer = house.integration("ash").await;
    let location = |id: &str, latitude: f64, longitude: f64| {
        json!({ "resourceType": "Location", "id": id, "name": id,
            "position": { "latitude": latitude, "longitude": longitude } })
    };
    let encounter = |id: &str, at: &str| {
        json!({ "resourceType": "Encounter", "id": id, "status": "finished", "class": { "code": "AMB" },
            "location": [{ "location": { "reference": format!("Location/{at}") } }] })
    };
    for body in [
        location("suva", -18.1416, 178.4419),
        location("east", -17.0, 179.99),
        location("west", -17.0, -179.99),
        location("pole", 89.999, 45.0),
        json!({ "resourceType": "Location", "id": "nowhere", "name": "nowhere" }),
        encounter("e", "east"),
        encounter("s", "suva"),
    ] {
        house.put(&writer, &body).await.unwrap();
    }
    for (query, expected) in [
        ("Location?near=-17|180|2|km", vec!["east", "west"]),
        ("Location?near=-17|180|1|km", vec![]),
        ("Location?near=-17|180|1.5|[mi_i]", vec!["east", "west"]),
        ("Location?near=-17|180", vec!["east", "west"]),
        ("Location?near=-17|180|2000|m&name=west", vec!["west"]),
        (
            "Location?near=90|-135|1,-18.1416|178.4419|0",
            vec!["pole", "suva"],
        ),
        (
            "Location?near=0|0|20100|km",
            vec!["east", "pole", "suva", "west"],
        ),
        ("Encounter?location.near=-17|-180|5|km", vec!["e"]),
    ] {
        assert_eq!(ids(&house, &writer, query).await, expected, "{query}");
    }
    for query in [
        "near=1",
        "near=91|0|1",
        "near=1|2|3|lb",
        "near:missing=true",
        "_sort=near",
    ] {
        let refused = house.search(&writer, &format!("Location?{query}")).await;
        assert!(matches!(refused, Err(AppError::Query(_))), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_are_asked_for_with_and_or_not() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    for (id, text) in [
        ("a", "metastases of the bone"),
        ("b", "metastases of the liver"),
        ("c", "liver and bone, no more"),
        ("d", "Ödem"),
    ] {
        let body = json!({ "resourceType": "Patient", "id": id,
            "text": { "status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{text}</div>") } });
        house.put(&doctor, &body).await.unwrap();
    }
    for (text, expected) in [
        ("(bone OR liver) and metastases", vec!["a", "b"]),
        ("bone liver", vec!["c"]),
        ("bone,liver", vec!["a", "b", "c"]),
        ("metastases NOT bone", vec!["b"]),
        ("not (bone or liver)", vec!["d"]),
        ("odem OR \"and\"", vec!["c", "d"]),
        ("bone or liver and no", vec!["a", "c"]),
    ] {
        let query = query_string::print([("_text", text)]);
        let query = format!("Patient?{query}");
        assert_eq!(ids(&house, &doctor, &query).await, expected, "{text}");
    }
    for text in ["(bone", "bone or", "\"bone", "()"] {
        let query = query_string::print([("_text", text)]);
        let refused = house.search(&doctor, &format!("Patient?{query}")).await;
        assert!(
            matches!(refused, Err(AppError::Query(QueryError::Malformed { .. }))),
            "{text}"
        );
    }
    // This store keeps no order of words.
    let query = query_string::print([("_text", "\"the bone\"")]);
    let refused = house.search(&doctor, &format!("Patient?{query}")).await;
    let refused = refused.unwrap_err();
    assert!(
        refused.public_text().contains("search.full_text"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hierarchies_of_resources_are_asked_for_above_and_below() {
    let house = House::build().await;
    let writer = house.integration("ash").await;
    let location = |id: &str, above: &str| {
        json!({ "resourceType": "Location", "id": id, "name": id,
            "partOf": { "reference": format!("Location/{above}") } })
    };
    let encounter = |id: &str, at: &str| {
        json!({ "resourceType": "Encounter", "id": id, "status": "finished", "class": { "code": "AMB" },
            "subject": { "reference": "Patient/p" },
            "location": [{ "location": { "reference": format!("Location/{at}") } }] })
    };
    for body in [
        json!({ "resourceType": "Location", "id": "site", "name": "site" }),
        location("ward", "site"),
        location("room", "ward"),
        location("other", "elsewhere"),
        encounter("e-site", "site"),
        encounter("e-ward", "ward"),
        encounter("e-room", "room"),
        encounter("e-other", "other"),
    ] {
        house.put(&writer, &body).await.unwrap();
    }
    for (query, expected) in [
        (
            "Encounter?location:below=Location/ward",
            vec!["e-room", "e-ward"],
        ),
        (
            "Encounter?location:below=site",
            vec!["e-room", "e-site", "e-ward"],
        ),
        (
            "Encounter?location:above=Location/ward",
            vec!["e-site", "e-ward"],
        ),
        (
            "Encounter?location:below=ward,other",
            vec!["e-other", "e-room", "e-ward"],
        ),
        ("Location?partof:below=Location/site", vec!["room", "ward"]),
        ("Location?partof:above=ward", vec!["room", "ward"]),
        ("Patient?_has:Encounter:subject:location:below=site", vec![]),
    ] {
        assert_eq!(ids(&house, &writer, query).await, expected, "{query}");
    }
    for query in [
        "Encounter?patient:below=Patient/p",
        "Encounter?location:below=http://elsewhere.example/Location/ward",
    ] {
        let refused = house.search(&writer, query).await;
        assert!(matches!(refused, Err(AppError::Query(_))), "{query}");
    }
}
