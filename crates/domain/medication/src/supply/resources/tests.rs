//! What is printed is valid R4 and is read back; what is not of its form is refused by name.

use fhir::definitions::Definitions;
use fhir::json::{Document, Limits};
use fhir::validate::validate;
use proptest::prelude::*;

use super::super::tests::{at, direct, general, repeat, units};
use super::super::*;
use super::*;
use crate::quantity::Unit;
use crate::stock::Batch;

fn parse(json: &str) -> Document {
    Document::parse(json.as_bytes().to_vec(), &Limits::default())
        .unwrap_or_else(|error| panic!("{json}: {error:?}"))
}

fn valid(json: &str) {
    let document = parse(json);
    let issues = validate(Definitions::r4(), document.root());
    assert!(issues.is_empty(), "{json}: {issues:?}");
}

fn order(kind: Kind, state: State) -> Option<Order> {
    let (a, b) = (general("a"), general("b"));
    let packs = Packs {
        count: 2,
        holds: units("28"),
    };
    let wanted = [(&a, units("56"), Some(packs)), (&b, units("0.5"), None)];
    let verb = match kind {
        Kind::Repeat => repeat(&wanted),
        Kind::Direct => direct(&wanted),
    };
    let mut order = Order::draft("o-1".parse().unwrap(), verb.unwrap());
    order.track = super::super::tests::standing(kind, state)?;
    Some(order)
}

const WRITTEN: &str = "2026-03-10T08:00:00.000Z";

#[test]
fn every_state_is_valid_and_read_back() {
    for kind in [Kind::Repeat, Kind::Direct] {
        for state in State::ALL {
            let Some(order) = order(kind, *state) else {
                continue;
            };
            for line in order.verb.lines() {
                let json = supply_request(&order, line, at(WRITTEN));
                valid(&json);
                let read = read_request(parse(&json).root()).unwrap();
                let expected = Requested {
                    order: order.id.clone(),
                    line: line.clone(),
                    kind,
                    of_whom: order.verb.of_whom().clone(),
                    resident: order.verb.resident().cloned(),
                    location: order.verb.location().clone(),
                    state: *state,
                    authored: at(WRITTEN),
                };
                assert_eq!(read, expected);
            }
            let json = task(&order, at(WRITTEN), at("2026-03-11T08:00:00Z"));
            valid(&json);
            let read = read_task(parse(&json).root()).unwrap();
            let expected = Tracked {
                order: order.id.clone(),
                kind,
                state: *state,
                resident: order.verb.resident().cloned(),
                modified: at("2026-03-11T08:00:00Z"),
            };
            assert_eq!(read, expected);
        }
    }
}

