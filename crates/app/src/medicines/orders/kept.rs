//! An order as it is kept: one document, with its lines and what happened to it. It is what counts; the
//! resources of the record mirror it, so that nobody approves an order by writing a Task. Must not decide.

use connect::pharmacy::Taken;
use kernel::{ActorId, Timestamp};
use medication::ids::{LocationId, OrderId, PartyId, PersonId, ResidentId};
use medication::supply::{
    Chase, Event, IdempotencyKey, Kind, Line, Money, Moved, Order, Received, State, Track, Verb,
    Why,
};
use rust_decimal::Decimal;
use store::{DocExpected, DocKind, DocWrite};

use super::send::{Out, What};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;

/// Documents of orders that are not finished.
pub(super) const OPEN: &str = "open/";
/// Documents of those that are.
pub(super) const DONE: &str = "done/";

/// A delivery that was booked in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Note {
    /// Its number.
    pub note: String,
    /// When it came.
    pub at: Timestamp,
    /// Who booked it in.
    pub by: ActorId,
    /// What was set aside, in words.
    pub problems: Vec<String>,
    /// SHA-256 of what came; none for what was booked in before it was kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub things: Option<String>,
}

/// Something that was said about an order.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Said {
    /// When.
    pub at: Timestamp,
    /// By whom; none for the other side.
    pub by: Option<ActorId>,
    /// What.
    pub text: String,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Kept {
    /// Its id.
    pub id: OrderId,
    /// A request or an order.
    pub kind: Kind,
    /// The partner it goes to.
    pub partner: String,
    /// The partner's organisation.
    pub of_whom: PartyId,
    /// For whom; none for common stock.
    pub resident: Option<ResidentId>,
    /// Where it goes.
    pub location: LocationId,
    /// What is asked for.
    pub lines: Vec<Line>,
    /// Doses in words, in the order of lines; empty where none was said.
    pub doses: Vec<String>,
    /// Which cycle it is for.
    pub cycle: String,
    /// The how manieth attempt of the cycle, from 0.
    pub attempt: u32,
    /// The key by which the other side knows it again.
    pub key: IdempotencyKey,
    /// What it costs, where the prices are known.
    pub cost: Option<Money>,
    /// Who drafted it; a program where `automatic` says so.
    pub drafted_by: ActorId,
    /// Their Practitioner, where they have one: who approves is another person, not another account.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub drafter: Option<PersonId>,
    /// When.
    pub drafted: Timestamp,
    /// Why a program drafted it and did not send it, where one did.
    pub automatic: Option<Vec<Why>>,
    /// What happened.
    pub trail: Vec<Moved>,
    /// The other side's number.
    pub reference: Option<String>,
    /// What arrived.
    pub received: Vec<Received>,
    /// The deliveries.
    pub notes: Vec<Note>,
    /// What was said.
    pub said: Vec<Said>,
}

/// Most of what is said that is kept.
const MOST_SAID: usize = 200;

impl Kept {
    /// The names that who drafted it goes by.
    pub(super) fn drafters(&self) -> Vec<PersonId> {
        let account = self.drafted_by.as_uuid().to_string().parse();
        self.drafter.clone().into_iter().chain(account).collect()
    }

    /// As an order.
    pub(super) fn order(&self) -> Result<Order, AppError> {
        let verb = Verb::kept(
            self.kind,
            self.of_whom.clone(),
            self.resident.clone(),
            self.location.clone(),
            self.lines.clone(),
        );
        let mut order = Order::draft(self.id.clone(), verb);
        order.track = Track::restore(self.kind, self.trail.clone())
            .map_err(|error| AppError::Fault(format!("order {} is unsound: {error}", self.id)))?;
        Ok(order)
    }

    /// Where it stands.
    ///
    /// # Errors
    /// Its events do not fit.
    pub fn state(&self) -> Result<State, AppError> {
        Ok(self.order()?.track.state())
    }

    /// When a person approved it, else when it was drafted.
    pub(super) fn authored(&self) -> Timestamp {
        let approved = self.trail.iter().find(|own| own.event == Event::Approve);
        approved.map_or(self.drafted, |own| own.at)
    }

    /// Whether the other side said that it has it.
    pub(super) fn acknowledged(&self) -> bool {
        let beyond = |own: &Moved| !matches!(own.event, Event::Approve | Event::Cancel);
        self.reference.is_some() || self.trail.iter().any(beyond)
    }

    /// How much of a line arrived.
    #[must_use]
    pub fn arrived(&self, line: &Line) -> Decimal {
        let own = self.received.iter().filter(|own| own.item == line.item);
        own.map(|own| own.quantity.get()).sum()
    }

    /// What is missing of what was asked for, where something arrived.
    #[must_use]
    pub fn missing(&self) -> Vec<Chase> {
        let missing = |line: &Line| {
            let rest = line.quantity.get() - self.arrived(line);
            Some(Chase {
                item: line.item.clone(),
                name: line.name.clone(),
                missing: medication::stock::Units::new(rest).ok()?,
            })
        };
        self.lines.iter().filter_map(missing).collect()
    }

