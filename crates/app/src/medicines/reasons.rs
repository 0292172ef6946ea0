//! Decisions on a dose for people and for programs: each reason in words and by code. Must not leave out a
//! reason.

use medication::administration::{CovertGap, Decision, HomelyGap, Need, SelfGap, Why};
use medication::limits::{self, Next, Verdict};
use serde_json::{Value, json};

/// System of the codes of reasons.
pub const REASONS: &str = "https://theriac.example.org/fhir/CodeSystem/giving-reason";

/// The code of a verdict.
#[must_use]
pub const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::Warn => "warn",
        Verdict::Unknown => "unknown",
        Verdict::Block => "block",
    }
}

/// The code of a reason: `early`, `too-much`.
#[must_use]
pub fn code(why: &Why) -> String {
    let value = serde_json::to_value(why).unwrap_or_default();
    let value = match why {
        Why::Limit { .. } => value.get("reason").cloned().unwrap_or_default(),
        _ => value,
    };
    let code = value.get("why").and_then(Value::as_str);
    code.unwrap_or("unknown").replace('_', "-")
}

fn plain(value: impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or("unknown").to_owned()
}

fn amount(much: &medication::Quantity) -> String {
    let one = much.value.value() == rust_decimal::Decimal::ONE;
    format!("{} {}", much.value, much.unit.said(one))
}

/// `1 h 20 min`, rounded up to a minute.
fn long(seconds: i64) -> String {
    let minutes = seconds.max(0).saturating_add(59) / 60;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// A reason in words.
#[must_use]
pub fn words(why: &Why) -> String {
    match why {
        Why::Record { what } => what.clone(),
        Why::NotActive { status } => format!("the order is {}", status.code()),
        Why::OutsideOrder => {
            "the time is before the order starts or after it was stopped".to_owned()
        }
        Why::Paused { reason } => format!("the order pauses: {reason}"),
        Why::Recorded { by, outcome } => format!(
            "this dose was recorded already as {} by MedicationAdministration/{by}",
            outcome.code()
        ),
        Why::PossibleDouble { other } => {
            format!("possible double dose: MedicationAdministration/{other} was taken for it")
        }
        Why::Early { seconds } => format!("it is {} before its time", long(*seconds)),
        Why::Late { seconds } => format!("it is {} after its time", long(*seconds)),
        Why::LateEntry { seconds } => format!("it is entered {} after it happened", long(*seconds)),
        Why::ClocksChanged => "the clocks change and moved this time".to_owned(),
        Why::Limit { reason } => limit(reason),
        Why::MoreThanOrdered { ordered } => {
            format!("it is more than ordered: at most {}", amount(ordered))
        }
        Why::LessThanOrdered { ordered } => {
            format!("it is less than ordered: at least {}", amount(ordered))
        }
        Why::DoseUnknown => "the dose does not compare with the order".to_owned(),
        Why::RightMissing { right } => format!("the right {} was not verified", right.code()),
        Why::RightWrong { right } => format!("the {} does not fit", right.code()),
        Why::NoWitness => "this dose wants a witness".to_owned(),
        Why::OffSchedule => "no dose of it is due at this time: say why it is given".to_owned(),
        Why::ScheduleUnknown => {
            "no product stands for it, so nobody can tell whether it is a controlled drug: name a witness, or the product".to_owned()
        }
        Why::NoSecondPerson => "it is contraindicated and no second person signed".to_owned(),
        Why::NotOverridden { tier } => format!(
            "an alert of tier {} has no reason to go on: see $medication-check",
            super::issue::tier(*tier)
        ),
        Why::NotChecked { what } => format!("not checked: {what}"),
        Why::AllergiesNotAsked => "nobody asked for allergies".to_owned(),
        Why::NoNeed => "it is given when needed: say for what".to_owned(),
        Why::NeedGap { gap } => format!("the order does not say its {}", plain(gap)),
        Why::Covert { gap } => covert(*gap).to_owned(),
        Why::Homely { gap } => homely(*gap).to_owned(),
        Why::NotAssessed { gap } => alone(*gap).to_owned(),
        Why::Pack { what } => pack(what).to_owned(),
    }
}

/// What is the matter with a scanned pack.
fn pack(what: &str) -> &'static str {
    match what {
        "other" => "the pack holds another medicine than ordered",
        "other-strength" => "the pack holds another strength than ordered",
        "other-form" => "the pack holds another form than ordered: say why it may be given",
        "expired" => "the pack is out of date",
        "recalled" => "the pack is of a batch that was recalled, or may be",
        "unlisted" => {
            "the pack's number is in no list of products here: read what it is and say so"
        }
        _ => "what was scanned is no code of a pack: scan again, or read what it is and say so",
    }
}

const fn homely(gap: HomelyGap) -> &'static str {
    match gap {
        HomelyGap::Missing => {
            "homely remedy: no agreement in force, signed by a prescriber, names it"
        }
        HomelyGap::Overdue => "homely remedy: the review of the agreement is overdue",
        HomelyGap::Controlled => {
            "homely remedy: it is a controlled drug, or nobody knows whether it is: it is prescribed or not given"
        }
        HomelyGap::TooLong => {
            "homely remedy: it was given on as many days in a row as was agreed: ask a prescriber"
        }
    }
}

