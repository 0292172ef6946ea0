//! Whether a program may ask for a medicine by itself, and what it would ask for. A person approves
//! unless the home says otherwise. Must not ask for a controlled drug, for what is on order already, or
//! for more than may be spent.

use super::need::Need;
use super::packs::{Rounded, round};
use super::product::{Legal, Money, Product};
use super::state::{Kind, State};
use crate::ids::{ItemId, OrderId, ResidentId};

/// How far a program goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Not at all.
    Off,
    /// It says what it would do.
    DryRun,
    /// It makes a draft for a person.
    #[default]
    Approval,
    /// It asks by itself, within what may be spent.
    Automatic,
}

/// What a home allows.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Policy {
    /// How far.
    pub mode: Mode,
    /// What may be spent in the cycle.
    pub cap: Money,
}

/// What is on order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOrder {
    /// Its id.
    pub id: OrderId,
    /// Where it stands.
    pub state: State,
    /// For whom; none for common stock.
    pub resident: Option<ResidentId>,
    /// What it holds.
    pub items: Vec<ItemId>,
}

/// What might be asked for.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The medicine.
    pub product: &'a Product,
    /// For whom; none for common stock.
    pub resident: Option<&'a ResidentId>,
    /// What the cycle needs; none where that could not be said.
    pub need: Option<&'a Need>,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    Nothing,
    /// A person decides without a proposal.
    ByHand,
    /// A draft that a person approves.
    Draft,
    /// It would have been a draft or sent.
    WouldAsk,
    /// It is sent.
    Send,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The home does not want it.
    Off,
    /// There is enough.
    Enough,
    /// What is needed could not be said.
    NeedUnknown,
    /// It is a controlled drug.
    Controlled,
    /// Nobody knows whether it is one.
    ControlUnknown,
    /// Nobody knows whether it needs a prescription.
    LegalUnknown,
    /// It is on order.
    Duplicate(OrderId),
    /// No pack fits.
    NoPack,
    /// A prescription is needed: a person of the home asks for it.
    PrescriptionNeeded,
    /// Its price is not known, or of another currency.
    NoPrice,
    /// It would cost more than is left.
    OverCap,
    /// The home wants a person to approve.
    Approval,
}

/// What would be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Of whom.
    pub kind: Kind,
    /// In which packs.
    pub rounded: Rounded,
    /// What it costs, where it is bought and the price is known.
    pub cost: Option<Money>,
}

/// The decision, with every reason against sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What comes of it.
    pub action: Action,
    /// Why it is not more.
    pub why: Vec<Why>,
    /// What would be asked for.
    pub proposal: Option<Proposal>,
}

/// Decides. `spent` is what the cycle's orders cost so far.
#[must_use]
pub fn decide(
    policy: &Policy,
    spent: &Money,
    open: &[OpenOrder],
    candidate: Candidate<'_>,
) -> Decision {
    match propose(policy, open, candidate) {
        Err((action, why)) => Decision {
            action,
            why: vec![why],
            proposal: None,
        },
        Ok(proposal) => {
            let why = held(policy, spent, &proposal);
            let action = match (policy.mode, why.is_empty()) {
                (Mode::DryRun, _) => Action::WouldAsk,
                (Mode::Automatic, true) => Action::Send,
                _ => Action::Draft,
            };
            Decision {
                action,
                why,
                proposal: Some(proposal),
            }
        }
    }
}

/// Why a proposal is not sent without a person.
fn held(policy: &Policy, spent: &Money, proposal: &Proposal) -> Vec<Why> {
    let mut why = Vec::new();
    if policy.mode == Mode::Approval {
        why.push(Why::Approval);
    }
    if proposal.kind == Kind::Repeat {
        why.push(Why::PrescriptionNeeded);
        return why;
    }
    match proposal.cost.map(|cost| spent.plus(&cost)) {
        Some(Ok(sum)) if sum.currency() == policy.cap.currency() => {
            if sum.amount() > policy.cap.amount() {
                why.push(Why::OverCap);
            }
        }
        _ => why.push(Why::NoPrice),
    }
    why
}

fn propose(
    policy: &Policy,
    open: &[OpenOrder],
    candidate: Candidate<'_>,
) -> Result<Proposal, (Action, Why)> {
    let product = candidate.product;
    let no = |action, why| Err((action, why));
    if policy.mode == Mode::Off {
        return no(Action::Nothing, Why::Off);
    }
    // Before anything else: a controlled drug is never a program's.
    if !product.is_uncontrolled() {
        let why = match product.control {
            Some(_) => Why::Controlled,
            None => Why::ControlUnknown,
        };
        return no(Action::ByHand, why);
    }
    let Some(need) = candidate.need else {
        return no(Action::ByHand, Why::NeedUnknown);
    };
    let Some(missing) = need.missing else {
        return no(Action::Nothing, Why::Enough);
    };
    let known = open.iter().find(|own| {
        !own.state.is_final()
            && own.resident.as_ref() == candidate.resident
            && own.items.contains(&product.item)
    });
    if let Some(known) = known {
        return no(Action::Nothing, Why::Duplicate(known.id.clone()));
    }
    let kind = match product.legal {
        Some(Legal::PrescriptionOnly) => Kind::Repeat,
        Some(_) => Kind::Direct,
        None => return no(Action::ByHand, Why::LegalUnknown),
    };
    let Some(rounded) = round(missing, &product.packs) else {
        return no(Action::ByHand, Why::NoPack);
    };
    let price = rounded.pack.price.filter(|_| kind == Kind::Direct);
    let cost = price.and_then(|price| price.times(rounded.packs.count).ok());
    Ok(Proposal {
        kind,
        rounded,
        cost,
    })
}
