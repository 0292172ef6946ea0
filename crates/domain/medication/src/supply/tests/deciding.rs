//! What a program may do by itself.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use super::*;

fn needing(amount: &str) -> Need {
    Need {
        before: Decimal::ZERO,
        during: amount.parse().unwrap(),
        left: Decimal::ZERO,
        missing: Units::new(amount.parse().unwrap()).ok(),
    }
}

fn policy(mode: Mode, cap: &str) -> Policy {
    Policy {
        mode,
        cap: pounds(cap),
    }
}

fn open(state: State, item: &str) -> OpenOrder {
    OpenOrder {
        id: "o-1".parse().unwrap(),
        state,
        resident: None,
        items: vec![item.parse().unwrap()],
    }
}

#[test]
fn the_default_is_a_draft_for_a_person() {
    assert_eq!(Mode::default(), Mode::Approval);
    let product = general("x");
    let need = needing("50");
    let candidate = Candidate {
        product: &product,
        resident: None,
        need: Some(&need),
    };
    let none = pounds("0");
    let decision = decide(&policy(Mode::Approval, "10"), &none, &[], candidate);
    assert_eq!(decision.action, Action::Draft);
    assert_eq!(decision.why, [Why::Approval]);
    let proposal = decision.proposal.unwrap();
    assert_eq!(
        (proposal.rounded.packs.count, proposal.cost),
        (2, Some(pounds("2.40")))
    );
}

