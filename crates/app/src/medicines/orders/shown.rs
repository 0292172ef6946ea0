//! An order as people see it: its lines with what arrived, its states, what waits to be sent, what is to be
//! chased. Each look at a resident's order is in the access ledger. Must not change anything.

use identity::Interaction;
use kernel::{ActorId, LogicalId, Timestamp};
use ledger::leaf::Class;
use medication::ids::OrderId;
use medication::supply::{Chase, Line, State};
use rust_decimal::Decimal;

use super::kept::{self, DONE, Kept, OPEN};
use super::partners;
use super::send::{self, Sending};
use crate::App;
use crate::admin::allow;
use crate::authorise::{Ask, authorise, would_allow};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;

/// A line with what became of it.
#[derive(Debug, Clone)]
pub struct ShownLine {
    /// The line.
    pub line: Line,
    /// The dose in words; empty where none was said.
    pub dose: String,
    /// How much arrived.
    pub arrived: Decimal,
}

/// An order.
#[derive(Debug, Clone)]
pub struct Shown {
    /// As it is kept.
    pub kept: Kept,
    /// Where it stands.
    pub state: State,
    /// The partner's name.
    pub partner: String,
    /// The lines.
    pub lines: Vec<ShownLine>,
    /// What is missing, where something came and more is owed.
    pub chase: Vec<Chase>,
    /// What waits to be sent.
    pub sending: Vec<Sending>,
    /// Since when it stands there.
    pub since: Timestamp,
    /// Who took part, by name; none in lists.
    pub people: Vec<(ActorId, String)>,
}

/// Which orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filter {
    /// Those that are not finished.
    #[default]
    Open,
    /// Those with something to chase: owed, or stopped on their way out.
    Chase,
    /// Those that are finished.
    Done,
}

/// Most orders of one answer.
const MOST: usize = 500;

fn made(kept: Kept, partner: String, sending: Vec<Sending>) -> Result<Shown, AppError> {
    let state = kept.state()?;
    let lines = kept
        .lines
        .iter()
        .enumerate()
        .map(|(place, line)| ShownLine {
            line: line.clone(),
            dose: kept.doses.get(place).cloned().unwrap_or_default(),
            arrived: kept.arrived(line),
        });
    let owed = !state.is_final() && state != State::Received && !kept.notes.is_empty();
    Ok(Shown {
        lines: lines.collect(),
        chase: if owed { kept.missing() } else { Vec::new() },
        people: Vec::new(),
        since: kept.trail.last().map_or(kept.drafted, |own| own.at),
        sending,
        partner,
        state,
        kept,
    })
}

/// An order after a step of the caller.
pub(super) async fn shown(app: &App, caller: &Caller, kept: Kept) -> Result<Shown, AppError> {
    let sending = send::of_order(app, caller, &kept.id).await?;
    let sending = sending.iter().map(|own| own.0.shown()).collect();
    let partner = match partners::partner(app, caller, &kept.partner).await {
        Ok(own) => own.name,
        Err(AppError::NotFound { .. }) => kept.partner.clone(),
        Err(error) => return Err(error),
    };
    let people = people(app, caller, &kept).await?;
    Ok(Shown {
        people,
        ..made(kept, partner, sending)?
    })
}

/// The names of the people who took part, as far as they have accounts here.
async fn people(
    app: &App,
    caller: &Caller,
    kept: &Kept,
) -> Result<Vec<(ActorId, String)>, AppError> {
    let steps = kept.trail.iter().filter_map(|own| own.by);
    let said = kept.said.iter().filter_map(|own| own.by);
    let notes = kept.notes.iter().map(|own| own.by);
    let mut ids: Vec<ActorId> = steps
        .chain(said)
        .chain(notes)
        .chain([kept.drafted_by])
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let user = kernel::UserId::from_uuid(id.as_uuid());
        if let Some(user) = crate::sign_in::user(app, &caller.scope, user).await? {
            found.push((id, user.value.display_name));
        }
    }
    Ok(found)
}

async fn look(app: &App, caller: &Caller, patients: &[LogicalId]) -> Result<(), AppError> {
    let Some(first) = patients.first() else {
        return Ok(());
    };
    let key = app.patient_key(first);
    let ask = Ask::record(Interaction::Read, &key, patients);
    let allowed = authorise(app, caller, &ask).await?;
    let look = Look {
        class: Class::Search,
        object: None,
        query: Some("medicines/orders"),
        patients,
        allowed: &allowed,
    };
    let entries = look_entries(app, caller, &look);
    app.store().record_access(&caller.scope, entries).await?;
    Ok(())
}

/// One order.
pub async fn show(app: &App, caller: &Caller, id: &OrderId) -> Result<Shown, AppError> {
    allow(app, caller, Interaction::OrderMedicines).await?;
    let kept = kept::load(app, caller, id).await?.kept;
    if let Some(resident) = &kept.resident {
        look(app, caller, std::slice::from_ref(&resident.0)).await?;
    }
    shown(app, caller, kept).await
}

/// The orders that the caller reaches, those that wait longest first; the finished ones by their id.
pub async fn list(app: &App, caller: &Caller, filter: Filter) -> Result<Vec<Shown>, AppError> {
    allow(app, caller, Interaction::OrderMedicines).await?;
    let prefix = if filter == Filter::Done { DONE } else { OPEN };
    let names = partners::known(app, caller).await?;
    let mut found = Vec::new();
    let mut patients: Vec<LogicalId> = Vec::new();
    for doc in kept::below(app, &caller.scope, prefix, MOST).await? {
        let kept: Kept = serde_json::from_slice(&doc.body)?;
        if let Some(resident) = &kept.resident {
            let one = std::slice::from_ref(&resident.0);
            let key = app.patient_key(&resident.0);
            let ask = Ask::record(Interaction::Read, &key, one);
            if !would_allow(app, caller, &ask).await? {
                continue;
            }
            if !patients.contains(&resident.0) {
                patients.push(resident.0.clone());
            }
        }
        let sending = if prefix == OPEN {
            let own = send::of_order(app, caller, &kept.id).await?;
            own.iter().map(|own| own.0.shown()).collect()
        } else {
            Vec::new()
        };
        let name = names.iter().find(|own| own.id == kept.partner);
        let name = name.map_or_else(|| kept.partner.clone(), |own| own.name.clone());
        let own = made(kept, name, sending)?;
        let stopped = own.sending.iter().any(|own| own.next.is_none());
        if filter != Filter::Chase || !own.chase.is_empty() || stopped {
            found.push(own);
        }
    }
    look(app, caller, &patients).await?;
    found.sort_by_key(|own| own.since);
    Ok(found)
}
