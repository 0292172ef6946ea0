//! Stock and the controlled-drug register through their use-cases: many who move the same medicine at once
//! lose nothing and never go below nothing; a dose, its movement and its entry in the register are there
//! together or not at all; two people prove to be there.

use app::medicines::give::{Dose, Given};
use app::medicines::register::{Signing, incidents, pages};
use app::medicines::stock::dose::Said;
use app::medicines::stock::keep::{Keep, Stated, keep};
use app::medicines::stock::moves::{Came, Move, Wanted, make};
use app::medicines::stock::{From, Item, Place, forecast, look};
use app::medicines::witness::{Witnessing, witness};
use app::sign_in::Proof;
use app::{AppError, Caller};
use identity::Role;
use medication::administration::{Correction, Outcome};
use medication::register::{Notified, What as Entry};
use medication::stock::{Batch, Book, Counted, Discrepancy, Kind, Units, VarianceReason};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::doses::{EVENING, MORNING, dose, due, name, order, record, scheduled, ward};
use crate::house::{House, PASSWORD, patient};

const PARACETAMOL: &str = "Paracetamol 500mg tablet";
const MORPHINE: &str = "Morphine 10mg modified-release tablet";

fn units(number: u32) -> Units {
    Units::new(number.into()).unwrap()
}

fn batch(lot: &str, expiry: &str) -> Batch {
    Batch {
        expiry: Some(expiry.parse().unwrap()),
        lot: Some(lot.to_owned()),
        serial: None,
    }
}

fn first() -> Batch {
    batch("A1", "2026-12-31")
}

fn at(location: &str) -> Place {
    Place {
        location: location.parse().unwrap(),
        resident: None,
    }
}

fn proof(name: &str) -> Option<Proof> {
    Some(Proof {
        name: name.to_owned(),
        password: Zeroizing::new(PASSWORD.to_owned()),
        code: None,
    })
}

fn two() -> Signing {
    Signing {
        by: proof("nurse"),
        witness: proof("carer"),
    }
}

fn moved(id: &str, what: Wanted) -> Move {
    Move {
        id: id.parse().unwrap(),
        what,
        happened: None,
        discrepancy: None,
        late: None,
        signing: Signing::default(),
    }
}

fn signed(id: &str, what: Wanted) -> Move {
    Move {
        signing: two(),
        ..moved(id, what)
    }
}

fn receipt(to: &str, amount: u32, batch: Batch) -> Wanted {
    Wanted::Receipt {
        to: at(to),
        from: "pharmacy".parse().unwrap(),
        units: units(amount),
        batch,
        scan: None,
        order: None,
    }
}

fn transfer(from: &str, to: &str, amount: u32) -> Wanted {
    Wanted::Transfer {
        from: at(from),
        to: to.parse().unwrap(),
        units: units(amount),
        batch: None,
    }
}

fn count(of: &str, found: u32, reason: Option<VarianceReason>) -> Wanted {
    Wanted::Count {
        of: at(of),
        counted: vec![Counted {
            batch: first(),
            found: found.into(),
        }],
        reason,
    }
}

/// A ward with two cupboards of one home and what is given to its patient.
async fn home(orders: &[Value]) -> (House, Caller) {
    let (house, nurse) = ward(orders).await;
    let admin = house.admin("ash").await;
    let org = house
        .search(&nurse, "Organization?name=north")
        .await
        .unwrap();
    let north = org.0.first().cloned().unwrap_or_default();
    let manages = json!({ "reference": format!("Organization/{north}") });
    let places = [
        json!({ "resourceType": "Location", "id": "home", "name": "Ash home", "managingOrganization": manages }),
        json!({ "resourceType": "Location", "id": "cupboard", "name": "Cupboard", "partOf": { "reference": "Location/home" } }),
        json!({ "resourceType": "Location", "id": "trolley", "name": "Trolley", "partOf": { "reference": "Location/home" } }),
        json!({ "resourceType": "Organization", "id": "pharmacy", "name": "High Street Pharmacy",
            "address": [{ "line": ["1 High Street"], "city": "Ash" }] }),
    ];
    for place in &places {
        house.put(&admin, place).await.unwrap();
    }
    (house, nurse)
}

async fn kept(house: &House, nurse: &Caller, product: &str) -> Item {
    let new = Keep {
        medication: None,
        product: Some(product.to_owned()),
        unit: "{tablet}".to_owned(),
        control: Stated::AsKnown,
        form: None,
        strength: None,
        threshold: Some(10.into()),
    };
    keep(&house.app, nurse, new).await.unwrap()
}

