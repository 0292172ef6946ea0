//! Orders that a program proposes: what the schedules need beyond what is there, in packs, within what may be
//! spent, each decision with its reasons. The decisions are `medication::supply`'s. Must not order what
//! it could not count, and must not approve where the house wants a person.

use identity::Interaction;
use kernel::{ActorId, ActorKind, Timestamp};
use ledger::leaf::Class;
use medication::dictionary::System;
use medication::ids::{ItemId, LocationId, OrderId, ResidentId};
use medication::supply::{
    Action, Candidate, Control, Currency, Cycle, Decision, Event, Kind, Mode, Money, Moved, Need,
    OpenOrder, Policy, Product, Proposal, State, Why, decide,
};
use store::{DocExpected, DocKind};

use super::draft::{self, NewLine, NewOrder};
use super::kept::{self, DONE, Kept, OPEN, stands};
use super::partners;
use super::send::{Out, What};
use super::steps::{Step, change};
use crate::App;
use crate::admin::{allow, changed, commit, load, write};
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::sources;
use crate::medicines::stock::{Item, forecast, look};

/// How a house wants it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Plan {
    /// How far a program goes, and what may be spent in a cycle.
    pub policy: Policy,
    /// Days of a cycle.
    pub days: u16,
    /// Days beyond it that should be there too.
    pub reserve_days: u16,
    /// The partner that goods are ordered from.
    pub goods: Option<String>,
    /// The partner that prescriptions are asked of.
    pub prescriptions: Option<String>,
    /// Who set it; none where nobody did.
    pub set_by: Option<ActorId>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            policy: Policy {
                mode: Mode::Approval,
                cap: Money::none(Currency::GBP),
            },
            days: 28,
            reserve_days: 7,
            goods: None,
            prescriptions: None,
            set_by: None,
        }
    }
}

/// What was decided of one medicine at one place.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The medicine.
    pub item: ItemId,
    /// Its name.
    pub name: String,
    /// Its unit, for people.
    pub unit: String,
    /// Where it is kept.
    pub location: LocationId,
    /// For whom; none for common stock.
    pub resident: Option<ResidentId>,
    /// What the cycle needs; none where that cannot be told.
    pub need: Option<Need>,
    /// What comes of it.
    pub action: Action,
    /// Why it is not more.
    pub why: Vec<Why>,
    /// What is lacking to decide, in words.
    pub unknown: Vec<String>,
    /// What would be asked for.
    pub proposal: Option<Proposal>,
    /// The order that was made of it.
    pub order: Option<OrderId>,
    code: String,
}

const NAME: &str = "medicine-ordering";
/// Most medicines that one run looks at.
const MOST: usize = 2_000;

/// How the house wants it; by default a person approves each draft, and no money is granted.
pub async fn plan(app: &App, caller: &Caller) -> Result<Plan, AppError> {
    allow(app, caller, Interaction::OrderMedicines).await?;
    Ok(stored(app, caller).await?.0)
}

async fn stored(app: &App, caller: &Caller) -> Result<(Plan, DocExpected), AppError> {
    let found = load::<Plan>(app, &caller.scope, DocKind::Setting, NAME).await?;
    Ok(found.map_or((Plan::default(), DocExpected::Absent), |own| {
        (own.value, DocExpected::Version(own.version))
    }))
}

/// Sets it.
pub async fn set_plan(app: &App, caller: &Caller, plan: Plan) -> Result<Plan, AppError> {
    allow(app, caller, Interaction::ApproveOrders).await?;
    if caller.subject.actor().kind != ActorKind::User {
        return Err(AppError::Unprocessable(
            "a program grants itself nothing: let somebody sign in".to_owned(),
        ));
    }
    if !(1..=92).contains(&plan.days) || plan.reserve_days > 92 {
        return Err(AppError::Unprocessable(
            "a cycle has 1 to 92 days, and a reserve at most 92: correct them".to_owned(),
        ));
    }
    for id in plan.goods.iter().chain(&plan.prescriptions) {
        partners::partner(app, caller, id).await?;
    }
    let own = Plan {
        set_by: Some(caller.subject.actor().id),
        ..plan
    };
    let (_, expected) = stored(app, caller).await?;
    let doc = write(app, DocKind::Setting, NAME, expected, &own, Vec::new())?;
    let cap = &own.policy.cap;
    let detail = format!(
        "{:?}, {} {} in {} days",
        own.policy.mode,
        cap.amount(),
        cap.currency().code(),
        own.days
    );
    let entry = changed(app, caller, Class::Config, "medicine-ordering", detail);
    commit(app, &caller.scope, doc, entry).await?;
    Ok(own)
}

