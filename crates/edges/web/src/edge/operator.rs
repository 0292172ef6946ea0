//! The instance: its tenants. Must not look into a tenant: operators have no business with content.

use app::AppError;
use app::admin::tenants;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use identity::{Placement, Tenant, TenantState};
use kernel::TenantSlug;

use super::answer::{self, redirect, sentence, status_of};
use super::form::Form;
use super::visit::{INSTANCE, Visit};
use super::{last, named};
use crate::clinical::{When, Zone};
use crate::components::table::PostButton;
use crate::components::{Cell, Choice, ErrorSummary, Field, Paging, Piece, Table, Tone};
use crate::pages::access::{FormPage, ListPage};

/// The list.
pub async fn tenants(visit: Visit) -> Response {
    let result = list(&visit, None).await;
    visit.answer(result)
}

fn tenant_row(visit: &Visit, tenant: &Tenant) -> Vec<Cell> {
    let storage = match &tenant.placement {
        Placement::File => "Own file".to_owned(),
        Placement::Shared => "Shared database".to_owned(),
        Placement::Dedicated { database } => format!("Own database {database}"),
    };
    let (tone, state) = match tenant.state {
        TenantState::Active => (Tone::Good, "Active"),
        TenantState::Suspended => (Tone::Warn, "Suspended"),
        TenantState::Closed => (Tone::Plain, "Closed"),
    };
    let active = tenant.state == TenantState::Active;
    let (step, label, confirm) = if active {
        let name = &tenant.name;
        let question = format!("Suspend {name}? Nobody can sign in there any more.");
        ("suspend", "Suspend", question)
    } else {
        ("open", "Open", String::new())
    };
    let button = PostButton {
        action: visit.href(&format!("/tenants/{}/{step}", tenant.slug)),
        label: label.to_owned(),
        about: tenant.name.clone(),
        csrf: visit.csrf(),
        confirm,
        hidden: Vec::new(),
        danger: active,
    };
    vec![
        Cell::text(&tenant.name).minor(tenant.slug.as_str()),
        Cell::text(&storage),
        Cell::text(&tenant.region),
        zone_cell(visit, tenant),
        Cell::tag(tone, state),
        Cell::when(When::at(tenant.created, visit.zone())),
        Cell(vec![Piece::Post(Box::new(button))]),
    ]
}

/// The zone of a tenant's times, leading to where it is set.
fn zone_cell(visit: &Visit, tenant: &Tenant) -> Cell {
    let href = visit.href(&format!("/tenants/{}/time-zone", tenant.slug));
    match &tenant.time_zone {
        Some(zone) => Cell::link(&href, zone.as_str()),
        None => Cell::link(&href, visit.web.settings.zone.as_str()).minor("As the instance"),
    }
}

async fn list(
    visit: &Visit,
    secret: Option<(String, String, String)>,
) -> Result<Response, AppError> {
    let found = tenants::list(visit.app(), &visit.caller).await?;
    let columns = [
        "Tenant",
        "Storage",
        "Region",
        "Time zone",
        "State",
        "Made",
        "Action",
    ];
    let mut table = Table::new("Tenants", &columns, "No tenants yet.").filtered("tenants-table");
    for tenant in found
        .iter()
        .filter(|tenant| tenant.slug.as_str() != INSTANCE)
    {
        table = table.row(tenant_row(visit, tenant));
    }
    let page = ListPage {
        shell: visit.shell("Tenants"),
        lead: String::new(),
        action: Some((visit.href("/tenants/new"), "Add a tenant".to_owned())),
        secret,
        summary: None,
        sections: vec![("tenants".to_owned(), "Tenants".to_owned(), table)],
        paging: Paging::default(),
    };
    Ok(answer::page(StatusCode::OK, &page))
}

fn form_page(visit: &Visit, form: &Form, problem: Option<&AppError>) -> Response {
    let region = if form.text("region").is_empty() {
        "on-premises"
    } else {
        form.text("region")
    };
    let placement = form.text("placement");
    let places = [
        ("file", "Own file (SQLite)"),
        ("shared", "Shared database (PostgreSQL)"),
    ];
    let page = FormPage {
        shell: visit.shell("Add a tenant"),
        lead: String::new(),
        warning: None,
        running: None,
        problem: problem.map(|error| ErrorSummary::whole(&sentence(&error.public_text()))),
        action: visit.href("/tenants/new"),
        fields: vec![
            Field::text("name", "Name")
                .value(form.text("name"))
                .autocomplete("off"),
            Field::text("slug", "Short name")
                .value(form.text("slug"))
                .hint("In addresses: a-z, 0-9 and -, such as rosewood-house")
                .autocomplete("off"),
            Field::select(
                "placement",
                "Storage",
                places
                    .iter()
                    .map(|(value, words)| Choice::new(value, words, *value == placement))
                    .collect(),
            )
            .hint("As this installation stores its data"),
            Field::text("region", "Region")
                .value(region)
                .hint("Where the data must stay"),
            Field::text("admin_name", "Full name of the first administrator")
                .value(form.text("admin_name"))
                .autocomplete("off"),
            Field::text("admin", "User name of the first administrator")
                .value(form.text("admin"))
                .autocomplete("off"),
        ],
        hidden: Vec::new(),
        button: "Make the tenant".to_owned(),
        danger: false,
        facts: Vec::new(),
        steps: Vec::new(),
        back: Some((visit.href("/"), "Back to tenants".to_owned())),
    };
    answer::page(problem.map_or(StatusCode::OK, status_of), &page)
}

