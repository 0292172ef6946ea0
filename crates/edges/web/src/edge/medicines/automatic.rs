//! What a program would order, medicine by medicine, with every reason; and making the drafts. Must not
//! leave out what could not be told.

use app::AppError;
use app::medicines::orders::automatic::{self as use_case, Decided};
use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use medication::supply::{Action, Kind, Mode, Why};

use super::super::Web;
use super::super::answer::{self, redirect, sentence};
use super::super::tools::{empty, refused};
use super::super::visit::Visit;
use crate::components::table::PostButton;
use crate::components::{Cell, Notice, Table, Tone};
use crate::pages::tools::ToolPage;

const HERE: &str = "/medicines/orders/automatic";

/// The routes.
pub(super) fn routes() -> Router<Web> {
    Router::new().route("/medicines/orders/automatic", get(page).post(run))
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
    page.sections = vec![("decisions".to_owned(), "Medicine by medicine".to_owned(), table(&found))];
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

fn table(found: &[Decided]) -> Table {
    let columns = ["Medicine", "Decision", "#Left", "#Needed", "Would ask for", "Reasons"];
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
        format!("{kind} {} packs of {}", packs.count, packs.holds)
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
