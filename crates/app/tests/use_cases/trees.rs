//! Random searches over a web of references answer as a naive evaluator does: for somebody who sees
//! everything, for roles narrowed to a branch or to one record, in pages, and while others write. The seed
//! is printed on failure and can be set with `THERIAC_SEED`.

use std::collections::BTreeSet;

use app::admin::branches;
use app::{AppError, Caller, QueryError};
use identity::{BranchKind, Role, RoleAssignment};
use kernel::{Categorised as _, Category, PurposeOfUse};
use serde_json::json;

use crate::house::{House, new_user};
use crate::web::{
    AsyncMeanwhile, Dice, Nothing, Sight, TYPES, Web, condition, defined, every_page, ty,
};

fn seed() -> u64 {
    std::env::var_os("THERIAC_SEED")
        .and_then(|seed| seed.to_str()?.parse().ok())
        .unwrap_or(20_261_123)
}

struct Town {
    house: House,
    web: Web,
    doctor: Caller,
    /// A carer of one branch.
    carer: Caller,
    /// A patient with one record.
    own: Caller,
}

async fn town(dice: &mut Dice) -> Town {
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
    let organizations: Vec<String> = wards
        .iter()
        .map(|ward| ward.organization.as_str().to_owned())
        .collect();
    let writer = house.integration("ash").await;
    let web = Web::store(&house, &writer, dice, &organizations).await;
    // The same ids with other content in another tenant: none of it may ever be found.
    let elsewhere = house.integration("birch").await;
    Web::store(&house, &elsewhere, &mut Dice(dice.0 ^ 0x99), &[]).await;
    let assignment = RoleAssignment::at(Role::Carer, vec![wards[0].id]);
    let carer = house.caller_with("ash", assignment).await;
    let mut user = new_user("own", RoleAssignment::of(Role::Patient));
    user.patients = vec!["p3".parse().unwrap()];
    app::admin::users::create(&house.app, &admin, user)
        .await
        .unwrap();
    let own = app::init::acting_as(&house.app, "ash", "own", PurposeOfUse::Treatment)
        .await
        .unwrap();
    Town {
        doctor: house.integration("ash").await,
        house,
        web,
        carer,
        own,
    }
}

/// Writes something that no search of the web finds, newest first.
struct Writer(Caller, usize);

