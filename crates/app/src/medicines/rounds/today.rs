//! The round as of now: the patients of a house or a place in it, in the order one walks, with what is
//! overdue, due, soon or may be needed, and what the limits say of it. Must not leave out whose medicines
//! cannot be read.

use kernel::{LogicalId, Timestamp};
use medication::administration::{AllergyState, Policy};
use medication::dosage::{Amount, regimen as words};
use medication::knowledge::Tier;
use medication::limits::{self, Next, Verdict};
use medication::order::{DueSlot, Order};
use medication::quantity::Quantity;
use medication::rounds::{Resident, RoundLine, Turn, Visit, build};
use serde::Serialize;

use super::effects::{EffectDue, due};
use super::load::{Person, Span, Whom, people};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::ground::Ordered;
use crate::medicines::{issue, reasons};

/// What round is asked for.
#[derive(Debug, Clone, Default)]
pub struct RoundRequest {
    /// The organisation of a branch; everybody whom the caller reaches where it is left out.
    pub organization: Option<LogicalId>,
    /// Only those whose place begins with this: `North wing`.
    pub location: Option<String>,
    /// What becomes due within so many minutes is on it too; at most a day.
    pub ahead: i64,
}

/// The most minutes ahead.
pub const MOST_AHEAD: i64 = 24 * 60;

/// A round.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// As of when.
    #[serde(serialize_with = "instant")]
    pub now: Timestamp,
    /// Until when doses count as soon.
    #[serde(serialize_with = "instant")]
    pub until: Timestamp,
    /// Every place there is, to choose from.
    pub places: Vec<String>,
    /// The patients, as one walks.
    pub stops: Vec<Stop>,
}

/// What is known of allergies, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllergyWords {
    /// Whether anybody asked.
    pub asked: bool,
    /// Their names; none where none are known.
    pub names: Vec<String>,
}

/// A patient on a round.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stop {
    /// The id of the Patient.
    pub patient: String,
    /// The name, family name first.
    pub name: String,
    /// The date of birth as recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub born: Option<String>,
    /// A picture as a `data:` address, where the record holds a small one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub photo: Option<String>,
    /// From the house to the room.
    pub place: Vec<String>,
    /// Allergies.
    pub allergies: AllergyWords,
    /// Whether a dose is due whose minutes matter.
    pub critical: bool,
    /// The medicines.
    pub lines: Vec<Line>,
    /// What of the medicines cannot be read, in words.
    pub unreadable: Vec<String>,
    /// Sources of knowledge that told nothing of a medicine.
    pub silent: Vec<String>,
    /// What could not be checked of the patient, in words.
    pub not_checked: Vec<String>,
    /// Doses given when needed whose effect is to be asked for.
    pub effects: Vec<EffectDue>,
}

/// An amount that may be given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    /// The amount.
    #[serde(flatten)]
    pub dose: Quantity,
    /// `2 tablets`.
    pub text: String,
}

/// A medicine on a round.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The id of the MedicationRequest.
    pub order: String,
    /// Name.
    pub name: String,
    /// The instruction in words.
    pub text: String,
    /// The route, where it is stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Why it is here.
    pub turn: Turn,
    /// The due dose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<DueSlot>,
    /// The key of the due dose, as `$give` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// Whether minutes matter.
    pub critical: bool,
    /// Which of the order's dosages it is, from 0.
    pub dosage: usize,
    /// The amounts that may be given: one, or the least and the most.
    pub doses: Vec<Choice>,
    /// What the limits say of the most.
    pub verdict: Verdict,
    /// Why, in words.
    pub reasons: Vec<String>,
    /// When the limits would allow it.
    pub next: Next,
    /// Whether it is given when needed.
    pub needed: bool,
    /// What it is needed for, where the order says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// Whether a witness signs, or nobody can tell.
    pub witness: bool,
    /// The loudest alert that interrupts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<&'static str>,
    /// What could not be checked of it, in words.
    pub not_checked: Vec<String>,
    /// When it was last taken.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe")]
    pub last: Option<Timestamp>,
}

