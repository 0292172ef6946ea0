//! `Patient/[id]/$medication-chart`: what was due on up to 28 days with what became of it, and what may be
//! given now. Must not leave out an order, a dose or a record: what cannot be placed stands there and says
//! so.

use std::collections::{BTreeMap, BTreeSet};

use identity::Interaction;
use kernel::Timestamp;
use medication::administration::{
    Decision, Giving, How, NeedRecord, Outcome, PackState, Policy, Record, Right, Verified,
    decide_giving,
};
use medication::chart::{Cell, CellState, Chart, ChartError, DAYS, Line, Timing, chart as draw};
use medication::dosage::{Amount, Moment, regimen as words};
use medication::ids::{PersonId, RecordId};
use medication::limits::{self, Next};
use medication::order::{DueSlot, Order, Status};
use serde_json::{Value, json};
use store::ResourceKey;

use super::give::{ASKED, SIGNED, performer_of};
use super::ground::{Ground, Ordered, Records, names};
use super::people::{self, Filed};
use super::prescribe::resource_type;
use super::reasons;
use super::regimen::{self, Held, every, is_order};
use super::signatures;
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;

/// Most orders of one patient.
const MOST: u32 = 2_000;

/// A chart with what may be given now.
pub struct Charted {
    chart: Chart,
    lines: Vec<OrderLine>,
    unreadable: Vec<(String, String)>,
    records: Records,
    names: BTreeMap<String, String>,
}

struct OrderLine {
    text: String,
    line: Line,
    needed: bool,
    homely: Option<u32>,
    now: Option<Decision>,
    when: Option<DueSlot>,
}

/// Draws the chart from a day on, in the zone of the house; without `from` it ends with today.
pub async fn chart(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    (from, days): (Option<&str>, Option<i64>),
) -> Result<Charted, AppError> {
    let ty = resource_type(app, "MedicationAdministration")?;
    authorise(app, caller, &Ask::of_type(Interaction::Search, ty)).await?;
    let days = days.unwrap_or(DAYS);
    if !(1..=DAYS).contains(&days) {
        return Err(AppError::Invalid(format!(
            "days is not from 1 to {DAYS}: ask for a part of the time at a time"
        )));
    }
    let mut ground = Ground::load(app, caller, patient, "$medication-chart").await?;
    let asked = ("MedicationRequest", [].as_slice());
    let (mut requests, _) = every(app, caller, patient, asked, MOST).await?;
    requests.retain(|held| is_order(held.root()));
    let roots: Vec<_> = requests.iter().map(Held::root).collect();
    regimen::extend(app, caller, &mut ground.regimen, &roots).await?;
    let orders: Vec<Ordered> = requests
        .iter()
        .map(|held| ground.ordered(held.name(), held.root()))
        .collect();
    let span = span(&ground.home.zone, from, days, app.now())?;
    let since = since(&ground, span.0.min(app.now()));
    let records = ground.records(app, caller, since).await?;
    let known: Vec<Order> = orders.iter().flat_map(|own| own.order.clone()).collect();
    let chart = draw(&known, &records.book, &ground.home, span, app.now())
        .map_err(|error: ChartError| AppError::Unprocessable(error.to_string()))?;
    let lines = lines(app, caller, (&ground, &records), (&known, &chart)).await?;
    let signed = if records.held.iter().any(|own| performed(own, SIGNED)) {
        signatures::doses(app, caller, &patient.id).await?
    } else {
        BTreeSet::new()
    };
    let unreadable = orders
        .iter()
        .filter_map(|own| Some((own.name.clone(), own.unclear()?)));
    let unread = records.unread.iter();
    let unread = unread.map(|own| (own.name.clone(), own.why.clone()));
    Ok(Charted {
        unreadable: unreadable.chain(unread).collect(),
        names: signatures(&records, &signed),
        chart,
        lines,
        records,
    })
}