/// The form of a new tenant.
pub async fn new_form(visit: Visit) -> Response {
    let allowed = tenants::list(visit.app(), &visit.caller).await;
    let shown = allowed.map(|_| form_page(&visit, &Form::default(), None));
    visit.answer(shown)
}

/// Makes a tenant; the first administrator's password is shown once.
pub async fn create(visit: Visit, body: String) -> Response {
    let result = create_of(&visit, &body).await;
    visit.answer(result)
}

async fn create_of(visit: &Visit, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let made = match form.text("slug").parse::<TenantSlug>() {
        Ok(slug) => {
            let new = tenants::NewTenant {
                slug,
                name: form.text("name").to_owned(),
                placement: if form.text("placement") == "shared" {
                    Placement::Shared
                } else {
                    Placement::File
                },
                region: form.text("region").to_owned(),
                administrator: (
                    form.text("admin").to_owned(),
                    form.text("admin_name").to_owned(),
                ),
                password: None,
            };
            tenants::create(visit.app(), &visit.caller, new).await
        }
        Err(error) => Err(AppError::Unprocessable(error.to_string())),
    };
    match made {
        Ok(made) => {
            let password = made
                .administrator
                .password
                .map(|password| password.to_string())
                .unwrap_or_default();
            let what = format!(
                "Password for {} of {}",
                made.administrator.user.sign_in_name, made.tenant.name
            );
            let words = "Tell it to the administrator now. It cannot be shown again, and must be changed at the first sign-in.";
            list(visit, Some((what, password, words.to_owned()))).await
        }
        Err(error @ (AppError::Unprocessable(_) | AppError::Conflict(_))) => {
            Ok(form_page(visit, &form, Some(&error)))
        }
        Err(error) => Err(error),
    }
}

/// Where the zone of a tenant's times is set.
pub async fn edit(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let missing = || AppError::NotFound {
        what: "page".to_owned(),
    };
    let result = if last(&params) == "time-zone" {
        zone_form(&visit, named(&params, "slug"), None).await
    } else {
        Err(missing())
    };
    visit.answer(result)
}

async fn zone_form(
    visit: &Visit,
    slug: &str,
    wrong: Option<(&str, &AppError)>,
) -> Result<Response, AppError> {
    let found = tenants::list(visit.app(), &visit.caller).await?;
    let tenant = found
        .into_iter()
        .find(|tenant| tenant.slug.as_str() == slug && slug != INSTANCE)
        .ok_or_else(|| AppError::NotFound {
            what: "tenant".to_owned(),
        })?;
    let now = visit.app().now();
    let set = tenant.time_zone.as_ref();
    let in_force = set.unwrap_or(&visit.web.settings.zone);
    let mut field = Field::text("zone", "Time zone")
        .value(wrong.map_or_else(
            || set.map_or("", kernel::ZoneName::as_str),
            |(typed, _)| typed,
        ))
        .hint("An IANA name such as Europe/London or Asia/Kolkata; empty takes the instance's")
        .autocomplete("off")
        .optional();
    field.error = wrong.map(|(_, error)| sentence(&error.public_text()));
    let fields = vec![field];
    let page = FormPage {
        shell: visit.shell(&format!("Time zone of {}", tenant.name)),
        lead: "Every time on its pages is shown in this zone. What is stored does not change."
            .to_owned(),
        warning: None,
        running: None,
        problem: ErrorSummary::of(&fields),
        action: visit.href(&format!("/tenants/{slug}/time-zone")),
        fields,
        hidden: Vec::new(),
        button: "Save".to_owned(),
        danger: false,
        facts: vec![(
            "In force".to_owned(),
            format!(
                "{}, now {}",
                Zone::of(in_force).words_at(now),
                When::at(now, &Zone::of(in_force)).text
            ),
        )],
        steps: Vec::new(),
        back: Some((visit.href("/"), "Back to tenants".to_owned())),
    };
    let status = wrong.map_or(StatusCode::OK, |(_, error)| status_of(error));
    Ok(answer::page(status, &page))
}

async fn set_zone(visit: &Visit, slug: &TenantSlug, form: &Form) -> Result<Response, AppError> {
    let typed = form.text("zone");
    let zone = (!typed.is_empty()).then(|| typed.parse()).transpose();
    match zone {
        Ok(zone) => {
            tenants::set_time_zone(visit.app(), &visit.caller, slug, zone).await?;
            Ok(redirect(&visit.href("/?done=saved")))
        }
        Err(error) => {
            let error: kernel::ZoneError = error;
            let error = AppError::Unprocessable(error.to_string());
            zone_form(visit, slug.as_str(), Some((typed, &error))).await
        }
    }
}

/// Suspends or opens a tenant, or sets its zone.
pub async fn step(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let result = step_of(&visit, named(&params, "slug"), last(&params), &body).await;
    visit.answer(result)
}

async fn step_of(visit: &Visit, slug: &str, step: &str, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let missing = || AppError::NotFound {
        what: "tenant".to_owned(),
    };
    let slug: TenantSlug = slug.parse().map_err(|_| missing())?;
    if slug.as_str() == INSTANCE {
        return Err(missing());
    }
    let state = match step {
        "time-zone" => return set_zone(visit, &slug, &form).await,
        "suspend" => TenantState::Suspended,
        "open" => TenantState::Active,
        _ => return Err(missing()),
    };
    tenants::set_state(visit.app(), &visit.caller, &slug, state).await?;
    Ok(redirect(&visit.href("/?done=saved")))
}