/// Says what it would do, and does nothing.
pub async fn dry_run(app: &App, caller: &Caller) -> Result<Vec<Decided>, AppError> {
    allow(app, caller, Interaction::OrderMedicines).await?;
    let (mut plan, _) = stored(app, caller).await?;
    if plan.policy.mode != Mode::Off {
        plan.policy.mode = Mode::DryRun;
    }
    decided(app, caller, &plan).await
}

/// Does it: drafts, and where the house wants that, orders that are sent.
pub async fn run(app: &App, caller: &Caller) -> Result<Vec<Decided>, AppError> {
    allow(app, caller, Interaction::OrderMedicines).await?;
    let (plan, _) = stored(app, caller).await?;
    let mut found = decided(app, caller, &plan).await?;
    for place in 0..found.len() {
        let Some(own) = found.get(place).cloned() else {
            continue;
        };
        let order = match own.action {
            Action::Draft | Action::Send => Some(made(app, caller, &plan, &own).await?),
            Action::Nothing | Action::ByHand | Action::WouldAsk => None,
        };
        if let Some(own) = found.get_mut(place) {
            own.order = order;
        }
    }
    app.board().orders.notify_one();
    Ok(found)
}

/// The orders that count: those that are open, and what the cycle's orders cost.
async fn ordered(
    app: &App,
    caller: &Caller,
    since: Timestamp,
    cap: &Money,
) -> Result<(Vec<OpenOrder>, Money), AppError> {
    let mut open = Vec::new();
    let mut spent = Some(Money::none(cap.currency()));
    for prefix in [OPEN, DONE] {
        for doc in kept::below(app, &caller.scope, prefix, 10_000).await? {
            let own: Kept = serde_json::from_slice(&doc.body)?;
            let state = own.state()?;
            let ended = matches!(state, State::Rejected | State::Cancelled | State::Expired);
            if !ended && own.drafted >= since && own.kind == Kind::Direct {
                spent = spent.and_then(|spent| spent.plus(&own.cost?).ok());
            }
            if !state.is_final() {
                open.push(OpenOrder {
                    id: own.id.clone(),
                    state,
                    resident: own.resident.clone(),
                    items: own.lines.iter().map(|line| line.item.clone()).collect(),
                });
            }
        }
    }
    // What is not known is not free: with a price that nobody said, nothing is left.
    Ok((open, spent.unwrap_or(*cap)))
}

async fn decided(app: &App, caller: &Caller, plan: &Plan) -> Result<Vec<Decided>, AppError> {
    let now = app.now();
    let day = 86_400;
    let cycle = Cycle {
        start: now,
        end: now.plus_seconds(i64::from(plan.days) * day),
        reserve_days: plan.reserve_days,
    };
    let since = now.plus_seconds(-i64::from(plan.days) * day);
    let (open, mut spent) = ordered(app, caller, since, &plan.policy.cap).await?;
    let mut sold = Vec::new();
    for id in plan.goods.iter().chain(&plan.prescriptions) {
        let own = partners::catalogue_of(app, caller, id).await?;
        sold.extend(own.map(|own| own.1).unwrap_or_default());
    }
    let items = look::list(app, caller).await?;
    if items.len() > MOST {
        return Err(AppError::TooLarge(format!(
            "{} medicines are kept, {MOST} are looked at: order by hand",
            items.len()
        )));
    }
    let mut found = Vec::new();
    for seen in &items {
        let (product, lacking) = product(&sold, &seen.item)?;
        for own in forecast::needed(app, caller, &seen.item.id, &cycle).await? {
            let mut unknown = own.unknown;
            unknown.extend(lacking.clone());
            let candidate = Candidate {
                product: &product,
                resident: own.place.resident.as_ref(),
                need: own.need.as_ref().filter(|_| unknown.is_empty()),
            };
            let Decision {
                action,
                why,
                proposal,
            } = decide(&plan.policy, &spent, &open, candidate);
            let (action, unknown) = reachable(plan, action, proposal.as_ref(), unknown);
            if let Some(cost) = proposal.as_ref().and_then(|own| own.cost)
                && matches!(action, Action::Draft | Action::Send | Action::WouldAsk)
            {
                spent = spent.plus(&cost).unwrap_or(spent);
            }
            found.push(Decided {
                item: seen.item.id.clone(),
                name: seen.item.name.clone(),
                unit: seen.item.unit.name().to_owned(),
                location: own.place.location,
                resident: own.place.resident,
                need: own.need,
                action,
                why,
                unknown,
                proposal,
                order: None,
                code: product.code.clone(),
            });
        }
    }
    Ok(found)
}