const fn covert(gap: CovertGap) -> &'static str {
    match gap {
        CovertGap::Capacity => {
            "covert: no assessment in force says that the patient lacks capacity for this"
        }
        CovertGap::BestInterest => {
            "covert: no decision in force says that it is in the patient's best interest"
        }
        CovertGap::Method => "covert: no pharmacist said how it is given",
        CovertGap::Review => "covert: the decision has no date of review",
        CovertGap::Overdue => "covert: the review is overdue",
    }
}

const fn alone(gap: SelfGap) -> &'static str {
    match gap {
        SelfGap::Missing => "nobody assessed that the patient takes it alone",
        SelfGap::StaffGive => "the assessment says that staff give it",
        SelfGap::Overdue => "the assessment of taking it alone is overdue for review",
    }
}

fn limit(why: &limits::Why) -> String {
    use limits::Why as W;
    match why {
        W::NotPositive => "the dose is not above zero".to_owned(),
        W::TooMuch { sum, most } => format!(
            "too much: {} with this dose, at most {}",
            amount(sum),
            amount(most)
        ),
        W::TooOften { count, most } => {
            format!("too often: {count} doses with this one, at most {most}")
        }
        W::TooClose {
            at, apart, least, ..
        } => format!(
            "too close: {} from the dose of {at}, at least {}",
            long(*apart),
            long(*least)
        ),
        W::Unmeasured { entry, what } => {
            format!("how much MedicationAdministration/{entry} held is not known: {what}")
        }
        W::Incomparable { entry, what } => {
            format!("the amount of MedicationAdministration/{entry} does not compare: {what}")
        }
        W::BadEntry { entry } => {
            format!("MedicationAdministration/{entry} holds no amount above zero")
        }
        W::Unresolved => "what the product holds is not known: no limit can be applied".to_owned(),
        W::OpaqueNear { entry } => format!(
            "MedicationAdministration/{entry} is of a product that is not known here: it may hold the same"
        ),
        W::Later { entry } => {
            format!("MedicationAdministration/{entry} is dated later than now: look at the clock")
        }
        W::FactMissing { fact, rule } => format!("{fact}: {rule} cannot be told"),
    }
}

/// The code of what would let it go on.
#[must_use]
pub fn need(need: Need) -> String {
    plain(need)
}

/// When it would be allowed, as a part.
#[must_use]
pub fn next(next: Next) -> Value {
    match next {
        Next::Now => json!({ "name": "next", "valueCode": "now" }),
        Next::At(at) => json!({ "name": "next", "valueInstant": at.to_string() }),
        Next::Never => json!({ "name": "next", "valueCode": "never" }),
        Next::Unknown => json!({ "name": "next", "valueCode": "unknown" }),
    }
}

/// A decision as parts of Parameters: `decision`, every `reason`, every `need`, `next`.
#[must_use]
pub fn parts(decision: &Decision) -> Vec<Value> {
    let mut parts = vec![json!({ "name": "decision", "valueCode": verdict(decision.verdict) })];
    parts.extend(decision.reasons.iter().map(|(own, why)| {
        json!({ "name": "reason", "part": [
            { "name": "verdict", "valueCode": verdict(*own) },
            { "name": "code", "valueCode": code(why) },
            { "name": "text", "valueString": words(why) },
        ]})
    }));
    let needs = decision.needs.iter();
    parts.extend(needs.map(|own| json!({ "name": "need", "valueCode": need(*own) })));
    parts.push(next(decision.next));
    parts
}

/// A decision that keeps a dose from being recorded, as an OperationOutcome: every reason, then when it
/// would be allowed.
#[must_use]
pub fn outcome(decision: &Decision) -> Value {
    let mut issues: Vec<Value> = decision
        .reasons
        .iter()
        .map(|(own, why)| {
            let severity = if *own >= Verdict::Unknown {
                "error"
            } else {
                "warning"
            };
            json!({
                "severity": severity, "code": "business-rule",
                "details": {
                    "coding": [{ "system": REASONS, "code": code(why) }], "text": words(why),
                },
                "diagnostics": format!("nothing was stored. {}: {}", verdict(*own), words(why)),
            })
        })
        .collect();
    let needs: Vec<String> = decision.needs.iter().map(|own| need(*own)).collect();
    let next = match decision.next {
        Next::Now => "the limits allow it now".to_owned(),
        Next::At(at) => format!("the limits allow it at {at}"),
        Next::Never => "the limits never allow this amount".to_owned(),
        Next::Unknown => "when the limits allow it cannot be told".to_owned(),
    };
    let needs = if needs.is_empty() {
        "nothing that can be sent along".to_owned()
    } else {
        needs.join(", ")
    };
    issues.push(json!({
        "severity": "information", "code": "informational",
        "details": { "coding": [{ "system": REASONS, "code": "next" }], "text": next },
        "diagnostics": format!("To go on: {needs}; {next}"),
    }));
    json!({ "resourceType": "OperationOutcome", "issue": issues })
}
