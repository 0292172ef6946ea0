//! What a program would order, medicine by medicine, with every reason; making the drafts; how far a program
//! goes. Must not leave out what could not be told.

use app::AppError;
use app::medicines::orders::automatic::{self as use_case, Decided, Plan};
use app::medicines::orders::daily::{self, Daily};
use app::medicines::orders::partners;
use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use identity::Interaction;
use medication::supply::{Action, Currency, Kind, Mode, Money, Policy, Why};

use super::super::Web;
use super::super::answer::{self, redirect, sentence};
use super::super::form::Form;
use super::super::tools::{empty, refused};
use super::super::visit::Visit;
use super::choices::{Choices, id, named, number, select, word};
use crate::components::table::PostButton;
use crate::components::{Cell, Choice, Field, Notice, Table, Tone};
use crate::pages::tools::ToolPage;

const HERE: &str = "/medicines/orders/automatic";
const PLAN: &str = "/medicines/orders/automatic/plan";

/// The routes.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route(HERE, get(page).post(run))
        .route(PLAN, get(plan_page).post(set_plan))
}

async fn page(visit: Visit) -> Response {
    let result = show(&visit, None).await;
    visit.answer(result)
}

async fn show(visit: &Visit, wrong: Option<AppError>) -> Result<Response, AppError> {
    let plan = use_case::plan(visit.app(), &visit.caller).await?;
    let found = use_case::dry_run(visit.app(), &visit.caller).await?;
    let mut page: ToolPage = empty(visit, "What would be ordered", HERE, "");
    page.back = (visit.href("/medicines/orders"), "Orders".to_owned());
    page.lead = format!(
        "For {} days and {} more in reserve, at the most of each dose. Nothing is ordered by looking.",
        plan.days, plan.reserve_days
    );
    page.lead.push_str(&by_the_clock(visit).await?);
    if visit.offers(Interaction::ApproveOrders) {
        page.links = vec![(visit.href(PLAN), "How far it goes".to_owned())];
    }
    let cap = &plan.policy.cap;
    page.summary = Some(match plan.policy.mode {
        Mode::Off => Notice::new(Tone::Plain, "Turned off", "Nothing is proposed."),
        Mode::DryRun => Notice::new(Tone::Info, "Only said", "No drafts are made."),
        Mode::Approval => {
            let text = "Each draft waits for a person who approves it.";
            Notice::new(Tone::Info, "A person approves", text)
        }
        Mode::Automatic => {
            let text = format!(
                "Goods within {} {} a cycle are sent without asking; controlled drugs and prescriptions never are.",
                cap.amount(),
                cap.currency().code()
            );
            Notice::new(Tone::Info, "Sent by itself", &text)
        }
    });
    page.sections = vec![(
        "decisions".to_owned(),
        "Medicine by medicine".to_owned(),
        table(&found),
    )];
    if matches!(plan.policy.mode, Mode::Approval | Mode::Automatic) {
        let post = PostButton {
            action: visit.href(HERE),
            label: "Make the drafts".to_owned(),
            about: String::new(),
            csrf: visit.csrf(),
            confirm: String::new(),
            hidden: Vec::new(),
            danger: false,
        };
        let text = "It is decided anew, on what is there then.".to_owned();
        page.steps = vec![("Make the drafts".to_owned(), text, post)];
    }
    let status = match wrong {
        Some(error) => refused(&mut page, error)?,
        None => StatusCode::OK,
    };
    Ok(answer::page(status, &page))
}

/// How the runs by the clock stand, where the house asked for them, in sentences.
async fn by_the_clock(visit: &Visit) -> Result<String, AppError> {
    let own = daily::standing(visit.app(), &visit.caller).await?;
    let Some(at) = own.daily else {
        return Ok(String::new());
    };
    let words = |at| visit.zone().words_at(at);
    let next = match own.next {
        Some(next) => format!("next {}", words(next)),
        None => "turned off now".to_owned(),
    };
    let last = own.last.map_or_else(String::new, |ran| {
        let at = words(ran.at);
        match (ran.counts, ran.error) {
            (Some(counts), _) => format!(" Last {at}: {counts}."),
            (None, why) => format!(" It failed on {at}: {}.", why.unwrap_or_default()),
        }
    });
    Ok(format!(
        " It runs by itself each day at {at}, {next}.{last}"
    ))
}

