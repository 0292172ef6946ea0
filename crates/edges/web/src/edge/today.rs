//! Today, by role. Each list is its own search; one that fails says so. Must not call anything done that
//! was not looked at.

use std::collections::BTreeMap;

use app::{AppError, Log, audit};
use axum::http::StatusCode;
use axum::response::Response;
use fhir::json::Value;
use identity::{Interaction, Role};
use kernel::Timestamp;

use super::answer;
use super::audit_entry::entry_table;
use super::found::{Matches, find};
use super::patients::rows;
use super::visit::Visit;
use crate::clinical::observation::result_line;
use crate::clinical::{Banner, code, date, events};
use crate::components::{Cell, Piece, Table, Tone};
use crate::pages::patients::identity_cells;
use crate::pages::today::{Figure, Section, TodayPage};

/// Observations older than this many days count as overdue.
const OVERDUE_DAYS: i64 = 30;
const RESIDENTS: usize = 50;

/// The page.
pub async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    let today = visit.zone().date_at(visit.app().now());
    let mut page = TodayPage {
        shell: visit.shell("Today"),
        date: date::long_date(today),
        figures: Vec::new(),
        sections: Vec::new(),
        search: visit.is_clinical() && !visit.is(Role::Patient) || visit.is(Role::Receptionist),
    };
    if visit.is(Role::Doctor) || visit.is(Role::Receptionist) {
        page.sections.extend(appointments(visit).await);
    }
    if visit.is(Role::Doctor) || visit.is(Role::Pharmacist) {
        page.sections.extend(results(visit).await);
    }
    if visit.is(Role::Nurse) || visit.is(Role::Carer) {
        page.sections
            .extend(residents(visit, &mut page.figures).await);
    }
    if visit.is(Role::Patient) {
        page.sections.extend(own(visit).await);
    }
    if visit.offers(Interaction::ReviewBreakGlass) {
        review(visit, &mut page.figures).await?;
    }
    if visit.offers(Interaction::ManageUsers) {
        users(visit, &mut page.figures).await?;
    }
    if visit.offers(Interaction::ViewAudit) {
        page.sections.push(latest(visit).await?);
    }
    if visit.offers(Interaction::ViewHealth) {
        let (_, table) = super::house::checks(visit).await;
        page.sections.push(section("health", "Health", table));
    }
    Ok(answer::page(StatusCode::OK, &page))
}

pub fn section(id: &str, title: &str, table: Table) -> Section {
    Section {
        id: id.to_owned(),
        title: title.to_owned(),
        lead: String::new(),
        table,
        more: None,
    }
}

pub fn unavailable(id: &str, title: &str, what: &str, error: &AppError) -> Option<Section> {
    if matches!(error, AppError::Denied { .. }) {
        return None; // the role does not show it
    }
    tracing::error!(%error, "a list of Today could not be read");
    let empty = format!("Not available. {what} could not be read. There may be some.");
    Some(section(id, title, Table::new(title, &["List"], &empty)))
}

/// Patients by id, for lists that name them.
pub async fn banners(visit: &Visit, ids: impl Iterator<Item = String>) -> BTreeMap<String, Banner> {
    let mut ids: Vec<String> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return BTreeMap::new();
    }
    let (joined, count) = (ids.join(","), ids.len().to_string());
    let found = find(
        visit,
        &visit.caller,
        "Patient",
        &[("_id", &joined), ("_count", &count)],
    )
    .await;
    let matches = found.map_or_else(|_| Vec::new(), |matches| matches.found);
    let banner = |found: &super::found::Found| {
        Banner::of(found.document.root(), visit.app().now(), visit.zone())
    };
    matches
        .iter()
        .map(|found| (found.id.to_string(), banner(found)))
        .collect()
}

