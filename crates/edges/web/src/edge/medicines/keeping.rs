//! Of a medicine that is kept, what is not a movement: at how much it is low, lots that were called back, the
//! steps of its reorder, and what is on order of it. Must not take a step that its order takes.

use app::AppError;
use app::medicines::orders::{self, Filter};
use app::medicines::stock::{Item, keep, look};
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use identity::Interaction;
use medication::stock::{Recall, Step, TRANSITIONS};

use super::choices::{is_of_form, number, word};
use super::orders::{COLUMNS, row};
use super::stock::{form_page, item_id, status_words};
use crate::components::table::PostButton;
use crate::components::{Field, Table};
use crate::edge::answer::redirect;
use crate::edge::form::Form;
use crate::edge::visit::Visit;
use crate::edge::{Web, named as param};

/// The routes.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route(
            "/medicines/stock/{id}/threshold",
            get(threshold_form).post(threshold),
        )
        .route(
            "/medicines/stock/{id}/recall",
            get(recall_form).post(recall),
        )
        .route("/medicines/stock/{id}/reorder", post(reorder))
}

/// What a medicine's page leads to.
pub(super) fn links(visit: &Visit, item: &Item) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if visit.offers(Interaction::OrderMedicines) {
        let href = format!("/medicines/orders/new?item={}", item.id);
        found.push((visit.href(&href), "Order".to_owned()));
    }
    if visit.offers(Interaction::ManageStock) {
        let to = |step: &str| visit.href(&format!("/medicines/stock/{}/{step}", item.id));
        found.push((to("threshold"), "When it is low".to_owned()));
        found.push((to("recall"), "Call back a lot".to_owned()));
    }
    found
}

/// The open orders of a medicine, for those who may see them.
pub(super) async fn on_order(
    visit: &Visit,
    item: &Item,
) -> Result<Option<(String, String, Table)>, AppError> {
    if !visit.offers(Interaction::OrderMedicines) {
        return Ok(None);
    }
    let found = orders::list(visit.app(), &visit.caller, Filter::Open).await?;
    let mut table = Table::new("On order", &COLUMNS, "Nothing is on order.");
    for own in &found {
        if own.kept.lines.iter().any(|line| line.item == item.id) {
            table = table.row(row(visit, own));
        }
    }
    Ok(Some(("orders".to_owned(), "On order".to_owned(), table)))
}

const fn step_words(step: Step) -> &'static str {
    match step {
        Step::Need => "To be ordered",
        Step::Settle => "Nothing to be done",
        Step::Request => "Ask for it",
        Step::Approve => "Approve",
        Step::Order => "Ordered elsewhere",
        Step::ReceivePart => "Some of it came",
        Step::Receive => "All of it came",
        Step::Cancel => "Call it off",
    }
}

/// The steps of a reorder that nobody's order takes: ordering by telephone.
pub(super) fn steps(visit: &Visit, seen: &look::Seen) -> Vec<(String, String, PostButton)> {
    let by_order = seen.item.reorder.last();
    let by_order = by_order.is_some_and(|own| {
        own.id.starts_with("order-") && !matches!(own.step, Step::Receive | Step::Cancel)
    });
    if by_order || !visit.offers(Interaction::ManageStock) {
        return Vec::new();
    }
    let (_, status) = status_words(seen.status);
    let open = TRANSITIONS.iter().filter(|own| own.0 == seen.status);
    open.map(|(_, step, _)| {
        let word = serde_json::to_value(step).ok();
        let word = word.and_then(|own| own.as_str().map(str::to_owned));
        let hidden = [
            ("step", word.unwrap_or_default()),
            ("seen", seen.steps.to_string()),
            ("id", visit.app().ids().uuid().to_string()),
        ];
        let words = step_words(*step);
        let button = PostButton {
            action: visit.href(&format!("/medicines/stock/{}/reorder", seen.item.id)),
            label: words.to_owned(),
            about: seen.item.name.clone(),
            csrf: visit.csrf(),
            confirm: String::new(),
            hidden: hidden
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec(),
            danger: false,
        };
        let text = format!("Reorder: {status}. By hand, where no order of ours says it.");
        (words.to_owned(), text, button)
    })
    .collect()
}

fn back(visit: &Visit, item: &Item) -> (String, String) {
    let href = visit.href(&format!("/medicines/stock/{}", item.id));
    (href, format!("Back to {}", item.name))
}