/// The orders that are shown, each with the decision of now.
async fn lines(
    app: &App,
    caller: &Caller,
    (ground, records): (&Ground, &Records),
    (known, chart): (&[Order], &Chart),
) -> Result<Vec<OrderLine>, AppError> {
    let papers = if known.iter().any(|own| people::rests(own, Outcome::Given)) {
        let zone = &ground.home.zone;
        Some(people::papers(app, caller, &ground.regimen.patient.key, zone).await?)
    } else {
        None
    };
    let mut lines = Vec::new();
    for (order, line) in known.iter().zip(&chart.lines) {
        if !shown(line) {
            continue;
        }
        let when = next(line);
        let deciding = Deciding {
            ground,
            records,
            papers: papers.as_ref(),
            order,
            due: when.as_ref(),
        };
        lines.push(OrderLine {
            text: words(&order.dosages).text,
            needed: order.is_needed(),
            homely: order.homely,
            now: deciding.now(app, caller)?,
            line: line.clone(),
            when,
        });
    }
    Ok(lines)
}

/// Orders that ended and of which nothing falls into the days are left out.
fn shown(line: &Line) -> bool {
    matches!(line.status, Status::Active | Status::OnHold)
        || line.unplaced.is_some()
        || !(line.cells.is_empty() && line.free.is_empty() && line.off_schedule.is_empty())
}

/// Since when records matter: for the chart, and for every limit as of now.
fn since(ground: &Ground, from: Timestamp) -> Option<Timestamp> {
    let limits = ground.orders.iter().map(|own| ground.limits(own).0);
    let reach = limits.flatten().map(|own| limits::reach(&own)).max();
    let reach = reach.unwrap_or(0).max(7 * 86_400);
    (reach != i64::MAX).then(|| from.plus_seconds(reach.saturating_neg()))
}

/// Midnight of the first day to midnight after the last, by the clocks of the house.
fn span(
    zone: &jiff::tz::TimeZone,
    from: Option<&str>,
    days: i64,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), AppError> {
    let wrong = || AppError::Invalid("from is no day: send one as 2026-03-05".to_owned());
    let back = |days: i64| jiff::Span::new().try_days(days).map_err(|_| wrong());
    let first: jiff::civil::Date = if let Some(text) = from {
        text.parse().map_err(|_| wrong())?
    } else {
        let now = jiff::Timestamp::from_microsecond(now.as_micros()).map_err(|_| wrong())?;
        let today = now.to_zoned(zone.clone()).date();
        today.checked_sub(back(days - 1)?).map_err(|_| wrong())?
    };
    let last = first.checked_add(back(days - 1)?).map_err(|_| wrong())?;
    let day = |date: jiff::civil::Date| Moment::parse(&date.to_string()).ok_or_else(wrong);
    Ok((day(first)?.starts(zone), day(last)?.ends(zone)))
}

/// The due dose that a decision of now is about: one that waits, else the next.
fn next(line: &Line) -> Option<DueSlot> {
    let open = |wanted: fn(&CellState) -> bool| {
        let mut cells = line.cells.iter();
        cells
            .find(|cell| wanted(&cell.state))
            .map(|cell| cell.due.clone())
    };
    open(|state| matches!(state, CellState::Due | CellState::Late))
        .or_else(|| open(|state| matches!(state, CellState::Upcoming)))
}

fn performed(held: &Held, function: &str) -> bool {
    performer_of(held.root(), function).is_some()
}

/// By record, how its witness stands: signed here, stated by whoever wrote the record, or asked.
fn signatures(records: &Records, signed: &BTreeSet<String>) -> BTreeMap<String, String> {
    let state = |held: &Held| {
        let id = held.key.id.as_str();
        let state = match (performed(held, SIGNED), performed(held, ASKED)) {
            (true, _) if signed.contains(id) => "signed",
            (true, _) => "stated",
            (false, true) => "not-signed",
            (false, false) => return None,
        };
        Some((id.to_owned(), state.to_owned()))
    };
    records.held.iter().filter_map(state).collect()
}

struct Deciding<'a> {
    ground: &'a Ground,
    records: &'a Records,
    papers: Option<&'a Filed>,
    order: &'a Order,
    due: Option<&'a DueSlot>,
}

