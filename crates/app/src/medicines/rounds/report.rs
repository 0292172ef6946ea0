//! What a shift hands over: of every patient how doses ended, gaps, refusals in a row, what was given when
//! needed and whether it helped, doubtful doses, changes of orders. Must not summarise a gap away.

use kernel::{LogicalId, Timestamp};
use medication::chart::Handover;
use medication::chart::{self, chart};
use medication::ids::RecordId;
use serde::Serialize;

use super::load::{Person, Span, Whom, people};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::brought::marks;
use crate::medicines::give::{ASKED, performer_of};
use crate::medicines::regimen::Held;

/// Days before the shift that refusals in a row are looked for in.
const BEFORE: i64 = 7;
/// The longest shift in hours.
const MOST_HOURS: i64 = 72;

/// What of one patient is handed over.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Handed {
    /// The id of the Patient.
    pub patient: String,
    /// The name, family name first.
    pub name: String,
    /// From the house to the room.
    pub place: Vec<String>,
    /// What is handed over; ids of orders and records.
    pub handover: Handover,
    /// What of the medicines cannot be read.
    pub unreadable: Vec<String>,
    /// Records whose witness was named and did not sign, by id.
    pub unsigned: Vec<String>,
    /// Names of the orders that it names, by id.
    pub orders: std::collections::BTreeMap<String, String>,
    /// In words, the most pressing first.
    pub words: Vec<String>,
}

/// The report of a shift: every patient of whom there is something to say, the others by their number.
pub async fn handover(
    app: &App,
    caller: &Caller,
    organization: Option<&LogicalId>,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<Handed>, AppError> {
    let span = to.seconds_since(from);
    if span <= 0 || span > MOST_HOURS * 3600 {
        return Err(AppError::Invalid(format!(
            "a shift lasts up to {MOST_HOURS} hours: correct from and to"
        )));
    }
    let back = from.plus_seconds(-BEFORE * 86_400);
    let wanted = Span {
        since: back,
        ended: true,
    };
    let people = people(
        app,
        caller,
        Whom::House(organization),
        wanted,
        "medication-handover",
    )
    .await?;
    let mut all = Vec::new();
    for person in &people {
        all.push(person.handed(app, back, (from, to))?);
    }
    all.sort_by_key(|own| {
        let place: Vec<String> = own
            .place
            .iter()
            .map(|own| super::today::sorted_by(own))
            .collect();
        (place, own.name.to_lowercase())
    });
    Ok(all)
}

fn times(count: usize, one: &str, many: &str) -> String {
    if count == 1 {
        format!("1 {one}")
    } else {
        format!("{count} {many}")
    }
}

impl Person {
    /// Records that stand and whose witness was named and did not sign.
    fn unsigned(&self) -> Vec<String> {
        let heads = self.records.book.heads();
        let standing: Vec<&str> = heads.map(|head| head.record.id.as_str()).collect();
        let waits = |own: &&Held| {
            standing.contains(&own.key.id.as_str()) && performer_of(own.root(), ASKED).is_some()
        };
        let held = self.records.held.iter().filter(waits);
        held.map(|own| own.key.id.as_str().to_owned()).collect()
    }

    /// What spoke against a dose that a device brought, in words.
    pub fn against_of(&self, record: &RecordId) -> Vec<String> {
        let name = format!("MedicationAdministration/{record}");
        let held = self.records.held.iter().find(|own| own.name() == name);
        held.map_or_else(Vec::new, |own| marks(own.root()).against)
    }

    /// Doses of a shift that a device brought with something against them, in words.
    fn against(&self, (from, to): (Timestamp, Timestamp)) -> Vec<String> {
        let heads = self.records.book.heads().map(|head| head.record);
        let within = heads.filter(|own| from <= own.happened && own.happened < to);
        let told = within.filter_map(|record| {
            let against = self.against_of(&record.id);
            (!against.is_empty()).then(|| {
                format!(
                    "Recorded on a device against what the record says: {}: {}",
                    record.product,
                    against.join("; ")
                )
            })
        });
        told.collect()
    }

    fn handed(
        &self,
        app: &App,
        back: Timestamp,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Handed, AppError> {
        let orders = self.readable();
        let book = &self.records.book;
        let drawn = chart(&orders, book, &self.ground.home, (back, to), app.now())
            .map_err(|error| AppError::Unprocessable(error.to_string()))?;
        let found = chart::handover(&orders, book, &drawn, &self.effects, (from, to));
        let names = orders
            .iter()
            .map(|own| (own.id.as_str().to_owned(), own.article.name.clone()));
        let names: std::collections::BTreeMap<String, String> = names.collect();
        let unsigned = self.unsigned();
        let mut words = words(&found, &names, (self, &unsigned));
        let doubles = found.doubles.len();
        let against = self.against((from, to));
        words.splice(doubles..doubles, against);
        Ok(Handed {
            patient: self.id().as_str().to_owned(),
            name: self.name(),
            place: self.location.clone(),
            unreadable: self.unreadable(),
            unsigned,
            orders: names,
            handover: found,
            words,
        })
    }
}

/// What is handed over in words, the most pressing first.
fn words(
    found: &Handover,
    names: &std::collections::BTreeMap<String, String>,
    (person, unsigned): (&Person, &[String]),
) -> Vec<String> {
    let name = |id: &str| names.get(id).map_or(id, String::as_str).to_owned();
    let book = &person.records.book;
    let mut words = Vec::new();
    for double in &found.doubles {
        words.push(format!(
            "Possible double dose: {}",
            name(double.order.as_str())
        ));
    }
    for id in unsigned {
        let record = id.parse().ok().and_then(|id| book.get(&id));
        let product = record.map_or("a dose", |own| own.product.as_str());
        words.push(format!("The witness has not signed: {product}"));
    }
    let of = |label: &str, id: &str| format!("{label}: {}", name(id));
    let gaps = found.gaps.iter();
    words.extend(gaps.map(|own| of("Not recorded", own.order.as_str())));
    let late = found.late.iter();
    words.extend(late.map(|own| of("Overdue now", own.order.as_str())));
    for refused in &found.refused {
        words.push(format!(
            "Refused {} in a row: {}. Tell the prescriber",
            times(refused.times as usize, "time", "times"),
            name(refused.order.as_str())
        ));
    }
    for id in &found.effects_due {
        let record = book.get(id).map_or("a dose", |own| own.product.as_str());
        words.push(format!("Effect not asked for: {record}"));
    }
    for id in &found.needed {
        if let Some(record) = book.get(id) {
            let why = record
                .need
                .as_ref()
                .map(|own| format!(" for {}", own.reason));
            words.push(format!(
                "Given when needed: {}{}",
                record.product,
                why.unwrap_or_default()
            ));
        }
    }
    for (label, list) in [
        ("Used more often than planned", &found.escalate),
        ("New", &found.started),
        ("Changed", &found.changed),
        ("Stopped", &found.stopped),
        ("No place on the calendar", &found.unplaced),
    ] {
        words.extend(
            list.iter()
                .map(|own| format!("{label}: {}", name(own.as_str()))),
        );
    }
    if !found.late_entries.is_empty() {
        let count = times(found.late_entries.len(), "dose was", "doses were");
        words.push(format!("{count} entered long after they were given"));
    }
    words
}
