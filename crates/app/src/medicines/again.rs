//! An order of the record as it would be typed, so that changing it begins with what it says. Must not lose
//! anything in silence: what the form has no place for is named.

use fhir::json::{Document, Limits, Value};
use jiff::civil::Date;
use medication::dosage::again::{Again, Days};
use medication::dosage::{self, Dosage};
use medication::resources::BASE;
use store::ResourceKey;

use super::prescribe::subject;
use super::typed::Typed;
use super::{regimen, sources};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::record::name_of;
use crate::record::read::read;

/// An order as it would be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retyped {
    /// What would be typed, for an order that takes its place.
    pub typed: Typed,
    /// Its dosages in words.
    pub words: String,
    /// Whether it is in force, so that it ends with the new one.
    pub in_force: bool,
    /// What the fields have no place for.
    pub left: Vec<String>,
}

/// Members of a MedicationRequest that are typed, or made anew with every order.
const TYPED: &[&str] = &[
    "resourceType",
    "id",
    "meta",
    "text",
    "extension",
    "status",
    "statusReason",
    "intent",
    "medicationCodeableConcept",
    "medicationReference",
    "subject",
    "authoredOn",
    "requester",
    "reasonCode",
    "dosageInstruction",
    "priorPrescription",
    "detectedIssue",
];

/// An order of a patient as it would be typed.
///
/// # Errors
/// Where it is not there or is another patient's, and what [`read`] refuses.
pub async fn again(
    app: &App,
    caller: &Caller,
    (order, patient): (&ResourceKey, &ResourceKey),
    today: Date,
) -> Result<Retyped, AppError> {
    let version = read(app, caller, order).await?;
    let body = version.body.unwrap_or_default();
    let document = Document::parse(body.to_vec(), &Limits::default())?;
    let root = document.root();
    if subject(app, root)? != *patient {
        return Err(AppError::not_found(name_of(order)));
    }
    let known = sources(app).await?;
    let others = regimen::medications(
        app,
        caller,
        patient,
        regimen::referred(std::iter::once(root)),
    );
    let others = others.await?;
    let named = medication::facts::medicine(known.knowledge, &known.dictionary, root, &others);
    let mut own = retyped(root, named.name, today)?;
    own.typed.replaces = Some(name_of(order));
    Ok(own)
}

fn retyped(root: Value<'_>, medicine: String, today: Date) -> Result<Retyped, AppError> {
    let list = root
        .get("dosageInstruction")
        .into_iter()
        .flat_map(Value::items);
    let dosages: Result<Vec<Dosage>, _> = list.map(Dosage::read).collect();
    let dosages = dosages.map_err(|error| {
        AppError::Unprocessable(format!(
            "the order cannot be read ({error}): stop it and prescribe it anew"
        ))
    })?;
    let written = root.get_str("authoredOn");
    let written = written.and_then(|own| own.get(..10)?.parse().ok());
    let Again { entered, mut left } = Again::of(&dosages, Days { written, today });
    let mut typed = Typed {
        medicine,
        dosage: entered,
        ..Typed::default()
    };
    let reasons: Vec<Value<'_>> = root
        .get("reasonCode")
        .into_iter()
        .flat_map(Value::items)
        .collect();
    if let Some(first) = reasons.first() {
        let coded = first.get("coding").and_then(|own| own.items().next());
        let words = first.get_str("text").or_else(|| coded?.get_str("display"));
        typed.indication = words.unwrap_or_default().into_owned();
    }
    if reasons.len() > 1 {
        left.push("further reasons".to_owned());
    }
    for extension in root.get("extension").into_iter().flat_map(Value::items) {
        left.extend(extended(&mut typed, extension));
    }
    let members = root
        .members()
        .filter(|(name, _)| !TYPED.contains(&name.as_ref()));
    left.extend(members.map(|(name, _)| match name.as_ref() {
        "note" => "its note".to_owned(),
        "dispenseRequest" => "what is to be supplied".to_owned(),
        other => other.to_owned(),
    }));
    if typed.review.is_some_and(|day| day < today) {
        typed.review = None;
    }
    Ok(Retyped {
        words: dosage::regimen(&dosages).text,
        in_force: matches!(
            root.get_str("status").as_deref(),
            Some("active" | "on-hold")
        ),
        typed,
        left,
    })
}

/// Takes over an extension, or says what it was.
fn extended(typed: &mut Typed, extension: Value<'_>) -> Option<String> {
    let url = extension.get_str("url").unwrap_or_default();
    let number = |own: Value<'_>, name: &str| own.get(name)?.number_text()?.parse::<i64>().ok();
    let parts = || {
        extension
            .get("extension")
            .into_iter()
            .flat_map(Value::items)
    };
    let other = || Some(format!("the extension {url}"));
    match url.strip_prefix(BASE) {
        Some("order-apart") => match number(extension, "valueInteger") {
            Some(minutes) if minutes % 60 == 0 => typed.apart = (minutes / 60).to_string(),
            Some(minutes) => return Some(format!("{minutes} minutes between two doses")),
            None => return other(),
        },
        Some("order-witness") => typed.witness = true,
        Some("order-covert") => return Some("that it is given covertly".to_owned()),
        // Of the order that was, as an end or a pause of it.
        Some("order-stop" | "order-pause") => {}
        Some("order-review") => {
            let day = extension.get_str("valueDate");
            typed.review = day.and_then(|own| own.parse().ok());
        }
        Some("order-window") => {
            for part in parts() {
                match part.get_str("url").as_deref() {
                    Some("critical") => {
                        typed.critical =
                            part.get("valueBoolean").and_then(Value::as_bool) == Some(true);
                    }
                    _ => return Some("how early and late a dose may be".to_owned()),
                }
            }
        }
        Some("order-need-plan") => {
            for part in parts() {
                match part.get_str("url").as_deref() {
                    Some("expected") => {
                        let words = part.get_str("valueString").unwrap_or_default();
                        words.into_owned().clone_into(&mut typed.expected);
                    }
                    Some("effectAfter") => {
                        let minutes = number(part, "valueInteger");
                        typed.look_after = minutes.map(|own| own.to_string()).unwrap_or_default();
                    }
                    _ => return Some("when somebody is to be called".to_owned()),
                }
            }
        }
        _ => return other(),
    }
    None
}
