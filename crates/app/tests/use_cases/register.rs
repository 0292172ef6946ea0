//! The controlled-drug register through its use-cases: a dose, its movement and its entry are there together
//! or not at all, two people prove to be there, and page and shelf say the same whatever happens.

use app::Caller;
use app::medicines::give::{Dose, Given};
use app::medicines::register::{Signing, incidents, pages};
use app::medicines::stock::dose::Said;
use app::medicines::stock::moves::{Move, Wanted, make};
use app::medicines::stock::{Item, look};
use app::medicines::witness::{Witnessing, witness};
use identity::Role;
use medication::administration::{Correction, Outcome};
use medication::register::{Notified, What as Entry};
use medication::stock::{Discrepancy, VarianceReason};
use serde_json::json;

use crate::doses::{EVENING, MORNING, dose, due, name, order, record, scheduled};
use crate::house::House;
use crate::stock::{
    act, at, category, first, home, kept, moved, proof, read_back, receipt, signed, total,
    transfer, two, units,
};

pub const MORPHINE: &str = "Morphine 10mg modified-release tablet";

#[expect(clippy::too_many_lines, reason = "with a table of who does not sign")]
/// A home with morphine on a page of its register, 28 brought in by two people.
pub async fn controlled() -> (House, Caller, Item, String) {
    let (house, nurse) = home(&[order("m1", MORPHINE, &scheduled(1))]).await;
    house.caller("ash", Role::Carer).await;
    let item = kept(&house, &nurse, MORPHINE).await;
    let early = act(
        &house,
        &nurse,
        &item,
        signed("early", receipt("cupboard", 28, first())),
    )
    .await;
    assert_eq!(
        category(early),
        kernel::Category::Unprocessable,
        "no page yet"
    );
    let begin = pages::Begin {
        item: item.id.clone(),
        premises: "home".parse().unwrap(),
        opening: None,
        signing: Signing::default(),
    };
    let page = pages::begin(&house.app, &nurse, &begin).await.unwrap();
    let twice = pages::begin(&house.app, &nurse, &begin).await;
    assert_eq!(category(twice), kernel::Category::Conflict);
    for (signing, expected) in [
        (Signing::default(), kernel::Category::Unprocessable),
        (
            Signing {
                by: Some(proof("nurse")),
                witness: None,
            },
            kernel::Category::Unprocessable,
        ),
        (
            Signing {
                by: Some(proof("nurse")),
                witness: Some(proof("nurse")),
            },
            kernel::Category::Forbidden,
        ),
        (
            Signing {
                by: Some(proof("carer")),
                witness: Some(proof("nurse")),
            },
            kernel::Category::Unprocessable,
        ),
        (
            Signing {
                by: Some(proof("nurse")),
                witness: Some(proof("nobody")),
            },
            kernel::Category::Forbidden,
        ),
        (
            Signing {
                by: Some(proof("nurse")),
                witness: Some(proof("admin")),
            },
            kernel::Category::Forbidden,
        ),
    ] {
        let wanted = Move {
            signing: signing.clone(),
            ..moved("r1", receipt("cupboard", 28, first()))
        };
        let refused = act(&house, &nurse, &item, wanted).await;
        assert_eq!(category(refused), expected, "{signing:?}");
    }
    let came = act(
        &house,
        &nurse,
        &item,
        signed("r1", receipt("cupboard", 28, first())),
    )
    .await;
    let came = came.unwrap();
    assert_eq!(came.moved.entered.unwrap().entry, 1);
    (house, nurse, item, page.head.id)
}

/// The page and the shelf say the same; answers the balance.
pub async fn agreed(house: &House, nurse: &Caller, item: &Item, page: &str) -> u32 {
    let open = pages::read(&house.app, nurse, page).await.unwrap();
    let seen = look::read(&house.app, nurse, &item.id).await.unwrap();
    assert_eq!(open.head.balance, seen.total);
    assert_eq!(open.head.entries as usize, open.lines.len());
    assert_eq!(read_back(house, nurse, item).await.fold(), seen.item.folded);
    total(&seen)
}

pub fn reasoned(slot: &str) -> Dose {
    Dose {
        reason: Some("the dose is known here".to_owned()),
        ..due(slot)
    }
}

