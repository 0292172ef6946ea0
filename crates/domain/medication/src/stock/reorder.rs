//! Where a reorder stands, as a table of steps. Must not be taken twice: a step that comes again changes
//! nothing, and one that was decided on an older state is refused.

use kernel::{ActorId, Categorised, Category, Timestamp};

/// Where it stands.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing is to be done.
    #[default]
    None,
    /// Stock is low.
    Needed,
    /// Somebody asked for it.
    Requested,
    /// Somebody who may said yes.
    Approved,
    /// It was sent to the supplier or prescriber.
    Ordered,
    /// Some of it arrived.
    PartReceived,
    /// All of it arrived.
    Received,
    /// It will not come.
    Cancelled,
}

/// What somebody does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Stock crossed the line.
    Need,
    /// Stock was filled from elsewhere.
    Settle,
    /// Ask for it.
    Request,
    /// Say yes.
    Approve,
    /// Send it.
    Order,
    /// Some of it arrived.
    ReceivePart,
    /// The rest of it arrived.
    Receive,
    /// Call it off.
    Cancel,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::None,
        Self::Needed,
        Self::Requested,
        Self::Approved,
        Self::Ordered,
        Self::PartReceived,
        Self::Received,
        Self::Cancelled,
    ];
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Need,
        Self::Settle,
        Self::Request,
        Self::Approve,
        Self::Order,
        Self::ReceivePart,
        Self::Receive,
        Self::Cancel,
    ];
}

/// The steps that there are; no other is.
pub const TRANSITIONS: [(Status, Step, Status); 18] = [
    (Status::None, Step::Need, Status::Needed),
    (Status::Needed, Step::Settle, Status::None),
    (Status::Needed, Step::Request, Status::Requested),
    (Status::Requested, Step::Approve, Status::Approved),
    (Status::Requested, Step::Cancel, Status::Cancelled),
    (Status::Approved, Step::Order, Status::Ordered),
    (Status::Approved, Step::Cancel, Status::Cancelled),
    (Status::Ordered, Step::ReceivePart, Status::PartReceived),
    (Status::Ordered, Step::Receive, Status::Received),
    (Status::Ordered, Step::Cancel, Status::Cancelled),
    (
        Status::PartReceived,
        Step::ReceivePart,
        Status::PartReceived,
    ),
    (Status::PartReceived, Step::Receive, Status::Received),
    (Status::PartReceived, Step::Cancel, Status::Cancelled),
    (Status::Received, Step::Settle, Status::None),
    (Status::Received, Step::Need, Status::Needed),
    (Status::Cancelled, Step::Settle, Status::None),
    (Status::Cancelled, Step::Need, Status::Needed),
    // A person asks before stock is low.
    (Status::None, Step::Request, Status::Requested),
];

/// A step as it was taken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Taken {
    /// Made by whoever sends it: the same id again is the same step.
    pub id: String,
    /// Which.
    pub step: Step,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: ActorId,
}

/// Why a step is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReorderError {
    /// The table has no such step.
    #[error("{step:?} is no step from {from:?}")]
    NoStep {
        /// Where it stands.
        from: Status,
        /// The step.
        step: Step,
    },
    /// It stands there already, by somebody else's step.
    #[error("it is {0:?} already, by another step")]
    Already(Status),
    /// It was decided on an older state.
    #[error("the reorder has changed since (version {now}, not {seen}): look at it again")]
    Stale {
        /// The version that was seen.
        seen: usize,
        /// The version that it has.
        now: usize,
    },
    /// The same id for another step.
    #[error("the id {0:?} is taken by another step")]
    Taken(String),
}

impl Categorised for ReorderError {
    fn category(&self) -> Category {
        match self {
            Self::Stale { .. } => Category::Stale,
            _ => Category::Conflict,
        }
    }
}

/// A reorder: its status is what its steps make of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reorder {
    status: Status,
    trail: Vec<Taken>,
}

impl Reorder {
    /// Where it stands.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }
    /// How many steps were taken: what a decision names.
    #[must_use]
    pub fn version(&self) -> usize {
        self.trail.len()
    }
    /// The steps.
    #[must_use]
    pub fn trail(&self) -> &[Taken] {
        &self.trail
    }

    /// Takes a step that was decided on version `seen`. A step that was taken before, by its id, is
    /// answered with where it stands now.
    ///
    /// # Errors
    /// See the variants; nothing has changed then.
    pub fn take(&mut self, taken: Taken, seen: usize) -> Result<Status, ReorderError> {
        if let Some(earlier) = self.trail.iter().find(|own| own.id == taken.id) {
            return if *earlier == taken {
                Ok(self.status)
            } else {
                Err(ReorderError::Taken(taken.id))
            };
        }
        let found = TRANSITIONS
            .iter()
            .find(|(from, step, _)| *from == self.status && *step == taken.step);
        let leads_here = TRANSITIONS
            .iter()
            .any(|(_, step, to)| *step == taken.step && *to == self.status);
        if leads_here && (found.is_none() || seen < self.version()) {
            return Err(ReorderError::Already(self.status));
        }
        if seen != self.version() {
            return Err(ReorderError::Stale {
                seen,
                now: self.version(),
            });
        }
        let (_, _, to) = found.ok_or(ReorderError::NoStep {
            from: self.status,
            step: taken.step,
        })?;
        self.status = *to;
        self.trail.push(taken);
        Ok(self.status)
    }

    /// A reorder from its stored steps.
    ///
    /// # Errors
    /// Steps that the table does not have.
    pub fn restore(trail: Vec<Taken>) -> Result<Self, ReorderError> {
        let mut own = Self::default();
        for taken in trail {
            let seen = own.version();
            own.take(taken, seen)?;
        }
        Ok(own)
    }
}
