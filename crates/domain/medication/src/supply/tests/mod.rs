//! Laws of ordering: what may be asked of whom, the states, packs, what a program may do, booking in.

mod booking;
mod deciding;
mod journey;
mod states;

pub(in crate::supply) use states::standing;

use fhir::json::{Document, Limits};
use kernel::{ActorId, TenantId, Timestamp};
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::quantity::Unit;
use crate::register::Class;
use crate::stock::Units;

pub(in crate::supply) fn at(text: &str) -> Timestamp {
    Timestamp::from_rfc3339(text).unwrap()
}

pub(in crate::supply) fn person() -> ActorId {
    "00000000-0000-4000-8000-000000000001".parse().unwrap()
}

pub(in crate::supply) fn units(text: &str) -> Units {
    Units::new(text.parse().unwrap()).unwrap()
}

pub(in crate::supply) fn pounds(text: &str) -> Money {
    Money::new(text.parse().unwrap(), Currency::GBP).unwrap()
}

pub(in crate::supply) fn pack(holds: &str, price: Option<&str>) -> Pack {
    Pack {
        holds: units(holds),
        price: price.map(pounds),
    }
}

pub(in crate::supply) fn product(
    item: &str,
    legal: Option<Legal>,
    control: Option<Control>,
) -> Product {
    Product {
        item: item.parse().unwrap(),
        code: "322236009".to_owned(),
        name: format!("{item} tablets"),
        unit: Unit::ucum("{tablet}"),
        legal,
        control,
        packs: vec![pack("28", Some("1.20")), pack("100", Some("3.00"))],
    }
}

pub(in crate::supply) fn general(item: &str) -> Product {
    product(item, Some(Legal::GeneralSale), Some(Control::No))
}

pub(in crate::supply) fn repeat(
    wanted: &[(&Product, Units, Option<Packs>)],
) -> Result<Verb, OrderError> {
    request_repeat(
        "practice".parse().unwrap(),
        "ada".parse().unwrap(),
        "cupboard".parse().unwrap(),
        wanted,
    )
}

pub(in crate::supply) fn direct(
    wanted: &[(&Product, Units, Option<Packs>)],
) -> Result<Verb, OrderError> {
    order_supply(
        "wholesaler".parse().unwrap(),
        None,
        "cupboard".parse().unwrap(),
        wanted,
    )
}

#[test]
fn what_needs_a_prescription_is_requested_and_never_bought() {
    let pom = Some(Legal::PrescriptionOnly);
    let p = Some(Legal::Pharmacy);
    let sale = Some(Legal::GeneralSale);
    let free = Some(Control::No);
    let class = |class| Some(Control::Yes(class));
    for (legal, control, bought) in [
        (sale, free, "ok"),
        (p, free, "ok"),
        (p, class(Class::Five), "ok"),
        (pom, free, "PrescriptionOnly"),
        (pom, class(Class::Two), "PrescriptionOnly"),
        (p, class(Class::Two), "Controlled"),
        (p, class(Class::Three), "Controlled"),
        (sale, class(Class::FourBenzodiazepine), "Controlled"),
        (None, free, "LegalUnknown"),
        (sale, None, "LegalUnknown"),
    ] {
        let product = product("x", legal, control);
        let wanted = [(&product, units("28"), None)];
        let text = direct(&wanted).map_or_else(|e| format!("{e:?}"), |_| "ok".to_owned());
        assert!(text.starts_with(bought), "{legal:?} {control:?}: {text}");
        // A prescriber may be asked for anything.
        assert_eq!(repeat(&wanted).unwrap().kind(), Kind::Repeat);
    }
    let one = general("x");
    let twice = [(&one, units("1"), None), (&one, units("2"), None)];
    assert_eq!(direct(&twice), Err(OrderError::Twice(one.name.clone())));
    assert_eq!(repeat(&[]), Err(OrderError::Empty));
}

#[test]
fn packs_cover_the_need_with_the_least_left_over() {
    let sizes = [pack("28", None), pack("100", None), pack("30", None)];
    for (needed, count, holds, surplus) in [
        ("28", 1, "28", "0"),
        ("29", 1, "30", "1"),
        ("56", 2, "28", "0"),
        ("84", 3, "28", "0"),
        ("90", 3, "30", "0"),
        ("99.5", 1, "100", "0.5"),
        ("0.5", 1, "28", "27.5"),
        // As much left over either way: the fewer packs.
        ("300", 3, "100", "0"),
    ] {
        let found = round(units(needed), &sizes).unwrap();
        let got = (found.packs.count, found.packs.holds, found.surplus);
        let expected = (count, units(holds), surplus.parse().unwrap());
        assert_eq!(got, expected, "{needed}");
    }
    assert_eq!(round(units("1"), &[]), None);
    assert_eq!(
        round(units("300000"), &sizes[..1]),
        None,
        "beyond 9,999 packs"
    );
}

#[test]
fn a_source_that_does_not_know_says_nothing_of_control() {
    use crate::dictionary::{Product, Schedule, System};
    for (schedule, system, expected) in [
        (
            Some(Schedule::Two),
            Some(System::Dmd),
            Some(Control::Yes(Class::Two)),
        ),
        (
            Some(Schedule::Three),
            None,
            Some(Control::Yes(Class::Three)),
        ),
        (None, Some(System::Dmd), Some(Control::No)),
        (None, None, Some(Control::No)),
        (None, Some(System::RxNorm), None),
    ] {
        let product = Product {
            name: "x".to_owned(),
            components: Vec::new(),
            form: None,
            route: None,
            schedule,
            codes: system
                .map(|own| (own, "1".to_owned()))
                .into_iter()
                .collect(),
            gtins: Vec::new(),
        };
        assert_eq!(Control::of(&product), expected);
    }
}