#[test]
fn what_is_not_of_its_form_is_refused_by_name() {
    let order = order(Kind::Repeat, State::Submitted).unwrap();
    let good = supply_request(&order, &order.verb.lines()[0], at(WRITTEN));
    for (from, to, path) in [
        ("SupplyRequest\"", "DeviceRequest\"", "resourceType"),
        (r#""status":"active""#, r#""status":"completed""#, "status"),
        (
            r#""valueCode":"submitted""#,
            r#""valueCode":"sent""#,
            STANDS,
        ),
        (STANDS, "urn:other", STANDS),
        (r#""value":56"#, r#""value":-56"#, "quantity"),
        (r#""value":56"#, r#""value":"56""#, "quantity.value"),
        (SNOMED, "urn:other", "itemCodeableConcept"),
        (r#""code":"repeat""#, r#""code":"gift""#, "category"),
        ("Organization/practice", "Patient/practice", "supplier"),
        ("Location/cupboard", "cupboard", "deliverTo"),
        ("Patient/ada", "Patient/a da", "valueReference"),
        (ORDER, "urn:other", "identifier"),
        (WRITTEN, "2026-03-10", "authoredOn"),
        (r#""valuePositiveInt":2"#, r#""valuePositiveInt":0"#, PACKS),
    ] {
        let spoilt = good.replacen(from, to, 1);
        assert_ne!(spoilt, good, "{from}");
        let error = read_request(parse(&spoilt).root()).unwrap_err();
        assert_eq!(error.path, path, "{from}: {error}");
    }
    let good = task(&order, at(WRITTEN), at(WRITTEN));
    for (from, to, path) in [
        (
            r#""status":"requested""#,
            r#""status":"completed""#,
            "status",
        ),
        (
            r#""code":"submitted""#,
            r#""code":"sent""#,
            "businessStatus",
        ),
        ("Patient/ada", "Group/ada", "for"),
    ] {
        let spoilt = good.replacen(from, to, 1);
        let error = read_task(parse(&spoilt).root()).unwrap_err();
        assert_eq!(error.path, path, "{from}: {error}");
    }
}

fn thing(item: bool, batch: Batch) -> Delivered {
    Delivered {
        item: item.then(|| "a".parse().unwrap()),
        label: "Paracetamol 500 mg \"tablets\"".to_owned(),
        resident: Some("ada".parse().unwrap()),
        quantity: units("28"),
        batch,
    }
}

#[test]
fn a_delivery_is_valid_and_read_back() {
    let full = Batch {
        expiry: Some("2027-01-31".parse().unwrap()),
        lot: Some("L1".to_owned()),
        serial: Some("7".to_owned()),
    };
    for thing in [
        thing(true, full.clone()),
        thing(false, full),
        thing(true, Batch::default()),
    ] {
        let delivery = Delivery {
            note: "DN 12".to_owned(),
            from: "pharmacy".parse().unwrap(),
            at: at(WRITTEN),
            things: vec![thing.clone()],
        };
        let order = "o-1".parse().unwrap();
        let location = "cupboard".parse().unwrap();
        let unit = Unit::ucum("{tablet}");
        let json = supply_delivery(&order, &delivery, &thing, &unit, &location);
        valid(&json);
        let read = read_delivery(parse(&json).root()).unwrap();
        assert_eq!((read.thing, read.note), (thing, delivery.note));
        assert_eq!(
            (read.order, read.location, read.unit),
            (order, location, unit)
        );
        assert_eq!((read.from, read.at), (delivery.from, delivery.at));
        for (from, to, path) in [
            ("completed", "in-progress", "status"),
            (ORDER, "urn:other", "basedOn"),
            (NOTE, "urn:other", "identifier"),
            (r#""value":28"#, r#""value":0"#, "suppliedItem.quantity"),
        ] {
            let spoilt = json.replacen(from, to, 1);
            let error = read_delivery(parse(&spoilt).root()).unwrap_err();
            assert_eq!(error.path, path, "{error}");
        }
    }
}

#[test]
fn a_dispensing_is_valid_and_read_back() {
    for dispensed in Dispensed::ALL {
        for quantity in [None, Some((units("14"), Unit::ucum("{tablet}")))] {
            let own = Dispensing {
                order: "o-1".parse().unwrap(),
                code: "322236009".to_owned(),
                name: "Paracetamol 500mg tablets".to_owned(),
                resident: "ada".parse().unwrap(),
                dispensed: *dispensed,
                quantity,
                at: at(WRITTEN),
            };
            let json = dispense(&own);
            valid(&json);
            assert_eq!(read_dispense(parse(&json).root()), Ok(own));
            let spoilt = json.replace(status_of(*dispensed), "unknown");
            assert!(read_dispense(parse(&spoilt).root()).is_err());
            let spoilt = json.replace(dispensed.code(), "0099");
            assert_eq!(
                read_dispense(parse(&spoilt).root()).unwrap_err().path,
                "type"
            );
        }
    }
}

fn parties() -> Parties {
    Parties {
        sender: "VNE51".to_owned(),
        source: (
            "Mill House".to_owned(),
            "https://mill.example.org/fhir".to_owned(),
        ),
        receiver: "A83008".to_owned(),
        pharmacy: "FCG71".to_owned(),
        patient: Patient {
            nhs_number: "9453740993".to_owned(),
            family: "Byrne".to_owned(),
            given: vec!["Ada".to_owned()],
            gender: "female".to_owned(),
            born: "1938-09-23".to_owned(),
            postcode: "DE24 8RY".to_owned(),
        },
        prescriber: Prescriber {
            role: "100096757983".to_owned(),
            name: "Dr Osei".to_owned(),
            practice: "A83008".to_owned(),
        },
    }
}

fn key(order: &Order) -> IdempotencyKey {
    let tenant = "018f2c3e-7b1a-7c3d-9e4f-0123456789ab".parse().unwrap();
    IdempotencyKey::derive(tenant, &order.verb, "2026-03", 0)
}

fn sent(content: Content<'_>) -> String {
    let order = order(Kind::Repeat, State::Approved).unwrap();
    let texts = ["Take 1 tablet twice a day.".to_owned()];
    let key = key(&order);
    message(
        &order,
        &parties(),
        content,
        (&key, "continuous", &texts),
        at(WRITTEN),
    )
    .unwrap()
}

#[test]
fn a_message_is_valid_and_a_request_is_no_prescription() {
    let signed = Content::Prescription {
        signature: "c2lnbmVk",
        signed: at(WRITTEN),
    };
    let cancelled = Content::Cancellation { reason: "0002" };
    for (content, event, intent, status, signatures) in [
        (Content::Request, "repeat-request", "proposal", "active", 0),
        (signed, "prescription-order", "order", "active", 1),
        (
            cancelled,
            "prescription-order-update",
            "order",
            "cancelled",
            0,
        ),
    ] {
        let json = sent(content);
        valid(&json);
        let document = parse(&json);
        let entries: Vec<_> = document.root().get("entry").unwrap().items().collect();
        let of = |kind: &str| -> Vec<_> {
            entries
                .iter()
                .map(|own| own.get("resource").unwrap())
                .filter(|own| own.get_str("resourceType").unwrap() == kind)
                .collect()
        };
        let header = entries[0].get("resource").unwrap();
        assert_eq!(header.get_str("resourceType").unwrap(), "MessageHeader");
        let coded = header.get("eventCoding").unwrap();
        assert_eq!(coded.get_str("code").unwrap(), event);
        assert_eq!(of("Provenance").len(), signatures);
        let medicines = of("MedicationRequest");
        assert_eq!(medicines.len(), 2);
        for own in medicines {
            assert_eq!(own.get_str("intent").unwrap(), intent);
            assert_eq!(own.get_str("status").unwrap(), status);
        }
        // Every reference of the message leads to an entry of it.
        let urls: Vec<_> = entries
            .iter()
            .map(|own| own.get_str("fullUrl").unwrap())
            .collect();
        let distinct: std::collections::BTreeSet<_> = urls.iter().collect();
        assert_eq!(distinct.len(), urls.len());
        for (path, to) in fhir::print::references(document.root()) {
            assert!(urls.iter().any(|own| **own == to), "{path} {to}");
        }
    }
}

#[test]
fn a_message_that_is_sent_again_is_the_same_message() {
    assert_eq!(sent(Content::Request), sent(Content::Request));
    let one = parse(&sent(Content::Request));
    let id = one.root().get_str("id").unwrap().into_owned();
    assert_eq!(id.len(), 36);
    assert_eq!((id.as_bytes()[14], id.as_bytes()[8]), (b'8', b'-'));
    assert!(
        id.parse::<kernel::TenantId>().is_ok(),
        "{id} has the shape of a UUID"
    );
}

#[test]
fn a_short_form_ends_with_its_check_character() {
    // Numbers of the service's own examples.
    for known in [
        "24F5DA-A83008-7EFE6Z",
        "56ED1F-C81007-00001C",
        "9AD427-A83008-2E461K",
    ] {
        let bare = known.replace('-', "");
        let (text, check) = bare.split_at(bare.len() - 1);
        assert_eq!(message::check_character(text).to_string(), check, "{known}");
    }
    let order = order(Kind::Repeat, State::Draft).unwrap();
    let made = short_form(&key(&order), "A83008").unwrap();
    assert_eq!((made.len(), &made[6..14]), (20, "-A83008-"));
    assert_eq!(&short_form(&key(&order), "X26").unwrap()[6..14], "-000X26-");
    for bad in ["", "a83008", "A830081", "A 300"] {
        assert!(short_form(&key(&order), bad).is_err(), "{bad}");
    }
}

proptest! {
    /// One character typed wrongly, or two neighbours exchanged, is found.
    #[test]
    fn a_mistyped_number_is_found(text in "[0-9A-F]{6}[A-Z][0-9]{5}[0-9A-F]{5}", place in 0usize..17, other in "[0-9A-Z]") {
        let check = message::check_character(&text);
        let mut wrong = text.clone();
        wrong.replace_range(place..=place, &other);
        prop_assert_eq!(message::check_character(&wrong) == check, wrong == text);
        if place > 0 {
            let mut letters: Vec<char> = text.chars().collect();
            letters.swap(place - 1, place);
            let swapped: String = letters.into_iter().collect();
            prop_assert_eq!(message::check_character(&swapped) == check, swapped == text);
        }
    }

    /// Amounts keep their value and names their letters through JSON.
    #[test]
    fn lines_survive_the_way_through_json(amount in 1i64..100_000_000, places in 0u32..6, name in "\\PC{1,30}") {
        let mut order = order(Kind::Direct, State::Draft).unwrap();
        let mut product = general("a");
        product.name = name.trim().to_owned();
        prop_assume!(!product.name.is_empty());
        let quantity = crate::stock::Units::new(rust_decimal::Decimal::new(amount, places)).unwrap();
        order.verb = direct(&[(&product, quantity, None)]).unwrap();
        let json = supply_request(&order, &order.verb.lines()[0], at(WRITTEN));
        let read = read_request(parse(&json).root()).unwrap();
        prop_assert_eq!(&read.line, &order.verb.lines()[0]);
    }

    /// A byte that is changed on the way is refused, or read as what it then says; nothing breaks.
    #[test]
    fn a_changed_byte_breaks_nothing(place in 0usize..2_000, byte in 0x20u8..0x7f) {
        let order = order(Kind::Repeat, State::Submitted).unwrap();
        let good = supply_request(&order, &order.verb.lines()[0], at(WRITTEN));
        let before = read_request(parse(&good).root()).unwrap();
        let mut bytes = good.into_bytes();
        let place = place % bytes.len();
        let same = bytes[place] == byte;
        bytes[place] = byte;
        if let Ok(document) = Document::parse(bytes, &Limits::default()) {
            let read = read_request(document.root());
            prop_assert!(!same || read.as_ref() == Ok(&before));
            if let Ok(read) = read {
                prop_assert!(read.line.quantity.get() > rust_decimal::Decimal::ZERO);
            }
        }
    }
}
