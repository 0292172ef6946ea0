//! What page and shelf owe each other when they are put right: nothing is taken twice or given back twice,
//! nobody signs for two, and what is another branch's stays theirs.

use app::medicines::give::Dose;
use app::medicines::register::{Signing, pages};
use app::medicines::stock::dose::Said;
use app::medicines::stock::keep::{Keep, Stated, keep};
use app::medicines::stock::moves::{Move, Wanted};
use app::medicines::stock::{From, Item, look};
use app::medicines::witness::{Witnessing, witness};
use app::{Caller, init};
use identity::{BranchKind, Reach, Role, RoleAssignment};
use kernel::{Categorised as _, Category, PurposeOfUse};
use medication::Quantity;
use medication::administration::{Correction, Outcome};
use medication::quantity::Unit;
use medication::register::{Class, What as Entry};
use medication::stock::{Counted, VarianceReason};
use rust_decimal::Decimal;
use serde_json::json;

use crate::dice::Dice;
use crate::doses::{MORNING, dose, due, name, order, record, scheduled};
use crate::house::{House, new_user};
use crate::register::{MORPHINE, agreed, controlled, reasoned, said};
use crate::stock::{
    PARACETAMOL, act, at, batch, category, count, first, home, kept, moved, proof, receipt, signed,
    total, transfer, two, units,
};

/// Somebody of a name of their own.
async fn somebody(house: &House, name: &str, own: app::admin::users::NewUser) -> Caller {
    let admin = house.admin("ash").await;
    app::admin::users::create(&house.app, &admin, own)
        .await
        .unwrap();
    init::acting_as(&house.app, "ash", name, PurposeOfUse::Treatment)
        .await
        .unwrap()
}

fn by(one: &str, other: &str) -> Signing {
    Signing {
        by: Some(proof(one)),
        witness: Some(proof(other)),
    }
}

fn tablets(number: u32) -> Quantity {
    Quantity::new(number.into(), Unit::named("tablet"))
}

fn mended(of: &str) -> Correction {
    Correction {
        of: of
            .trim_start_matches("MedicationAdministration/")
            .parse()
            .unwrap(),
        reason: "written wrongly".to_owned(),
        void: false,
    }
}

fn wasted(from: &str, amount: u32, of: medication::stock::Batch) -> Wanted {
    Wanted::Waste {
        from: at(from),
        units: units(amount),
        batch: of,
        reason: medication::stock::WasteReason::Damaged,
        method: "kit".to_owned(),
    }
}

#[tokio::test]
async fn a_witness_who_signs_a_correction_moves_the_dose_once() {
    let (house, nurse, item, page) = controlled().await;
    let carer = house.caller("ash", Role::Carer).await;
    let both = Dose {
        signing: two(),
        ..reasoned(MORNING)
    };
    let given = record(&house, &nurse, "m1", &both).await.unwrap();
    assert_eq!(agreed(&house, &nurse, &item, &page).await, 27);
    let named = json!({ "identifier": { "system": "urn:ietf:rfc:3986",
        "value": format!("urn:uuid:{}", carer.subject.actor().id.as_uuid()) } });
    let anew = Dose {
        dose: Some(tablets(2)),
        done: true,
        witness: Some(named),
        corrects: Some(mended(&name(&given))),
        ..reasoned(MORNING)
    };
    let anew = record(&house, &nurse, "m1", &anew).await.unwrap();
    assert!(matches!(said(&anew), [Said::Waits { .. }]), "{anew:?}");
    let with = Witnessing {
        signing: two(),
        ..Witnessing::default()
    };
    let key = house.key(&name(&anew));
    let signed = witness(&house.app, &carer, &key, &with).await.unwrap();
    assert!(
        matches!(
            signed.stock.as_slice(),
            [Said::Moved { .. }, Said::Moved { .. }]
        ),
        "{:?}",
        signed.stock
    );
    assert_eq!(agreed(&house, &nurse, &item, &page).await, 26);
    let open = pages::read(&house.app, &nurse, &page).await.unwrap();
    let left = open.lines.iter();
    let left = left.filter(|own| matches!(own.entry.what, Entry::Left { .. }));
    assert_eq!(left.count(), 2, "the first and the one that stands for it");
}

/// A brand of morphine on the same page, with 28 of it, kept by hand.
async fn brand(house: &House, nurse: &Caller) -> Item {
    let admin = house.admin("ash").await;
    let medication =
        json!({ "resourceType": "Medication", "id": "brand", "code": { "text": "Morphine" } });
    house.put(&admin, &medication).await.unwrap();
    let new = Keep {
        medication: Some("brand".parse().unwrap()),
        product: None,
        unit: "{tablet}".to_owned(),
        control: Stated::Class(Class::Two),
        form: Some("modified-release tablet".to_owned()),
        strength: Some("10 mg".to_owned()),
        threshold: None,
        code: None,
    };
    let item = keep(&house.app, nurse, new).await.unwrap();
    let begin = pages::Begin {
        item: item.id.clone(),
        premises: "home".parse().unwrap(),
        opening: None,
        signing: Signing::default(),
    };
    pages::begin(&house.app, nurse, &begin).await.unwrap();
    let came = receipt("cupboard", 28, first());
    act(house, nurse, &item, signed("b1", came)).await.unwrap();
    item
}

