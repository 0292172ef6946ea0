//! An order and its shelf: what is booked in moves the stock in the same commit, whoever else moves the same
//! medicine at the same moment, on both stores.

use std::sync::Arc;

use app::admin::branches;
use app::medicines::orders::automatic::{self, Plan};
use app::medicines::orders::daily;
use app::medicines::orders::{self, Arrived, NewDelivery, NewLine, NewOrder, partners};
use app::medicines::stock::look;
use app::{AppError, Caller};
use connect::{Answer, ConnectError, Message, Outbound, Request};
use identity::{BranchKind, Role, SystemTask};
use kernel::{Categorised as _, Clock as _, Timestamp};
use medication::ids::OrderId;
use medication::stock::{Kind as Moving, Status, WasteReason};
use medication::supply::{Action, Currency, Kind, Mode, Money, Policy, State};
use serde_json::json;
use uuid::Uuid;

use crate::doses::{order, scheduled};
use crate::house::{House, on_postgres, patient};
use crate::stock::{
    PARACETAMOL, act, at, batch, first, home, kept, moved, read_back, receipt, units,
};

/// A mail server that takes everything.
struct Post;

#[async_trait::async_trait]
impl Outbound for Post {
    fn permits(&self, _: &str) -> Result<(), ConnectError> {
        Err(ConnectError::Off)
    }
    fn permits_import(&self, _: &str) -> Result<(), ConnectError> {
        Err(ConnectError::Off)
    }
    async fn reaches(&self, _: &str) -> Result<(), ConnectError> {
        Err(ConnectError::Off)
    }
    async fn call(&self, _: Request) -> Result<Answer, ConnectError> {
        Err(ConnectError::Off)
    }
    fn permits_mail(&self, _: &str) -> Result<(), ConnectError> {
        Ok(())
    }
    async fn mail(&self, _: Message) -> Result<(), ConnectError> {
        Ok(())
    }
}

const CODE: &str = "322236009";

/// A pharmacy that is written to and sells paracetamol in packs of 28.
async fn pharmacy(house: &House) {
    let _ = house.app.clone().reaching_out(Arc::new(Post));
    let admin = house.admin("ash").await;
    let partner = partners::Partner {
        id: "corner".to_owned(),
        name: "Corner pharmacy".to_owned(),
        organization: "pharmacy".parse().unwrap(),
        way: partners::Way::Letter {
            to: "orders@corner.test".to_owned(),
        },
        secret: None,
        active: true,
    };
    partners::put(&house.app, &admin, partner).await.unwrap();
    let sold = json!([{ "code": CODE, "name": "Paracetamol 500 mg tablets", "unit": "{tablet}",
        "legal": "general_sale", "control": "0000",
        "packs": [{ "holds": "28", "price": { "amount": "0.80", "currency": "GBP" } }] }]);
    let sold = serde_json::from_value(sold).unwrap();
    partners::set_catalogue(&house.app, &admin, "corner", sold)
        .await
        .unwrap();
}

/// An order of a hundred tablets that was approved and sent.
async fn ordered(house: &House, nurse: &Caller, item: &app::medicines::stock::Item) -> OrderId {
    pharmacy(house).await;
    let new = NewOrder {
        kind: Kind::Direct,
        partner: "corner".to_owned(),
        resident: None,
        location: "cupboard".parse().unwrap(),
        cycle: "2026-03".to_owned(),
        attempt: 0,
        lines: vec![NewLine {
            code: CODE.to_owned(),
            item: Some(item.id.clone()),
            name: None,
            quantity: units(100),
            unit: None,
            packs: None,
            dose: None,
        }],
    };
    let made = orders::draft(&house.app, nurse, new).await.unwrap();
    let id = made.kept.id;
    let doctor = house.doctor().await;
    orders::approve(&house.app, &doctor, &id).await.unwrap();
    orders::submit(&house.app, nurse, &id).await.unwrap();
    assert_eq!(
        orders::round(&house.app, Uuid::from_u128(1)).await.unwrap(),
        1
    );
    id
}