#[test]
fn money_is_decimal_and_of_one_currency() {
    let sum = pounds("0.10").plus(&pounds("0.20")).unwrap();
    assert_eq!(sum, pounds("0.30"));
    assert_eq!(
        pounds("1.20").times(3).unwrap().amount(),
        "3.60".parse().unwrap()
    );
    assert!(Money::new("-0.01".parse().unwrap(), Currency::GBP).is_err());
    let euros = Money::none(Currency::of("EUR").unwrap());
    assert!(matches!(sum.plus(&euros), Err(MoneyError::Currencies(..))));
    assert!(Currency::of("eur").is_none() && Currency::of("EURO").is_none());
    assert_eq!(
        Money::new(Decimal::MAX, Currency::GBP).unwrap().times(2),
        Err(MoneyError::Range)
    );
}

#[test]
fn a_cycle_needs_its_doses_less_what_is_left() {
    let json = r#"{"timing":{"repeat":{"frequency":2,"period":1,"periodUnit":"d"}},"doseAndRate":[{"doseQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"{tablet}"}}]}"#;
    let document = Document::parse(json.as_bytes().to_vec(), &Limits::default()).unwrap();
    let dosages = [crate::Dosage::read(document.root()).unwrap()];
    let now = at("2026-01-05T00:00:00Z");
    let setting = crate::schedule::Setting {
        zone: jiff::tz::TimeZone::UTC,
        rounds: crate::schedule::Rounds::default(),
        start: now,
        stop: None,
        window: crate::schedule::Window::default(),
    };
    let regimen = crate::stock::Regimen {
        dosages: &dosages,
        setting: &setting,
        contains: None,
        uses: &[],
    };
    for (usable, start_day, reserve_days, left, missing) in [
        ("0", 0, 0, "0", Some("56")),
        ("10", 0, 0, "10", Some("46")),
        // Ten days before the cycle begins use twenty.
        ("30", 10, 0, "10", Some("46")),
        ("15", 10, 0, "0", Some("56")),
        ("30", 10, 7, "10", Some("60")),
        ("76", 10, 0, "56", None),
        ("75.5", 10, 0, "55.5", Some("0.5")),
    ] {
        let cycle = Cycle {
            start: now.plus_seconds(start_day * 86_400),
            end: now.plus_seconds((start_day + 28) * 86_400),
            reserve_days,
        };
        let usable: Decimal = usable.parse().unwrap();
        let unit = Unit::ucum("{tablet}");
        let found = need(&[regimen], &unit, usable, now, &cycle).unwrap();
        assert_eq!(found.left, left.parse().unwrap(), "{usable} {start_day}");
        assert_eq!(found.missing, missing.map(units), "{usable} {start_day}");
    }
}

#[test]
fn a_key_is_of_its_content() {
    let (a, b) = (general("a"), general("b"));
    let tenant: TenantId = "018f2c3e-7b1a-7c3d-9e4f-0123456789ab".parse().unwrap();
    let other: TenantId = "018f2c3e-7b1a-7c3d-9e4f-0123456789ac".parse().unwrap();
    let two = |x: &str, y: &str| direct(&[(&a, units(x), None), (&b, units(y), None)]).unwrap();
    let key = |tenant, verb: &Verb, cycle, attempt| {
        IdempotencyKey::derive(tenant, verb, cycle, attempt).to_string()
    };
    let first = key(tenant, &two("28", "56"), "2026-03", 0);
    let turned = direct(&[(&b, units("56.0"), None), (&a, units("28"), None)]).unwrap();
    assert_eq!(
        key(tenant, &turned, "2026-03", 0),
        first,
        "order does not count"
    );
    assert_eq!(first.len(), 64);
    let others = [
        key(other, &two("28", "56"), "2026-03", 0),
        key(tenant, &two("56", "28"), "2026-03", 0),
        key(tenant, &two("28", "56"), "2026-04", 0),
        key(tenant, &two("28", "56"), "2026-03", 1),
        key(
            tenant,
            &direct(&[(&a, units("28"), None)]).unwrap(),
            "2026-03",
            0,
        ),
        key(
            tenant,
            &repeat(&[(&a, units("28"), None)]).unwrap(),
            "2026-03",
            0,
        ),
    ];
    let all: std::collections::BTreeSet<&String> = others.iter().chain([&first]).collect();
    assert_eq!(all.len(), 7);
}

proptest! {
    #[test]
    fn packs_are_enough_and_one_less_is_not(needed in 1i64..1_000_000, sizes in prop::collection::vec(1i64..5_000, 1..5)) {
        let needed = Units::new(Decimal::new(needed, 3)).unwrap();
        let sizes: Vec<Pack> = sizes
            .into_iter()
            .map(|size| Pack { holds: Units::new(Decimal::new(size, 2)).unwrap(), price: None })
            .collect();
        if let Some(found) = round(needed, &sizes) {
            let holds = found.packs.holds.get();
            prop_assert_eq!(found.total.get(), holds * Decimal::from(found.packs.count));
            prop_assert!(found.total >= needed);
            prop_assert!(found.total.get() - holds < needed.get());
            for other in sizes {
                let count = (needed.get() / other.holds.get()).ceil();
                let left = count * other.holds.get() - needed.get();
                prop_assert!(count > Decimal::from(9_999) || found.surplus <= left);
            }
        }
    }
}