#[tokio::test]
async fn two_medicines_of_one_page_in_one_commit_have_an_entry_each() {
    let (house, nurse, item, page) = controlled().await;
    let both = Dose {
        signing: two(),
        ..reasoned(MORNING)
    };
    let given = record(&house, &nurse, "m1", &both).await.unwrap();
    let brand = brand(&house, &nurse).await;
    let open = pages::read(&house.app, &nurse, &page).await.unwrap();
    assert_eq!(open.head.items, [item.id.clone(), brand.id.clone()]);
    assert_eq!((open.head.balance, open.lines.len()), (55.into(), 3));
    // The order names the brand from now on, and the record of the dose is corrected.
    let doctor = house.doctor().await;
    let mut own = order("m1", MORPHINE, &scheduled(1));
    own.as_object_mut()
        .unwrap()
        .remove("medicationCodeableConcept");
    own["medicationReference"] = json!({ "reference": "Medication/brand" });
    house.put(&doctor, &own).await.unwrap();
    let anew = Dose {
        done: true,
        signing: two(),
        corrects: Some(mended(&name(&given))),
        ..reasoned(MORNING)
    };
    let anew = record(&house, &nurse, "m1", &anew).await.unwrap();
    assert!(
        matches!(said(&anew), [Said::Moved { .. }, Said::Moved { .. }]),
        "{anew:?}"
    );
    let open = pages::read(&house.app, &nurse, &page).await.unwrap();
    let last: Vec<&Entry> = open.lines[3..].iter().map(|own| &own.entry.what).collect();
    assert!(
        matches!(
            last.as_slice(),
            [Entry::Correction { of: 2, .. }, Entry::Left { .. }]
        ),
        "{last:?}"
    );
    let mut held = Decimal::ZERO;
    for (own, expected) in [(&item, 28), (&brand, 27)] {
        let seen = look::read(&house.app, &nurse, &own.id).await.unwrap();
        assert_eq!(total(&seen), expected);
        held += seen.total;
    }
    assert_eq!(open.head.balance, held);
}

#[tokio::test]
async fn page_and_shelf_say_the_same_after_any_corrections() {
    for seed in [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03] {
        let (house, nurse, item, page) = controlled().await;
        let mut dice = Dice(seed);
        let (mut moves, mut refused) = (vec!["r1".to_owned()], 0);
        for step in 0..18 {
            // Each step is later than the one before it.
            house.clock.advance(1);
            let id = format!("s{step}");
            let made = match dice.roll(6) {
                0 => {
                    let amount = 1 + u32::try_from(dice.roll(9)).unwrap();
                    let what = receipt("cupboard", amount, first());
                    act(&house, &nurse, &item, signed(&id, what)).await.is_ok()
                }
                1 => {
                    let amount = 1 + u32::try_from(dice.roll(30)).unwrap();
                    let what = wasted("cupboard", amount, first());
                    act(&house, &nurse, &item, signed(&id, what)).await.is_ok()
                }
                2 | 3 => {
                    let of = moves[dice.roll(moves.len())].parse().unwrap();
                    let note = "should not have been made".to_owned();
                    let what = Wanted::Correction { of, note };
                    act(&house, &nurse, &item, signed(&id, what)).await.is_ok()
                }
                _ => {
                    let open = pages::read(&house.app, &nurse, &page).await.unwrap();
                    let correct = pages::Correct {
                        of: 1 + u32::try_from(dice.roll(open.lines.len())).unwrap(),
                        should_be: u32::try_from(dice.roll(32)).unwrap().into(),
                        note: "read wrongly".to_owned(),
                        movement: id.parse().unwrap(),
                        signing: two(),
                    };
                    pages::correct(&house.app, &nurse, &page, &correct)
                        .await
                        .is_ok()
                }
            };
            if made {
                moves.push(id);
            } else {
                refused += 1;
            }
            agreed(&house, &nurse, &item, &page).await;
        }
        assert!(refused < 13, "seed {seed}: {refused} of 18 were refused");
    }
}