fn delivery(item: &app::medicines::stock::Item, number: u32, quantity: u32) -> NewDelivery {
    NewDelivery {
        note: format!("n-{number}"),
        at: None,
        things: vec![Arrived {
            item: Some(item.id.clone()),
            label: item.name.clone(),
            resident: None,
            quantity: units(quantity),
            batch: batch(&format!("D{number}"), "2027-03-31"),
        }],
    }
}

async fn status(house: &House, nurse: &Caller, item: &app::medicines::stock::Item) -> Status {
    look::read(&house.app, nurse, &item.id)
        .await
        .unwrap()
        .status
}

/// Four deliveries of 25, each booked in twice at once, while others take from the same shelf.
async fn received_while_others_move() {
    let (house, nurse) = home(&[]).await;
    let item = kept(&house, &nurse, "Paracetamol 500mg tablet").await;
    let start = receipt("cupboard", 12, first());
    act(&house, &nurse, &item, moved("start", start))
        .await
        .unwrap();
    let wasted = |number: u32| {
        let what = app::medicines::stock::moves::Wanted::Waste {
            from: at("cupboard"),
            units: units(1),
            batch: first(),
            reason: WasteReason::Damaged,
            method: "crushed in the bin for medicines".to_owned(),
        };
        moved(&format!("w{number}"), what)
    };
    act(&house, &nurse, &item, wasted(0)).await.unwrap();
    act(&house, &nurse, &item, wasted(1)).await.unwrap();
    assert_eq!(status(&house, &nurse, &item).await, Status::Needed);
    let id = ordered(&house, &nurse, &item).await;
    assert_eq!(status(&house, &nurse, &item).await, Status::Ordered);

    let notes: Vec<NewDelivery> = (0..4).map(|number| delivery(&item, number, 25)).collect();
    let twice = notes.iter().chain(&notes);
    let booked = twice.map(|note| orders::receive(&house.app, &nurse, &id, note));
    let moves = (2..8).map(|number| act(&house, &nurse, &item, wasted(number)));
    let (booked, moves) = futures_util::future::join(
        futures_util::future::join_all(booked),
        futures_util::future::join_all(moves),
    )
    .await;
    for own in &booked {
        assert!(own.is_ok(), "{own:?}");
    }
    for own in &moves {
        assert!(own.is_ok(), "{own:?}");
    }
    let order = orders::show(&house.app, &nurse, &id).await.unwrap();
    assert_eq!(order.state, State::Received);
    assert_eq!((order.kept.notes.len(), order.kept.received.len()), (4, 4));
    let book = read_back(&house, &nurse, &item).await;
    assert!(book.is_sound());
    let own = book.movements().iter();
    let own = own.filter(|own| own.what.kind() == Moving::Receipt);
    assert_eq!(own.count(), 5, "each note moves once");
    let seen = look::read(&house.app, &nurse, &item.id).await.unwrap();
    assert_eq!(seen.item.folded, book.fold(), "the head is the sum");
    assert_eq!(seen.total, (12 + 100 - 8).into());
    assert_eq!(seen.status, Status::Received);
    let words = house.trail("ash", app::Log::Changes, 400).await;
    let count = |word: &str| words.iter().filter(|own| own.contains(word)).count();
    assert_eq!(count("create success SupplyDelivery"), 4, "{words:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_booked_in_is_on_the_shelf_once_whoever_else_moves_it() {
    received_while_others_move().await;
}

#[test]
fn what_is_booked_in_is_on_the_shelf_once_on_postgres() {
    on_postgres(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(received_while_others_move());
    });
}