fn done(visit: &Visit, item: &Item) -> Response {
    redirect(&visit.href(&format!("/medicines/stock/{}?done=saved", item.id)))
}

async fn threshold_form(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = threshold_page(&visit, param(&params, "id"), (None, None)).await;
    visit.answer(result)
}

async fn threshold_page(
    visit: &Visit,
    text: &str,
    (form, problem): (Option<&Form>, Option<&AppError>),
) -> Result<Response, AppError> {
    let item = look::read(visit.app(), &visit.caller, &item_id(text)?)
        .await?
        .item;
    let now = item.threshold.map(|own| own.normalize().to_string());
    let now = now.unwrap_or_default();
    let value = form.map_or(now.as_str(), |form| form.text("threshold"));
    let field = Field::text("threshold", "Low at")
        .optional()
        .value(value)
        .hint(&format!("In {}; empty: it is never low", item.unit.words()));
    let title = format!("When is it low: {}", item.name);
    Ok(form_page(
        visit,
        (&title, "At so much or less it is to be ordered.", "Set it"),
        (
            visit.href(&format!("/medicines/stock/{text}/threshold")),
            back(visit, &item),
        ),
        (vec![field], Vec::new()),
        problem,
    ))
}

async fn threshold(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let result = threshold_set(&visit, param(&params, "id"), &body).await;
    visit.answer(result)
}

async fn threshold_set(visit: &Visit, text: &str, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let id = item_id(text)?;
    let wanted = match form.text("threshold") {
        "" => Ok(None),
        _ => number(&form, "threshold", "Low at").map(Some),
    };
    let set = match wanted {
        Ok(wanted) => keep::set_threshold(visit.app(), &visit.caller, &id, wanted).await,
        Err(error) => Err(error),
    };
    match set {
        Ok(item) => Ok(done(visit, &item)),
        Err(error) if is_of_form(&error) => {
            threshold_page(visit, text, (Some(&form), Some(&error))).await
        }
        Err(error) => Err(error),
    }
}

async fn recall_form(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = recall_page(&visit, param(&params, "id"), (&Form::default(), None)).await;
    visit.answer(result)
}

async fn recall_page(
    visit: &Visit,
    text: &str,
    (form, problem): (&Form, Option<&AppError>),
) -> Result<Response, AppError> {
    let item = look::read(visit.app(), &visit.caller, &item_id(text)?)
        .await?
        .item;
    let fields = vec![
        Field::text("lot", "Lot")
            .optional()
            .value(form.text("lot"))
            .hint("Empty: packs whose lot nobody read"),
        Field::text("notice", "Who called it back, and why")
            .value(form.text("notice"))
            .hint("Such as the number of the notice"),
    ];
    let title = format!("Call back a lot: {}", item.name);
    Ok(form_page(
        visit,
        (
            &title,
            "It is given from no more. What is there of it stays counted.",
            "Call it back",
        ),
        (
            visit.href(&format!("/medicines/stock/{text}/recall")),
            back(visit, &item),
        ),
        (fields, Vec::new()),
        problem,
    ))
}

async fn recall(visit: Visit, Path(params): Path<Vec<(String, String)>>, body: String) -> Response {
    let result = recalled(&visit, param(&params, "id"), &body).await;
    visit.answer(result)
}

async fn recalled(visit: &Visit, text: &str, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let lot = Some(form.text("lot").to_owned()).filter(|own| !own.is_empty());
    let recall = Recall {
        at: visit.app().now(),
        notice: form.text("notice").to_owned(),
    };
    let id = item_id(text)?;
    match keep::recall(visit.app(), &visit.caller, &id, lot, recall).await {
        Ok(item) => Ok(done(visit, &item)),
        Err(error) if is_of_form(&error) => recall_page(visit, text, (&form, Some(&error))).await,
        Err(error) => Err(error),
    }
}

async fn reorder(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let result = stepped(&visit, param(&params, "id"), &body).await;
    visit.answer(result)
}

async fn stepped(visit: &Visit, text: &str, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let id = item_id(text)?;
    let step = word(&form, "step", "The step")?;
    let seen = form.text("seen").parse().unwrap_or_default();
    let item = keep::step(
        visit.app(),
        &visit.caller,
        &id,
        (form.text("id"), step),
        seen,
    )
    .await?;
    Ok(done(visit, &item))
}
