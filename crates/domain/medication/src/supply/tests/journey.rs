//! From low stock to an approved order to its parts, as one story through all the parts.

#![expect(clippy::too_many_lines, reason = "one story")]

use super::*;
use crate::stock::{
    self, Account, Batch, Book, Crossing, Meta, Reorder, Status, Step, Taken, What,
};

fn meta(id: &str, day: u8) -> Meta {
    let happened = at(&format!("2026-03-{day:02}T08:00:00Z"));
    Meta {
        id: id.parse().unwrap(),
        happened,
        recorded: happened,
        by: person(),
        witness: None,
        discrepancy: None,
    }
}

fn step(reorder: &mut Reorder, step: Step) -> Status {
    let taken = Taken {
        id: format!("s{}", reorder.version()),
        step,
        at: at("2026-03-03T08:00:00Z"),
        by: person(),
    };
    let seen = reorder.version();
    reorder.take(taken, seen).unwrap()
}

fn event(order: &mut Order, event: Event) {
    let moved = Moved {
        id: format!("e{}", order.track.trail().len()),
        event,
        at: at("2026-03-03T08:00:00Z"),
        by: Some(person()),
    };
    order.track.take(moved).unwrap();
}

fn arrives(book: &mut Book, order: &Order, earlier: &mut Vec<Received>, note: &str) -> BookedIn {
    let thing = Delivered {
        item: Some("a".parse().unwrap()),
        label: "a tablets".to_owned(),
        resident: None,
        quantity: units("28"),
        batch: Batch {
            expiry: Some("2027-01-31".parse().unwrap()),
            lot: Some(note.to_owned()),
            serial: None,
        },
    };
    let delivery = Delivery {
        note: note.to_owned(),
        from: "wholesaler".parse().unwrap(),
        at: at("2026-03-05T08:00:00Z"),
        things: vec![thing],
    };
    let booked = book_in(order, earlier, &delivery, &jiff::tz::TimeZone::UTC);
    let lines: Vec<stock::Line> = booked.stock.iter().map(|(_, line)| line.clone()).collect();
    let receipt = What::Receipt {
        order: Some(order.id.clone()),
    };
    book.record(meta(note, 5), receipt, lines).unwrap();
    earlier.extend(booked.received.clone());
    booked
}

#[test]
fn low_stock_leads_to_an_approved_order_and_its_parts() {
    let product = general("a");
    let shelf = Account::Location {
        location: "cupboard".parse().unwrap(),
    };
    let zone = "UTC".parse().unwrap();
    let mut book = Book::new(product.item.clone(), product.unit.clone(), &zone);
    let first = stock::Line {
        batch: Batch::default(),
        units: units("12"),
        from: Account::Supplier {
            party: "wholesaler".parse().unwrap(),
        },
        to: shelf.clone(),
    };
    let receipt = What::Receipt { order: None };
    book.record(meta("r", 1), receipt, vec![first]).unwrap();
    // Doses: the second crosses the threshold of ten, and is the only one to say so.
    let mut reorder = Reorder::default();
    let mut said = Vec::new();
    for number in 0..4 {
        let allocated = book.allocate(&shelf, units("1"), at("2026-03-02T08:00:00Z"));
        let (batch, amount) = allocated.unwrap().parts.remove(0);
        let given = stock::Line {
            batch,
            units: amount,
            from: shelf.clone(),
            to: Account::Administered {
                resident: "ada".parse().unwrap(),
            },
        };
        let made = book.record(meta(&format!("g{number}"), 2), What::Given, vec![given]);
        let stock::Recorded::Made(changes) = made.unwrap() else {
            panic!("it is new");
        };
        said.extend(stock::crossing(
            changes[0].before,
            changes[0].after,
            10.into(),
        ));
    }
    assert_eq!(said, [Crossing::Low]);
    assert_eq!(step(&mut reorder, Step::Need), Status::Needed);
    // The home's default: a draft for a person.
    let need = Need {
        before: Decimal::ZERO,
        during: 56.into(),
        left: 8.into(),
        missing: Some(units("48")),
    };
    let candidate = Candidate {
        product: &product,
        resident: None,
        need: Some(&need),
    };
    let policy = Policy {
        mode: Mode::default(),
        cap: pounds("10"),
    };
    let decision = decide(&policy, &pounds("0"), &[], candidate);
    assert_eq!(decision.action, Action::Draft);
    let rounded = decision.proposal.unwrap().rounded;
    assert_eq!((rounded.packs.count, rounded.total), (2, units("56")));
    let verb = direct(&[(&product, rounded.total, Some(rounded.packs))]).unwrap();
    let mut order = Order::draft("o-1".parse().unwrap(), verb);
    assert_eq!(step(&mut reorder, Step::Request), Status::Requested);
    event(&mut order, Event::Approve);
    assert_eq!(step(&mut reorder, Step::Approve), Status::Approved);
    event(&mut order, Event::Submit);
    assert_eq!(step(&mut reorder, Step::Order), Status::Ordered);
    // A second run asks for nothing while it is open.
    let open = OpenOrder {
        id: order.id.clone(),
        state: order.track.state(),
        resident: None,
        items: vec![product.item.clone()],
    };
    let again = decide(&policy, &pounds("2.40"), &[open], candidate);
    assert_eq!(again.why, [Why::Duplicate(order.id.clone())]);
    // It arrives in two parts.
    let report = order
        .track
        .report("h1", State::Dispatched, at("2026-03-04T08:00:00Z"));
    assert_eq!(report, Ok(State::Dispatched));
    let mut earlier = Vec::new();
    let part = arrives(&mut book, &order, &mut earlier, "n1");
    assert_eq!(part.chase[0].missing, units("28"));
    event(&mut order, part.event.unwrap());
    assert_eq!(order.track.state(), State::Owing);
    assert_eq!(step(&mut reorder, Step::ReceivePart), Status::PartReceived);
    let report = order
        .track
        .report("h2", State::Dispatched, at("2026-03-05T09:00:00Z"));
    assert_eq!(report, Ok(State::Dispatched));
    let rest = arrives(&mut book, &order, &mut earlier, "n2");
    assert!(rest.chase.is_empty());
    event(&mut order, rest.event.unwrap());
    event(&mut order, Event::Reconcile);
    assert_eq!(step(&mut reorder, Step::Receive), Status::Received);
    assert_eq!(book.balance(&shelf), Decimal::from(64));
    assert!(book.is_sound() && order.track.state().is_final());
}
