//! Stock through its use-cases: many who move the same medicine at once lose nothing and never go below
//! nothing; a dose takes what must be used first and gives it back.

use app::medicines::give::Dose;
use app::medicines::register::Signing;
use app::medicines::stock::dose::Said;
use app::medicines::stock::keep::{Keep, Stated, keep};
use app::medicines::stock::moves::{Came, Move, Wanted, make};
use app::medicines::stock::{From, Item, Place, forecast, look};
use app::sign_in::Proof;
use app::{AppError, Caller};
use identity::Role;
use medication::administration::{Correction, Outcome};
use medication::stock::{Batch, Book, Counted, Kind, Units, VarianceReason};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::doses::{MORNING, dose, due, name, order, record, scheduled, ward};
use crate::house::{House, PASSWORD, patient};

pub const PARACETAMOL: &str = "Paracetamol 500mg tablet";

pub fn units(number: u32) -> Units {
    Units::new(number.into()).unwrap()
}

pub fn batch(lot: &str, expiry: &str) -> Batch {
    Batch {
        expiry: Some(expiry.parse().unwrap()),
        lot: Some(lot.to_owned()),
        serial: None,
    }
}

pub fn first() -> Batch {
    batch("A1", "2026-12-31")
}

pub fn at(location: &str) -> Place {
    Place {
        location: location.parse().unwrap(),
        resident: None,
    }
}

pub fn proof(name: &str) -> Proof {
    Proof {
        name: name.to_owned(),
        password: Zeroizing::new(PASSWORD.to_owned()),
        code: None,
    }
}

pub fn two() -> Signing {
    Signing {
        by: Some(proof("nurse")),
        witness: Some(proof("carer")),
    }
}

pub fn moved(id: &str, what: Wanted) -> Move {
    Move {
        id: id.parse().unwrap(),
        what,
        happened: None,
        discrepancy: None,
        late: None,
        signing: Signing::default(),
    }
}

pub fn signed(id: &str, what: Wanted) -> Move {
    Move {
        signing: two(),
        ..moved(id, what)
    }
}

pub fn receipt(to: &str, amount: u32, batch: Batch) -> Wanted {
    Wanted::Receipt {
        to: at(to),
        from: "pharmacy".parse().unwrap(),
        units: units(amount),
        batch,
        scan: None,
        order: None,
    }
}

pub fn transfer(from: &str, to: &str, amount: u32) -> Wanted {
    Wanted::Transfer {
        from: at(from),
        to: to.parse().unwrap(),
        units: units(amount),
        batch: None,
    }
}

pub fn count(of: &str, found: u32, reason: Option<VarianceReason>) -> Wanted {
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
pub async fn home(orders: &[Value]) -> (House, Caller) {
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

pub async fn kept(house: &House, nurse: &Caller, product: &str) -> Item {
    let new = Keep {
        medication: None,
        product: Some(product.to_owned()),
        unit: "{tablet}".to_owned(),
        control: Stated::AsKnown,
        form: None,
        strength: None,
        threshold: Some(10.into()),
        code: None,
    };
    keep(&house.app, nurse, new).await.unwrap()
}

pub async fn act(
    house: &House,
    caller: &Caller,
    item: &Item,
    wanted: Move,
) -> Result<Came, AppError> {
    make(&house.app, caller, &item.id, &wanted).await
}

/// The movements as they are stored, oldest first, and the book that they make.
pub async fn read_back(house: &House, caller: &Caller, item: &Item) -> Book {
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

#[expect(
    clippy::too_many_lines,
    reason = "one scene: who moves what, and what must hold after it"
)]
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
                assert_eq!(made, 0, "{id}");
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
#[expect(clippy::too_many_lines, reason = "a table of what is refused")]
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
        code: None,
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

pub fn category<T: std::fmt::Debug>(answer: Result<T, AppError>) -> kernel::Category {
    use kernel::Categorised as _;
    answer.unwrap_err().category()
}

pub fn total(seen: &look::Seen) -> u32 {
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
