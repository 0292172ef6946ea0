//! Who is responsible for a resident: people who are related and teams that care. Responsibility gives
//! nobody access: that is a relationship or a role of an account.

use fhir::json::Value;
use jiff::tz::TimeZone;
use kernel::Timestamp;
use medication::dosage::Moment;
use store::{Guard, ResourceKey};

use super::super::regimen::{Held, every};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;

/// Most carers of one patient, of each resource type.
const MOST: u32 = 200;

/// Somebody who is responsible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carer {
    /// `RelatedPerson/1` or `CareTeam/1`.
    pub name: String,
    /// Who, in words.
    pub who: String,
    /// As what, in words: `Daughter`, `Care team`.
    pub role: String,
    /// Whether it counts now.
    pub active: bool,
}

/// The carers of a patient as of a time, with what must still be so when something rests on them.
pub(crate) async fn carers(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    (zone, now): (&TimeZone, Timestamp),
) -> Result<(Vec<Carer>, Vec<Guard>), AppError> {
    let mut found = Vec::new();
    let mut guards = Vec::new();
    for ty in ["RelatedPerson", "CareTeam"] {
        let (held, guard) = every(app, caller, patient, (ty, &[]), MOST).await?;
        found.extend(held.iter().map(|own| carer(own, zone, now)));
        guards.push(guard);
    }
    Ok((found, guards))
}

fn carer(held: &Held, zone: &TimeZone, now: Timestamp) -> Carer {
    let root = held.root();
    let person = root.get_str("resourceType").as_deref() == Some("RelatedPerson");
    let within = root
        .get("period")
        .is_none_or(|period| holds(period, zone, now));
    let active = if person {
        root.get("active").and_then(Value::as_bool) == Some(true)
    } else {
        let members = root.get("participant").into_iter().flat_map(Value::items);
        root.get_str("status").as_deref() == Some("active") && members.count() > 0
    };
    Carer {
        name: held.name(),
        who: who(root, person),
        role: role(root, person),
        active: active && within,
    }
}

/// Whether a period holds a moment; a bound that cannot be read does not let it.
fn holds(period: Value<'_>, zone: &TimeZone, now: Timestamp) -> bool {
    let bound = |name: &str| period.get_str(name).map(|text| Moment::parse(&text));
    let begun = match bound("start") {
        None => true,
        Some(start) => start.is_some_and(|own| own.starts(zone) <= now),
    };
    let lasts = match bound("end") {
        None => true,
        Some(end) => end.is_some_and(|own| now < own.ends(zone)),
    };
    begun && lasts
}

fn who(root: Value<'_>, person: bool) -> String {
    if !person {
        let name = root.get_str("name").map(std::borrow::Cow::into_owned);
        return name.unwrap_or_else(|| "Care team".to_owned());
    }
    let name = root.get("name").and_then(|own| own.items().next());
    let Some(name) = name else {
        return "Somebody without a name".to_owned();
    };
    if let Some(text) = name.get_str("text") {
        return text.into_owned();
    }
    let given = name.get("given").into_iter().flat_map(Value::items);
    let family = name.get("family").and_then(Value::as_str);
    let words = given.filter_map(Value::as_str).chain(family);
    words.collect::<Vec<_>>().join(" ")
}

fn role(root: Value<'_>, person: bool) -> String {
    if !person {
        return "Care team".to_owned();
    }
    let concept = root.get("relationship").and_then(|own| own.items().next());
    let text = concept.and_then(|own| {
        own.get_str("text").or_else(|| {
            let coding = own.get("coding")?.items().next()?;
            coding.get_str("display").or_else(|| coding.get_str("code"))
        })
    });
    text.map_or_else(|| "Related".to_owned(), std::borrow::Cow::into_owned)
}