/// A time as the API writes it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(super) fn instant<S: serde::Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&at.to_fhir_instant())
}

#[expect(clippy::ref_option, reason = "serde passes references")]
fn maybe<S: serde::Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => instant(at, to),
        None => to.serialize_none(),
    }
}

/// The round of a house.
pub async fn round(app: &App, caller: &Caller, request: &RoundRequest) -> Result<Round, AppError> {
    if !(0..=MOST_AHEAD).contains(&request.ahead) {
        return Err(AppError::Invalid(format!(
            "ahead is not from 0 to {MOST_AHEAD} minutes: ask for a shorter round"
        )));
    }
    let whom = Whom::House(request.organization.as_ref());
    let people = people(app, caller, whom, lately(app), "medication-round").await?;
    let mut places: Vec<String> = people
        .iter()
        .filter_map(|own| own.location.first().cloned())
        .collect();
    places.sort();
    places.dedup();
    let wanted = |own: &&Person| match &request.location {
        Some(place) => own.location.iter().any(|part| part == place),
        None => true,
    };
    let people: Vec<&Person> = people.iter().filter(wanted).collect();
    let ahead = request.ahead * 60;
    Ok(Round {
        now: app.now(),
        until: app.now().plus_seconds(ahead),
        places,
        stops: stops(app, &people, ahead),
    })
}

/// One patient as on a round, also where nothing is due.
pub async fn stop(app: &App, caller: &Caller, patient: &LogicalId) -> Result<Stop, AppError> {
    let ids = [patient.clone()];
    let loaded = people(
        app,
        caller,
        Whom::These(&ids),
        lately(app),
        "medication-round",
    )
    .await?;
    let missing = || AppError::not_found(format!("Patient/{}", patient.as_str()));
    let person = loaded.first().ok_or_else(missing)?;
    let found = stops(app, &[person], MOST_AHEAD * 60);
    Ok(found
        .into_iter()
        .next()
        .unwrap_or_else(|| unvisited(app, person)))
}

/// Two days: what is due, and what was done about it; limits look back further by themselves.
pub(super) fn lately(app: &App) -> Span {
    Span {
        since: app.now().plus_seconds(-2 * 86_400),
        ended: false,
    }
}

/// What is sorted by: numbers in names count as numbers.
pub(super) fn sorted_by(text: &str) -> String {
    let mut key = String::with_capacity(text.len() + 8);
    let mut digits = String::new();
    for letter in text.chars().chain(['\0']) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        if !digits.is_empty() {
            key.extend(core::iter::repeat_n(
                '0',
                8_usize.saturating_sub(digits.len()),
            ));
            key.push_str(&digits);
            digits.clear();
        }
        if letter != '\0' {
            key.extend(letter.to_lowercase());
        }
    }
    key
}

/// The stops of people, as one walks.
pub(super) fn stops(app: &App, people: &[&Person], ahead: i64) -> Vec<Stop> {
    let Some(home) = people.first().map(|own| &own.ground.home) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (visit, person) in visits(people, home, app.now(), ahead) {
        found.push(match visit {
            Some(visit) => person.stop(app, &visit),
            None => unvisited(app, person),
        });
    }
    found
}

