//! Adding a subscription by a form, pausing and activating one, and sending events again. Must not decide
//! whether it is allowed: the use-cases do.

use app::AppError;
use app::record::create;
use app::subscriptions::operate::{self, DELIVERIES};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::answer::{self, redirect};
use super::form::Form;
use super::named;
use super::subscriptions::{HERE, id_of, show_one};
use super::tools::{Tool, check, empty, refused};
use super::visit::Visit;
use crate::components::{Choice, Field};
use crate::pages::tools::ToolPage;

const NEW: &str = "/tools/subscriptions/new";

/// The form.
pub async fn form(visit: Visit) -> Response {
    let result = check(&visit, Tool::Subscriptions).map(|()| {
        let page = blank(&visit, &Form::default());
        answer::page(StatusCode::OK, &page)
    });
    visit.answer(result)
}

fn blank(visit: &Visit, form: &Form) -> ToolPage {
    let mut page = empty(visit, "Add a subscription", NEW, "Add");
    page.back = (visit.href(HERE), "Subscriptions".to_owned());
    page.lead = String::from(
        "It acts with your rights: you are told only of what you may search and read. A program that is to be told of patients writes its own.",
    );
    page.posts = true;
    let channel = form.text("channel");
    let pick = |value: &str, label: &str, first: bool| {
        let chosen = channel == value || (channel.is_empty() && first);
        Choice::new(value, label, chosen)
    };
    let whole = form.text("content") == "whole";
    let mut fields = vec![
        Field::text("reason", "What it is for")
            .value(form.text("reason"))
            .hint("Read by whoever looks after it later"),
        Field::text("criteria", "What to watch")
            .value(form.text("criteria"))
            .hint("A search, such as Organization?active=true; try it on the search page first"),
        Field::radios(
            "channel",
            "How to be told",
            vec![
                pick("rest-hook", "HTTP call", true)
                    .hint("Signed, to an address of the allow list"),
                pick("email", "E-mail", false).hint("To an address such as mailto:it@example.org"),
                pick("websocket", "WebSocket", false).hint("A program keeps it open; no address"),
            ],
        ),
        Field::text("endpoint", "Address to call")
            .optional()
            .value(form.text("endpoint")),
        Field::radios(
            "content",
            "What is sent",
            vec![
                Choice::new("nothing", "Only that something changed", !whole),
                Choice::new("whole", "The resource as JSON", whole),
            ],
        ),
    ];
    for field in &mut fields {
        field.width = "field-long";
    }
    page.fields = fields;
    page
}

/// Stores it.
pub async fn create(visit: Visit, body: String) -> Response {
    let result = created(&visit, &body).await;
    visit.answer(result)
}

fn resource(form: &Form) -> Value {
    let mut channel = json!({ "type": form.text("channel") });
    if let Some(members) = channel.as_object_mut() {
        if !form.text("endpoint").is_empty() {
            members.insert("endpoint".to_owned(), form.text("endpoint").into());
        }
        if form.text("content") == "whole" {
            members.insert("payload".to_owned(), "application/fhir+json".into());
        }
    }
    json!({
        "resourceType": "Subscription", "status": "requested", "reason": form.text("reason"),
        "criteria": form.text("criteria"), "channel": channel,
    })
}

async fn created(visit: &Visit, body: &str) -> Result<Response, AppError> {
    check(visit, Tool::Subscriptions)?;
    let form = visit.form(body)?;
    let mut page = blank(visit, &form);
    let missing = ["reason", "criteria"].map(|name| form.text(name).is_empty());
    for (field, missing) in page.fields.iter_mut().zip(missing) {
        if missing {
            field.error = Some(format!("{} is missing: fill it in", field.label));
        }
    }
    if missing.contains(&true) {
        page.problem = crate::components::ErrorSummary::of(&page.fields);
        return Ok(answer::page(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    let ty = visit
        .app()
        .definitions()
        .resource("Subscription")
        .ok_or_else(|| AppError::Fault("the definitions lack Subscription".to_owned()))?;
    let bytes = resource(&form).to_string().into_bytes().into();
    match create::create(visit.app(), &visit.caller, ty, bytes, None).await {
        Ok(_) => Ok(redirect(&visit.href(&format!("{HERE}?done=saved")))),
        Err(error) => {
            let status = refused(&mut page, error)?;
            Ok(answer::page(status, &page))
        }
    }
}

/// Pauses, activates, sends again.
pub async fn step(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let (id, step) = (named(&params, "id"), named(&params, "step"));
    let result = stepped(&visit, id, step, &body).await;
    visit.answer(result)
}

async fn stepped(visit: &Visit, id: &str, step: &str, body: &str) -> Result<Response, AppError> {
    check(visit, Tool::Subscriptions)?;
    let form = visit.form(body)?;
    let key = id_of(id)?;
    let (app, caller) = (visit.app(), &visit.caller);
    let done = match step {
        "activate" => operate::switch(app, caller, &key, true).await,
        "pause" => operate::switch(app, caller, &key, false).await,
        "replay" => replay(visit, &key, &form).await,
        _ => {
            return Err(AppError::NotFound {
                what: "page".to_owned(),
            });
        }
    };
    match done {
        Ok(()) => Ok(redirect(&visit.href(&format!("{HERE}/{id}?done=saved")))),
        Err(error) => show_one(visit, id, Some(error)).await,
    }
}

async fn replay(visit: &Visit, id: &kernel::LogicalId, form: &Form) -> Result<(), AppError> {
    let number = |name: &str| form.text(name).parse::<u64>();
    let numbers: Option<Vec<u64>> = match (form.text("event"), number("event"), number("from")) {
        ("dead", _, _) => None,
        (_, Ok(event), _) => Some(vec![event]),
        (_, _, Ok(from)) => Some((from..from.saturating_add(u64::from(DELIVERIES))).collect()),
        _ => {
            return Err(AppError::Invalid(
                "no event is named: give an event's number".to_owned(),
            ));
        }
    };
    let sent = operate::replay(visit.app(), &visit.caller, id, numbers.as_deref()).await?;
    if sent == 0 {
        return Err(AppError::Unprocessable(
            "no such event is kept and ended: nothing was sent again".to_owned(),
        ));
    }
    Ok(())
}
