//! Orders that a program proposes: what the schedules need beyond what is there, in packs, within what may be
//! spent, each decision with its reasons. The decisions are `medication::supply`'s. Must not order what
//! it could not count, and must not approve where the house wants a person.

use identity::Interaction;
use kernel::{ActorId, ActorKind, Categorised as _, Timestamp};
use ledger::leaf::Class;
use medication::dictionary::Dictionary;
use medication::ids::{ItemId, LocationId, OrderId, PersonId, ResidentId, same_person};
use medication::stock::Account;
use medication::supply::{
    Action, Candidate, Control, Currency, Cycle, Decision, Event, Kind, Legal, Mode, Money, Moved,
    Need, OpenOrder, Policy, Product, Proposal, State, Why, decide,
};
use store::{DocExpected, DocKind, DocWrite};

use super::daily::Daily;
use super::draft::{self, NewLine, NewOrder};
use super::kept::{self, DONE, Kept, OPEN, stands};
use super::partners;
use super::send::{Out, What};
use super::sold::is_of;
use super::steps::{Step, change};
use crate::App;
use crate::admin::{allow, changed, commit, load, write};
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::ground::names;
use crate::medicines::sources;
use crate::medicines::stock::{Item, forecast, known, look};
use crate::retry::Retry;

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
    /// Where goes what is not kept anywhere yet.
    pub location: Option<LocationId>,
    /// Who set it; none where nobody did.
    pub set_by: Option<ActorId>,
    /// The names that they go by: what they draft themselves is approved by somebody else.
    #[serde(default)]
    pub setter: Vec<PersonId>,
    /// At what time of the day the platform runs it by itself; none where nobody asked for that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub daily: Option<Daily>,
    /// Since when it does so at that time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub daily_since: Option<Timestamp>,
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
            location: None,
            set_by: None,
            setter: Vec::new(),
            daily: None,
            daily_since: None,
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
    /// Where it is kept; none where it is kept nowhere, and nobody said where it goes.
    pub location: Option<LocationId>,
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
    if let Some(location) = plan.location.clone() {
        known(app, caller, &Account::Location { location }).await?;
    }
    let (before, expected) = stored(app, caller).await?;
    let kept = before.daily_since.filter(|_| before.daily == plan.daily);
    let own = Plan {
        set_by: Some(caller.subject.actor().id),
        setter: names(caller),
        daily_since: plan.daily.map(|_| kept.unwrap_or(app.now())),
        ..plan
    };
    let doc = write(app, DocKind::Setting, NAME, expected, &own, Vec::new())?;
    let cap = &own.policy.cap;
    let when = match own.daily {
        Some(daily) => format!("daily at {daily}"),
        None => "when somebody asks".to_owned(),
    };
    let detail = format!(
        "{:?}, {} {} in {} days, {when}",
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

/// Whose turn it is: each order that a run makes is made over the version that the run began with, so that
/// two runs at once neither make one twice nor spend the same money.
#[derive(serde::Serialize, serde::Deserialize)]
struct Turn {
    at: Timestamp,
    by: ActorId,
}

const TURN: &str = "turn/automatic";

async fn turn(app: &App, caller: &Caller) -> Result<DocExpected, AppError> {
    let kind = DocKind::PharmacyMessage;
    let found = app.store().doc(&caller.scope, kind, TURN).await?;
    Ok(found.map_or(DocExpected::Absent, |own| DocExpected::Version(own.version)))
}

/// The write that takes the turn, and what the next one expects.
fn taking(
    app: &App,
    caller: &Caller,
    expected: DocExpected,
) -> Result<(DocWrite, DocExpected), AppError> {
    let own = Turn {
        at: app.now(),
        by: caller.subject.actor().id,
    };
    let next = match expected {
        DocExpected::Version(version) => DocExpected::Version(version + 1),
        _ => DocExpected::Version(1),
    };
    Ok((kept::write(app, TURN, expected, Some(&own))?, next))
}

/// Does it: drafts, and where the house wants that, orders that are sent.
pub async fn run(app: &App, caller: &Caller) -> Result<Vec<Decided>, AppError> {
    allow(app, caller, Interaction::OrderMedicines).await?;
    let mut retry = Retry::new();
    let mut made: Vec<Decided> = Vec::new();
    loop {
        let (mut plan, _) = stored(app, caller).await?;
        // Who set the plan does not approve by it what they have drafted themselves.
        let own = same_person(&plan.setter, &names(caller));
        if plan.policy.mode == Mode::Automatic && (own || plan.set_by.is_none()) {
            plan.policy.mode = Mode::Approval;
        }
        let expected = turn(app, caller).await?;
        let mut found = decided(app, caller, &plan).await?;
        match all_made(app, caller, (&plan, expected), (&mut found, &mut made)).await {
            Err(error) if error.category() == kernel::Category::Conflict && retry.again().await => {
            }
            Err(error) => return Err(error),
            Ok(()) => {
                app.board().orders.notify_one();
                return Ok(together(found, made));
            }
        }
    }
}

/// What this run made before another one came between it stands as it was made.
fn together(mut found: Vec<Decided>, made: Vec<Decided>) -> Vec<Decided> {
    for own in made {
        let same = |now: &&mut Decided| {
            (&now.item, &now.location, &now.resident) == (&own.item, &own.location, &own.resident)
        };
        match found.iter_mut().find(same) {
            Some(now) => *now = own,
            None => found.push(own),
        }
    }
    found
}

async fn all_made(
    app: &App,
    caller: &Caller,
    (plan, mut expected): (&Plan, DocExpected),
    (found, made): (&mut [Decided], &mut Vec<Decided>),
) -> Result<(), AppError> {
    for own in found {
        if matches!(own.action, Action::Draft | Action::Send) {
            let (taken, next) = taking(app, caller, expected)?;
            let id = draft_of(app, caller, plan, own, taken).await?;
            expected = next;
            own.order = Some(id.clone());
            made.push(own.clone());
            if own.action == Action::Send {
                let (taken, next) = taking(app, caller, expected)?;
                sent(app, caller, plan, &id, taken).await?;
                expected = next;
            }
        }
    }
    Ok(())
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
            // A draft costs nothing until somebody approves it.
            let ended = matches!(
                state,
                State::Draft | State::Rejected | State::Cancelled | State::Expired
            );
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
    let prescribed = forecast::Prescribed::load(app, caller).await?;
    let dictionary = sources(app).await?;
    let dictionary = &dictionary.dictionary;
    let mut found = Vec::new();
    for seen in &items {
        let item = &seen.item;
        let (product, lacking) = product(&sold, item, dictionary)?;
        let otherwise = forecast::Otherwise {
            location: plan.location.as_ref(),
            own: product.legal == Some(Legal::PrescriptionOnly),
        };
        let asked = (&cycle, otherwise, &prescribed);
        let needed = match forecast::needed(app, caller, &item.id, asked).await {
            // What cannot be counted is a person's, and keeps nothing else.
            Err(AppError::Unprocessable(why)) => vec![forecast::Needed::unknown(why)],
            needed => needed?,
        };
        for own in needed {
            let mut own = decided_of((plan, &spent, &open), (item, &product), (own, &lacking));
            let counts =
                |why: &Why| matches!(why, Why::OverCap | Why::NoPrice | Why::PrescriptionNeeded);
            if let Some(cost) = own.proposal.as_ref().and_then(|own| own.cost)
                && !own.why.iter().any(counts)
                && own.action != Action::ByHand
            {
                spent = spent.plus(&cost).unwrap_or(plan.policy.cap);
            }
            own.code.clone_from(&product.code);
            found.push(own);
        }
    }
    Ok(found)
}

fn decided_of(
    (plan, spent, open): (&Plan, &Money, &[OpenOrder]),
    (item, product): (&Item, &Product),
    (needed, lacking): (forecast::Needed, &[String]),
) -> Decided {
    let mut unknown = needed.unknown.clone();
    let need = needed.need.filter(|_| unknown.is_empty());
    let candidate = Candidate {
        product,
        resident: needed.resident.as_ref(),
        need: need.as_ref(),
    };
    let Decision {
        mut action,
        why,
        proposal,
    } = decide(&plan.policy, spent, open, candidate);
    // What is lacking to order it matters where it is to be ordered.
    if action != Action::Nothing {
        unknown.extend(lacking.iter().cloned());
        unknown.extend(unreachable(plan, &needed, proposal.as_ref()));
        if !unknown.is_empty() {
            action = Action::ByHand;
        }
    }
    Decided {
        item: item.id.clone(),
        name: item.name.clone(),
        unit: item.unit.words(),
        location: needed.location,
        resident: needed.resident,
        need,
        action,
        why,
        unknown,
        proposal,
        order: None,
        code: String::new(),
    }
}

/// Without somebody to ask, or a place where it goes, it is a person's.
fn unreachable(plan: &Plan, needed: &forecast::Needed, proposal: Option<&Proposal>) -> Vec<String> {
    let mut unknown = Vec::new();
    let Some(proposal) = proposal else {
        return unknown;
    };
    let (partner, words) = match proposal.kind {
        Kind::Direct => (&plan.goods, "no partner for goods is set"),
        Kind::Repeat => (&plan.prescriptions, "no partner for prescriptions is set"),
    };
    if partner.is_none() {
        unknown.push(words.to_owned());
    }
    if needed.location.is_none() {
        unknown.push("it is kept nowhere: set where it goes".to_owned());
    }
    if proposal.kind == Kind::Repeat && needed.resident.is_none() {
        unknown.push("a prescription is asked for somebody: it is common stock".to_owned());
    }
    unknown
}

/// The medicine as it can be ordered, and what is lacking for that.
fn product(
    sold: &[Product],
    item: &Item,
    dictionary: &Dictionary,
) -> Result<(Product, Vec<String>), AppError> {
    let own = sold.iter().find(|own| is_of(own, item, dictionary));
    let known = match own {
        Some(own) => draft::known(dictionary, sold, &own.code, Some(&item.id))?,
        None => None,
    };
    let mut lacking = Vec::new();
    let mut own = known.unwrap_or_else(|| {
        lacking.push("no catalogue has it".to_owned());
        Product {
            item: item.id.clone(),
            code: String::new(),
            name: item.name.clone(),
            unit: item.unit.clone(),
            legal: None,
            control: Some(Control::No),
            packs: Vec::new(),
        }
    });
    // What any of catalogue, dictionary and stock holds for controlled is controlled.
    if let Some(class) = item.control {
        own.control = Some(Control::Yes(class));
    }
    if own.unit.measure() != item.unit.measure() {
        let (kept, sold) = (item.unit.words(), own.unit.words());
        lacking.push(format!("it is kept in {kept} and sold in {sold}"));
    }
    Ok((own, lacking))
}

/// Makes the order of a decision: the same decision of the same day makes it once.
async fn draft_of(
    app: &App,
    caller: &Caller,
    plan: &Plan,
    own: &Decided,
    turn: DocWrite,
) -> Result<OrderId, AppError> {
    let proposal = own.proposal.as_ref();
    let proposal = proposal.ok_or_else(|| AppError::Fault("nothing is proposed".to_owned()))?;
    let partner = match proposal.kind {
        Kind::Direct => plan.goods.clone(),
        Kind::Repeat => plan.prescriptions.clone(),
    };
    let location = own.location.clone();
    let day: String = app.now().to_string().chars().take(10).collect();
    let new = NewOrder {
        kind: proposal.kind,
        partner: partner.unwrap_or_default(),
        resident: own.resident.clone(),
        location: location.ok_or_else(|| AppError::Fault("nothing says where".to_owned()))?,
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
    let kept = draft::make(app, caller, &new, (Some(own.why.clone()), vec![turn])).await?;
    Ok(kept.id)
}

/// Approves and submits for whoever set the plan: only what the decision may send comes here.
async fn sent(
    app: &App,
    caller: &Caller,
    plan: &Plan,
    id: &OrderId,
    turn: DocWrite,
) -> Result<(), AppError> {
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
        step.docs.push(turn.clone());
        Ok(Some(step))
    })
    .await?;
    Ok(())
}