/// The visits of people, as one walks; those whom only something unreadable keeps on the round have none.
pub(super) fn visits<'a>(
    people: &[&'a Person],
    home: &medication::order::Home,
    now: Timestamp,
    ahead: i64,
) -> Vec<(Option<Visit>, &'a Person)> {
    struct Own<'a> {
        id: medication::ids::ResidentId,
        name: String,
        place: Vec<String>,
        orders: Vec<Order>,
        limits: Vec<limits::Limit>,
        person: &'a Person,
    }
    let own: Vec<Own<'a>> = people
        .iter()
        .map(|person| Own {
            id: medication::ids::ResidentId(person.id().clone()),
            name: person.name(),
            place: person.location.iter().map(|own| sorted_by(own)).collect(),
            orders: person.readable(),
            limits: person.ground.all_limits().0,
            person,
        })
        .collect();
    let residents: Vec<Resident<'_>> = own
        .iter()
        .map(|own| Resident {
            id: &own.id,
            name: &own.name,
            location: &own.place,
            orders: &own.orders,
            book: &own.person.records.book,
            limits: &own.limits,
            missing: &[],
        })
        .collect();
    let mut found: Vec<(Option<Visit>, &Person)> = Vec::new();
    for visit in build(&residents, home, now, ahead) {
        if let Some(own) = own.iter().find(|own| own.id == visit.resident) {
            found.push((Some(visit), own.person));
        }
    }
    let told = |person: &Person| !person.unreadable().is_empty() || !due(person, now).is_empty();
    for own in own.iter().filter(|own| told(own.person)) {
        let known = found
            .iter()
            .any(|(_, person)| person.id() == own.person.id());
        if !known {
            found.push((None, own.person));
        }
    }
    found
}

/// A patient for whom nothing is due: what is to be asked is there all the same.
fn unvisited(app: &App, person: &Person) -> Stop {
    Stop {
        effects: due(person, app.now()),
        ..empty(person)
    }
}

fn empty(person: &Person) -> Stop {
    Stop {
        patient: person.id().as_str().to_owned(),
        name: person.name(),
        born: person.text("birthDate"),
        photo: person.photo(),
        place: person.location.clone(),
        allergies: person.allergies(),
        critical: false,
        lines: Vec::new(),
        unreadable: person.unreadable(),
        silent: person.ground.silent(),
        not_checked: person.ground.unchecked_at_all(),
        effects: Vec::new(),
    }
}

impl Person {
    fn text(&self, name: &str) -> Option<String> {
        let own = self.ground.regimen.patient.root().get_str(name);
        own.map(std::borrow::Cow::into_owned)
    }

    /// The name, family name first and in capitals (NHS CUI, patient name display).
    pub fn name(&self) -> String {
        let root = self.ground.regimen.patient.root();
        let names = root
            .get("name")
            .into_iter()
            .flat_map(fhir::json::Value::items);
        let names: Vec<_> = names.collect();
        let official = names
            .iter()
            .find(|own| own.get_str("use").as_deref() == Some("official"));
        let Some(name) = official.or(names.first()) else {
            return format!("Patient {}", self.id().as_str());
        };
        let given = name
            .get("given")
            .into_iter()
            .flat_map(fhir::json::Value::items);
        let given: Vec<_> = given.filter_map(fhir::json::Value::as_str).collect();
        match name.get_str("family") {
            Some(family) if given.is_empty() => family.to_uppercase(),
            Some(family) => format!("{}, {}", family.to_uppercase(), given.join(" ")),
            None => name
                .get_str("text")
                .map_or_else(|| given.join(" "), Into::into),
        }
    }

    fn photo(&self) -> Option<String> {
        const MOST: usize = 120_000;
        let photo = self
            .ground
            .regimen
            .patient
            .root()
            .get("photo")?
            .items()
            .next()?;
        let kind = photo.get_str("contentType")?;
        let data = photo.get_str("data")?;
        let fits = matches!(&*kind, "image/jpeg" | "image/png" | "image/webp");
        (fits && data.len() <= MOST).then(|| format!("data:{kind};base64,{data}"))
    }

    pub fn allergies(&self) -> AllergyWords {
        let names = self.ground.checked.allergies.iter();
        AllergyWords {
            asked: self.ground.allergies == AllergyState::Asked,
            names: names.map(|(name, _)| name.clone()).collect(),
        }
    }

    fn stop(&self, app: &App, visit: &Visit) -> Stop {
        let mut stop = empty(self);
        stop.critical = visit.critical;
        stop.effects = due(self, app.now());
        stop.lines = visit
            .lines
            .iter()
            .filter_map(|line| self.line(line, app.now()))
            .collect();
        stop
    }