impl Deciding<'_> {
    /// Whether the ordered dose may be given now, had its rights been verified; none of an order that is
    /// not in force, or that has no dose to come.
    fn now(&self, app: &App, caller: &Caller) -> Result<Option<Decision>, AppError> {
        let name = format!("MedicationRequest/{}", self.order.id);
        let own = self.ground.orders.iter().find(|own| own.name == name);
        let (Some(own), Some(giver)) = (own, names(caller).into_iter().next()) else {
            return Ok(None);
        };
        if self.due.is_none() && !self.order.is_needed() {
            return Ok(None);
        }
        let (limits, mut missing) = self.ground.limits(own);
        let now = app.now();
        missing.extend(self.records.gaps(&own.article, &limits, (now, now)));
        let alerts = self.ground.alerts(caller, &name);
        let record = self.planned(app, giver)?;
        let said = self
            .papers
            .map(|own| own.say(self.order, record.outcome, app.now()));
        let said = said.unwrap_or_default();
        missing.extend(said.missing);
        Ok(Some(decide_giving(Giving {
            order: self.order,
            due: self.due,
            named: None,
            record: &record,
            done: false,
            book: &self.records.book,
            limits: &limits,
            missing: &missing,
            alerts: &alerts,
            allergies: self.ground.allergies,
            covert: said.covert.as_ref(),
            homely: said.homely.as_ref(),
            self_care: said.alone.as_ref(),
            pack: PackState::NotScanned,
            policy: &Policy::default(),
            now: app.now(),
            zone: &self.ground.home.zone,
        })))
    }

    fn planned(&self, app: &App, giver: PersonId) -> Result<Record, AppError> {
        let place = self.order.dosage_of(self.due, true, None);
        let dosage = place.and_then(|place| self.order.dosages.get(place));
        let dose = dosage
            .and_then(|own| own.dose())
            .and_then(Amount::most)
            .cloned();
        let id = app.ids().uuid().to_string().parse::<RecordId>();
        let verified = |right| Verified {
            right,
            how: How::Read,
            fits: true,
        };
        Ok(Record {
            id: id.map_err(|_| AppError::Fault("an id is none".to_owned()))?,
            order: self.order.id.clone(),
            slot: self.due.map(|due| due.key.clone()),
            dosage: None,
            outcome: Outcome::Given,
            reason: None,
            happened: app.now(),
            entered: app.now(),
            giver,
            enterer: None,
            witness: None,
            contents: limits::counted(&self.order.article, dose.as_ref()),
            dose,
            product: self.order.article.name.clone(),
            rights: Right::ALL.map(verified).to_vec(),
            device: None,
            corrects: None,
            need: Some(NeedRecord {
                reason: "to be asked".to_owned(),
                effect_due: None,
            }),
        })
    }
}

/// When the dose may be given: by the limits, and not before its window.
fn when(decision: &Decision, due: Option<&DueSlot>, now: Timestamp) -> Next {
    let earliest = due.map(|due| due.slot.earliest).filter(|at| *at > now);
    match (decision.next, earliest) {
        (Next::Now, Some(at)) => Next::At(at),
        (Next::At(limit), Some(at)) => Next::At(limit.max(at)),
        (next, _) => next,
    }
}

fn text(name: &str, value: impl core::fmt::Display) -> Value {
    json!({ "name": name, "valueString": value.to_string() })
}

fn code(name: &str, value: &str) -> Value {
    json!({ "name": name, "valueCode": value })
}

fn instant(name: &str, at: Timestamp) -> Value {
    json!({ "name": name, "valueInstant": at.to_fhir_instant() })
}

fn reference(name: &str, id: &RecordId) -> Value {
    json!({ "name": name, "valueReference": { "reference": format!("MedicationAdministration/{id}") } })
}

impl Charted {
    /// The Parameters that tell it, as of a time.
    #[must_use]
    pub fn parameters(&self, now: Timestamp) -> Value {
        let mut parts = vec![
            instant("from", self.chart.from),
            instant("to", self.chart.to),
        ];
        parts.extend(self.lines.iter().map(|own| self.line(own, now)));
        parts.extend(self.unreadable.iter().map(|(name, why)| {
            json!({ "name": "unreadable", "part": [
                { "name": "resource", "valueReference": { "reference": name } }, text("text", why),
            ]})
        }));
        parts.extend(self.chart.orphans.iter().map(|id| self.record("other", id)));
        let doubles = self.records.book.possible_doubles();
        parts.extend(doubles.iter().map(|double| {
            let records = double.records.iter().map(|id| reference("record", id));
            json!({ "name": "possible-double", "part": records.collect::<Vec<_>>() })
        }));
        json!({ "resourceType": "Parameters", "parameter": parts })
    }

