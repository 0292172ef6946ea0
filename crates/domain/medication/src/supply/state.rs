//! The states of a request or an order, as a table of events. Must not go a way that the table does not
//! have, or the same way twice for one event.

use kernel::{ActorId, Categorised, Category, Timestamp};

use crate::codes::codes;

codes! {
    /// Where it stands.
    State {
        /// Being written.
        Draft = "draft",
        /// A person who may said yes.
        Approved = "approved",
        /// Sent.
        Submitted = "submitted",
        /// The other side has it.
        Acknowledged = "acknowledged",
        /// The prescriber has prescribed it.
        Prescribed = "prescribed",
        /// The dispenser works on it.
        WithDispenser = "with_dispenser",
        /// Some of it is dispensed.
        PartDispensed = "part_dispensed",
        /// The dispenser owes the rest.
        Owing = "owing",
        /// On its way.
        Dispatched = "dispatched",
        /// Arrived.
        Received = "received",
        /// Booked in and compared with what was asked for.
        Reconciled = "reconciled",
        /// The other side said no.
        Rejected = "rejected",
        /// Called off.
        Cancelled = "cancelled",
        /// Its time is over.
        Expired = "expired",
    }
}

codes! {
    /// What moves it.
    Event {
        /// A person says yes.
        Approve = "approve",
        /// It is sent.
        Submit = "submit",
        /// The other side has it.
        Acknowledge = "acknowledge",
        /// It is prescribed.
        Prescribe = "prescribe",
        /// The dispenser takes it.
        Accept = "accept",
        /// Some of it is dispensed.
        DispensePart = "dispense_part",
        /// The rest is owed.
        Owe = "owe",
        /// It is sent out.
        Dispatch = "dispatch",
        /// All of it has arrived.
        Receive = "receive",
        /// It is booked in.
        Reconcile = "reconcile",
        /// The other side says no.
        Reject = "reject",
        /// It is called off.
        Cancel = "cancel",
        /// Its time is over.
        Expire = "expire",
    }
}

codes! {
    /// What is asked of whom.
    Kind {
        /// A prescription, of the prescriber.
        Repeat = "repeat",
        /// Goods, of the supplier.
        Direct = "direct",
    }
}

/// For which kind a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Both.
    Both,
    /// Requests for prescriptions.
    Repeat,
    /// Orders of goods.
    Direct,
}

impl Path {
    const fn is_open_to(self, kind: Kind) -> bool {
        matches!(
            (self, kind),
            (Self::Both, _) | (Self::Repeat, Kind::Repeat) | (Self::Direct, Kind::Direct)
        )
    }
}

type Row = (State, Event, State, Path);

/// The steps that there are; no other is.
pub const TRANSITIONS: &[Row] = {
    use Event as E;
    use Path::{Both, Direct, Repeat};
    use State as S;
    &[
        (S::Draft, E::Approve, S::Approved, Both),
        (S::Draft, E::Cancel, S::Cancelled, Both),
        (S::Approved, E::Submit, S::Submitted, Both),
        (S::Approved, E::Cancel, S::Cancelled, Both),
        (S::Submitted, E::Acknowledge, S::Acknowledged, Both),
        (S::Submitted, E::Reject, S::Rejected, Both),
        (S::Submitted, E::Cancel, S::Cancelled, Both),
        (S::Submitted, E::Expire, S::Expired, Both),
        (S::Acknowledged, E::Prescribe, S::Prescribed, Repeat),
        (S::Acknowledged, E::Accept, S::WithDispenser, Direct),
        (S::Acknowledged, E::Reject, S::Rejected, Both),
        (S::Acknowledged, E::Cancel, S::Cancelled, Both),
        (S::Acknowledged, E::Expire, S::Expired, Both),
        (S::Prescribed, E::Accept, S::WithDispenser, Repeat),
        (S::Prescribed, E::Cancel, S::Cancelled, Repeat),
        (S::Prescribed, E::Expire, S::Expired, Repeat),
        (S::WithDispenser, E::DispensePart, S::PartDispensed, Both),
        (S::WithDispenser, E::Owe, S::Owing, Both),
        (S::WithDispenser, E::Dispatch, S::Dispatched, Both),
        (S::WithDispenser, E::Reject, S::Rejected, Both),
        (S::WithDispenser, E::Cancel, S::Cancelled, Both),
        (S::WithDispenser, E::Expire, S::Expired, Both),
        (S::PartDispensed, E::DispensePart, S::PartDispensed, Both),
        (S::PartDispensed, E::Owe, S::Owing, Both),
        (S::PartDispensed, E::Dispatch, S::Dispatched, Both),
        (S::PartDispensed, E::Cancel, S::Cancelled, Both),
        (S::Owing, E::DispensePart, S::PartDispensed, Both),
        (S::Owing, E::Dispatch, S::Dispatched, Both),
        (S::Owing, E::Cancel, S::Cancelled, Both),
        (S::Owing, E::Expire, S::Expired, Both),
        (S::Dispatched, E::Receive, S::Received, Both),
        // What arrived was not all of it.
        (S::Dispatched, E::Owe, S::Owing, Both),
        (S::Received, E::Reconcile, S::Reconciled, Both),
    ]
};