pub fn patient_cell(visit: &Visit, id: Option<&str>, banners: &BTreeMap<String, Banner>) -> Cell {
    let Some(id) = id else {
        return Cell::text("Patient not named");
    };
    let href = visit.href(&format!("/patients/{id}"));
    match banners.get(id) {
        Some(banner) => {
            let age = banner
                .age
                .as_ref()
                .map(|age| format!(" ({age})"))
                .unwrap_or_default();
            let number = &banner.number;
            Cell::link(&href, &banner.name)
                .minor(&format!("Born {}{age}", banner.born.text))
                .minor(&format!("{} {}", number.label, number.value))
        }
        None => Cell::link(&href, "Name not available"),
    }
}

async fn appointments(visit: &Visit) -> Option<Section> {
    const TITLE: &str = "Appointments today";
    let zone = visit.zone();
    let today = zone.date_at(visit.app().now());
    let bounds = today
        .tomorrow()
        .ok()
        .and_then(|next| Some((zone.start_of(today)?, zone.start_of(next)?)));
    let (from, to) = bounds?;
    let from = format!("ge{}", from.to_fhir_instant());
    let to = format!("lt{}", to.to_fhir_instant());
    let params = [
        ("date", from.as_str()),
        ("date", to.as_str()),
        ("_sort", "date"),
        ("_count", "100"),
    ];
    let matches = match find(visit, &visit.caller, "Appointment", &params).await {
        Ok(matches) => matches,
        Err(error) => return unavailable("appointments", TITLE, "The appointments", &error),
    };
    let values = matches.values(visit, "Appointment");
    let patients = values
        .iter()
        .filter_map(|(value, _)| events::appointment_patient(*value))
        .map(|(id, _)| id);
    let banners = banners(visit, patients).await;
    let mut table = Table::new(
        TITLE,
        &["Time", "Patient", "For", "Status"],
        "No appointments are recorded for today.",
    );
    for (value, href) in values {
        let patient = events::appointment_patient(value);
        let Some(event) = events::appointment(value, zone, href.clone()) else {
            continue;
        };
        let start = code::text(value, "start").and_then(|start| Timestamp::from_rfc3339(&start));
        let time = start.map_or_else(
            || event.when.clone(),
            |start| crate::clinical::When::time_of_day(start, zone),
        );
        table = table.row(vec![
            Cell::when(time),
            patient_cell(visit, patient.as_ref().map(|(id, _)| id.as_str()), &banners),
            Cell::link(&href, &event.what).minor(&event.details.join(", ")),
            Cell::tag(
                if event.current {
                    Tone::Info
                } else {
                    Tone::Plain
                },
                &event.status,
            ),
        ]);
    }
    Some(section("appointments", TITLE, table))
}

async fn results(visit: &Visit) -> Option<Section> {
    const TITLE: &str = "Recent results";
    let params = [
        ("category", "laboratory"),
        ("_sort", "-date"),
        ("_count", "20"),
    ];
    let matches = match find(visit, &visit.caller, "Observation", &params).await {
        Ok(matches) => matches,
        Err(error) => return unavailable("results", TITLE, "The results", &error),
    };
    let values = matches.values(visit, "Observation");
    let banners = banners(
        visit,
        values.iter().filter_map(|(value, _)| subject(*value)),
    )
    .await;
    let columns = ["Patient", "Test", "#Result", "Against range", "When"];
    let mut table = Table::new(TITLE, &columns, "No laboratory results are recorded.");
    for (value, href) in values {
        if code::text(value, "status").as_deref() == Some("entered-in-error") {
            continue;
        }
        let line = result_line(value, visit.zone(), href);
        let raised = line.flag.as_ref().is_some_and(|flag| flag.raised);
        let flag = line.flag.as_ref().map_or_else(
            || Cell::text("Not stated"),
            |flag| {
                Cell::tag(
                    if flag.raised { Tone::Warn } else { Tone::Plain },
                    &flag.words,
                )
            },
        );
        let cells = vec![
            patient_cell(visit, subject(value).as_deref(), &banners),
            Cell::link(&line.href, &line.name),
            Cell(vec![Piece::Strong(line.value)]),
            flag,
            Cell::when(line.when),
        ];
        table = if raised {
            table.raised_row(cells)
        } else {
            table.row(cells)
        };
    }
    Some(section("results", TITLE, table))
}