#[tokio::test]
async fn a_movement_is_undone_with_what_its_entry_was_corrected_to() {
    let (house, nurse, item, page) = controlled().await;
    let waste = wasted("cupboard", 2, first());
    act(&house, &nurse, &item, signed("w1", waste))
        .await
        .unwrap();
    for (of, should_be, movement) in [(1, 27, "fix1"), (2, 1, "fix2")] {
        let correct = pages::Correct {
            of,
            should_be: should_be.into(),
            note: "counted wrongly".to_owned(),
            movement: movement.parse().unwrap(),
            signing: two(),
        };
        pages::correct(&house.app, &nurse, &page, &correct)
            .await
            .unwrap();
    }
    assert_eq!(agreed(&house, &nurse, &item, &page).await, 26);
    for (of, id, left) in [("w1", "u1", 27), ("r1", "u2", 0)] {
        let what = Wanted::Correction {
            of: of.parse().unwrap(),
            note: "of another page".to_owned(),
        };
        act(&house, &nurse, &item, signed(id, what)).await.unwrap();
        assert_eq!(agreed(&house, &nurse, &item, &page).await, left);
    }
}

#[tokio::test]
async fn a_count_of_one_place_does_not_speak_for_the_page() {
    let (house, nurse, item, page) = controlled().await;
    act(
        &house,
        &nurse,
        &item,
        signed("t1", transfer("cupboard", "trolley", 10)),
    )
    .await
    .unwrap();
    let counted = async || {
        let open = pages::read(&house.app, &nurse, &page).await.unwrap();
        (open.lines.len(), open.head.counted.is_some())
    };
    let trolley = count("trolley", 10, None);
    let came = act(&house, &nurse, &item, signed("c1", trolley)).await;
    assert!(came.unwrap().moved.entered.is_none());
    let empty = Wanted::Count {
        of: at("home"),
        counted: Vec::new(),
        reason: None,
    };
    let none = act(&house, &nurse, &item, signed("c2", empty)).await;
    assert_eq!(category(none), Category::Unprocessable);
    let nothing = Wanted::Count {
        of: at("home"),
        counted: vec![Counted {
            batch: first(),
            found: Decimal::ZERO,
        }],
        reason: None,
    };
    act(&house, &nurse, &item, signed("c3", nothing))
        .await
        .unwrap();
    assert_eq!(counted().await, (1, false));
    // All of the page in one place: the count of the place is the page's.
    act(
        &house,
        &nurse,
        &item,
        signed("t2", transfer("trolley", "cupboard", 10)),
    )
    .await
    .unwrap();
    let all = count("cupboard", 28, None);
    let came = act(&house, &nurse, &item, signed("c4", all)).await.unwrap();
    assert_eq!(came.moved.entered.unwrap().entry, 2);
    assert_eq!(counted().await, (2, true));
    // Less found than booked is no count of the shelf.
    let less = count("cupboard", 27, Some(VarianceReason::Lost));
    let less = act(&house, &nurse, &item, signed("c5", less)).await;
    assert_eq!(category(less), Category::Unprocessable);
}

#[tokio::test]
async fn one_person_with_two_accounts_is_no_two_people() {
    let (house, nurse, item, page) = controlled().await;
    let branches: Vec<_> = nurse
        .subject
        .standings()
        .iter()
        .flat_map(|own| match &own.reach {
            Reach::Branches(links) => links.iter().map(|own| own.branch).collect(),
            _ => Vec::new(),
        })
        .collect();
    let own = |name: &str, role| app::admin::users::NewUser {
        practitioner: Some("jo".parse().unwrap()),
        ..new_user(name, RoleAssignment::at(role, branches.clone()))
    };
    let jo = somebody(&house, "jo", own("jo", Role::Nurse)).await;
    somebody(&house, "jo-manages", own("jo-manages", Role::Carer)).await;
    let waste = |signing| Move {
        signing,
        ..moved("w1", wasted("cupboard", 1, first()))
    };
    let alone = act(&house, &jo, &item, waste(by("jo", "jo-manages"))).await;
    assert!(
        matches!(&alone, Err(own) if own.category() == Category::Forbidden),
        "{alone:?}"
    );
    let counted = pages::Count {
        found: 28.into(),
        happened: None,
        late: None,
        signing: by("jo", "jo-manages"),
    };
    let alone = pages::count(&house.app, &jo, &page, &counted).await;
    assert_eq!(category(alone), Category::Forbidden);
    act(&house, &jo, &item, waste(by("jo", "carer")))
        .await
        .unwrap();
}

/// Another branch of the tenant with a place of its own, and a nurse and a carer of it.
async fn south(house: &House) -> Caller {
    let admin = house.admin("ash").await;
    let south = app::admin::branches::NewBranch {
        name: "south".to_owned(),
        kind: BranchKind::Ward,
        organization: None,
    };
    let south = app::admin::branches::create(&house.app, &admin, south)
        .await
        .unwrap();
    let annex = json!({ "resourceType": "Location", "id": "annex", "name": "Annex",
        "managingOrganization": { "reference": format!("Organization/{}", south.organization) } });
    house.put(&admin, &annex).await.unwrap();
    let of = |role| RoleAssignment::at(role, vec![south.id]);
    let carer = new_user("south-carer", of(Role::Carer));
    somebody(house, "south-carer", carer).await;
    let nurse = new_user("south-nurse", of(Role::Nurse));
    somebody(house, "south-nurse", nurse).await
}