#[tokio::test]
async fn a_controlled_drug_is_booked_in_and_waits_for_two_signatures() {
    let (house, nurse) = home(&[]).await;
    let item = kept(&house, &nurse, "Morphine 10mg modified-release tablet").await;
    // The pharmacy sells it as something else: what the shelf knows counts.
    let id = ordered(&house, &nurse, &item).await;
    let own = orders::receive(&house.app, &nurse, &id, &delivery(&item, 1, 25)).await;
    let own = own.unwrap();
    assert_eq!(own.state, State::Owing);
    let said = own
        .kept
        .said
        .iter()
        .any(|own| own.text.contains("two signatures"));
    assert!(said, "{:?}", own.kept.said);
    let seen = look::read(&house.app, &nurse, &item.id).await.unwrap();
    assert_eq!((seen.total, seen.item.movements), (0.into(), 0));
    assert_eq!(seen.status, Status::PartReceived);
    // Nothing comes of what nobody asked for.
    let refused = orders::receive(
        &house.app,
        &nurse,
        &"none".parse().unwrap(),
        &delivery(&item, 1, 25),
    )
    .await;
    assert!(
        matches!(refused, Err(AppError::NotFound { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_note_that_comes_again_with_other_things_is_refused_and_named() {
    let (house, nurse) = home(&[]).await;
    let item = kept(&house, &nurse, "Paracetamol 500mg tablet").await;
    let id = ordered(&house, &nurse, &item).await;
    let book_in = async |note: &NewDelivery| orders::receive(&house.app, &nurse, &id, note).await;
    let first = delivery(&item, 1, 25);
    book_in(&first).await.unwrap();
    // The same again, also by another clerk who writes the number and its time otherwise.
    let mut again = delivery(&item, 1, 25);
    again.at = Some(house.app.now());
    again.things[0].label = format!(" {}", item.name);
    let same = book_in(&again).await.unwrap();
    assert_eq!((same.kept.notes.len(), same.kept.received.len()), (1, 1));
    // The rest, under the same number: it is not lost without a word.
    let mut rest = delivery(&item, 1, 75);
    for changed in [delivery(&item, 1, 75), {
        let mut other = delivery(&item, 1, 25);
        other.things[0].batch = batch("OTHER", "2027-03-31");
        other
    }] {
        let refused = book_in(&changed).await.unwrap_err();
        assert_eq!(refused.category(), kernel::Category::Conflict);
        let words = refused.to_string();
        assert!(words.contains("n-1") && words.contains("n-1/2"), "{words}");
    }
    rest.note = "n-1/2".to_owned();
    let whole = book_in(&rest).await.unwrap();
    assert_eq!(
        (whole.state, whole.kept.received.len()),
        (State::Received, 2)
    );
    // It is the same also once the order is complete.
    assert_eq!(book_in(&rest).await.unwrap().kept.notes.len(), 2);
    assert!(book_in(&delivery(&item, 1, 75)).await.is_err());
}

/// A home with a shed that nobody manages, and residents of two branches who draw on it; the nurse is of one.
async fn two_branches() -> (House, Caller, app::medicines::stock::Item) {
    let (house, nurse) = home(&[order("o1", PARACETAMOL, &scheduled(2))]).await;
    let item = kept(&house, &nurse, PARACETAMOL).await;
    let (admin, doctor) = (house.admin("ash").await, house.doctor().await);
    let shed = json!({ "resourceType": "Location", "id": "shed", "name": "Shed" });
    house.put(&admin, &shed).await.unwrap();
    let came = moved("r1", receipt("shed", 12, first()));
    act(&house, &nurse, &item, came).await.unwrap();
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
    let mut own = order("o2", PARACETAMOL, &scheduled(2));
    own["subject"] = json!({ "reference": "Patient/p2" });
    house.put(&doctor, &own).await.unwrap();
    pharmacy(&house).await;
    (house, nurse, item)
}

fn plan(mode: Mode) -> Plan {
    let cap = Money::new(100.into(), Currency::GBP).unwrap();
    Plan {
        policy: Policy { mode, cap },
        goods: Some("corner".to_owned()),
        ..Plan::default()
    }
}

#[tokio::test]
async fn whoever_is_bound_to_a_branch_proposes_for_everybody_who_draws_on_a_place() {
    let (house, nurse, item) = two_branches().await;
    let doctor = house.doctor().await;
    let wanted = plan(Mode::Approval);
    automatic::set_plan(&house.app, &doctor, wanted)
        .await
        .unwrap();
    let own = automatic::run(&house.app, &nurse).await.unwrap();
    assert_eq!(own.len(), 1, "{own:?}");
    // Eight a day for 35 days, less the twelve that are there: ten packs.
    let need = own[0].need.unwrap();
    assert_eq!((need.during, need.left), (280.into(), 12.into()));
    assert_eq!((own[0].action, own[0].unknown.len()), (Action::Draft, 0));
    let made = own[0].order.clone().unwrap();
    let order = orders::show(&house.app, &nurse, &made).await.unwrap();
    assert_eq!(order.kept.lines[0].quantity, units(280));
    assert_eq!(status(&house, &nurse, &item).await, Status::Requested);
    let whole = automatic::dry_run(&house.app, &doctor).await.unwrap();
    assert_eq!(whole[0].need.unwrap().during, 280.into());
}

fn by_the_clock(mode: Mode) -> Plan {
    Plan {
        daily: Some("02:30".parse().unwrap()),
        ..plan(mode)
    }
}

/// Two processes look at the same moment; how many of them ran something.
async fn both_look(house: &House) -> u64 {
    let look = |holder| daily::round(&house.app, Uuid::from_u128(holder));
    let (one, other) = futures_util::future::join(look(1), look(2)).await;
    one.unwrap() + other.unwrap()
}

/// What entries of a word say, newest first, with who did it.
async fn said(house: &House, word: &str) -> Vec<(String, String)> {
    let auditor = house.caller("ash", Role::Auditor).await;
    let newest = app::audit::Filter::newest(app::Log::Changes, 400);
    let page = app::audit::recent(&house.app, &auditor, &newest).await;
    let payloads = page.unwrap().entries.into_iter();
    let payloads = payloads.filter_map(|own| own.payload);
    let own = payloads.filter(|own| own.interaction == word);
    own.map(|own| (own.actor.name, own.outcome_text.unwrap_or_default()))
        .collect()
}

#[expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]
async fn run_by_the_clock() {
    let (house, nurse, item) = two_branches().await;
    let (admin, doctor) = (house.admin("ash").await, house.doctor().await);
    let set = async |plan: Plan| {
        automatic::set_plan(&house.app, &doctor, plan)
            .await
            .unwrap();
    };
    let until = |at: &str| {
        let at = Timestamp::from_rfc3339(at).unwrap();
        house.clock.advance(at.seconds_since(house.clock.now()));
    };
    let open = async || {
        orders::list(&house.app, &nurse, orders::Filter::Open)
            .await
            .unwrap()
    };
    let stands = async || daily::standing(&house.app, &nurse).await.unwrap();
    until("2026-03-05T08:00:00Z");
    // By default never: nobody asked for it.
    set(plan(Mode::Approval)).await;
    until("2026-03-06T08:00:00Z");
    assert_eq!(both_look(&house).await, 0);
    assert_eq!(stands().await.next, None);
    // It begins at its next time, not at one that is over.
    set(by_the_clock(Mode::Approval)).await;
    assert_eq!(both_look(&house).await, 0);
    let next = stands().await.next.unwrap().to_fhir_instant();
    assert!(next.starts_with("2026-03-07T02:30:00"), "{next}");
    until("2026-03-07T02:29:00Z");
    assert_eq!(both_look(&house).await, 0);
    // Set again for another mode, it keeps its time.
    set(by_the_clock(Mode::Approval)).await;
    until("2026-03-07T02:31:00Z");
    assert_eq!(both_look(&house).await, 1, "one process does it");
    assert_eq!(both_look(&house).await, 0, "once for a day");
    let drafted = open().await;
    assert_eq!(drafted.len(), 1);
    assert_eq!(drafted[0].state, State::Draft);
    assert_eq!(drafted[0].kept.lines[0].quantity, units(280));
    assert_eq!(drafted[0].kept.drafted_by, SystemTask::Ordering.actor());
    let last = stands().await.last.unwrap();
    assert_eq!(last.counts.map(|own| (own.drafts, own.sent)), Some((1, 0)));
    let told = said(&house, "ordering-run").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, "ordering");
    assert!(told[0].1.contains("1 drafted, 0 sent"), "{told:?}");
    assert_eq!(said(&house, "order-draft").await[0].0, "ordering");
    // A person approves it, also whoever set the plan: they have drafted nothing.
    let id = &drafted[0].kept.id;
    orders::approve(&house.app, &doctor, id).await.unwrap();
    orders::cancel(&house.app, &nurse, id, "for the test")
        .await
        .unwrap();

    // What is only said makes nothing.
    set(by_the_clock(Mode::DryRun)).await;
    until("2026-03-08T02:30:00Z");
    assert_eq!(both_look(&house).await, 1);
    assert_eq!(open().await.len(), 0);
    let last = stands().await.last.unwrap();
    assert_eq!(last.counts.map(|own| (own.drafts, own.said)), Some((0, 1)));
    // Turned off, it rests; what was missed then is not made up for.
    set(by_the_clock(Mode::Off)).await;
    until("2026-03-10T08:00:00Z");
    assert_eq!((both_look(&house).await, stands().await.next), (0, None));

    // Within the cap it is sent; beyond it it waits for a person.
    let capped = |cap: u32| {
        let mut own = by_the_clock(Mode::Automatic);
        own.policy.cap = Money::new(cap.into(), Currency::GBP).unwrap();
        own
    };
    set(capped(7)).await;
    until("2026-03-11T02:30:00Z");
    assert_eq!(both_look(&house).await, 1);
    let waits = open().await;
    assert_eq!((waits.len(), waits[0].state), (1, State::Draft));
    let id = &waits[0].kept.id;
    orders::cancel(&house.app, &nurse, id, "for the test")
        .await
        .unwrap();
    set(capped(100)).await;
    // Where it fails it says so, and is tried again in a while.
    let mut partner = partners::list(&house.app, &nurse).await.unwrap().remove(0);
    partner.active = false;
    partners::put(&house.app, &admin, partner.clone())
        .await
        .unwrap();
    until("2026-03-12T02:30:00Z");
    assert_eq!(both_look(&house).await, 0);
    let failed = stands().await.last.unwrap();
    assert!(
        failed.error.as_deref().unwrap().contains("choose another"),
        "{failed:?}"
    );
    assert!(said(&house, "ordering-run").await[0].1.contains("failed"));
    partner.active = true;
    partners::put(&house.app, &admin, partner).await.unwrap();
    assert_eq!(both_look(&house).await, 0, "not at once");
    house.clock.advance(900);
    assert_eq!(both_look(&house).await, 1);
    let sent = open().await;
    assert_eq!((sent.len(), sent[0].state), (1, State::Approved));
    assert_eq!(status(&house, &nurse, &item).await, Status::Approved);
    let due = Uuid::from_u128(1);
    assert_eq!(
        orders::round(&house.app, due).await.unwrap(),
        1,
        "it leaves"
    );
    // The operator sees it of every house.
    let all = daily::everywhere(&house.app).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].0, "ash");
    assert_eq!(all[0].1, stands().await);
}

#[tokio::test]
async fn what_a_house_needs_is_counted_by_the_clock_once_a_day() {
    run_by_the_clock().await;
}

#[test]
fn what_a_house_needs_is_counted_by_the_clock_on_postgres() {
    on_postgres(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(run_by_the_clock());
    });
}