pub fn subject(value: Value<'_>) -> Option<String> {
    let reference = value.get("subject").or_else(|| value.get("patient"))?;
    let target = code::text(reference, "reference")?;
    Some(target.strip_prefix("Patient/")?.to_owned())
}

/// For which of these patients a search finds something; `None` where one of them could not be looked
/// up. One is enough, so each patient is asked for alone: many entries of one hide none of another.
async fn seen(
    visit: &Visit,
    type_name: &str,
    ids: &[String],
    extra: &[(&str, &str)],
) -> Option<Vec<String>> {
    let mut seen = Vec::with_capacity(ids.len());
    for id in ids {
        let mut params = vec![("patient", id.as_str()), ("_count", "1")];
        params.extend_from_slice(extra);
        let matches = find(visit, &visit.caller, type_name, &params).await.ok()?;
        if !matches.found.is_empty() {
            seen.push(id.clone());
        }
    }
    Some(seen)
}

/// What was looked up about the residents of a page; `None` for what could not be seen completely.
struct Looked {
    observed: Option<Vec<String>>,
    allergies: Option<Vec<String>>,
}

impl Looked {
    async fn up(visit: &Visit, ids: &[String]) -> Self {
        if ids.is_empty() {
            return Self {
                observed: Some(Vec::new()),
                allergies: Some(Vec::new()),
            };
        }
        let since = visit.app().now().plus_seconds(-OVERDUE_DAYS * 86_400);
        let since = format!("ge{}", since.to_fhir_instant());
        // Entries in error answer nothing.
        let observed = [
            ("date", since.as_str()),
            ("status:not", "entered-in-error"),
            ("_elements", "subject"),
        ];
        let allergies = [
            ("verification-status:not", "entered-in-error"),
            ("_elements", "patient"),
        ];
        Self {
            observed: seen(visit, "Observation", ids, &observed).await,
            allergies: seen(visit, "AllergyIntolerance", ids, &allergies).await,
        }
    }