    /// An order in force by its id.
    pub fn ordered(&self, id: &str) -> Option<(&Ordered, &Order)> {
        let name = format!("MedicationRequest/{id}");
        let own = self.ground.orders.iter().find(|own| own.name == name)?;
        Some((own, own.order.as_ref().ok()?))
    }

    fn line(&self, line: &RoundLine, now: Timestamp) -> Option<Line> {
        let id = line.order.as_str();
        let (ordered, order) = self.ordered(id)?;
        let (limits, mut missing) = self.ground.limits(ordered);
        missing.extend(self.records.gaps(&ordered.article, &limits, (now, now)));
        let mut verdict = line.limits.verdict;
        let mut why: Vec<String> = Vec::new();
        for reason in line.limits.reasons.iter().chain(&missing) {
            verdict = verdict.max(reason.verdict);
            let reason = reason.why.clone();
            why.push(reasons::words(&medication::administration::Why::Limit {
                reason,
            }));
        }
        why.dedup();
        why.extend(line.unplaced.as_ref().map(ToString::to_string));
        let needed = line.due.is_none() && order.is_needed();
        let taken = self.records.book.heads();
        let taken =
            taken.filter(|head| head.record.order == line.order && head.record.outcome.is_taken());
        Some(Line {
            order: id.to_owned(),
            name: line.name.clone(),
            text: words(&order.dosages).text,
            route: ordered.article.route.clone(),
            turn: line.turn,
            slot: line.due.as_ref().map(|due| due.key.to_string()),
            critical: line.due.as_ref().is_some_and(|due| due.slot.critical),
            due: line.due.clone(),
            dosage: line.dosage,
            doses: doses(order, line.dosage),
            next: if verdict == Verdict::Unknown {
                Next::Unknown
            } else {
                line.limits.next
            },
            verdict,
            reasons: why,
            needed,
            expected: order.need.expected.clone(),
            witness: witnessed(ordered, order),
            alert: self.alert(&ordered.name).map(issue::tier),
            not_checked: self.ground.unchecked_of(&ordered.name),
            last: taken.map(|head| head.record.happened).max(),
        })
    }

    /// The loudest alert of an order that interrupts.
    fn alert(&self, name: &str) -> Option<Tier> {
        let checked = &self.ground.checked;
        let mut list = checked.medicines.iter();
        let place = list.position(|own| own.reference.as_deref() == Some(name))?;
        let own = checked.alerts.iter();
        let own = own.filter(|shown| shown.alert.medicines.contains(&place));
        own.map(|shown| shown.alert.tier)
            .filter(|tier| tier.interrupts())
            .max()
    }
}

/// Whether a witness signs; where nobody can tell, one does.
pub(super) fn witnessed(ordered: &Ordered, order: &Order) -> bool {
    let policy = Policy::default();
    let listed = ordered.article.schedule;
    order.witness
        || listed.is_some_and(|own| policy.witness.contains(&own))
        || !ordered.article.tells_schedule()
}

/// The amounts an order allows at once.
pub(super) fn doses(order: &Order, place: usize) -> Vec<Choice> {
    let choice = |own: &Quantity| Choice {
        text: own.words(),
        dose: own.clone(),
    };
    let dosage = order.dosages.get(place);
    match dosage.and_then(|own| own.dose()) {
        Some(Amount::Exact(own)) => vec![choice(own)],
        Some(Amount::Range { low, high }) => {
            let mut both: Vec<Choice> = low.iter().chain(high).map(choice).collect();
            both.dedup();
            both
        }
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::sorted_by;

    #[test]
    fn rooms_sort_by_their_numbers() {
        let mut rooms = ["Room 10", "room 2", "Room 2a", "Annexe"];
        rooms.sort_by_key(|own| sorted_by(own));
        assert_eq!(rooms, ["Annexe", "room 2", "Room 2a", "Room 10"]);
    }
}
