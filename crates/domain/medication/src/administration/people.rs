//! What a resident's own part asks for: who takes medicines alone, and when a medicine may be given
//! unknown to the resident. Must not presume: without its papers neither is allowed.

use kernel::Timestamp;

/// How much of it a resident does alone.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum SelfLevel {
    /// 0: staff keep and give.
    StaffGive,
    /// 1: staff keep and hand out, the resident takes while they watch.
    Supervised,
    /// 2: the resident keeps and takes, staff check.
    Checked,
    /// 3: the resident keeps and takes alone.
    Independent,
}

/// An assessment of self-administration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SelfCare {
    /// What was found.
    pub level: SelfLevel,
    /// When.
    pub assessed: Timestamp,
    /// By when it is to be looked at again.
    pub review: Timestamp,
}

impl SelfCare {
    /// Whether the resident may take a dose alone at this time.
    #[must_use]
    pub fn allows(&self, at: Timestamp) -> bool {
        self.level > SelfLevel::StaffGive && self.assessed <= at && at < self.review
    }
}

/// The papers that covert administration rests on (NICE SC1).
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Covert {
    /// When capacity was assessed and found lacking for this decision.
    pub capacity: Option<Timestamp>,
    /// When it was decided in the resident's best interest.
    pub best_interest: Option<Timestamp>,
    /// How the pharmacist says it is given, as `crushed in yoghurt`.
    pub method: Option<String>,
    /// By when it is to be looked at again.
    pub review: Option<Timestamp>,
}

/// A paper that is missing.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum CovertGap {
    /// The assessment of capacity.
    Capacity,
    /// The decision in the best interest.
    BestInterest,
    /// The pharmacist's method.
    Method,
    /// The date of review.
    Review,
    /// The review is overdue.
    Overdue,
}

impl Covert {
    /// What is missing at a time.
    #[must_use]
    pub fn gaps(&self, at: Timestamp) -> Vec<CovertGap> {
        let before = |time: Option<Timestamp>| time.is_some_and(|time| time <= at);
        let method = self
            .method
            .as_deref()
            .is_some_and(|own| !own.trim().is_empty());
        let overdue = self.review.is_some_and(|review| review <= at);
        [
            (!before(self.capacity), CovertGap::Capacity),
            (!before(self.best_interest), CovertGap::BestInterest),
            (!method, CovertGap::Method),
            (self.review.is_none(), CovertGap::Review),
            (overdue, CovertGap::Overdue),
        ]
        .into_iter()
        .filter_map(|(missing, gap)| missing.then_some(gap))
        .collect()
    }
}