async fn act(house: &House, caller: &Caller, item: &Item, wanted: Move) -> Result<Came, AppError> {
    make(&house.app, caller, &item.id, &wanted).await
}

/// The movements as they are stored, oldest first, and the book that they make.
async fn read_back(house: &House, caller: &Caller, item: &Item) -> Book {
    let (found, left_out) = look::movements(&house.app, caller, &item.id, None, 200)
        .await
        .unwrap();
    assert_eq!(left_out, 0);
    let movements: Vec<_> = found.into_iter().rev().map(|own| own.movement).collect();
    let zone = "UTC".parse().unwrap();
    Book::restore(item.id.clone(), item.unit.clone(), &zone, movements).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_move_the_same_medicine_lose_nothing() {
    moving_at_once().await;
}

/// Receipts, doses, transfers, counts and waste of one medicine by 24 tasks at the same time.
async fn moving_at_once() {
    let mut orders = Vec::new();
    for number in 1..=4 {
        let mut own = order(&format!("o{number}"), PARACETAMOL, &scheduled(2));
        own["subject"] = json!({ "reference": "Patient/p1" });
        orders.push(own);
    }
    orders.truncate(1);
    let (house, nurse) = home(&orders).await;
    let doctor = house.doctor().await;
    let owner = house.read(&doctor, "Patient/p1").await.unwrap();
    let mut residents = vec!["o1".to_owned()];
    for number in 2..=6 {
        let mut person = patient(&format!("p{number}"), "Ward");
        person["birthDate"] = json!("1950-01-01");
        person["managingOrganization"] = owner["managingOrganization"].clone();
        house.put(&doctor, &person).await.unwrap();
        let mut own = order(&format!("o{number}"), PARACETAMOL, &scheduled(2));
        own["subject"] = json!({ "reference": format!("Patient/p{number}") });
        house.put(&doctor, &own).await.unwrap();
        residents.push(format!("o{number}"));
    }
    let item = kept(&house, &nurse, PARACETAMOL).await;
    let start = receipt("cupboard", 60, first());
    act(&house, &nurse, &item, moved("start", start))
        .await
        .unwrap();
    let doses = residents.iter().map(|own| {
        let given = Dose {
            done: true,
            from: From {
                location: Some("cupboard".parse().unwrap()),
                batch: None,
            },
            ..due(MORNING)
        };
        let (house, nurse) = (&house, &nurse);
        async move { record(house, nurse, own, &given).await }
    });
    let moves = (0..18u32).map(|number| {
        let what = match number % 6 {
            0 | 1 => receipt("cupboard", 5, batch("B2", "2027-03-31")),
            2 => transfer("cupboard", "trolley", 7),
            3 => transfer("trolley", "cupboard", 4),
            4 => Wanted::Waste {
                from: at("cupboard"),
                units: units(3),
                batch: first(),
                reason: medication::stock::WasteReason::Damaged,
                method: "crushed in the bin for medicines".to_owned(),
            },
            _ => count("trolley", 5, Some(VarianceReason::Miscounted)),
        };
        let wanted = moved(&format!("m{number}"), what);
        let (house, nurse, item) = (&house, &nurse, &item);
        async move {
            // Everybody sends everything twice.
            let twice = futures_util::future::join(
                make(&house.app, nurse, &item.id, &wanted),
                make(&house.app, nurse, &item.id, &wanted),
            );
            (wanted.id.clone(), twice.await)
        }
    });
    let (doses, moves) = futures_util::future::join(
        futures_util::future::join_all(doses),
        futures_util::future::join_all(moves),
    )
    .await;
    let book = read_back(&house, &nurse, &item).await;
    assert!(book.is_sound());
    let seen = look::read(&house.app, &nurse, &item.id).await.unwrap();
    assert_eq!(seen.item.folded, book.fold(), "the head is the sum");
    assert!(seen.there.iter().all(|own| own.units > 0.into()));
    let ids: Vec<_> = book.movements().iter().map(|own| &own.meta.id).collect();
    let mut acknowledged = 0;
    for (id, (one, other)) in &moves {
        let made = ids.iter().filter(|own| **own == id).count();
        match (one, other) {
            (Ok(one), Ok(other)) => {
                assert_eq!(made, 1, "{id}");
                assert_eq!(one.moved.number, other.moved.number, "{id}");
                assert!(one.already != other.already, "{id}");
                acknowledged += 1;
            }
            // What the shelf had too little for was refused, and is not there.
            (Err(AppError::Ruled { .. }), Err(AppError::Ruled { .. })) => {
                assert_eq!(made, 0, "{id}")
            }
            // The second may find what the first did not, or the other way round.
            (Ok(_), Err(AppError::Ruled { .. })) | (Err(AppError::Ruled { .. }), Ok(_)) => {
                assert_eq!(made, 1, "{id}");
                acknowledged += 1;
            }
            other => panic!("{id}: {other:?}"),
        }
    }
    assert!(acknowledged >= 6, "{moves:?}");
    for given in &doses {
        let given = given.as_ref().unwrap();
        let [Said::Moved { moved, .. }] = given.stock.as_slice() else {
            panic!("{given:?}");
        };
        assert_eq!(ids.iter().filter(|own| **own == moved.id()).count(), 1);
    }
    assert_eq!(ids.len(), 1 + acknowledged + doses.len());
}

#[test]
fn many_who_move_the_same_medicine_lose_nothing_on_postgres() {
    crate::house::on_postgres(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(moving_at_once());
    });
}