impl State {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_final(self) -> bool {
        !TRANSITIONS.iter().any(|row| row.0 == self)
    }

    /// Where an event leads.
    #[must_use]
    pub fn after(self, event: Event, kind: Kind) -> Option<Self> {
        let row = TRANSITIONS
            .iter()
            .find(|row| row.0 == self && row.1 == event && row.3.is_open_to(kind));
        row.map(|row| row.2)
    }
}

/// An event as it came.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Moved {
    /// Made by whoever sends it: the same id again is the same event.
    pub id: String,
    /// Which.
    pub event: Event,
    /// When.
    pub at: Timestamp,
    /// The person; none for what the other side reports.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<ActorId>,
}

/// Why an event is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The table has no such step.
    #[error("{} does not follow {} in {}", .event.code(), .from.code(), .kind.code())]
    NoStep {
        /// Where it stands.
        from: State,
        /// The event.
        event: Event,
        /// What it is.
        kind: Kind,
    },
    /// It stands there already by another event.
    #[error("it is {} already", .0.code())]
    Already(State),
    /// Approval without a person.
    #[error("a person approves: say who")]
    NoPerson,
    /// The id is of another event.
    #[error("the id {0:?} is taken by another event")]
    Taken(String),
    /// A report of a state that no events of the other side lead to.
    #[error("{} cannot be reached from {}", .to.code(), .from.code())]
    NoWay {
        /// Where it stands.
        from: State,
        /// What was reported.
        to: State,
    },
}

impl Categorised for StateError {
    fn category(&self) -> Category {
        match self {
            Self::NoPerson => Category::Unprocessable,
            _ => Category::Conflict,
        }
    }
}

/// What the other side brings about, and may be known of late or together.
const REPORTED: [Event; 6] = [
    Event::Acknowledge,
    Event::Prescribe,
    Event::Accept,
    Event::DispensePart,
    Event::Owe,
    Event::Dispatch,
];

/// The same with what the home does at the end.
const ONWARD: [Event; 8] = [
    Event::Acknowledge,
    Event::Prescribe,
    Event::Accept,
    Event::DispensePart,
    Event::Owe,
    Event::Dispatch,
    Event::Receive,
    Event::Reconcile,
];

/// The states of one request or order, as its events made them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    kind: Kind,
    state: State,
    trail: Vec<Moved>,
}

