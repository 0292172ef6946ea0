//! What arrives against what was asked for.

use super::*;
use crate::stock::Batch;

fn order(state: State) -> Order {
    let (a, b) = (general("a"), general("b"));
    let verb = repeat(&[(&a, units("56"), None), (&b, units("28"), None)]).unwrap();
    let mut order = Order::draft("o-1".parse().unwrap(), verb);
    order.track = super::states::standing(Kind::Repeat, state).unwrap();
    order
}

fn thing(item: &str, amount: &str) -> Delivered {
    Delivered {
        item: (!item.is_empty()).then(|| item.parse().unwrap()),
        label: format!("{item} tablets"),
        resident: Some("ada".parse().unwrap()),
        quantity: units(amount),
        batch: Batch {
            expiry: Some("2027-01-31".parse().unwrap()),
            lot: Some("L1".to_owned()),
            serial: None,
        },
    }
}

fn delivery(note: &str, things: Vec<Delivered>) -> Delivery {
    Delivery {
        note: note.to_owned(),
        from: "pharmacy".parse().unwrap(),
        at: at("2026-03-12T10:00:00Z"),
        things,
    }
}

fn book(order: &Order, earlier: &[Received], delivery: &Delivery) -> BookedIn {
    book_in(order, earlier, delivery, &jiff::tz::TimeZone::UTC)
}

#[test]
fn all_of_it_is_received() {
    let order = order(State::Dispatched);
    let all = delivery(
        "n1",
        vec![thing("a", "28"), thing("a", "28"), thing("b", "28")],
    );
    let booked = book(&order, &[], &all);
    assert_eq!(booked.event, Some(Event::Receive));
    assert!(booked.problems.is_empty() && booked.chase.is_empty());
    assert_eq!(booked.stock.len(), 3);
    // It goes into the resident's own account, as a receipt the book takes.
    let zone = "UTC".parse().unwrap();
    let unit = Unit::ucum("{tablet}");
    let mut stock = crate::stock::Book::new("a".parse().unwrap(), unit, &zone);
    let lines: Vec<_> = booked
        .stock
        .iter()
        .filter(|(item, _)| item.as_str() == "a")
        .map(|(_, line)| line.clone())
        .collect();
    let account = lines[0].to.clone();
    let meta = crate::stock::Meta {
        id: "m".parse().unwrap(),
        happened: all.at,
        recorded: all.at,
        by: person(),
        witness: None,
        discrepancy: None,
    };
    let receipt = crate::stock::What::Receipt {
        order: Some(order.id.clone()),
    };
    stock.record(meta, receipt, lines).unwrap();
    assert_eq!(stock.balance(&account), Decimal::from(56));
    assert_eq!(account.resident().unwrap().as_str(), "ada");
}

#[test]
fn part_of_it_is_owed_and_chased_and_arrives_later() {
    let order = order(State::Dispatched);
    let first = delivery("n1", vec![thing("a", "28")]);
    let booked = book(&order, &[], &first);
    assert_eq!(booked.event, Some(Event::Owe));
    let missing: Vec<_> = booked
        .chase
        .iter()
        .map(|own| (own.item.as_str(), own.missing))
        .collect();
    assert_eq!(missing, [("a", units("28")), ("b", units("28"))]);
    // The same note again brings nothing.
    let again = book(&order, &booked.received, &first);
    assert!(again.stock.is_empty() && again.received.is_empty() && again.event.is_none());
    assert_eq!(again.chase, booked.chase);
    let rest = delivery("n2", vec![thing("a", "28"), thing("b", "28")]);
    let booked = book(&order, &booked.received, &rest);
    assert_eq!(booked.event, Some(Event::Receive));
    let arrived: Vec<_> = booked.lines.iter().map(|own| own.arrived).collect();
    assert_eq!(arrived, [56.into(), 28.into()]);
}

#[test]
fn what_does_not_belong_is_set_aside() {
    let order = order(State::Dispatched);
    let mut bob = thing("a", "28");
    bob.resident = Some("bob".parse().unwrap());
    let mut nobody = thing("a", "28");
    nobody.resident = None;
    let mut old = thing("a", "28");
    old.batch.expiry = Some("2026-03-11".parse().unwrap());
    let mut last_day = thing("a", "28");
    last_day.batch.expiry = Some("2026-03-12".parse().unwrap());
    for (thing, problem, booked_in) in [
        (thing("", "28"), "NotKnown", "0"),
        (thing("c", "28"), "WrongItem", "0"),
        (bob, "WrongResident", "0"),
        (nobody, "WrongResident", "0"),
        (old, "Expired", "0"),
        (last_day, "", "28"),
        (thing("a", "60"), "TooMuch", "56"),
    ] {
        let booked = book(&order, &[], &delivery("n", vec![thing]));
        let found = booked.problems.first().map(|own| format!("{own:?}"));
        assert!(found.unwrap_or_default().starts_with(problem));
        let taken: Decimal = booked.stock.iter().map(|(_, line)| line.units.get()).sum();
        assert_eq!(taken, booked_in.parse().unwrap(), "{problem}");
        assert_eq!(booked.event, Some(Event::Owe));
    }
    // What arrives for an order that is not on its way does not move it.
    let early = super::booking::order(State::Prescribed);
    let all = delivery("n1", vec![thing("a", "56"), thing("b", "28")]);
    assert_eq!(book(&early, &[], &all).event, None);
}

proptest! {
    /// However a delivery is cut into notes: nothing is booked in beyond what was asked for, everything
    /// that came is in stock or set aside, and what is missing is the rest.
    #[test]
    fn what_came_is_in_stock_or_set_aside(notes in prop::collection::vec(prop::collection::vec((0u8..3, 1i64..40), 0..5), 1..6)) {
        let order = order(State::Dispatched);
        let mut received: Vec<Received> = Vec::new();
        for (number, things) in notes.into_iter().enumerate() {
            let things: Vec<Delivered> = things
                .into_iter()
                .map(|(item, amount)| thing(["a", "b", "c"][usize::from(item)], &amount.to_string()))
                .collect();
            let came: Decimal = things.iter().map(|own| own.quantity.get()).sum();
            let wrong: Decimal = things
                .iter()
                .filter(|own| own.item.as_ref().unwrap().as_str() == "c")
                .map(|own| own.quantity.get())
                .sum();
            let booked = book(&order, &received, &delivery(&format!("n{number}"), things));
            let stock: Decimal = booked.stock.iter().map(|(_, line)| line.units.get()).sum();
            let extra: Decimal = booked
                .problems
                .iter()
                .filter_map(|own| match own {
                    Problem::TooMuch { extra, .. } => Some(extra.get()),
                    _ => None,
                })
                .sum();
            prop_assert_eq!(stock + extra + wrong, came);
            received.extend(booked.received);
            for line in &booked.lines {
                let all: Decimal = received
                    .iter()
                    .filter(|own| own.item == line.item)
                    .map(|own| own.quantity.get())
                    .sum();
                prop_assert_eq!(line.arrived, all);
                prop_assert!(all <= line.ordered);
            }
            prop_assert_eq!(booked.chase.is_empty(), booked.event == Some(Event::Receive));
        }
    }
}