#[tokio::test]
async fn what_does_not_hold_is_refused_and_moves_nothing() {
    let (house, nurse) = home(&[]).await;
    let item = kept(&house, &nurse, PARACETAMOL).await;
    let again = Keep {
        medication: None,
        product: Some(PARACETAMOL.to_uppercase()),
        unit: "{tablet}".to_owned(),
        control: Stated::AsKnown,
        form: None,
        strength: None,
        threshold: None,
    };
    let twice = keep(&house.app, &nurse, again.clone()).await;
    assert!(matches!(twice, Err(AppError::Conflict(_))), "{twice:?}");
    for wrong in [
        Keep {
            product: Some("Nothing 1mg".to_owned()),
            ..again.clone()
        },
        Keep {
            product: Some("Codeine 15mg tablet".to_owned()),
            unit: "{tablet".to_owned(),
            ..again.clone()
        },
        Keep {
            product: Some("Codeine 15mg tablet".to_owned()),
            control: Stated::None,
            ..again.clone()
        },
        Keep {
            product: None,
            ..again.clone()
        },
    ] {
        let refused = keep(&house.app, &nurse, wrong.clone()).await;
        assert!(
            matches!(refused, Err(AppError::Unprocessable(_))),
            "{wrong:?}: {refused:?}"
        );
    }
    let came = act(
        &house,
        &nurse,
        &item,
        moved("r1", receipt("cupboard", 28, first())),
    )
    .await;
    let came = came.unwrap();
    assert_eq!((came.moved.number, came.item.total()), (1, 28.into()));
    // The same again is the same; another one under its id is none.
    let again = act(
        &house,
        &nurse,
        &item,
        moved("r1", receipt("cupboard", 28, first())),
    )
    .await;
    assert!(again.unwrap().already);
    let other = act(
        &house,
        &nurse,
        &item,
        moved("r1", receipt("cupboard", 29, first())),
    )
    .await;
    assert_eq!(category(other), kernel::Category::Conflict);
    let too_much = Move {
        discrepancy: None,
        ..moved("t1", transfer("cupboard", "trolley", 29))
    };
    assert_eq!(
        category(act(&house, &nurse, &item, too_much).await),
        kernel::Category::Conflict
    );
    let stranger = Place {
        resident: Some("nobody".parse().unwrap()),
        ..at("cupboard")
    };
    let for_stranger = Wanted::Receipt {
        to: stranger,
        from: "pharmacy".parse().unwrap(),
        units: units(1),
        batch: first(),
        scan: None,
        order: None,
    };
    assert_eq!(
        category(act(&house, &nurse, &item, moved("w0", for_stranger)).await),
        kernel::Category::NotFound
    );
    let scanned = |scan: &str| Wanted::Receipt {
        to: at("cupboard"),
        from: "pharmacy".parse().unwrap(),
        units: units(1),
        batch: Batch::default(),
        scan: Some(scan.to_owned()),
        order: None,
    };
    let future = Move {
        happened: Some(house.app.now().plus_seconds(3600)),
        ..moved("w9", receipt("cupboard", 1, first()))
    };
    let wrong = [
        moved("w1", receipt("attic", 1, first())),
        moved("w2", receipt("cupboard", 1, batch("OLD", "2026-01-31"))),
        moved("w3", count("cupboard", 27, None)),
        moved("w4", transfer("cupboard", "cupboard", 1)),
        // Morphine's number on a pack of paracetamol, a wrong check digit.
        moved("w5", scanned("(01)02000000002101(17)271231(10)X")),
        moved("w6", scanned("(01)02000000000108(17)271231(10)X")),
        moved(
            "w7",
            Wanted::Adjust {
                of: at("cupboard"),
                batch: first(),
                by: 0.into(),
                reason: VarianceReason::Lost,
                note: "x".to_owned(),
            },
        ),
        moved(
            "w8",
            Wanted::Adjust {
                of: at("cupboard"),
                batch: first(),
                by: (-1).into(),
                reason: VarianceReason::Lost,
                note: " ".to_owned(),
            },
        ),
        future,
    ];
    for wanted in wrong {
        let id = wanted.id.clone();
        let refused = act(&house, &nurse, &item, wanted).await;
        assert_eq!(category(refused), kernel::Category::Unprocessable, "{id}");
    }
    let unknown = moved(
        "c1",
        Wanted::Correction {
            of: "nothing".parse().unwrap(),
            note: "x".to_owned(),
        },
    );
    assert_eq!(
        category(act(&house, &nurse, &item, unknown).await),
        kernel::Category::NotFound
    );
    // A right scan says the batch.
    let came = act(
        &house,
        &nurse,
        &item,
        moved("s1", scanned("(01)02000000000107(17)271231(10)X")),
    )
    .await;
    let line = came.unwrap().moved.movement.lines[0].clone();
    assert_eq!(line.batch, batch("X", "2027-12-31"));
    // A movement is undone once.
    let undo = |id: &str| {
        moved(
            id,
            Wanted::Correction {
                of: "s1".parse().unwrap(),
                note: "wrong pack".to_owned(),
            },
        )
    };
    act(&house, &nurse, &item, undo("u1")).await.unwrap();
    assert_eq!(
        category(act(&house, &nurse, &item, undo("u2")).await),
        kernel::Category::Conflict
    );
    let carer = house.caller("ash", Role::Carer).await;
    let denied = act(&house, &carer, &item, undo("u3")).await;
    assert!(matches!(denied, Err(AppError::Denied { .. })), "{denied:?}");
    let elsewhere = house.caller("birch", Role::Nurse).await;
    assert_eq!(
        category(
            act(
                &house,
                &elsewhere,
                &item,
                moved("x", receipt("cupboard", 1, first()))
            )
            .await
        ),
        kernel::Category::NotFound
    );
    assert_eq!(read_back(&house, &nurse, &item).await.movements().len(), 3);
}

