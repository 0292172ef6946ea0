//! The steps of an order that people take: approve, submit, note what the other side said, call off, close.
//! Must not let the person who drafted approve, or call off what is on its way without asking.

use identity::Interaction;
use kernel::ActorKind;
use medication::ids::{OrderId, same_person};
use medication::supply::{Event, Moved, State};
use store::{DocExpected, DocWrite};

use super::kept::{self, Kept, Stored, stands};
use super::partners::{self, Way};
use super::send::{self, Out, What};
use super::shown::{Shown, shown};
use super::stocked::Shelves;
use super::{commit, entry, permitted};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::ground::names;
use crate::medicines::stock::Staged;
use crate::retry::Retry;

/// What a step comes to.
pub(super) struct Step {
    /// The new version.
    pub kept: Kept,
    /// Documents beside it.
    pub docs: Vec<DocWrite>,
    /// More of the record.
    pub more: Vec<serde_json::Value>,
    /// Entries beside its own.
    pub entries: Vec<store::Entry>,
    /// The shelves, where the step has moved something on them.
    pub shelves: Option<Shelves>,
    /// The word of its entry.
    pub what: &'static str,
    /// Its detail.
    pub detail: String,
}

impl Step {
    pub(super) fn of(kept: Kept, what: &'static str) -> Self {
        Self {
            kept,
            docs: Vec::new(),
            more: Vec::new(),
            entries: Vec::new(),
            shelves: None,
            what,
            detail: String::new(),
        }
    }
}

/// Changes an order: decided on what is there, and again where somebody was first.
pub(super) async fn change(
    app: &App,
    caller: &Caller,
    id: &OrderId,
    mut decide: impl FnMut(&Stored) -> Result<Option<Step>, AppError> + Send,
) -> Result<Kept, AppError> {
    // What is given of its medicines at the same moment moves the same shelves.
    let mut retry = Retry::busy();
    loop {
        match once(app, caller, id, &mut decide).await {
            Err(AppError::Conflict(_)) if retry.again().await => {}
            done => return done,
        }
    }
}

/// The same, once: [`AppError::Conflict`] where somebody was first.
pub(super) async fn once(
    app: &App,
    caller: &Caller,
    id: &OrderId,
    decide: &mut (impl FnMut(&Stored) -> Result<Option<Step>, AppError> + Send),
) -> Result<Kept, AppError> {
    let mut stored = kept::load(app, caller, id).await?;
    stored.sending = send::of_order(app, caller, id).await?;
    let Some(step) = decide(&stored)? else {
        return Ok(stored.kept);
    };
    let before = Some((stored.doc.as_str(), stored.version));
    let mut docs = kept::writes(app, &step.kept, before)?;
    docs.extend(step.docs);
    let mut entries = vec![entry(app, caller, step.what, &step.kept, &step.detail)];
    entries.extend(step.entries);
    let mut shelves = match step.shelves {
        Some(own) => own,
        None => Shelves::open(app, caller, &step.kept).await?,
    };
    let mut staged = Staged { docs, entries };
    staged.and(shelves.follow(app, caller, (Some(&stored.kept), &step.kept))?)?;
    let Staged { docs, entries } = staged;
    commit(app, caller, &step.kept, step.more, (docs, entries)).await?;
    Ok(step.kept)
}

fn moved(caller: &Caller, id: &str, event: Event, app: &App) -> Moved {
    Moved {
        id: id.to_owned(),
        event,
        at: app.now(),
        by: Some(caller.subject.actor().id),
    }
}

/// Takes an event of a person; `None` where it stands there already by the same one.
fn take(
    app: &App,
    caller: &Caller,
    kept: &Kept,
    (name, event): (&str, Event),
) -> Result<Option<Kept>, AppError> {
    let mut track = kept.order()?.track;
    if track.trail().iter().any(|own| own.id == name) {
        return Ok(None);
    }
    track
        .take(moved(caller, name, event, app))
        .map_err(stands)?;
    let mut own = kept.clone();
    own.trail = track.trail().to_vec();
    Ok(Some(own))
}