    /// What there is to do for one resident.
    fn alerts(&self, id: &String) -> Vec<Piece> {
        let alert = |seen: Option<&Vec<String>>, missing: &str, unchecked: &str| match seen {
            None => Some(Piece::Tag(Tone::Info, unchecked.to_owned())),
            Some(seen) if seen.contains(id) => None,
            Some(_) => Some(Piece::Tag(Tone::Warn, missing.to_owned())),
        };
        let observed = self.observed.as_ref();
        let allergies = self.allergies.as_ref();
        [
            alert(
                observed,
                "No observation in 30 days",
                "Observations not checked",
            ),
            alert(allergies, "Allergies not recorded", "Allergies not checked"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// How many of the residents a look-up did not find, as a figure.
fn missing_figure(seen: Option<&Vec<String>>, ids: &[String], label: &str) -> Figure {
    let missing = seen.map(|seen| ids.iter().filter(|id| !seen.contains(id)).count());
    let value = missing.map_or_else(|| "Not checked".to_owned(), |missing| missing.to_string());
    figure(&value, label, "#residents".to_owned(), missing != Some(0))
}

/// The residents, those with something to do first.
fn resident_table(visit: &Visit, matches: &Matches, ids: &[String], looked: &Looked) -> Table {
    let columns = ["Name", "Born", "Gender", "Number", "To do"];
    let empty = "No resident of your branches is recorded.";
    let mut table = Table::new("Residents", &columns, empty).filtered("residents-table");
    let mut quiet = Vec::new();
    for (row, id) in rows(visit, matches).iter().zip(ids) {
        let alerts = looked.alerts(id);
        let mut cells = identity_cells(row);
        if alerts.is_empty() {
            cells.push(Cell::text("Nothing found"));
            quiet.push(cells);
        } else {
            cells.push(Cell(alerts));
            table = table.raised_row(cells);
        }
    }
    for cells in quiet {
        table = table.row(cells);
    }
    table
}

async fn residents(visit: &Visit, figures: &mut Vec<Figure>) -> Option<Section> {
    const TITLE: &str = "Residents";
    let count = RESIDENTS.to_string();
    let params = [
        ("_count", count.as_str()),
        ("_sort", "family"),
        ("active:not", "false"),
    ];
    let matches: Matches = match find(visit, &visit.caller, "Patient", &params).await {
        Ok(matches) => matches,
        Err(error) => return unavailable("residents", TITLE, "The residents", &error),
    };
    let ids: Vec<String> = matches
        .found
        .iter()
        .map(|found| found.id.to_string())
        .collect();
    let looked = Looked::up(visit, &ids).await;
    let table = resident_table(visit, &matches, &ids, &looked);
    let more = matches.next.is_some();
    let number = if more {
        format!("more than {RESIDENTS}")
    } else {
        ids.len().to_string()
    };
    figures.push(figure(&number, TITLE, visit.href("/patients"), false));
    let observed = looked.observed.as_ref();
    figures.push(missing_figure(
        observed,
        &ids,
        "Without observation in 30 days",
    ));
    figures.push(missing_figure(
        looked.allergies.as_ref(),
        &ids,
        "Allergies not recorded",
    ));
    let mut shown = section("residents", TITLE, table);
    let first = if more {
        format!("The first {RESIDENTS} by name. ")
    } else {
        String::new()
    };
    shown.lead = format!("{first}Those with something to do come first.");
    shown.more = Some((visit.href("/patients"), "All residents".to_owned()));
    Some(shown)
}

pub fn figure(value: &str, label: &str, href: String, raised: bool) -> Figure {
    Figure {
        value: value.to_owned(),
        label: label.to_owned(),
        href,
        raised,
    }
}

async fn own(visit: &Visit) -> Option<Section> {
    let caller = visit.with_purpose(kernel::PurposeOfUse::PatientRequest);
    let matches = find(visit, &caller, "Patient", &[("_count", "20")])
        .await
        .ok()?;
    let mut table = Table::new(
        "My records",
        &["Name", "Born", "Gender", "Number"],
        "No record is linked to you.",
    );
    for row in rows(visit, &matches) {
        table = table.row(identity_cells(&row));
    }
    Some(section("own", "My records", table))
}

async fn review(visit: &Visit, figures: &mut Vec<Figure>) -> Result<(), AppError> {
    let waiting = app::admin::break_glass::waiting(visit.app(), &visit.caller)
        .await?
        .len();
    let words = "Emergency access to review";
    figures.push(figure(
        &waiting.to_string(),
        words,
        visit.href("/break-glass"),
        waiting > 0,
    ));
    Ok(())
}

async fn users(visit: &Visit, figures: &mut Vec<Figure>) -> Result<(), AppError> {
    let users = app::admin::users::list(visit.app(), &visit.caller).await?;
    let now = visit.app().now();
    let locked = users
        .iter()
        .filter(|user| user.lock_out.check(now).is_err())
        .count();
    let without = users
        .iter()
        .filter(|user| user.state == identity::UserState::Active && !user.totp.is_on())
        .count();
    let href = visit.href("/users");
    figures.push(figure(
        &users.len().to_string(),
        "Users",
        href.clone(),
        false,
    ));
    figures.push(figure(
        &locked.to_string(),
        "Locked after failed attempts",
        href.clone(),
        locked > 0,
    ));
    figures.push(figure(
        &without.to_string(),
        "Without one-time codes",
        href,
        without > 0,
    ));
    Ok(())
}

async fn latest(visit: &Visit) -> Result<Section, AppError> {
    let page = audit::recent(
        visit.app(),
        &visit.caller,
        &audit::Filter::newest(Log::Access, 15),
    )
    .await?;
    let mut shown = section(
        "latest",
        "Latest access",
        entry_table(visit, &page.entries, None),
    );
    shown.more = Some((
        visit.href("/audit?log=access"),
        "The whole access log".to_owned(),
    ));
    Ok(shown)
}