impl Track {
    /// A draft.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            state: State::Draft,
            trail: Vec::new(),
        }
    }
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }
    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }
    /// The events.
    #[must_use]
    pub fn trail(&self) -> &[Moved] {
        &self.trail
    }

    /// Takes an event; the same again is answered with where it stands.
    ///
    /// # Errors
    /// See the variants; nothing has changed then.
    pub fn take(&mut self, moved: Moved) -> Result<State, StateError> {
        if let Some(earlier) = self.trail.iter().find(|own| own.id == moved.id) {
            return if *earlier == moved {
                Ok(self.state)
            } else {
                Err(StateError::Taken(moved.id))
            };
        }
        let Some(to) = self.state.after(moved.event, self.kind) else {
            let leads_here = TRANSITIONS
                .iter()
                .any(|row| row.1 == moved.event && row.2 == self.state);
            return Err(if leads_here {
                StateError::Already(self.state)
            } else {
                StateError::NoStep {
                    from: self.state,
                    event: moved.event,
                    kind: self.kind,
                }
            });
        };
        if moved.event == Event::Approve && moved.by.is_none() {
            return Err(StateError::NoPerson);
        }
        self.state = to;
        self.trail.push(moved);
        Ok(to)
    }

    /// Takes a report of where the other side stands: what lies between is taken to have happened, and
    /// a report that is older than what is known changes nothing.
    ///
    /// # Errors
    /// A state that the other side's events do not lead to, and do not come from either.
    pub fn report(&mut self, id: &str, to: State, at: Timestamp) -> Result<State, StateError> {
        let known = |own: &Moved| own.id.rsplit_once('#').is_some_and(|(own, _)| own == id);
        if self.state == to || self.trail.iter().any(known) {
            return Ok(self.state);
        }
        let last = match to {
            State::Rejected => Some(Event::Reject),
            State::Cancelled => Some(Event::Cancel),
            State::Expired => Some(Event::Expire),
            _ => None,
        };
        let events = match last {
            Some(event) if self.state.after(event, self.kind).is_some() => vec![event],
            _ => match way(self.state, to, self.kind, &REPORTED) {
                Some(events) => events,
                // What was known before is not news.
                None if way(to, self.state, self.kind, &ONWARD).is_some() => {
                    return Ok(self.state);
                }
                None => {
                    return Err(StateError::NoWay {
                        from: self.state,
                        to,
                    });
                }
            },
        };
        for (number, event) in events.into_iter().enumerate() {
            self.take(Moved {
                id: format!("{id}#{number}"),
                event,
                at,
                by: None,
            })?;
        }
        Ok(self.state)
    }

    /// From stored events.
    ///
    /// # Errors
    /// Events that the table does not have.
    pub fn restore(kind: Kind, trail: Vec<Moved>) -> Result<Self, StateError> {
        let mut own = Self::new(kind);
        for moved in trail {
            own.take(moved)?;
        }
        Ok(own)
    }
}

/// The shortest way by some events. What was dispatched is found to be owed by booking it in, not by a
/// report: such a report is an older one that came late.
fn way(from: State, to: State, kind: Kind, by: &[Event]) -> Option<Vec<Event>> {
    let mut reached: Vec<(State, Vec<Event>)> = vec![(from, Vec::new())];
    let mut place = 0;
    while let Some((state, events)) = reached.get(place).cloned() {
        if state == to {
            return Some(events);
        }
        for event in by.iter().copied() {
            if let Some(next) = state.after(event, kind)
                && (state, event) != (State::Dispatched, Event::Owe)
                && !reached.iter().any(|(own, _)| *own == next)
            {
                let mut longer = events.clone();
                longer.push(event);
                reached.push((next, longer));
            }
        }
        place += 1;
    }
    None
}

codes! {
    /// What became of one item, in the codes of the electronic prescription service.
    Dispensed {
        /// All of it was dispensed.
        Fully = "0001",
        /// None of it.
        Not = "0002",
        /// Some of it.
        Partially = "0003",
        /// The rest is owed.
        Owing = "0004",
        /// It was called off.
        Cancelled = "0005",
        /// Its time is over.
        Expired = "0006",
        /// It is still to be dispensed.
        ToBe = "0007",
        /// The dispenser has it.
        WithDispenser = "0008",
    }
}

/// Where an order stands by its items; none without items. What is owed outweighs what is done, and what
/// is ended counts only where nothing else is left.
#[must_use]
pub fn of_items(items: &[Dispensed]) -> Option<State> {
    use Dispensed as D;
    let any = |of: &[D]| items.iter().any(|own| of.contains(own));
    let open = any(&[D::ToBe, D::WithDispenser]);
    let done = any(&[D::Fully]);
    Some(match () {
        () if items.is_empty() => return None,
        () if any(&[D::Owing]) => State::Owing,
        () if any(&[D::Partially]) || (done && open) => State::PartDispensed,
        () if open => State::WithDispenser,
        () if done => State::Dispatched,
        () if any(&[D::Not]) => State::Rejected,
        () if any(&[D::Expired]) => State::Expired,
        () => State::Cancelled,
    })
}
