//! An order and its shelf: what is booked in moves the stock in the same commit, whoever else moves the same
//! medicine at the same moment, on both stores.

use std::sync::Arc;

use app::medicines::orders::{self, Arrived, NewDelivery, NewLine, NewOrder, partners};
use app::medicines::stock::look;
use app::{AppError, Caller};
use connect::{Answer, ConnectError, Message, Outbound, Request};
use medication::ids::OrderId;
use medication::stock::{Kind as Moving, Status, WasteReason};
use medication::supply::{Kind, State};
use serde_json::json;
use uuid::Uuid;

use crate::house::{House, on_postgres};
use crate::stock::{act, at, batch, first, home, kept, moved, read_back, receipt, units};

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

/// An order of a hundred tablets that was approved and sent.
async fn ordered(house: &House, nurse: &Caller, item: &app::medicines::stock::Item) -> OrderId {
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
        "legal": "general_sale", "control": "0000", "packs": [] }]);
    let sold = serde_json::from_value(sold).unwrap();
    partners::set_catalogue(&house.app, &admin, "corner", sold)
        .await
        .unwrap();
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