/// Approves a draft: somebody else than who drafted it, and a person.
pub async fn approve(app: &App, caller: &Caller, id: &OrderId) -> Result<Shown, AppError> {
    permitted(app, caller, Interaction::ApproveOrders, id).await?;
    if caller.subject.actor().kind != ActorKind::User {
        return Err(AppError::Unprocessable(
            "a program approves nothing: let somebody sign in".to_owned(),
        ));
    }
    let kept = change(app, caller, id, |stored| {
        let own = &stored.kept;
        let same = same_person(&own.drafters(), &names(caller));
        let Some(next) = take(app, caller, own, ("approve", Event::Approve))? else {
            return Ok(None);
        };
        if same {
            return Err(AppError::Unprocessable(
                "who drafts an order does not approve it: ask somebody else".to_owned(),
            ));
        }
        Ok(Some(Step::of(next, "order-approve")))
    })
    .await?;
    shown(app, caller, kept).await
}

/// Sends an approved order: the message is kept in the same commit, and a job sends it. Sent before and
/// stopped, it is tried again, with the same key.
pub async fn submit(app: &App, caller: &Caller, id: &OrderId) -> Result<Shown, AppError> {
    permitted(app, caller, Interaction::OrderMedicines, id).await?;
    let kept = change(app, caller, id, |stored| {
        let own = &stored.kept;
        if own.state()? != State::Approved {
            return match own.state()? {
                State::Draft => Err(AppError::Conflict(
                    "it is not approved: ask somebody who may".to_owned(),
                )),
                _ => Ok(None),
            };
        }
        let waiting = stored.waiting(&What::Order);
        let (expected, out) = match waiting {
            None => (DocExpected::Absent, Out::new(app, caller, own, What::Order)),
            Some((out, version)) if out.stopped => (DocExpected::Version(*version), out.again(app)),
            Some(_) => return Ok(None),
        };
        let mut step = Step::of(own.clone(), "order-submit");
        step.docs.push(out.write(app, expected)?);
        Ok(Some(step))
    })
    .await?;
    app.board().orders.notify_one();
    shown(app, caller, kept).await
}

/// Notes what the other side said by telephone or mail.
pub async fn report(
    app: &App,
    caller: &Caller,
    id: &OrderId,
    (state, note): (State, Option<String>),
) -> Result<Shown, AppError> {
    permitted(app, caller, Interaction::OrderMedicines, id).await?;
    let unasked = [
        State::Draft,
        State::Approved,
        State::Submitted,
        State::Received,
        State::Reconciled,
        State::Cancelled,
    ];
    if unasked.contains(&state) {
        return Err(AppError::Unprocessable(format!(
            "{} is nothing that the other side says: take the step itself",
            state.code()
        )));
    }
    let kept = change(app, caller, id, |stored| {
        let mut own = stored.kept.clone();
        let mut track = own.order()?.track;
        let by = Some(caller.subject.actor().id);
        let name = format!("told-{}", track.trail().len());
        let before = track.state();
        track.report(&name, state, app.now()).map_err(stands)?;
        own.trail = track.trail().to_vec();
        if let Some(note) = &note {
            own.say(app.now(), by, note.clone());
        }
        if own == stored.kept {
            return Ok(None);
        }
        let mut step = Step::of(own, "order-report");
        step.detail = format!("{} to {}", before.code(), state.code());
        Ok(Some(step))
    })
    .await?;
    shown(app, caller, kept).await
}

/// Calls an order off. What nobody sent is cancelled at once; for the rest the other side is asked, and it
/// is cancelled when that says so.
pub async fn cancel(
    app: &App,
    caller: &Caller,
    id: &OrderId,
    reason: &str,
) -> Result<Shown, AppError> {
    permitted(app, caller, Interaction::OrderMedicines, id).await?;
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > 200 {
        return Err(AppError::Unprocessable(
            "say in at most 200 letters why it is called off".to_owned(),
        ));
    }
    let kept = change(app, caller, id, |stored| {
        cancelled(app, caller, stored, reason)
    })
    .await?;
    app.board().orders.notify_one();
    shown(app, caller, kept).await
}

