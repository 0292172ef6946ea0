//! Conditions, encounters, immunisations and appointments as rows of a page. Must not drop a row for a
//! missing part: the part is said to be missing.

use fhir::json::Value;

use super::code::{concept_at, concepts, first_code, items, reference, text, words};
use super::date::{FhirDate, When, Zone};

/// A row: what, how it stands, when, and details in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it is.
    pub what: String,
    /// Its status in words; "Status not recorded" where missing.
    pub status: String,
    /// Whether it is still going on (or still to come).
    pub current: bool,
    /// When it began or takes place.
    pub when: When,
    /// Milliseconds since the epoch for ordering; `i64::MIN` where unknown.
    pub order: i64,
    /// Until when, where recorded.
    pub until: Option<When>,
    /// Further words: reason, place, people.
    pub details: Vec<String>,
    /// Where to see the whole resource.
    pub href: String,
}

fn ordering(written: Option<&str>) -> i64 {
    match written.and_then(FhirDate::parse) {
        Some(FhirDate::Instant(time)) => time.as_millisecond(),
        Some(FhirDate::Day(day) | FhirDate::Month(day)) => day
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_or(i64::MIN, |zoned| zoned.timestamp().as_millisecond()),
        Some(FhirDate::Year(year)) => i64::from(year - 1970) * 31_556_952_000,
        None => i64::MIN,
    }
}

fn when(written: Option<&str>, zone: &Zone) -> When {
    written.map_or_else(
        || When::unknown("Date not recorded"),
        |text| When::fhir(text, zone),
    )
}

/// From when until when: one text where both are points in time, so that the day is said once.
fn period(start: Option<&str>, end: Option<&str>, zone: &Zone) -> (When, Option<When>) {
    let instant = |written: Option<&str>| match written.and_then(FhirDate::parse) {
        Some(FhirDate::Instant(time)) => {
            Some(kernel::Timestamp::from_micros(time.as_microsecond()))
        }
        _ => None,
    };
    match (instant(start), instant(end)) {
        (Some(from), Some(to)) => (When::span(from, to, zone), None),
        _ => (when(start, zone), end.map(|text| When::fhir(text, zone))),
    }
}

fn status(resource: Value<'_>) -> String {
    text(resource, "status").map_or_else(|| "Status not recorded".to_owned(), |code| words(&code))
}

/// A Condition; `None` for one entered in error or refuted.
#[must_use]
pub fn condition(resource: Value<'_>, zone: &Zone, href: String) -> Option<Event> {
    let verification = first_code(resource, "verificationStatus");
    if matches!(
        verification.as_deref(),
        Some("entered-in-error" | "refuted")
    ) {
        return None;
    }
    let clinical = first_code(resource, "clinicalStatus");
    let onset = text(resource, "onsetDateTime")
        .or_else(|| {
            resource
                .get("onsetPeriod")
                .and_then(|period| text(period, "start"))
        })
        .or_else(|| text(resource, "recordedDate"));
    let mut details = concepts(resource, "bodySite");
    details.extend(concept_at(resource, "severity"));
    if let Some(code) = verification.filter(|code| code != "confirmed") {
        details.push(words(&code));
    }
    Some(Event {
        what: concept_at(resource, "code").unwrap_or_else(|| "Condition not named".to_owned()),
        current: !matches!(
            clinical.as_deref(),
            Some("inactive" | "remission" | "resolved")
        ),
        status: clinical.map_or_else(|| "Status not recorded".to_owned(), |code| words(&code)),
        when: when(onset.as_deref(), zone),
        order: ordering(onset.as_deref()),
        until: When::member(resource, "abatementDateTime", zone),
        details,
        href,
    })
}

/// An Encounter; `None` for one entered in error.
#[must_use]
pub fn encounter(resource: Value<'_>, zone: &Zone, href: String) -> Option<Event> {
    let code = text(resource, "status");
    if code.as_deref() == Some("entered-in-error") {
        return None;
    }
    let period = resource.get("period");
    let start = period.and_then(|period| text(period, "start"));
    let end = period.and_then(|period| text(period, "end"));
    let (from, until) = self::period(start.as_deref(), end.as_deref(), zone);
    let class = resource.get("class").and_then(|class| {
        text(class, "display").or_else(|| {
            Some(match text(class, "code")?.as_str() {
                "AMB" => "Outpatient".to_owned(),
                "IMP" | "ACUTE" => "Inpatient".to_owned(),
                "EMER" => "Emergency".to_owned(),
                "HH" => "Home visit".to_owned(),
                "VR" => "Remote".to_owned(),
                other => other.to_owned(),
            })
        })
    });
    let kind = concepts(resource, "type").into_iter().next();
    let mut details = concepts(resource, "reasonCode");
    details.extend(
        items(resource, "participant").filter_map(|person| reference(person, "individual")),
    );
    details.extend(reference(resource, "serviceProvider"));
    if kind.is_some() {
        details.extend(class.clone());
    }
    Some(Event {
        what: kind
            .or(class)
            .unwrap_or_else(|| "Encounter not named".to_owned()),
        status: status(resource),
        current: matches!(
            code.as_deref(),
            Some("planned" | "arrived" | "triaged" | "in-progress" | "onleave")
        ),
        when: from,
        order: ordering(start.as_deref()),
        until,
        details,
        href,
    })
}

