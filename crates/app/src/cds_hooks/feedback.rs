//! What became of cards: accepted, or overridden for a reason. Every outcome is kept with an entry, and is
//! counted among the overrides of the house. Must not take the word of somebody whom the card was not shown
//! to, and takes all of a message or nothing.

use fhir::json::{Kind, Value};
use kernel::Timestamp;
use ledger::leaf::Class;
use medication::checks::overrides::Reason;
use serde::{Deserialize, Serialize};
use store::{DocExpected, DocKind, DocWrite, Log};
use uuid::Uuid;

use super::answer::Asker;
use super::cards::{KeptCard, REASONS};
use super::facts::Side;
use super::log::{self, CARD, HookCall};
use super::{request, setting};
use crate::App;
use crate::admin::all;
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::medicines::issue::REASON;
use crate::unit::UnitOfWork;

/// Most outcomes of one message.
const MOST: usize = 100;
/// Longest comment, in characters.
const COMMENT: usize = 2_000;

/// Why somebody went on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overridden {
    /// System of the reason; empty where only words were given.
    pub system: String,
    /// Its code.
    pub code: String,
    /// As it counts here: a code that is not ours counts as another reason.
    pub reason: Reason,
    /// In words.
    pub comment: Option<String>,
}

/// What became of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The call.
    pub call: Uuid,
    /// The card.
    pub card: KeptCard,
    /// The service.
    pub service: String,
    /// Whose record the call rested on.
    pub side: Side,
    /// The patient's id there.
    pub patient: String,
    /// The suggestions that were taken.
    pub accepted: Vec<Uuid>,
    /// Why it was overridden; none where it was accepted.
    pub overridden: Option<Overridden>,
    /// When, by the caller's clock.
    pub at: Timestamp,
    /// When it was told.
    pub told: Timestamp,
    /// Who told it.
    pub by: String,
    /// The caller's user at the call.
    pub user: Option<String>,
}

fn wrong<T>(text: impl Into<String>) -> Result<T, AppError> {
    Err(AppError::Invalid(text.into()))
}

/// One outcome as it was sent.
struct Sent {
    card: Uuid,
    accepted: Option<Vec<Uuid>>,
    overridden: Option<Overridden>,
    at: Timestamp,
}

/// Takes a message about cards of a service; returns how many outcomes it held.
pub async fn feedback(app: &App, asker: &Asker, id: &str, body: &[u8]) -> Result<usize, AppError> {
    let caller = &asker.caller;
    if !setting::load_for(app, &caller.scope).await?.enabled {
        return Err(AppError::not_found("the service"));
    }
    let service = asker.may(id)?;
    let sent = read(body)?;
    let mut outcomes = Vec::new();
    for one in sent {
        let call = log::by(app, caller, CARD, one.card).await?;
        let call = call.filter(|own| {
            own.service == service.id && own.actor == caller.subject.actor().id.as_uuid()
        });
        let call = call.ok_or_else(|| AppError::not_found(format!("card {}", one.card)))?;
        outcomes.push(outcome(app, caller, call, one)?);
    }
    let mut unit = Vec::new();
    for own in &outcomes {
        unit.push((write(own)?, entry(app, caller, own)));
    }
    let count = unit.len();
    let (docs, entries): (Vec<DocWrite>, Vec<_>) = unit.into_iter().unzip();
    let work = docs
        .into_iter()
        .fold(UnitOfWork::begin(app, &caller.scope), UnitOfWork::doc);
    let Some(work) = work.entries(entries) else {
        return wrong("feedback is empty: send what became of a card");
    };
    work.commit().await?;
    Ok(count)
}

fn outcome(app: &App, caller: &Caller, call: HookCall, sent: Sent) -> Result<Outcome, AppError> {
    let mut cards = call.cards.into_iter();
    let card = cards
        .find(|own| own.id == sent.card)
        .ok_or_else(|| AppError::not_found(format!("card {}", sent.card)))?;
    let accepted = sent.accepted.unwrap_or_default();
    let foreign = accepted
        .iter()
        .find(|id| !card.suggestions.iter().any(|own| own.id == **id));
    if let Some(id) = foreign {
        return wrong(format!(
            "suggestion {id} is none of card {}: send its uuid",
            card.id
        ));
    }
    if sent.at.seconds_since(app.now()) > 300 {
        return wrong("outcomeTimestamp is to come: look at the clock");
    }
    Ok(Outcome {
        call: call.id,
        card,
        service: call.service,
        side: call.side,
        patient: call.patient,
        accepted,
        overridden: sent.overridden,
        at: sent.at,
        told: app.now(),
        by: caller.subject.actor().name.clone(),
        user: call.user,
    })
}

/// The last word about a card counts.
fn write(own: &Outcome) -> Result<DocWrite, AppError> {
    Ok(DocWrite {
        kind: DocKind::HookFeedback,
        id: own.card.id.to_string(),
        expected: DocExpected::Any,
        body: Some(serde_json::to_vec(own)?),
        time: own.told,
        expires: None,
        lookups: Vec::new(),
    })
}

