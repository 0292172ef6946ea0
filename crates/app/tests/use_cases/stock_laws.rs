//! What is counted, scanned and taken in: a count is of what was there, the pack that is scanned is the pack
//! that is given, and what nobody could check is said.

use app::Caller;
use app::admin::branches;
use app::medicines::dictionary::install;
use app::medicines::give::Dose;
use app::medicines::register::pages;
use app::medicines::scan::scan;
use app::medicines::stock::dose::Said;
use app::medicines::stock::forecast::{self, Lasting};
use app::medicines::stock::keep::{self, Keep, Stated};
use app::medicines::stock::moves::{Move, Wanted};
use app::medicines::stock::{From, look};
use identity::{BranchKind, Role};
use kernel::Category;
use medication::administration::PackState;
use medication::stock::{Batch, Lasts, Opened, Recall, VarianceReason};
use serde_json::json;

use crate::doses::{MORNING, blocked, due, order, record, scheduled};
use crate::house::patient;
use crate::register::controlled;
use crate::stock::{
    PARACETAMOL, act, at, batch, category, count, first, home, kept, moved, receipt, total,
    transfer, two, units,
};

/// The number of paracetamol on a pack, with its lot.
fn pack(lot: &str) -> String {
    format!("(01)02000000000107(17)271231(10){lot}")
}

#[tokio::test]
async fn a_count_is_of_what_was_there_when_it_was_made() {
    let (house, nurse) = home(&[order("o1", PARACETAMOL, &scheduled(2))]).await;
    let item = kept(&house, &nurse, PARACETAMOL).await;
    let came = moved("r1", receipt("cupboard", 30, first()));
    act(&house, &nurse, &item, came).await.unwrap();
    // Twenty-eight are counted; before that is written down, a dose is given.
    record(&house, &nurse, "o1", &due(MORNING)).await.unwrap();
    let lost = Some(VarianceReason::Lost);
    let late = moved("c1", count("cupboard", 28, 1, lost));
    assert_eq!(
        category(act(&house, &nurse, &item, late).await),
        Category::Conflict
    );
    let early = moved("c2", count("cupboard", 28, 7, lost));
    assert_eq!(
        category(act(&house, &nurse, &item, early).await),
        Category::Unprocessable
    );
    let seen = look::read(&house.app, &nurse, &item.id).await.unwrap();
    assert_eq!((total(&seen), seen.item.movements), (28, 2));
    let now = moved("c3", count("cupboard", 27, 2, lost));
    act(&house, &nurse, &item, now.clone()).await.unwrap();
    // Sent again it is the same; what moves elsewhere does not outdate it.
    assert!(act(&house, &nurse, &item, now).await.unwrap().already);
    let aside = moved("t1", transfer("cupboard", "trolley", 5));
    act(&house, &nurse, &item, aside).await.unwrap();
    let other = moved("r2", receipt("home", 5, first()));
    act(&house, &nurse, &item, other).await.unwrap();
    let trolley = moved("c4", count("trolley", 5, 4, None));
    act(&house, &nurse, &item, trolley).await.unwrap();
}

#[tokio::test]
async fn a_count_of_the_page_is_of_what_was_on_it_and_is_written_once() {
    let (house, nurse, item, page) = controlled().await;
    let counted = |id: &str, seen: u32, found: u32| pages::Count {
        id: id.parse().unwrap(),
        found: found.into(),
        seen,
        happened: None,
        late: None,
        signing: two(),
    };
    let more = Move {
        signing: two(),
        ..moved("r2", receipt("cupboard", 2, first()))
    };
    act(&house, &nurse, &item, more).await.unwrap();
    let late = pages::count(&house.app, &nurse, &page, &counted("c1", 1, 28)).await;
    assert_eq!(category(late), Category::Conflict);
    let wanted = counted("c1", 2, 29);
    let (line, incident) = pages::count(&house.app, &nurse, &page, &wanted)
        .await
        .unwrap();
    let again = pages::count(&house.app, &nurse, &page, &wanted)
        .await
        .unwrap();
    assert_eq!(again.0.entry, line.entry);
    assert_eq!(again.1.unwrap().id, incident.unwrap().id);
    let other = pages::count(&house.app, &nurse, &page, &counted("c1", 3, 30)).await;
    assert_eq!(category(other), Category::Conflict);
    let open = pages::read(&house.app, &nurse, &page).await.unwrap();
    assert_eq!((open.lines.len(), open.incidents.len()), (3, 1));
}