    fn line(&self, own: &OrderLine, now: Timestamp) -> Value {
        let line = &own.line;
        let order = format!("MedicationRequest/{}", line.order);
        let mut part = vec![
            json!({ "name": "reference", "valueReference": { "reference": order } }),
            text("name", &line.name),
            code("status", line.status.code()),
            text("dosage", &own.text),
            json!({ "name": "as-needed", "valueBoolean": own.needed }),
        ];
        if let Some(days) = own.homely {
            part.push(json!({ "name": "homely-days", "valueInteger": days }));
        }
        if let Some(error) = &line.unplaced {
            part.push(text("unplaced", error));
        }
        if let Some((by, at)) = &line.replaced_by {
            let by = format!("MedicationRequest/{by}");
            part.push(json!({ "name": "replaced-by", "valueReference": { "reference": by } }));
            part.push(instant("replaced-from", *at));
        }
        if let Some(decision) = &own.now {
            let mut parts = reasons::parts(decision);
            parts.retain(|part| part.get("name") != Some(&json!("next")));
            if let Some(due) = &own.when {
                parts.push(text("slot", &due.key));
            }
            parts.push(reasons::next(when(decision, own.when.as_ref(), now)));
            part.push(json!({ "name": "now", "part": parts }));
        }
        part.extend(line.cells.iter().map(|cell| self.cell(cell)));
        part.extend(line.free.iter().map(|id| self.record("record", id)));
        part.extend(
            line.off_schedule
                .iter()
                .map(|id| self.record("off-schedule", id)),
        );
        json!({ "name": "order", "part": part })
    }

    /// A due dose: its one outcome, or what it waits for.
    fn cell(&self, cell: &Cell) -> Value {
        let slot = &cell.due.slot;
        let mut part = vec![
            text("slot", &cell.due.key),
            instant("due", slot.at),
            instant("earliest", slot.earliest),
            instant("latest", slot.latest),
        ];
        match &cell.state {
            CellState::Upcoming => part.push(code("state", "upcoming")),
            CellState::Due => part.push(code("state", "due")),
            CellState::Late => part.push(code("state", "late")),
            CellState::Missed => part.push(code("state", "gap")),
            CellState::Paused { reason } => {
                part.push(code("state", "paused"));
                part.push(text("reason", reason));
            }
            CellState::Done {
                record,
                timing,
                late_entry,
                others,
                possible_double,
                outcome,
            } => {
                part.push(code("state", outcome.code()));
                let timing = match timing {
                    Timing::Early => "early",
                    Timing::InWindow => "in-window",
                    Timing::Late => "late",
                };
                part.push(code("timing", timing));
                part.push(json!({ "name": "late-entry", "valueBoolean": late_entry }));
                part.push(json!({ "name": "possible-double", "valueBoolean": possible_double }));
                part.push(self.record("record", record));
                part.extend(others.iter().map(|id| self.record("other", id)));
            }
        }
        json!({ "name": "dose", "part": part })
    }

    fn record(&self, name: &str, id: &RecordId) -> Value {
        let mut part = vec![reference("reference", id)];
        if let Some(record) = self.records.book.get(id) {
            part.push(code("outcome", record.outcome.code()));
            part.push(instant("happened", record.happened));
            if let Some(dose) = &record.dose {
                part.push(text("dose", dose.words()));
            }
            if let Some(reason) = &record.reason {
                part.push(text("reason", reason));
            }
            if let Some(need) = &record.need {
                part.push(text("needed-for", &need.reason));
            }
        }
        if let Some(state) = self.names.get(id.as_str()) {
            part.push(code("witness", state));
        }
        json!({ "name": name, "part": part })
    }
}