fn entry(app: &App, caller: &Caller, own: &Outcome) -> store::Entry {
    let what = match &own.overridden {
        None => format!("card {} of call {}: accepted", own.card.id, own.call),
        Some(why) => format!(
            "card {} of call {}: overridden, {}",
            own.card.id,
            own.call,
            if why.code.is_empty() {
                "no coded reason"
            } else {
                &why.code
            }
        ),
    };
    let mut entry = house_entry(
        app,
        caller,
        Log::Changes,
        Class::Update,
        "cds-feedback",
        Some(what),
    );
    log::about(&mut entry, own.side, &own.patient);
    entry
}

/// Every outcome that was told between two moments.
pub(crate) async fn between(
    app: &App,
    caller: &Caller,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<Outcome>, AppError> {
    let found = all::<Outcome>(app, &caller.scope, DocKind::HookFeedback).await?;
    let found = found.into_iter().map(|own| own.value);
    Ok(found
        .filter(|own| own.told >= from && own.told < to)
        .collect())
}

fn read(body: &[u8]) -> Result<Vec<Sent>, AppError> {
    let document = request::document(body.to_vec())?;
    let list = document.root().get("feedback");
    let Some(list) = list.filter(|own| own.kind() == Kind::Array && !own.is_empty()) else {
        return wrong("feedback is missing or no list: send what became of a card");
    };
    if list.len() > MOST {
        return wrong(format!("feedback has more than {MOST} outcomes: split it"));
    }
    let all: Result<Vec<Sent>, AppError> = list.items().map(one).collect();
    let all = all?;
    let twice = all
        .iter()
        .enumerate()
        .find(|(at, own)| all.iter().take(*at).any(|other| other.card == own.card));
    match twice {
        Some((_, own)) => wrong(format!(
            "card {} is there twice: send its last outcome",
            own.card
        )),
        None => Ok(all),
    }
}

fn uuid(value: Value<'_>, member: &str) -> Result<Uuid, AppError> {
    let text = value.get_str(member).unwrap_or_default();
    let found = Uuid::try_parse(&text).ok();
    // A card that has no such id was never shown here.
    found.ok_or_else(|| {
        AppError::Invalid(format!(
            "{member} is missing or no UUID: send the uuid of the answer"
        ))
    })
}

fn one(value: Value<'_>) -> Result<Sent, AppError> {
    let card = uuid(value, "card")?;
    let at = value
        .get_str("outcomeTimestamp")
        .and_then(|text| Timestamp::from_rfc3339(&text));
    let Some(at) = at else {
        return wrong(
            "outcomeTimestamp is missing or no time: send one such as 2026-03-05T08:09:10Z",
        );
    };
    let accepted = value.get("acceptedSuggestions");
    match value.get_str("outcome").as_deref() {
        Some("accepted") => {
            let list = accepted.filter(|own| own.kind() == Kind::Array && !own.is_empty());
            let Some(list) = list.filter(|own| own.len() <= MOST) else {
                return wrong("acceptedSuggestions is missing: say which were taken");
            };
            let ids: Result<Vec<Uuid>, AppError> =
                list.items().map(|own| uuid(own, "id")).collect();
            Ok(Sent {
                card,
                accepted: Some(ids?),
                overridden: None,
                at,
            })
        }
        Some("overridden") => Ok(Sent {
            card,
            accepted: None,
            overridden: Some(overridden(value)?),
            at,
        }),
        _ => wrong("outcome is neither accepted nor overridden: send one of them"),
    }
}

fn overridden(value: Value<'_>) -> Result<Overridden, AppError> {
    let why = value.get("overrideReason");
    let comment = why.and_then(|own| own.get_str("userComment"));
    if comment
        .as_deref()
        .is_some_and(|own| own.chars().count() > COMMENT)
    {
        return wrong(format!(
            "userComment has more than {COMMENT} characters: shorten it"
        ));
    }
    let reason = why.and_then(|own| own.get("reason"));
    let text = |member: &str| {
        let own = reason
            .and_then(|own| own.get_str(member))
            .unwrap_or_default();
        own.chars().take(200).collect::<String>()
    };
    let (system, code) = (text("system"), text("code"));
    if reason.is_some() && (system.is_empty() || code.is_empty()) {
        return wrong("overrideReason.reason needs system and code: send those of the card");
    }
    let known = REASONS.iter().find(|(_, own, _)| *own == code);
    let known = known.filter(|_| system == REASON);
    if system == REASON && known.is_none() {
        return wrong(format!(
            "{code:?} is no reason of the list: send one of the card's"
        ));
    }
    Ok(Overridden {
        reason: known.map_or(Reason::Other, |(reason, _, _)| *reason),
        system,
        code,
        comment: comment
            .map(std::borrow::Cow::into_owned)
            .filter(|own| !own.is_empty()),
    })
}