fn table(found: &[Decided]) -> Table {
    let columns = [
        "Medicine",
        "Decision",
        "#Left",
        "#Needed",
        "Would ask for",
        "Reasons",
    ];
    let none = "No medicine is kept here: add what is kept first.";
    let mut table = Table::new("Medicine by medicine", &columns, none);
    for own in found {
        let cells = row(own);
        table = if own.action == Action::ByHand {
            table.raised_row(cells)
        } else {
            table.row(cells)
        };
    }
    table
}

fn row(own: &Decided) -> Vec<Cell> {
    let whose = match own.resident {
        Some(_) => "a resident's own",
        None => "common stock",
    };
    let number = |own: Option<rust_decimal::Decimal>| {
        own.map_or_else(|| "Not known".to_owned(), |own| own.normalize().to_string())
    };
    let need = own.need.as_ref();
    let asks = own.proposal.as_ref().map_or_else(String::new, |own| {
        let packs = &own.rounded.packs;
        let kind = match own.kind {
            Kind::Repeat => "a prescription of",
            Kind::Direct => "buying",
        };
        let word = if packs.count == 1 { "pack" } else { "packs" };
        format!("{kind} {} {word} of {}", packs.count, packs.holds)
    });
    let cost = own.proposal.as_ref().and_then(|own| own.cost);
    let cost = cost.map_or_else(String::new, |own| {
        format!("{} {}", own.amount(), own.currency().code())
    });
    let (tone, words) = action(own.action);
    let mut reasons: Vec<String> = own.why.iter().map(reason).collect();
    reasons.extend(own.unknown.iter().map(|own| sentence(own)));
    vec![
        Cell::text(&own.name).minor(&format!("{whose}, in {}", own.unit)),
        Cell::tag(tone, words),
        Cell::text(&number(need.map(|own| own.left))),
        Cell::text(&number(need.map(|own| own.during))),
        Cell::text(&asks).minor(&cost),
        Cell::text(&reasons.join(" ")),
    ]
}

const fn action(action: Action) -> (Tone, &'static str) {
    match action {
        Action::Nothing => (Tone::Plain, "Nothing"),
        Action::ByHand => (Tone::Bad, "You decide"),
        Action::Draft | Action::WouldAsk => (Tone::Info, "A draft"),
        Action::Send => (Tone::Info, "Sent"),
    }
}

/// A reason in a sentence.
fn reason(why: &Why) -> String {
    match why {
        Why::Off => "It is turned off.".to_owned(),
        Why::Enough => "There is enough.".to_owned(),
        Why::NeedUnknown => "What is needed could not be told.".to_owned(),
        Why::Controlled => "It is a controlled drug: a program asks for none.".to_owned(),
        Why::ControlUnknown => "Nobody knows whether it is a controlled drug.".to_owned(),
        Why::LegalUnknown => "Nobody knows whether it needs a prescription.".to_owned(),
        Why::Duplicate(id) => format!("It is on order already ({id})."),
        Why::NoPack => "No pack fits.".to_owned(),
        Why::PrescriptionNeeded => "It needs a prescription: a person asks for it.".to_owned(),
        Why::NoPrice => "Its price is not known.".to_owned(),
        Why::OverCap => "It costs more than is left of what may be spent.".to_owned(),
        Why::Approval => "A person approves.".to_owned(),
    }
}

async fn run(visit: Visit, body: String) -> Response {
    let result = made(&visit, &body).await;
    visit.answer(result)
}

async fn made(visit: &Visit, body: &str) -> Result<Response, AppError> {
    visit.form(body)?;
    match use_case::run(visit.app(), &visit.caller).await {
        Ok(_) => Ok(redirect(&visit.href("/medicines/orders?done=saved"))),
        Err(error) => show(visit, Some(error)).await,
    }
}

const MODES: [(&str, &str); 4] = [
    ("approval", "It makes drafts, and a person approves each"),
    (
        "automatic",
        "It sends goods within what may be spent, and drafts the rest",
    ),
    ("dry_run", "It only says what it would do"),
    ("off", "Not at all"),
];

async fn plan_page(visit: Visit) -> Response {
    let result = plan_form(&visit, None).await;
    visit.answer(result.map(|page| answer::page(StatusCode::OK, &page)))
}