#[tokio::test]
async fn the_pack_that_is_scanned_is_the_one_that_leaves_the_stock() {
    let (house, nurse) = home(&[order("o1", PARACETAMOL, &scheduled(2))]).await;
    let item = kept(&house, &nurse, PARACETAMOL).await;
    let later = batch("LATE", "2027-12-31");
    for (id, lot) in [("r1", first()), ("r2", later.clone())] {
        let came = moved(id, receipt("cupboard", 10, lot));
        act(&house, &nurse, &item, came).await.unwrap();
    }
    let scanned = |lot: &str| Dose {
        scan: Some(pack(lot)),
        ..due(MORNING)
    };
    let other = Dose {
        from: From {
            location: None,
            batch: Some(first()),
        },
        ..scanned("LATE")
    };
    let differs = record(&house, &nurse, "o1", &other).await;
    assert_eq!(category(differs), Category::Unprocessable);
    // A lot that the book does not have is received or counted first.
    let unknown = record(&house, &nurse, "o1", &scanned("NEVER")).await;
    assert_eq!(category(unknown), Category::Conflict);
    let given = record(&house, &nurse, "o1", &scanned("LATE"))
        .await
        .unwrap();
    let [Said::Moved { moved, .. }] = given.stock.as_slice() else {
        panic!("{given:?}");
    };
    assert_eq!(moved.movement.lines[0].batch, later);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]
async fn a_lot_that_is_called_back_anywhere_is_called_back_at_the_bedside() {
    let (house, nurse) = home(&[order("o1", PARACETAMOL, &scheduled(2))]).await;
    let item = kept(&house, &nurse, PARACETAMOL).await;
    for (id, lot) in [
        ("r1", "BACK"),
        ("r2", "LISTED"),
        ("r3", "OPEN"),
        ("r4", "GOOD"),
    ] {
        let lot = batch(lot, "2027-12-31");
        let came = moved(id, receipt("cupboard", 10, lot));
        act(&house, &nurse, &item, came).await.unwrap();
    }
    // In the stock, in the list of the instance, and by the days since it was opened.
    let recall = Recall {
        at: house.app.now(),
        notice: "class 2".to_owned(),
    };
    keep::recall(
        &house.app,
        &nurse,
        &item.id,
        Some("BACK".to_owned()),
        recall,
    )
    .await
    .unwrap();
    let listed = ("02000000000107", Some("LISTED"), "EL (26)A/1");
    install::recall(&house.app, &house.operator, listed)
        .await
        .unwrap();
    let opened = Opened {
        at: house.app.now().plus_seconds(-3 * 86_400),
        life_days: 2,
    };
    let open = batch("OPEN", "2027-12-31");
    let which = (&at("cupboard"), &open);
    keep::opened(&house.app, &nurse, &item.id, which, opened)
        .await
        .unwrap();
    let key = house.key("MedicationRequest/o1");
    for (lot, expected) in [
        ("BACK", PackState::Recalled),
        ("LISTED", PackState::Recalled),
        ("OPEN", PackState::Expired),
        ("GOOD", PackState::Fits),
    ] {
        let found = scan(&house.app, &nurse, &pack(lot), Some(&key))
            .await
            .unwrap();
        assert_eq!(found.state, Some(expected), "{lot}");
        let alone = scan(&house.app, &nurse, &pack(lot), None).await.unwrap();
        let known = (alone.recall.is_some(), alone.expired);
        let is = (
            expected == PackState::Recalled,
            expected == PackState::Expired,
        );
        assert_eq!(known, is, "{lot}");
        if expected != PackState::Fits {
            let dose = Dose {
                scan: Some(pack(lot)),
                ..due(MORNING)
            };
            let held = record(&house, &nurse, "o1", &dose).await.unwrap();
            assert!(held.stored.is_none(), "{lot}");
            assert!(!blocked(&held).is_empty(), "{lot}");
        }
    }
    // Unread, the dose is of what may be used; and nothing called back is taken in.
    let given = record(&house, &nurse, "o1", &due(MORNING)).await.unwrap();
    let [Said::Moved { moved: taken, .. }] = given.stock.as_slice() else {
        panic!("{given:?}");
    };
    assert_eq!(taken.movement.lines[0].batch.lot.as_deref(), Some("GOOD"));
    for (id, lot) in [("x1", "BACK"), ("x2", "LISTED")] {
        let scanned = Wanted::Receipt {
            to: at("cupboard"),
            from: "pharmacy".parse().unwrap(),
            units: units(1),
            batch: Batch::default(),
            scan: Some(pack(lot)),
            order: None,
            unchecked: None,
        };
        let refused = act(&house, &nurse, &item, moved(id, scanned)).await;
        assert_eq!(category(refused), Category::Unprocessable, "{lot}");
    }
}