    /// Notes what was said.
    pub(super) fn say(&mut self, at: Timestamp, by: Option<ActorId>, text: impl Into<String>) {
        let text: String = text.into().chars().take(500).collect();
        let again = self.said.last().is_some_and(|own| own.text == text);
        if !text.is_empty() && !again && self.said.len() < MOST_SAID {
            self.said.push(Said { at, by, text });
        }
    }

    /// Takes what the other side made of it: it was sent, and stands where it says.
    pub(super) fn sent(
        &mut self,
        taken: Taken,
        by: Option<ActorId>,
        now: Timestamp,
    ) -> Result<(), AppError> {
        let mut track = self.order()?.track;
        if track.state() == State::Approved {
            track
                .take(Moved {
                    id: "sent".to_owned(),
                    event: Event::Submit,
                    at: now,
                    by,
                })
                .map_err(stands)?;
        }
        if let Some(state) = taken.state.filter(|own| *own != State::Submitted) {
            track.report("sent-answer", state, now).map_err(stands)?;
        }
        self.trail = track.trail().to_vec();
        self.reference = taken.reference.or(self.reference.take());
        if let Some(note) = taken.note {
            self.say(now, None, note);
        }
        Ok(())
    }
}

/// A step that the states do not have.
pub(super) fn stands(error: impl std::fmt::Display) -> AppError {
    AppError::Conflict(error.to_string())
}

/// A kept order with what its next version must find.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub kept: Kept,
    pub doc: String,
    pub version: u32,
    /// The messages that wait, where a step asked for them.
    pub sending: Vec<(Out, u32)>,
}

impl Stored {
    /// The message of a kind that waits.
    pub(super) fn waiting(&self, what: &What) -> Option<&(Out, u32)> {
        let same = |own: &&(Out, u32)| own.0.what.name() == what.name();
        self.sending.iter().find(same)
    }
}

/// Reads an order.
pub(super) async fn load(app: &App, caller: &Caller, id: &OrderId) -> Result<Stored, AppError> {
    for prefix in [OPEN, DONE] {
        let doc = format!("{prefix}{id}");
        let kind = DocKind::PharmacyMessage;
        if let Some(found) = app.store().doc(&caller.scope, kind, &doc).await? {
            return Ok(Stored {
                kept: serde_json::from_slice(&found.body)?,
                doc,
                version: found.version,
                sending: Vec::new(),
            });
        }
    }
    Err(AppError::not_found(format!("order {id}")))
}

/// Documents whose id begins so, by ascending id, at most so many.
pub(super) async fn below(
    app: &App,
    scope: &kernel::TenantScope,
    prefix: &str,
    most: usize,
) -> Result<Vec<store::Doc>, AppError> {
    let mut found: Vec<store::Doc> = Vec::new();
    while found.len() < most {
        let after = found.last().map_or(prefix, |own| own.id.as_str());
        let page = page(app, scope, prefix, after).await?;
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    found.truncate(most);
    Ok(found)
}

/// Some documents below a prefix that come after an id; none where there are no more.
pub(super) async fn page(
    app: &App,
    scope: &kernel::TenantScope,
    prefix: &str,
    after: &str,
) -> Result<Vec<store::Doc>, AppError> {
    const PAGE: u32 = 200;
    let kind = DocKind::PharmacyMessage;
    let mut page = app.store().docs(scope, kind, Some(after), PAGE).await?;
    page.retain(|own| own.id.starts_with(prefix));
    Ok(page)
}

/// A write of a document of this kind.
pub(super) fn write<T: serde::Serialize>(
    app: &App,
    id: impl Into<String>,
    expected: DocExpected,
    value: Option<&T>,
) -> Result<DocWrite, AppError> {
    Ok(DocWrite {
        kind: DocKind::PharmacyMessage,
        id: id.into(),
        expected,
        body: value.map(serde_json::to_vec).transpose()?,
        time: app.now(),
        expires: None,
        lookups: Vec::new(),
    })
}

/// The writes of a new version: where it is finished it moves to the finished ones.
pub(super) fn writes(
    app: &App,
    kept: &Kept,
    before: Option<(&str, u32)>,
) -> Result<Vec<DocWrite>, AppError> {
    let prefix = if kept.state()?.is_final() { DONE } else { OPEN };
    let id = format!("{prefix}{}", kept.id);
    Ok(match before {
        None => vec![write(app, id, DocExpected::Absent, Some(kept))?],
        Some((doc, version)) if doc == id => {
            vec![write(app, id, DocExpected::Version(version), Some(kept))?]
        }
        Some((doc, version)) => vec![
            write::<Kept>(app, doc, DocExpected::Version(version), None)?,
            write(app, id, DocExpected::Absent, Some(kept))?,
        ],
    })
}