#[tokio::test]
async fn what_another_branch_keeps_is_moved_by_its_own_people() {
    let (house, nurse) = home(&[order("o1", PARACETAMOL, &scheduled(2))]).await;
    let item = kept(&house, &nurse, PARACETAMOL).await;
    let theirs = south(&house).await;
    let lot = || batch("S1", "2026-12-31");
    let start = moved("start", receipt("annex", 40, lot()));
    act(&house, &theirs, &item, start).await.unwrap();
    let undo = Wanted::Correction {
        of: "start".parse().unwrap(),
        note: "not ours".to_owned(),
    };
    let mine = moved("mine", receipt("cupboard", 4, first()));
    act(&house, &nurse, &item, mine).await.unwrap();
    for (id, what) in [
        ("x1", receipt("annex", 1, first())),
        ("x2", wasted("annex", 1, lot())),
        ("x3", transfer("cupboard", "annex", 1)),
        ("x4", count("annex", 40, None)),
        ("x5", undo),
    ] {
        let refused = act(&house, &nurse, &item, moved(id, what)).await;
        assert_eq!(category(refused), Category::Unprocessable, "{id}");
    }
    // A dose takes what the resident's house keeps, and nothing of another house.
    let given = record(&house, &nurse, "o1", &due(MORNING)).await.unwrap();
    let [Said::Moved { moved: taken, .. }] = said(&given) else {
        panic!("{given:?}");
    };
    assert_eq!(taken.movement.lines[0].batch, first());
    let doctor = house.doctor().await;
    for caller in [&nurse, &doctor] {
        let four = Dose {
            dose: Some(tablets(4)),
            reason: Some("two are left".to_owned()),
            need: None,
            ..due("2026-03-05T20:00:00Z")
        };
        let more = record(&house, caller, "o1", &four).await;
        assert!(
            more.as_ref().map_or(true, |own| own.stored.is_none()),
            "{more:?}"
        );
    }
    let elsewhere = Dose {
        from: From {
            location: Some("annex".parse().unwrap()),
            batch: None,
        },
        done: true,
        reason: Some("given".to_owned()),
        ..dose(Outcome::Given)
    };
    let waits = record(&house, &nurse, "o1", &elsewhere).await.unwrap();
    assert!(matches!(said(&waits), [Said::Waits { .. }]), "{waits:?}");
    let seen = look::read(&house.app, &theirs, &item.id).await.unwrap();
    let there = seen.there.iter().filter(|own| own.place == at("annex"));
    assert_eq!(there.map(|own| own.units).sum::<Decimal>(), 40.into());
}

#[tokio::test]
async fn the_register_of_another_branch_is_written_by_its_own_people() {
    let (house, nurse, item, own_page) = controlled().await;
    let theirs = south(&house).await;
    let begin = pages::Begin {
        item: item.id.clone(),
        premises: "annex".parse().unwrap(),
        opening: None,
        signing: Signing::default(),
    };
    let page = pages::begin(&house.app, &theirs, &begin).await.unwrap();
    let page = page.head.id;
    let south = || by("south-nurse", "south-carer");
    let wanted = |id: &str, what, signing| Move {
        signing,
        ..moved(id, what)
    };
    let came = receipt("annex", 20, first());
    act(&house, &theirs, &item, wanted("a1", came, south()))
        .await
        .unwrap();
    let ours = wanted("a2", wasted("annex", 1, first()), two());
    let refused = act(&house, &nurse, &item, ours).await;
    assert_eq!(category(refused), Category::Unprocessable);
    // The witness is of the house too.
    let mixed = wanted(
        "a3",
        wasted("annex", 1, first()),
        by("south-nurse", "carer"),
    );
    let refused = act(&house, &theirs, &item, mixed).await;
    assert_eq!(category(refused), Category::Unprocessable);
    let counted = pages::Count {
        found: 20.into(),
        happened: None,
        late: None,
        signing: by("south-nurse", "carer"),
    };
    let refused = pages::count(&house.app, &theirs, &page, &counted).await;
    assert_eq!(category(refused), Category::Unprocessable);
    let open = pages::read(&house.app, &theirs, &page).await.unwrap();
    assert_eq!((open.lines.len(), open.head.balance), (1, 20.into()));
    let own = wanted("a4", wasted("annex", 1, first()), south());
    act(&house, &theirs, &item, own).await.unwrap();
    let open = pages::read(&house.app, &nurse, &own_page).await.unwrap();
    assert_eq!(open.head.balance, 28.into());
}