#[tokio::test]
async fn a_pack_that_nobody_could_check_is_taken_in_with_a_reason_and_says_so() {
    let (house, nurse) = home(&[]).await;
    let item = kept(&house, &nurse, PARACETAMOL).await;
    let by_hand = Keep {
        medication: Some("own".parse().unwrap()),
        product: None,
        unit: "{tablet}".to_owned(),
        control: Stated::None,
        form: None,
        strength: None,
        threshold: None,
        code: None,
    };
    let admin = house.admin("ash").await;
    let own = serde_json::json!({ "resourceType": "Medication", "id": "own", "code": { "text": "Ibuprofen" } });
    house.put(&admin, &own).await.unwrap();
    let own = keep::keep(&house.app, &nurse, by_hand).await.unwrap();
    let scanned = |scan: &str, unchecked: Option<&str>| Wanted::Receipt {
        to: at("cupboard"),
        from: "pharmacy".parse().unwrap(),
        units: units(1),
        batch: Batch::default(),
        scan: Some(scan.to_owned()),
        order: None,
        unchecked: unchecked.map(str::to_owned),
    };
    let unlisted = "(01)05012345678900(17)271231(10)X";
    for (id, of, what) in [
        ("u1", &item, scanned(unlisted, None)),
        ("u2", &item, scanned(unlisted, Some(" "))),
        ("u3", &own, scanned(unlisted, None)),
        // Known to be something else, whatever is said.
        ("u4", &own, scanned(&pack("X"), Some("I read it"))),
    ] {
        let refused = act(&house, &nurse, of, moved(id, what)).await;
        assert_eq!(category(refused), Category::Unprocessable, "{id}");
    }
    let why = "the label says paracetamol 500 mg";
    let came = act(
        &house,
        &nurse,
        &item,
        moved("u5", scanned(unlisted, Some(why))),
    )
    .await;
    assert_eq!(came.unwrap().moved.unchecked.as_deref(), Some(why));
    // One that was checked needs no reason, and keeps none.
    let checked = scanned(&pack("Y"), Some(why));
    let came = act(&house, &nurse, &item, moved("u6", checked)).await;
    assert_eq!(came.unwrap().moved.unchecked, None);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]