#[test]
fn a_program_sends_only_what_it_may() {
    let sale = Some(Legal::GeneralSale);
    let free = Some(Control::No);
    let morphine = Some(Control::Yes(Class::Two));
    let linctus = Some(Control::Yes(Class::Five));
    let held = [open(State::WithDispenser, "x")];
    let done = [open(State::Reconciled, "x"), open(State::Submitted, "y")];
    let auto = Mode::Automatic;
    for (mode, legal, control, needed, orders, spent, action, why) in [
        (auto, sale, free, "50", &[][..], "0", Action::Send, None),
        (auto, sale, free, "50", &done[..], "0", Action::Send, None),
        (auto, sale, free, "50", &[], "7.60", Action::Send, None),
        (
            auto,
            sale,
            free,
            "50",
            &[],
            "7.61",
            Action::Draft,
            Some(Why::OverCap),
        ),
        (
            Mode::DryRun,
            sale,
            free,
            "50",
            &[],
            "0",
            Action::WouldAsk,
            None,
        ),
        (
            Mode::Off,
            sale,
            free,
            "50",
            &[],
            "0",
            Action::Nothing,
            Some(Why::Off),
        ),
        (
            auto,
            sale,
            morphine,
            "50",
            &[],
            "0",
            Action::ByHand,
            Some(Why::Controlled),
        ),
        (
            auto,
            sale,
            linctus,
            "50",
            &[],
            "0",
            Action::ByHand,
            Some(Why::Controlled),
        ),
        (
            auto,
            sale,
            None,
            "50",
            &[],
            "0",
            Action::ByHand,
            Some(Why::ControlUnknown),
        ),
        (
            auto,
            None,
            free,
            "50",
            &[],
            "0",
            Action::ByHand,
            Some(Why::LegalUnknown),
        ),
        (
            auto,
            sale,
            free,
            "0",
            &[],
            "0",
            Action::Nothing,
            Some(Why::Enough),
        ),
        (
            auto,
            sale,
            free,
            "900000",
            &[],
            "0",
            Action::Draft,
            Some(Why::OverCap),
        ),
        (
            auto,
            sale,
            free,
            "99999999",
            &[],
            "0",
            Action::ByHand,
            Some(Why::NoPack),
        ),
        (
            auto,
            Some(Legal::PrescriptionOnly),
            free,
            "50",
            &[],
            "0",
            Action::Draft,
            Some(Why::PrescriptionNeeded),
        ),
        (
            auto,
            sale,
            free,
            "50",
            &held[..],
            "0",
            Action::Nothing,
            Some(Why::Duplicate("o-1".parse().unwrap())),
        ),
    ] {
        let product = product("x", legal, control);
        let need = needing(needed);
        let candidate = Candidate {
            product: &product,
            resident: None,
            need: Some(&need),
        };
        let decision = decide(&policy(mode, "10"), &pounds(spent), orders, candidate);
        assert_eq!(
            decision.action, action,
            "{legal:?} {control:?} {needed} {decision:?}"
        );
        assert_eq!(decision.why, why.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn what_is_not_known_is_for_a_person() {
    let mut product = general("x");
    let candidate = Candidate {
        product: &product,
        resident: None,
        need: None,
    };
    let auto = policy(Mode::Automatic, "10");
    let decision = decide(&auto, &pounds("0"), &[], candidate);
    assert_eq!(decision.why, [Why::NeedUnknown]);
    product.packs = vec![pack("28", None)];
    let need = needing("28");
    let candidate = Candidate {
        product: &product,
        resident: None,
        need: Some(&need),
    };
    let decision = decide(&auto, &pounds("0"), &[], candidate);
    assert_eq!(
        (decision.action, decision.why),
        (Action::Draft, vec![Why::NoPrice])
    );
    // What is on order for one resident is none of another's.
    let ada = "ada".parse().unwrap();
    let for_ada = Candidate {
        resident: Some(&ada),
        ..candidate
    };
    let others = [open(State::Submitted, "x")];
    let decision = decide(&auto, &pounds("0"), &others, for_ada);
    assert!(decision.proposal.is_some());
}

proptest! {
    /// Whatever comes, in whatever order: nothing controlled or unknown is asked for, nothing twice, no
    /// more is spent than may be, a dry run sends nothing.
    #[test]
    fn a_cycle_of_decisions_keeps_the_rules(
        mode in 0usize..4,
        cap in 0i64..20,
        list in prop::collection::vec((0u8..5, 0u8..4, 0u8..4, 0i64..400), 1..30),
    ) {
        let mode = [Mode::Off, Mode::DryRun, Mode::Approval, Mode::Automatic][mode];
        let policy = Policy { mode, cap: Money::new(cap.into(), Currency::GBP).unwrap() };
        let mut spent = Money::none(Currency::GBP);
        let mut orders: Vec<OpenOrder> = Vec::new();
        for (number, (item, legal, control, missing)) in list.into_iter().enumerate() {
            let legal = [None, Some(Legal::PrescriptionOnly), Some(Legal::Pharmacy), Some(Legal::GeneralSale)][usize::from(legal)];
            let control = [None, Some(Control::No), Some(Control::Yes(Class::Two)), Some(Control::Yes(Class::Five))][usize::from(control)];
            let product = product(&format!("i{item}"), legal, control);
            let need = Need { missing: Units::new(missing.into()).ok(), ..needing("1") };
            let candidate = Candidate { product: &product, resident: None, need: Some(&need) };
            let decision = decide(&policy, &spent, &orders, candidate);
            if let Some(proposal) = &decision.proposal {
                prop_assert_eq!(control, Some(Control::No));
                prop_assert!(proposal.rounded.total.get() >= Decimal::from(missing));
                prop_assert!(!orders.iter().any(|own| own.items.contains(&product.item)));
                prop_assert_eq!(proposal.kind == Kind::Repeat, legal == Some(Legal::PrescriptionOnly));
            }
            if decision.action == Action::Send {
                prop_assert_eq!(mode, Mode::Automatic);
                prop_assert!(decision.why.is_empty());
                let proposal = decision.proposal.unwrap();
                prop_assert_eq!(proposal.kind, Kind::Direct);
                spent = spent.plus(&proposal.cost.unwrap()).unwrap();
                prop_assert!(spent.amount() <= policy.cap.amount());
                let mut order = open(State::Submitted, product.item.as_str());
                order.id = format!("o-{number}").parse().unwrap();
                orders.push(order);
            } else {
                prop_assert!(!decision.why.is_empty() || mode == Mode::DryRun);
            }
        }
    }
}