/// Without somebody to ask it is a person's.
fn reachable(
    plan: &Plan,
    action: Action,
    proposal: Option<&Proposal>,
    mut unknown: Vec<String>,
) -> (Action, Vec<String>) {
    let Some(proposal) = proposal else {
        return (action, unknown);
    };
    let (partner, words) = match proposal.kind {
        Kind::Direct => (&plan.goods, "no partner for goods is set"),
        Kind::Repeat => (&plan.prescriptions, "no partner for prescriptions is set"),
    };
    if partner.is_none() {
        unknown.push(words.to_owned());
        return (Action::ByHand, unknown);
    }
    (action, unknown)
}

/// The medicine as it can be ordered, and what is lacking for that.
fn product(sold: &[Product], item: &Item) -> Result<(Product, Vec<String>), AppError> {
    let dictionary = sources()?.dictionary;
    let listed = item.product.as_deref().and_then(|own| dictionary.by_name(own));
    let code = listed.and_then(|own| {
        let code = own.codes.iter().find(|own| own.0 == System::Dmd);
        code.map(|own| own.1.clone())
    });
    // Sold under the name that it is kept under, where the dictionary has no code of it.
    let code = code.or_else(|| {
        let named = sold.iter().find(|own| own.name.eq_ignore_ascii_case(&item.name));
        named.map(|own| own.code.clone())
    });
    let known = match &code {
        Some(code) => draft::known(sold, code, Some(&item.id))?,
        None => None,
    };
    let mut lacking = Vec::new();
    let mut own = known.unwrap_or_else(|| {
        lacking.push("no catalogue has it".to_owned());
        Product {
            item: item.id.clone(),
            code: code.unwrap_or_default(),
            name: item.name.clone(),
            unit: item.unit.clone(),
            legal: None,
            control: None,
            packs: Vec::new(),
        }
    });
    if let Some(class) = item.control {
        own.control = Some(Control::Yes(class));
    }
    if own.unit.measure() != item.unit.measure() {
        lacking.push(format!(
            "it is kept in {} and sold in {}",
            item.unit.name(),
            own.unit.name()
        ));
    }
    Ok((own, lacking))
}

/// Makes the order of a decision: the same decision of the same day makes it once.
async fn made(
    app: &App,
    caller: &Caller,
    plan: &Plan,
    own: &Decided,
) -> Result<OrderId, AppError> {
    let proposal = own.proposal.as_ref();
    let proposal = proposal.ok_or_else(|| AppError::Fault("nothing is proposed".to_owned()))?;
    let partner = match proposal.kind {
        Kind::Direct => plan.goods.clone(),
        Kind::Repeat => plan.prescriptions.clone(),
    };
    let day: String = app.now().to_string().chars().take(10).collect();
    let new = NewOrder {
        kind: proposal.kind,
        partner: partner.unwrap_or_default(),
        resident: own.resident.clone(),
        location: own.location.clone(),
        cycle: format!("automatic {day}"),
        attempt: 0,
        lines: vec![NewLine {
            code: own.code.clone(),
            item: Some(own.item.clone()),
            name: Some(own.name.clone()),
            quantity: proposal.rounded.total,
            unit: None,
            packs: Some(proposal.rounded.packs),
            dose: None,
        }],
    };
    let kept = draft::make(app, caller, &new, Some(own.why.clone())).await?;
    if own.action == Action::Send {
        sent(app, caller, plan, &kept.id).await?;
    }
    Ok(kept.id)
}

/// Approves and submits for whoever set the plan: only what the decision may send comes here.
async fn sent(app: &App, caller: &Caller, plan: &Plan, id: &OrderId) -> Result<(), AppError> {
    let Some(by) = plan.set_by else {
        return Err(AppError::Unprocessable(
            "nobody set the plan: a program approves nothing by itself".to_owned(),
        ));
    };
    change(app, caller, id, |stored| {
        let mut own = stored.kept.clone();
        if own.state()? != State::Draft {
            return Ok(None);
        }
        let mut track = own.order()?.track;
        let moved = Moved {
            id: "approve".to_owned(),
            event: Event::Approve,
            at: app.now(),
            by: Some(by),
        };
        track.take(moved).map_err(stands)?;
        own.trail = track.trail().to_vec();
        let out = Out::new(app, caller, &own, What::Order);
        let mut step = Step::of(own, "order-automatic");
        "by the plan of whoever approves".clone_into(&mut step.detail);
        step.docs.push(out.write(app, DocExpected::Absent)?);
        Ok(Some(step))
    })
    .await?;
    Ok(())
}