/// The form, with what was written or what is set.
async fn plan_form(visit: &Visit, form: Option<&Form>) -> Result<ToolPage, AppError> {
    let plan = use_case::plan(visit.app(), &visit.caller).await?;
    let mut page = empty(visit, "How far a program goes", PLAN, "Set it");
    page.back = (visit.href(HERE), "What would be ordered".to_owned());
    page.posts = true;
    page.lead = String::from(
        "It never asks for a controlled drug, and never sends a request for a prescription.",
    );
    let partners = partners::list(visit.app(), &visit.caller).await?;
    let partners = partners.into_iter().filter(|own| own.active);
    let none = (String::new(), "Nobody".to_owned());
    let partners: Vec<(String, String)> = std::iter::once(none)
        .chain(partners.map(|own| (own.id, own.name)))
        .collect();
    let mut places = vec![(String::new(), "A person says where".to_owned())];
    places.extend(named(visit, "Location").await?);
    page.fields = plan_fields(plan, form, (&partners, &places));
    Ok(page)
}

fn plan_fields(
    plan: Plan,
    form: Option<&Form>,
    (partners, places): (Choices<'_>, Choices<'_>),
) -> Vec<Field> {
    let mode = match plan.policy.mode {
        Mode::Off => "off",
        Mode::DryRun => "dry_run",
        Mode::Approval => "approval",
        Mode::Automatic => "automatic",
    };
    let set = |name: &str, own: String| form.map_or(own, |form| form.text(name).to_owned());
    let modes = MODES.iter();
    let mode = set("mode", mode.to_owned());
    let modes = modes.map(|(value, label)| Choice::new(value, label, *value == mode));
    let cap = &plan.policy.cap;
    let text = |own: Option<String>| own.unwrap_or_default();
    let location = text(plan.location.map(|own| own.to_string()));
    vec![
        Field::radios("mode", "How far", modes.collect()),
        Field::text("cap", "What may be spent in a cycle")
            .value(&set("cap", cap.amount().to_string())),
        Field::text("currency", "Currency")
            .value(&set("currency", cap.currency().code().to_owned()))
            .hint("Three letters, such as GBP"),
        Field::text("days", "Days of a cycle").value(&set("days", plan.days.to_string())),
        Field::text("reserve", "Days in reserve")
            .value(&set("reserve", plan.reserve_days.to_string())),
        select(
            "goods",
            "Goods are ordered of",
            partners,
            &set("goods", text(plan.goods)),
        )
        .optional(),
        select(
            "prescriptions",
            "Prescriptions are asked of",
            partners,
            &set("prescriptions", text(plan.prescriptions)),
        )
        .optional(),
        select(
            "location",
            "Where goes what is kept nowhere yet",
            places,
            &set("location", location),
        )
        .optional(),
        Field::text("daily", "By itself each day at")
            .value(&set("daily", text(plan.daily.map(String::from))))
            .hint("Hours and minutes, such as 02:30. Empty: only when somebody asks")
            .optional(),
    ]
}

fn plan_of(form: &Form) -> Result<Plan, AppError> {
    let wrong = |text: &str| AppError::Unprocessable(text.to_owned());
    let days = |name: &str| form.text(name).parse::<u16>();
    let currency = Currency::of(form.text("currency"));
    let currency =
        currency.ok_or_else(|| wrong("a currency has three capital letters: write GBP"))?;
    let cap = number(form, "cap", "What may be spent")?;
    let cap = Money::new(cap, currency).map_err(|error| wrong(&error.to_string()))?;
    let some = |name: &str| Some(form.text(name).to_owned()).filter(|own| !own.is_empty());
    let location = some("location").map(|_| id(form, "location", "The place"));
    let daily = some("daily").map(|own| own.parse::<Daily>());
    let daily = daily
        .transpose()
        .map_err(|error| wrong(&error.to_string()))?;
    Ok(Plan {
        policy: Policy {
            mode: word(form, "mode", "How far")?,
            cap,
        },
        days: days("days").map_err(|_| wrong("the days are no number: write 28"))?,
        reserve_days: days("reserve").map_err(|_| wrong("the reserve is no number: write 7"))?,
        goods: some("goods"),
        prescriptions: some("prescriptions"),
        location: location.transpose()?,
        daily,
        ..Plan::default()
    })
}

async fn set_plan(visit: Visit, body: String) -> Response {
    let result = plan_set(&visit, &body).await;
    visit.answer(result)
}

async fn plan_set(visit: &Visit, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let done = match plan_of(&form) {
        Ok(plan) => use_case::set_plan(visit.app(), &visit.caller, plan).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(_) => Ok(redirect(&visit.href(&format!("{HERE}?done=saved")))),
        Err(error) => {
            let mut page = plan_form(visit, Some(&form)).await?;
            let status = refused(&mut page, error)?;
            Ok(answer::page(status, &page))
        }
    }
}