pub fn said(given: &Given) -> &[Said] {
    assert!(given.stored.is_some(), "{given:?}");
    &given.stock
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one dose from its giving to its withdrawal"
)]
async fn a_controlled_dose_its_movement_and_its_entry_are_one() {
    let (house, nurse, item, page) = controlled().await;
    let carer = house.caller("ash", Role::Carer).await;
    let both = Dose {
        signing: two(),
        ..reasoned(MORNING)
    };
    let given = record(&house, &nurse, "m1", &both).await.unwrap();
    assert!(given.witnessed);
    let [Said::Moved { moved, .. }] = said(&given) else {
        panic!("{given:?}");
    };
    assert_eq!(moved.entered.as_ref().unwrap().entry, 2);
    assert_eq!(agreed(&house, &nurse, &item, &page).await, 27);
    let open = pages::read(&house.app, &nurse, &page).await.unwrap();
    let entry = &open.lines[1].entry;
    assert!(matches!(&entry.what, Entry::Left { resident: Some(own), .. } if own.as_str() == "p1"));
    assert_eq!(entry.signed.witness().person, carer.subject.actor().id);
    let stored = house.read(&nurse, &name(&given)).await.unwrap();
    let functions: Vec<_> = stored["performer"]
        .as_array()
        .unwrap()
        .iter()
        .map(|own| own["function"]["coding"][0]["code"].clone())
        .collect();
    assert_eq!(functions, ["giver", "witness"]);
    // Withdrawn with both proofs, both are put right; without, it is said and both stay.
    let void = |signing| Dose {
        corrects: Some(Correction {
            of: name(&given)
                .trim_start_matches("MedicationAdministration/")
                .parse()
                .unwrap(),
            reason: "not taken from this pack".to_owned(),
            void: true,
        }),
        signing,
        ..dose(Outcome::Given)
    };
    let back = record(&house, &nurse, "m1", &void(two())).await.unwrap();
    assert!(matches!(said(&back), [Said::Moved { .. }]), "{back:?}");
    assert_eq!(agreed(&house, &nurse, &item, &page).await, 28);

    // With the witness named alone, stock and register wait, and $witness writes them.
    let named = json!({ "identifier": { "system": "urn:ietf:rfc:3986",
        "value": format!("urn:uuid:{}", carer.subject.actor().id.as_uuid()) } });
    house.clock.advance(12 * 3600);
    let asked = Dose {
        witness: Some(named),
        ..reasoned(EVENING)
    };
    let given = record(&house, &nurse, "m1", &asked).await.unwrap();
    assert!(matches!(said(&given), [Said::Waits { .. }]), "{given:?}");
    assert_eq!(agreed(&house, &nurse, &item, &page).await, 28);
    let key = house.key(&name(&given));
    let with = Witnessing {
        signing: two(),
        ..Witnessing::default()
    };
    let signed = witness(&house.app, &carer, &key, &with).await.unwrap();
    assert!(
        matches!(signed.stock.as_slice(), [Said::Moved { .. }]),
        "{:?}",
        signed.stock
    );
    assert_eq!(agreed(&house, &nurse, &item, &page).await, 27);
    let stored = house.read(&nurse, &name(&given)).await.unwrap();
    assert!(
        stored["identifier"][0]["value"]
            .as_str()
            .unwrap()
            .starts_with(item.id.as_str())
    );
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one page from its first entry to its settlement"
)]
async fn the_register_keeps_its_laws_through_the_use_cases() {
    let (house, nurse, item, page) = controlled().await;
    // What leaves without an entry, or puts the book right beside it, is refused.
    let waste = |signing| Move {
        signing,
        ..moved(
            "w1",
            Wanted::Waste {
                from: at("cupboard"),
                units: units(2),
                batch: first(),
                reason: medication::stock::WasteReason::Stopped,
                method: "denaturing kit".to_owned(),
            },
        )
    };
    let alone = act(&house, &nurse, &item, waste(Signing::default())).await;
    assert_eq!(category(alone), kernel::Category::Unprocessable);
    act(&house, &nurse, &item, waste(two())).await.unwrap();
    assert_eq!(agreed(&house, &nurse, &item, &page).await, 26);
    let adjust = signed(
        "a1",
        Wanted::Adjust {
            of: at("cupboard"),
            batch: first(),
            by: 2.into(),
            reason: VarianceReason::Miscounted,
            note: "found".to_owned(),
        },
    );
    assert_eq!(
        category(act(&house, &nurse, &item, adjust).await),
        kernel::Category::Unprocessable
    );
    let hidden = Move {
        discrepancy: Some(Discrepancy {
            reason: VarianceReason::Unexplained,
            note: "more".to_owned(),
        }),
        ..signed(
            "x1",
            Wanted::Waste {
                from: at("cupboard"),
                units: units(30),
                batch: first(),
                reason: medication::stock::WasteReason::Stopped,
                method: "kit".to_owned(),
            },
        )
    };
    assert_eq!(
        category(act(&house, &nurse, &item, hidden).await),
        kernel::Category::Conflict
    );
    // Inside the premises nothing is entered.
    act(
        &house,
        &nurse,
        &item,
        signed("t1", transfer("cupboard", "trolley", 6)),
    )
    .await
    .unwrap();
    assert_eq!(agreed(&house, &nurse, &item, &page).await, 26);
    // Before the last entry: only with a reason, and labelled.
    house.clock.advance(60);
    let late = |reason: Option<&str>| Move {
        happened: Some(house.app.now().plus_seconds(-3600)),
        late: reason.map(str::to_owned),
        ..signed("r2", receipt("cupboard", 10, first()))
    };
    assert_eq!(
        category(act(&house, &nurse, &item, late(None)).await),
        kernel::Category::Unprocessable
    );
    act(
        &house,
        &nurse,
        &item,
        late(Some("the delivery was put away first")),
    )
    .await
    .unwrap();
    let open = pages::read(&house.app, &nurse, &page).await.unwrap();
    assert!(open.lines[2].entry.late.is_some());
    // Ten should have been twelve: the entry stays, another cites it, the shelf follows.
    let correct = pages::Correct {
        of: 3,
        should_be: 12.into(),
        note: "two strips of six".to_owned(),
        movement: "fix".parse().unwrap(),
        signing: two(),
    };
    pages::correct(&house.app, &nurse, &page, &correct)
        .await
        .unwrap();
    assert_eq!(agreed(&house, &nurse, &item, &page).await, 38);
    // A count that differs waits for its finding.
    let counted = pages::Count {
        id: "counted".parse().unwrap(),
        seen: 4,
        found: 37.into(),
        happened: None,
        late: None,
        signing: two(),
    };
    let (_, incident) = pages::count(&house.app, &nurse, &page, &counted)
        .await
        .unwrap();
    let incident = incident.unwrap().id.to_string();
    assert_eq!(agreed(&house, &nurse, &item, &page).await, 38);
    let settle = incidents::Settle {
        found: 37.into(),
        finding: "one fell and was not found".to_owned(),
        adjust: Some(incidents::Adjusted {
            movement: "lost".parse().unwrap(),
            item: item.id.clone(),
            place: at("cupboard"),
            batch: first(),
        }),
        signing: two(),
    };
    let early = incidents::settle(&house.app, &nurse, (&page, &incident), &settle).await;
    assert_eq!(
        category(early),
        kernel::Category::Conflict,
        "nobody looked into it"
    );
    for note in [
        incidents::Note::Told(Notified::Manager),
        incidents::Note::Told(Notified::AccountableOfficer),
        incidents::Note::Investigated,
    ] {
        incidents::note(&house.app, &nurse, (&page, &incident), note)
            .await
            .unwrap();
    }
    let settled = incidents::settle(&house.app, &nurse, (&page, &incident), &settle)
        .await
        .unwrap();
    assert!(settled.head.open.is_empty());
    assert_eq!(agreed(&house, &nurse, &item, &page).await, 37);
    let (_, sheets) = pages::sheets(&house.app, &nurse, &page, 20).await.unwrap();
    assert_eq!(sheets[0].carried_forward, 37.into());
    assert!(
        sheets[0]
            .title
            .starts_with("Schedule 2: morphine 10 mg modified-release tablet"),
        "{}",
        sheets[0].title
    );
    let stranger = house.caller("birch", Role::Nurse).await;
    assert_eq!(
        category(pages::read(&house.app, &stranger, &page).await),
        kernel::Category::NotFound
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn entries_at_the_same_time_follow_one_another() {
    let (house, nurse, item, page) = controlled().await;
    let receipts = (0..6).map(|number| {
        let wanted = signed(
            &format!("b{number}"),
            receipt("cupboard", 1 + number, first()),
        );
        let (house, nurse, item) = (&house, &nurse, &item);
        async move { make(&house.app, nurse, &item.id, &wanted).await }
    });
    for came in futures_util::future::join_all(receipts).await {
        came.unwrap();
    }
    assert_eq!(agreed(&house, &nurse, &item, &page).await, 28 + 21);
    let open = pages::read(&house.app, &nurse, &page).await.unwrap();
    let numbers: Vec<u32> = open.lines.iter().map(|own| own.entry.number).collect();
    assert_eq!(numbers, (1..=7).collect::<Vec<u32>>());
}