#[async_trait::async_trait]
impl AsyncMeanwhile for Writer {
    async fn happens(&mut self, house: &House) {
        self.1 += 1;
        let body = json!({ "resourceType": "Basic", "id": format!("noise{}", self.1), "code": { "text": "noise" } });
        house.put(&self.0, &body).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn random_trees_answer_as_the_naive_evaluator_for_every_role() {
    let seed = seed();
    let mut dice = Dice(seed);
    let town = town(&mut dice).await;
    let callers = [
        ("doctor", &town.doctor),
        ("carer", &town.carer),
        ("own", &town.own),
    ];
    let mut told_apart = [0; 3];
    let mut too_costly = 0;
    for (at, (who, caller)) in callers.into_iter().enumerate() {
        let sight = Sight::of(&town.house, caller, &town.web).await;
        if who != "doctor" {
            assert!(
                !sight.seen.is_empty() && sight.seen.len() < town.web.items.len(),
                "{who}"
            );
        }
        for round in 0..if at == 0 { 500 } else { 350 } {
            let name = TYPES[dice.roll(TYPES.len())];
            let nodes: Vec<_> = (0..=dice.roll(2))
                .map(|_| condition(&mut dice, &town.web, name, 3))
                .filter(|node| defined(node, ty(name)))
                .collect();
            let mut params: Vec<(String, String)> =
                nodes.iter().map(super::web::Node::written).collect();
            let sort = dice.pick(&["", "_id", "-_id", "_lastUpdated", "-_lastUpdated,_id"]);
            if !sort.is_empty() {
                params.push(("_sort".to_owned(), sort.to_owned()));
            }
            params.push(("_count".to_owned(), (dice.roll(6) + 1).to_string()));
            params.push(("_total".to_owned(), "accurate".to_owned()));
            let label = format!("seed {seed} round {round} {who}: {name}?{params:?}");
            let found = if round % 5 == 0 && who == "doctor" {
                let mut writer = Writer(caller.clone(), round * 100);
                every_page(&town.house, caller, name, &params, &mut writer).await
            } else {
                every_page(&town.house, caller, name, &params, &mut Nothing).await
            };
            let found = match found {
                Ok(found) => found,
                // An untyped step to anything may be more than one search is allowed.
                Err(error)
                    if error.category() == Category::TooCostly
                        || matches!(error, AppError::Query(QueryError::TooMany { .. })) =>
                {
                    too_costly += 1;
                    continue;
                }
                Err(error) => panic!("{label}: {error}"),
            };
            let shown: BTreeSet<&str> = found.iter().map(String::as_str).collect();
            assert_eq!(
                shown.len(),
                found.len(),
                "{label}: something twice in {found:?}"
            );
            let all: Vec<&str> = town
                .web
                .items
                .iter()
                .filter(|item| item.ty == ty(name) && sight.seen.contains(&item.name()))
                .map(|item| item.id.as_str())
                .collect();
            let expected: BTreeSet<&str> = town
                .web
                .items
                .iter()
                .filter(|item| item.ty == ty(name) && sight.seen.contains(&item.name()))
                .filter(|item| nodes.iter().all(|node| sight.holds(node, item)))
                .map(|item| item.id.as_str())
                .collect();
            assert_eq!(shown, expected, "{label}");
            if matches!(sort, "_id" | "-_id") {
                let mut ordered = found.clone();
                ordered.sort_unstable();
                if sort == "-_id" {
                    ordered.reverse();
                }
                assert_eq!(found, ordered, "{label}");
            }
            told_apart[at] += usize::from(!expected.is_empty() && expected.len() < all.len());
        }
    }
    assert!(too_costly < 100, "{too_costly} searches cost too much");
    assert!(
        told_apart[0] > 100 && told_apart[1] > 15,
        "{told_apart:?}: the searches tell little apart"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn a_hidden_resource_changes_no_answer_through_any_way_in() {
    let mut dice = Dice(7);
    let town = town(&mut dice).await;
    let house = &town.house;
    let carer = &town.carer;
    // A patient of the other branch with everything around it.
    let admin = house.admin("ash").await;
    let south = branches::list(&house.app, &admin).await.unwrap();
    let south = south.iter().find(|branch| branch.name == "south").unwrap();
    let doctor = &town.doctor;
    let bodies = [
        json!({"resourceType":"Patient","id":"hidden","name":[{"family":"Canaryson"}],"identifier":[{"system":"urn:mrn","value":"canary-1"}],
            "managingOrganization":{"reference":format!("Organization/{}", south.organization.as_str())},
            "generalPractitioner":[{"reference":"Practitioner/p0"}]}),
        json!({"resourceType":"Observation","id":"hidden-o","status":"final","code":{"coding":[{"code":"canary"}]},
            "subject":{"reference":"Patient/hidden"},"performer":[{"reference":"Practitioner/p0"}]}),
        json!({"resourceType":"Encounter","id":"hidden-e","status":"finished","class":{"code":"canary"},
            "subject":{"reference":"Patient/hidden"},"participant":[{"individual":{"reference":"Practitioner/p0"}}]}),
        json!({"resourceType":"List","id":"hidden-l","status":"current","mode":"working","title":"canary",
            "subject":{"reference":"Patient/hidden"},"entry":[{"item":{"reference":"Practitioner/p0"}},{"item":{"reference":"Patient/p0"}}]}),
    ];
    let asked = [
        (
            "Practitioner",
            "_has:Patient:general-practitioner:family=Canaryson",
        ),
        (
            "Practitioner",
            "_has:Patient:general-practitioner:identifier=canary-1",
        ),
        ("Practitioner", "_has:Observation:performer:code=canary"),
        (
            "Practitioner",
            "_has:Observation:performer:patient.family=Canaryson",
        ),
        ("Practitioner", "_has:Encounter:practitioner:class=canary"),
        (
            "Practitioner",
            "_has:Patient:general-practitioner:_has:Observation:patient:code=canary",
        ),
        ("Practitioner", "_list=hidden-l"),
        ("Organization", "_has:Patient:organization:family=Canaryson"),
        ("Observation", "subject:Patient.family=Canaryson"),
        ("Observation", "patient.identifier=urn:mrn|canary-1"),
        (
            "Observation",
            "_filter=code eq canary or subject:Patient.family eq Canaryson",
        ),
        ("Encounter", "_filter=subject:Patient.family sw canary"),
        ("Patient", "_filter=family co anaryso"),
        ("Patient", "_list=hidden-l"),
        (
            "Practitioner",
            "_id=p0&_revinclude=Patient:general-practitioner&_revinclude=Observation:performer",
        ),
        ("Practitioner", "_id=p0&_revinclude=*"),
        (
            "Practitioner",
            "_id=p0&_revinclude=Patient:general-practitioner&_revinclude:iterate=Observation:subject",
        ),
    ];
    let answers = async |caller: &Caller| {
        let mut all = Vec::new();
        for (name, query) in asked {
            let params = app::record::query_string::parse(query).unwrap();
            let place = app::record::place::Place::Type(ty(name));
            let mut params = params;
            params.push(("_total".to_owned(), "accurate".to_owned()));
            let answer =
                app::record::search::search_in(&house.app, caller, &place, &params, false).await;
            all.push(match answer {
                Ok(answer) => {
                    let shown = app::record::render::searchset("http://h", &place.path(), &answer);
                    String::from_utf8(shown).unwrap()
                }
                Err(error) => error.to_string(),
            });
        }
        all
    };
    let before = answers(carer).await;
    let before_doctor = answers(doctor).await;
    for body in &bodies {
        house.put(doctor, body).await.unwrap();
    }
    let after = answers(carer).await;
    for ((asked, before), after) in asked.iter().zip(&before).zip(&after) {
        assert_eq!(before, after, "{asked:?} tells of what is hidden");
    }
    // What hides it is the role, not the search.
    let after_doctor = answers(doctor).await;
    let changed = before_doctor
        .iter()
        .zip(&after_doctor)
        .filter(|(a, b)| a != b);
    assert_eq!(changed.count(), asked.len(), "{after_doctor:#?}");
}