fn cancelled(
    app: &App,
    caller: &Caller,
    stored: &Stored,
    reason: &str,
) -> Result<Option<Step>, AppError> {
    let own = &stored.kept;
    let state = own.state()?;
    if state == State::Cancelled {
        return Ok(None);
    }
    if state.after(Event::Cancel, own.kind).is_none() {
        return Err(AppError::Conflict(format!(
            "it is {}: it cannot be called off any more",
            state.code()
        )));
    }
    let sending = stored.waiting(&What::Order);
    let by = Some(caller.subject.actor().id);
    let tried = sending.is_some_and(|own| own.0.attempts > 0);
    let unsent = matches!(state, State::Draft | State::Approved) && !tried;
    let mut next = own.clone();
    next.say(app.now(), by, format!("called off: {reason}"));
    let mut docs = Vec::new();
    // An order that was tried and may have arrived is called off there, too; it is not tried again.
    if let Some((out, version)) = sending {
        docs.push(out.gone(app, *version)?);
    }
    if unsent {
        let taken = take(app, caller, &next, ("cancel", Event::Cancel))?;
        let Some(next) = taken else { return Ok(None) };
        let mut step = Step::of(next, "order-cancel");
        step.docs = docs;
        reason.clone_into(&mut step.detail);
        return Ok(Some(step));
    }
    let what = What::Cancel {
        reason: reason.to_owned(),
    };
    let (expected, out) = match stored.waiting(&what) {
        None => (DocExpected::Absent, Out::new(app, caller, own, what)),
        Some((out, version)) if out.stopped => (DocExpected::Version(*version), out.again(app)),
        Some(_) => return Ok(None),
    };
    docs.push(out.write(app, expected)?);
    let mut step = Step::of(next, "order-cancel-ask");
    step.docs = docs;
    reason.clone_into(&mut step.detail);
    Ok(Some(step))
}

/// Closes what arrived: somebody compared it with what was asked for.
pub async fn reconcile(app: &App, caller: &Caller, id: &OrderId) -> Result<Shown, AppError> {
    permitted(app, caller, Interaction::OrderMedicines, id).await?;
    let kept = change(app, caller, id, |stored| {
        let next = take(app, caller, &stored.kept, ("reconcile", Event::Reconcile))?;
        Ok(next.map(|next| Step::of(next, "order-close")))
    })
    .await?;
    shown(app, caller, kept).await
}

/// Asks the other side where an order stands, and takes what it says.
pub async fn refresh(app: &App, caller: &Caller, id: &OrderId) -> Result<Shown, AppError> {
    let before = permitted(app, caller, Interaction::OrderMedicines, id).await?;
    let kept = ask(app, caller, &before).await?;
    shown(app, caller, kept).await
}

async fn ask(app: &App, caller: &Caller, before: &Kept) -> Result<Kept, AppError> {
    let partner = partners::partner(app, caller, &before.partner).await?;
    if matches!(partner.way, Way::Letter { .. }) {
        return Err(AppError::Unprocessable(
            "mail brings nothing back: note what the pharmacy tells you".to_owned(),
        ));
    }
    let said = send::Ready::of(app, caller, before, &partner).await?;
    let report = said.status().await.map_err(AppError::Pharmacy)?;
    change(app, caller, &before.id, |stored| {
        let mut own = stored.kept.clone();
        let mut track = own.order()?.track;
        // What it answers for is what was sent: it arrived after all.
        if track.state() == State::Approved {
            own.sent(connect::pharmacy::Taken::default(), None, app.now())?;
            track = own.order()?.track;
        }
        let name = format!("asked-{}", track.trail().len());
        let at = report.at.unwrap_or_else(|| app.now());
        track.report(&name, report.state, at).map_err(stands)?;
        own.trail = track.trail().to_vec();
        if let Some(note) = &report.note {
            own.say(app.now(), None, note.clone());
        }
        if own == stored.kept {
            return Ok(None);
        }
        let mut step = Step::of(own, "order-status");
        report.state.code().clone_into(&mut step.detail);
        if let Some((out, version)) = stored.waiting(&What::Order) {
            step.docs.push(out.gone(app, *version)?);
        }
        Ok(Some(step))
    })
    .await
}