fn category<T: std::fmt::Debug>(answer: Result<T, AppError>) -> kernel::Category {
    use kernel::Categorised as _;
    answer.unwrap_err().category()
}

fn total(seen: &look::Seen) -> u32 {
    seen.total.to_string().parse().unwrap()
}

#[tokio::test]
async fn a_dose_takes_what_must_be_used_first_and_gives_it_back() {
    let (house, nurse) = home(&[order("o1", PARACETAMOL, &scheduled(2))]).await;
    let item = kept(&house, &nurse, PARACETAMOL).await;
    let unknown = record(&house, &nurse, "o1", &due("2026-03-04T20:00:00Z")).await;
    // Nothing of it is there: it is refused, unless it happened.
    assert_eq!(category(unknown), kernel::Category::Conflict);
    for (id, amount, batch) in [("r1", 5, batch("LATE", "2027-06-30")), ("r2", 6, first())] {
        act(
            &house,
            &nurse,
            &item,
            moved(id, receipt("cupboard", amount, batch)),
        )
        .await
        .unwrap();
    }
    let given = record(&house, &nurse, "o1", &due(MORNING)).await.unwrap();
    let [Said::Moved { moved: one, .. }] = given.stock.as_slice() else {
        panic!("{given:?}");
    };
    assert_eq!(one.movement.lines[0].batch, first());
    assert_eq!(one.movement.lines[0].units, units(2));
    assert_eq!(
        one.crossing,
        Some(medication::stock::Crossing::Low),
        "{one:?}"
    );
    let seen = look::read(&house.app, &nurse, &item.id).await.unwrap();
    assert_eq!((total(&seen), seen.low), (9, true));
    assert_eq!(seen.status, medication::stock::Status::Needed);
    let days = forecast::days_left(&house.app, &nurse, &item.id)
        .await
        .unwrap();
    let medication::stock::Lasts::Until { days, .. } = days[0].days.unwrap().soonest else {
        panic!("{days:?}");
    };
    // Four a day, nine there.
    assert_eq!(days, 2);
    // Withdrawn, it is back in its batch; the record names its movement.
    let stored = house.read(&nurse, &name(&given)).await.unwrap();
    assert_eq!(
        stored["identifier"][0]["value"],
        format!("{}/{}", item.id, one.id())
    );
    let void = Dose {
        corrects: Some(Correction {
            of: name(&given)
                .trim_start_matches("MedicationAdministration/")
                .parse()
                .unwrap(),
            reason: "written for another resident".to_owned(),
            void: true,
        }),
        ..dose(Outcome::Given)
    };
    let back = record(&house, &nurse, "o1", &void).await.unwrap();
    assert!(
        matches!(back.stock.as_slice(), [Said::Moved { moved, .. }] if moved.movement.what.kind() == Kind::Correction),
        "{back:?}"
    );
    let seen = look::read(&house.app, &nurse, &item.id).await.unwrap();
    assert_eq!(total(&seen), 11);
    let book = read_back(&house, &nurse, &item).await;
    assert_eq!(book.fold(), seen.item.folded);
}