async fn days_left_count_everybody_and_name_whom_the_caller_reaches() {
    let (house, nurse) = home(&[order("o1", PARACETAMOL, &scheduled(2))]).await;
    let item = kept(&house, &nurse, PARACETAMOL).await;
    // What nobody manages is given from in every branch.
    let admin = house.admin("ash").await;
    let shed = json!({ "resourceType": "Location", "id": "shed", "name": "Shed" });
    house.put(&admin, &shed).await.unwrap();
    let came = moved("r1", receipt("shed", 80, first()));
    act(&house, &nurse, &item, came).await.unwrap();
    let lasting = async |who: &Caller| {
        let found = forecast::days_left(&house.app, who, &item.id).await;
        found.unwrap().remove(0)
    };
    let days = |own: &Lasting| match own.days.map(|own| own.soonest) {
        Some(Lasts::Until { days, .. }) => days,
        other => panic!("{other:?}: {own:?}"),
    };
    // Prescribed by name and not taken yet: four a day.
    let one = lasting(&nurse).await;
    assert_eq!((days(&one), one.orders.len(), one.beyond), (20, 1, 0));
    // In another branch, by a Medication that is the same product.
    let doctor = house.doctor().await;
    let south = branches::NewBranch {
        name: "south".to_owned(),
        kind: BranchKind::Ward,
        organization: None,
    };
    let south = branches::create(&house.app, &admin, south).await.unwrap();
    let mut person = patient("p2", "Ward");
    let there = format!("Organization/{}", south.organization.as_str());
    person["managingOrganization"] = json!({ "reference": there });
    house.put(&doctor, &person).await.unwrap();
    let same =
        json!({ "resourceType": "Medication", "id": "same", "code": { "text": PARACETAMOL } });
    house.put(&admin, &same).await.unwrap();
    let mut own = order("o2", PARACETAMOL, &scheduled(2));
    own.as_object_mut()
        .unwrap()
        .remove("medicationCodeableConcept");
    own["medicationReference"] = json!({ "reference": "Medication/same" });
    own["subject"] = json!({ "reference": "Patient/p2" });
    house.put(&doctor, &own).await.unwrap();
    let seen = lasting(&nurse).await;
    assert_eq!(days(&seen), 10, "the total is the same for everybody");
    assert_eq!(
        (seen.orders.as_slice(), seen.beyond),
        (["MedicationRequest/o1".to_owned()].as_slice(), 1)
    );
    let whole = lasting(&doctor).await;
    assert_eq!((days(&whole), whole.orders.len(), whole.beyond), (10, 2, 0));
    // The platform looked, and said so.
    let auditor = house.caller("ash", Role::Auditor).await;
    let newest = app::audit::Filter::newest(app::Log::Access, 400);
    let looks = app::audit::recent(&house.app, &auditor, &newest).await;
    let looks = looks.unwrap().entries;
    let looks: Vec<_> = looks.into_iter().filter_map(|own| own.payload).collect();
    let of = |who: &str, patient: &str| {
        let looks = looks
            .iter()
            .filter(|own| own.interaction == "stock-forecast");
        let looks = looks.filter(|own| own.actor.role == who || own.actor.name == who);
        looks
            .filter(|own| own.patient.as_deref() == Some(patient))
            .count()
    };
    assert!(of("ordering", "p2") > 0, "{looks:?}");
    assert_eq!(of("ordering", "p1"), 0, "{looks:?}");
    assert!(of("nurse", "p1") > 0 && of("nurse", "p2") == 0, "{looks:?}");
    // What is kept in one branch is not drawn on in the other.
    let came = moved("r2", receipt("cupboard", 40, first()));
    act(&house, &nurse, &item, came).await.unwrap();
    let found = forecast::days_left(&house.app, &nurse, &item.id).await;
    let found = found.unwrap();
    let place = |at_place: &str| found.iter().find(|own| own.place == at(at_place)).unwrap();
    assert_eq!(
        (place("cupboard").orders.len(), place("cupboard").beyond),
        (1, 0)
    );
    assert_eq!((place("shed").orders.len(), place("shed").beyond), (0, 1));
    // An order of which nobody knows whether it is in force is said, and not whose.
    own["id"] = json!("o3");
    own["status"] = json!("unknown");
    house.put(&doctor, &own).await.unwrap();
    let found = forecast::days_left(&house.app, &nurse, &item.id).await;
    let found = found.unwrap();
    let shed = found.iter().find(|own| own.place == at("shed")).unwrap();
    assert!(shed.days.is_none(), "{shed:?}");
    assert!(shed.unknown[0].contains("out of your reach"), "{shed:?}");
    assert!(!format!("{shed:?}").contains("o3"), "{shed:?}");
    let found = forecast::days_left(&house.app, &doctor, &item.id).await;
    let found = found.unwrap();
    let shed = found.iter().find(|own| own.place == at("shed")).unwrap();
    assert!(shed.unknown[0].contains("MedicationRequest/o3"), "{shed:?}");
}

#[tokio::test]
async fn the_number_of_a_pack_that_was_read_stays_with_what_is_there() {
    let (house, nurse) = home(&[]).await;
    let item = kept(&house, &nurse, PARACETAMOL).await;
    let scanned = Wanted::Receipt {
        to: at("cupboard"),
        from: "pharmacy".parse().unwrap(),
        units: units(10),
        batch: Batch::default(),
        scan: Some(pack("READ")),
        order: None,
        unchecked: None,
    };
    act(&house, &nurse, &item, moved("r1", scanned))
        .await
        .unwrap();
    let came = moved("r2", receipt("cupboard", 10, first()));
    act(&house, &nurse, &item, came).await.unwrap();
    let numbers = async || {
        let seen = look::read(&house.app, &nurse, &item.id).await.unwrap();
        seen.item.folded.numbers
    };
    let kept = numbers().await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0].0.lot.as_deref(), Some("READ"));
    assert!(kept[0].1.contains("02000000000107"), "{kept:?}");
    // A whole number is called back: what was read is of it.
    let whole = ("02000000000107", None, "EL (26)A/2");
    install::recall(&house.app, &house.operator, whole)
        .await
        .unwrap();
    let seen = look::read(&house.app, &nurse, &item.id).await.unwrap();
    let back: Vec<bool> = seen
        .there
        .iter()
        .map(|own| own.unusable.is_some())
        .collect();
    assert_eq!(back, [true, true], "the medicine has that number alone");
    // Used up, it is asked for no more.
    let gone = Wanted::Return {
        from: at("cupboard"),
        to: "pharmacy".parse().unwrap(),
        units: units(10),
        batch: kept[0].0.clone(),
        reason: medication::stock::ReturnReason::Recalled,
    };
    act(&house, &nurse, &item, moved("b1", gone)).await.unwrap();
    assert!(numbers().await.is_empty());
}
