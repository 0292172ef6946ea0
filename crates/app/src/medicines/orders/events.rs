//! What a partner reports by itself: signed, each message once, about its own orders alone. Must not take a
//! partner's word for what the home alone knows, or act on a message whose signature is not right.

use connect::pharmacy::api::ApiEvent;
use identity::SystemTask;
use kernel::Timestamp;
use medication::ids::{OrderId, ResidentId};
use medication::supply::resources::{Dispensing, dispense, read_notification};
use medication::supply::{Dispensed, State, of_items};
use store::{DocExpected, DocKind, DocWrite};

use super::kept::{self, Kept, OPEN, Stored, stands};
use super::mirror;
use super::partners::{self, Partner, Way};
use super::send::What;
use super::steps::{Step, change};
use crate::App;
use crate::context::Caller;
use crate::error::{AppError, SignInError};
use crate::init::system_caller;
use crate::tenants;

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Sent<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`, in Unix seconds.
    pub timestamp: i64,
    /// `webhook-signature`.
    pub signature: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// How far a message's time may be from ours, in seconds.
const TOLERANCE_S: i64 = 300;
/// How long a message is known again, in seconds.
const REMEMBERED_S: i64 = 30 * 24 * 3600;

/// What a message says.
struct Said {
    order: OrderId,
    state: Option<State>,
    at: Timestamp,
    items: Vec<Item>,
    note: Option<String>,
}

struct Item {
    code: String,
    name: String,
    dispensed: Dispensed,
    quantity: Option<(medication::stock::Units, medication::quantity::Unit)>,
}

fn bad(text: impl Into<String>) -> AppError {
    AppError::Invalid(text.into())
}

/// Takes a message of a partner; `false` where it was taken before.
pub async fn event(
    app: &App,
    slug: &str,
    partner: &str,
    sent: &Sent<'_>,
) -> Result<bool, AppError> {
    // Nor which tenants there are.
    let tenant = match tenants::by_slug(app, slug).await {
        Err(AppError::NotFound { .. }) => return Err(AppError::SignIn(SignInError::Token)),
        found => found?,
    };
    let caller = system_caller(app, tenant.id, SystemTask::Jobs)?;
    let key = partners::event_key(app, &caller, partner).await?;
    let near = (app.now().as_micros() / 1_000_000 - sent.timestamp).abs() <= TOLERANCE_S;
    let named =
        (1..=100).contains(&sent.id.len()) && sent.id.bytes().all(|own| own.is_ascii_graphic());
    // Who the partner is, and whether there is one, is said to nobody who cannot sign.
    if !near || !named || !key.verifies(sent.id, sent.timestamp, sent.body, sent.signature) {
        return Err(AppError::SignIn(SignInError::Token));
    }
    let own = partners::partner(app, &caller, partner).await?;
    if !own.active {
        return Err(AppError::SignIn(SignInError::Token));
    }
    let seen = format!("in/{partner}/{}", sent.id);
    let known = app
        .store()
        .doc(&caller.scope, DocKind::PharmacyMessage, &seen)
        .await?;
    if known.is_some() {
        return Ok(false);
    }
    let said = said(app, &caller, &own, sent).await?;
    let before = kept::load(app, &caller, &said.order).await?.kept;
    if before.partner != partner {
        return Err(AppError::not_found(format!("order {}", said.order)));
    }
    let mut remembered = kept::write(app, seen, DocExpected::Absent, Some(&said.order))?;
    remembered.expires = Some(app.now().plus_seconds(REMEMBERED_S));
    let mut fresh = true;
    let done = change(app, &caller, &said.order, |stored| {
        taken(app, stored, &said, (sent.id, &remembered))
    })
    .await;
    if let Err(error) = done {
        // The same message may have come twice at once.
        let kind = DocKind::PharmacyMessage;
        if app
            .store()
            .doc(&caller.scope, kind, &remembered.id)
            .await?
            .is_none()
        {
            return Err(error);
        }
        fresh = false;
    }
    Ok(fresh)
}

async fn said(
    app: &App,
    caller: &Caller,
    partner: &Partner,
    sent: &Sent<'_>,
) -> Result<Said, AppError> {
    if let Way::Messaging { .. } = partner.way {
        let own = read_notification(sent.body).map_err(|error| bad(error.to_string()))?;
        let order = by_number(app, caller, &partner.id, &own.number).await?;
        return Ok(Said {
            order: order.id,
            state: None,
            at: own.at.unwrap_or_else(|| app.now()),
            items: own
                .items
                .into_iter()
                .map(|own| Item {
                    code: own.code,
                    name: own.name,
                    dispensed: own.dispensed,
                    quantity: own.quantity,
                })
                .collect(),
            note: None,
        });
    }
    let own: ApiEvent = serde_json::from_slice(sent.body)
        .map_err(|error| bad(format!("the event cannot be read: {error}")))?;
    let order: OrderId = own.order.parse().map_err(|_| bad("the order has no id"))?;
    let at = Timestamp::from_rfc3339(&own.at).ok_or_else(|| bad("at is no instant with a zone"))?;
    let kept = kept::load(app, caller, &order).await?.kept;
    let mut items = Vec::with_capacity(own.lines.len());
    for line in own.lines {
        let known = kept.lines.iter().find(|own| own.item.as_str() == line.item);
        let known =
            known.ok_or_else(|| bad(format!("{} is no medicine of the order", line.item)))?;
        items.push(Item {
            code: known.code.clone(),
            name: known.name.clone(),
            dispensed: line.dispensed,
            quantity: line.quantity.map(|own| (own, known.unit.clone())),
        });
    }
    Ok(Said {
        order,
        state: own.state,
        at,
        items,
        note: own.note,
    })
}

/// The open order of a prescription's number.
async fn by_number(
    app: &App,
    caller: &Caller,
    partner: &str,
    number: &str,
) -> Result<Kept, AppError> {
    const MOST: usize = 10_000;
    for doc in kept::below(app, &caller.scope, OPEN, MOST).await? {
        let own: Kept = serde_json::from_slice(&doc.body)?;
        let known = own.reference.as_deref();
        if own.partner == partner && known.is_some_and(|own| own.eq_ignore_ascii_case(number)) {
            return Ok(own);
        }
    }
    Err(AppError::not_found(format!("prescription {number}")))
}

/// The states that another side can report.
const REPORTED: [State; 9] = [
    State::Acknowledged,
    State::Prescribed,
    State::WithDispenser,
    State::PartDispensed,
    State::Owing,
    State::Dispatched,
    State::Rejected,
    State::Cancelled,
    State::Expired,
];

fn taken(
    app: &App,
    stored: &Stored,
    said: &Said,
    (id, remembered): (&str, &DocWrite),
) -> Result<Option<Step>, AppError> {
    let mut own = stored.kept.clone();
    let items: Vec<Dispensed> = said.items.iter().map(|own| own.dispensed).collect();
    let state = said.state.or_else(|| of_items(&items));
    if let Some(state) = state {
        if !REPORTED.contains(&state) {
            return Err(AppError::Unprocessable(format!(
                "{} is the home's to say",
                state.code()
            )));
        }
        // It reports on what was sent: it arrived after all.
        let asked = stored
            .waiting(&What::Order)
            .is_some_and(|out| out.0.attempts > 0);
        if own.state()? == State::Approved && asked {
            own.sent(connect::pharmacy::Taken::default(), None, app.now())?;
        }
        let mut track = own.order()?.track;
        track
            .report(&format!("event-{id}"), state, said.at.min(app.now()))
            .map_err(stands)?;
        own.trail = track.trail().to_vec();
    }
    if let Some(note) = &said.note {
        own.say(app.now(), None, note.clone());
    }
    let more = match own.resident.clone() {
        Some(resident) => dispensings(&own, &resident, said)?,
        None => Vec::new(),
    };
    let mut step = Step::of(own, "order-event");
    step.detail = format!(
        "{} by partner {}",
        state.map_or("a note", State::code),
        stored.kept.partner
    );
    step.more = more;
    step.docs.push(remembered.clone());
    let sent = step.kept.state()? != State::Approved;
    if let Some((out, version)) = stored.waiting(&What::Order).filter(|_| sent) {
        step.docs.push(out.gone(app, *version)?);
    }
    Ok(Some(step))
}

/// What was dispensed, in the record.
fn dispensings(
    own: &Kept,
    resident: &ResidentId,
    said: &Said,
) -> Result<Vec<serde_json::Value>, AppError> {
    let each = said.items.iter().map(|item| {
        let text = dispense(&Dispensing {
            order: own.id.clone(),
            code: item.code.clone(),
            name: item.name.clone(),
            resident: resident.clone(),
            dispensed: item.dispensed,
            quantity: item.quantity.clone(),
            at: said.at,
        });
        mirror::post("MedicationDispense", &text)
    });
    each.collect()
}