#[tokio::test]
async fn a_dose_that_was_given_is_kept_and_the_gap_is_seen() {
    let (house, nurse) = home(&[
        order("o1", PARACETAMOL, &scheduled(2)),
        order("other", "Amlodipine 5mg tablet", &scheduled(1)),
    ])
    .await;
    let item = kept(&house, &nurse, PARACETAMOL).await;
    act(
        &house,
        &nurse,
        &item,
        moved("r1", receipt("cupboard", 1, first())),
    )
    .await
    .unwrap();
    let refused = record(&house, &nurse, "o1", &due(MORNING)).await;
    assert_eq!(category(refused), kernel::Category::Conflict);
    let done = Dose {
        done: true,
        ..due(MORNING)
    };
    let given = record(&house, &nurse, "o1", &done).await.unwrap();
    let [Said::Moved { moved, .. }] = given.stock.as_slice() else {
        panic!("{given:?}");
    };
    assert!(moved.movement.meta.discrepancy.is_some());
    let seen = look::read(&house.app, &nurse, &item.id).await.unwrap();
    assert_eq!(total(&seen), 0);
    // What is not kept here is said, not passed over.
    let other = Dose {
        done: true,
        ..due(MORNING)
    };
    let given = record(&house, &nurse, "other", &other).await.unwrap();
    assert!(
        matches!(given.stock.as_slice(), [Said::NotKept]),
        "{given:?}"
    );
}

/// A home with morphine on a page of its register, 28 brought in by two people.
async fn controlled() -> (House, Caller, Item, String) {
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
                by: proof("nurse"),
                witness: None,
            },
            kernel::Category::Unprocessable,
        ),
        (
            Signing {
                by: proof("nurse"),
                witness: proof("nurse"),
            },
            kernel::Category::Forbidden,
        ),
        (
            Signing {
                by: proof("carer"),
                witness: proof("nurse"),
            },
            kernel::Category::Unprocessable,
        ),
        (
            Signing {
                by: proof("nurse"),
                witness: proof("nobody"),
            },
            kernel::Category::Forbidden,
        ),
        (
            Signing {
                by: proof("nurse"),
                witness: proof("admin"),
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
async fn agreed(house: &House, nurse: &Caller, item: &Item, page: &str) -> u32 {
    let open = pages::read(&house.app, nurse, page).await.unwrap();
    let seen = look::read(&house.app, nurse, &item.id).await.unwrap();
    assert_eq!(open.head.balance, seen.total);
    assert_eq!(open.head.entries as usize, open.lines.len());
    assert_eq!(read_back(house, nurse, item).await.fold(), seen.item.folded);
    total(&seen)
}

fn reasoned(slot: &str) -> Dose {
    Dose {
        reason: Some("the dose is known here".to_owned()),
        ..due(slot)
    }
}

fn said(given: &Given) -> &[Said] {
    assert!(given.stored.is_some(), "{given:?}");
    &given.stock
}

#[tokio::test]
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