/// An Immunization; `None` for one entered in error. One not given is shown as not given.
#[must_use]
pub fn immunisation(resource: Value<'_>, zone: &Zone, href: String) -> Option<Event> {
    let code = text(resource, "status");
    if code.as_deref() == Some("entered-in-error") {
        return None;
    }
    let given = text(resource, "occurrenceDateTime");
    let shown = match code.as_deref() {
        Some("completed") => "Given".to_owned(),
        Some("not-done") => "Not given".to_owned(),
        _ => status(resource),
    };
    let mut details: Vec<String> = concept_at(resource, "statusReason").into_iter().collect();
    details.extend(text(resource, "lotNumber").map(|lot| format!("Batch {lot}")));
    details.extend(text(resource, "occurrenceString"));
    Some(Event {
        what: concept_at(resource, "vaccineCode").unwrap_or_else(|| "Vaccine not named".to_owned()),
        current: shown == "Given",
        status: shown,
        when: when(given.as_deref(), zone),
        order: ordering(given.as_deref()),
        until: None,
        details,
        href,
    })
}

/// An Appointment; `None` for one entered in error.
#[must_use]
pub fn appointment(resource: Value<'_>, zone: &Zone, href: String) -> Option<Event> {
    let code = text(resource, "status");
    if code.as_deref() == Some("entered-in-error") {
        return None;
    }
    let start = text(resource, "start");
    let end = text(resource, "end");
    let (from, until) = period(start.as_deref(), end.as_deref(), zone);
    let mut details = concepts(resource, "reasonCode");
    details.extend(text(resource, "description"));
    details.extend(items(resource, "participant").filter_map(|person| {
        let actor = person.get("actor")?;
        let patient = text(actor, "reference").is_some_and(|target| target.contains("Patient/"));
        (!patient).then(|| text(actor, "display")).flatten()
    }));
    let what = concept_at(resource, "appointmentType")
        .or_else(|| concepts(resource, "serviceType").into_iter().next())
        .unwrap_or_else(|| "Appointment".to_owned());
    details.retain(|detail| *detail != what); // nothing is said twice
    Some(Event {
        what,
        status: status(resource),
        current: !matches!(code.as_deref(), Some("fulfilled" | "cancelled" | "noshow")),
        when: from,
        order: ordering(start.as_deref()),
        until,
        details,
        href,
    })
}

/// The patient an Appointment (or anything with participants) is for: id and shown name.
#[must_use]
pub fn appointment_patient(resource: Value<'_>) -> Option<(String, Option<String>)> {
    items(resource, "participant").find_map(|person| {
        let actor = person.get("actor")?;
        let target = text(actor, "reference")?;
        let id = target.rsplit_once("Patient/")?.1.to_owned();
        Some((id, text(actor, "display")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::tests_support::parse;

    #[test]
    fn missing_parts_are_said_to_be_missing() {
        let zone = Zone::named("UTC");
        let shown = condition(parse("{}").root(), &zone, String::new()).unwrap();
        assert_eq!(
            (
                shown.what.as_str(),
                shown.status.as_str(),
                shown.when.text.as_str(),
                shown.current
            ),
            (
                "Condition not named",
                "Status not recorded",
                "Date not recorded",
                true
            )
        );
        let shown = immunisation(
            parse(r#"{"status":"not-done"}"#).root(),
            &zone,
            String::new(),
        )
        .unwrap();
        assert_eq!(
            (shown.what.as_str(), shown.status.as_str(), shown.current),
            ("Vaccine not named", "Not given", false)
        );
    }

    #[test]
    fn entries_in_error_are_left_out() {
        let zone = Zone::named("UTC");
        let wrong = parse(r#"{"status":"entered-in-error"}"#);
        assert!(encounter(wrong.root(), &zone, String::new()).is_none());
        assert!(immunisation(wrong.root(), &zone, String::new()).is_none());
        assert!(appointment(wrong.root(), &zone, String::new()).is_none());
        let refuted = parse(r#"{"verificationStatus":{"coding":[{"code":"refuted"}]}}"#);
        assert!(condition(refuted.root(), &zone, String::new()).is_none());
    }

    #[test]
    fn an_appointment_names_its_patient_and_the_others() {
        let body = parse(
            r#"{"status":"booked","participant":[{"actor":{"reference":"Patient/p1","display":"Jane"}},{"actor":{"reference":"Practitioner/d","display":"Dr Rao"}}]}"#,
        );
        assert_eq!(
            appointment_patient(body.root()),
            Some(("p1".to_owned(), Some("Jane".to_owned())))
        );
        let shown = appointment(body.root(), &Zone::named("UTC"), String::new()).unwrap();
        assert_eq!(shown.details, ["Dr Rao"]);
    }
}
