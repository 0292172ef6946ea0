//! What a resident's own part asks for: who takes medicines alone, and when a medicine may be given
//! unknown to the resident. Must not presume: without its papers neither is allowed.

use core::cmp::Reverse;

use kernel::Timestamp;

use crate::ids::PrescriptionId;

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

impl SelfLevel {
    /// All of them, from 0 to 3.
    pub const ALL: [Self; 4] = [
        Self::StaffGive,
        Self::Supervised,
        Self::Checked,
        Self::Independent,
    ];
    /// Its code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::StaffGive => "staff-give",
            Self::Supervised => "supervised",
            Self::Checked => "checked",
            Self::Independent => "independent",
        }
    }
    /// By code.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.code() == code)
    }
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

/// Why a resident may not take a dose alone.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum SelfGap {
    /// Nobody assessed it, or not yet at that time.
    Missing,
    /// Staff are to give.
    StaffGive,
    /// The review is overdue.
    Overdue,
}

impl SelfCare {
    /// Why the resident may not take a dose alone at this time; none where it may.
    #[must_use]
    pub fn gap(&self, at: Timestamp) -> Option<SelfGap> {
        if at < self.assessed {
            Some(SelfGap::Missing)
        } else if self.level == SelfLevel::StaffGive {
            Some(SelfGap::StaffGive)
        } else if self.review <= at {
            Some(SelfGap::Overdue)
        } else {
            None
        }
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

/// What a paper is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum PaperKind {
    /// Whether the resident can decide for themselves.
    Capacity,
    /// Whether a medicine is given without the resident knowing.
    CovertAdministration,
    /// How much the resident does alone.
    SelfAdministration,
}

impl PaperKind {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::Capacity,
        Self::CovertAdministration,
        Self::SelfAdministration,
    ];
    /// Its code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Capacity => "capacity",
            Self::CovertAdministration => "covert-administration",
            Self::SelfAdministration => "self-administration",
        }
    }
    /// By code.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.code() == code)
    }
}

/// What a paper says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// Whether the resident has capacity.
    Capacity(bool),
    /// Covert administration is in the resident's best interest, and how the pharmacist says it is given.
    Covert {
        /// It is.
        permitted: bool,
        /// As `crushed in yoghurt`.
        method: Option<String>,
    },
    /// How much the resident does alone.
    Alone(SelfLevel),
}

/// A paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paper {
    /// Its address: `Consent/1`.
    pub name: String,
    /// What it says.
    pub says: Says,
    /// From when.
    pub at: Timestamp,
    /// The first moment at which its review is overdue.
    pub review: Option<Timestamp>,
    /// The orders it is about; none: every medicine.
    pub orders: Vec<PrescriptionId>,
}

impl Paper {
    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> PaperKind {
        match self.says {
            Says::Capacity(_) => PaperKind::Capacity,
            Says::Covert { .. } => PaperKind::CovertAdministration,
            Says::Alone(_) => PaperKind::SelfAdministration,
        }
    }

    /// How much it allows: of two of one moment the stricter holds.
    const fn lenient(&self) -> u8 {
        match self.says {
            Says::Capacity(has) => !has as u8,
            Says::Covert { permitted, .. } => permitted as u8,
            Says::Alone(level) => level as u8,
        }
    }

    /// Whether it is about an order. To give covertly is decided for each order by name.
    fn concerns(&self, order: &PrescriptionId) -> bool {
        let any = self.orders.is_empty() && self.kind() != PaperKind::CovertAdministration;
        any || self.orders.contains(order)
    }
}

/// A paper that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadPaper {
    /// Its address.
    pub name: String,
    /// What it is about.
    pub kind: PaperKind,
    /// Why.
    pub why: String,
}

/// The papers of a resident. The newest of a kind holds; where one of a kind cannot be read, none does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Papers {
    /// Those that were read.
    pub papers: Vec<Paper>,
    /// Those that were not.
    pub unread: Vec<UnreadPaper>,
}

impl Papers {
    /// The paper of a kind that holds for an order at a time.
    #[must_use]
    pub fn holding(
        &self,
        kind: PaperKind,
        order: &PrescriptionId,
        at: Timestamp,
    ) -> Option<&Paper> {
        self.newest(kind, at, |paper| paper.concerns(order))
    }

    fn newest(
        &self,
        kind: PaperKind,
        at: Timestamp,
        about: impl Fn(&Paper) -> bool,
    ) -> Option<&Paper> {
        if self.unread.iter().any(|own| own.kind == kind) {
            return None;
        }
        let own = self.papers.iter();
        own.filter(|paper| paper.kind() == kind && paper.at <= at && about(paper))
            .max_by_key(|paper| (paper.at, Reverse(paper.lenient())))
    }

    /// Every moment at which what they say may become another: papers that begin, and reviews.
    #[must_use]
    pub fn turns(&self) -> Vec<Timestamp> {
        let own = self.papers.iter();
        own.flat_map(|paper| [Some(paper.at), paper.review])
            .flatten()
            .collect()
    }

    /// What covert administration of an order rests on at a time.
    #[must_use]
    pub fn covert(&self, order: &PrescriptionId, at: Timestamp) -> Covert {
        let capacity = self.holding(PaperKind::Capacity, order, at);
        let lacks = capacity.filter(|own| own.says == Says::Capacity(false));
        let decided = self.holding(PaperKind::CovertAdministration, order, at);
        let (permitted, method) = match decided.map(|own| &own.says) {
            Some(Says::Covert { permitted, method }) => (*permitted, method.clone()),
            _ => (false, None),
        };
        let decided = decided.filter(|_| permitted);
        let review = decided.and_then(|own| own.review);
        let earlier = lacks.and_then(|own| own.review);
        Covert {
            capacity: lacks.map(|own| own.at),
            best_interest: decided.map(|own| own.at),
            method: method.filter(|_| permitted),
            review: review.map(|own| earlier.map_or(own, |earlier| own.min(earlier))),
        }
    }

    /// How much of an order the resident takes alone at a time; none where nobody assessed it.
    #[must_use]
    pub fn self_care(&self, order: &PrescriptionId, at: Timestamp) -> Option<SelfCare> {
        self_care(self.holding(PaperKind::SelfAdministration, order, at)?)
    }

    /// How much the resident takes alone at a time, by the papers that are about every medicine.
    #[must_use]
    pub fn alone(&self, at: Timestamp) -> Option<SelfCare> {
        let kind = PaperKind::SelfAdministration;
        self_care(self.newest(kind, at, |own| own.orders.is_empty())?)
    }

    /// Whether a paper is the one that holds at a time, for any of what it is about.
    #[must_use]
    pub fn stands(&self, paper: &Paper, at: Timestamp) -> bool {
        let kind = paper.kind();
        let is = |found: Option<&Paper>| found == Some(paper);
        if paper.orders.is_empty() {
            return is(self.newest(kind, at, |own| own.orders.is_empty()));
        }
        let mut orders = paper.orders.iter();
        orders.any(|order| is(self.holding(kind, order, at)))
    }

    /// Whether the resident has capacity in general at a time; none where nobody assessed it.
    #[must_use]
    pub fn capacity(&self, at: Timestamp) -> Option<bool> {
        let own = self.newest(PaperKind::Capacity, at, |own| own.orders.is_empty())?;
        match own.says {
            Says::Capacity(has) => Some(has),
            _ => None,
        }
    }
}

fn self_care(paper: &Paper) -> Option<SelfCare> {
    let Says::Alone(level) = paper.says else {
        return None;
    };
    Some(SelfCare {
        level,
        assessed: paper.at,
        review: paper.review.unwrap_or(paper.at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_millis(day * 86_400_000)
    }

    fn paper(says: Says, day: i64, review: Option<i64>, orders: &[&str]) -> Paper {
        Paper {
            name: format!("Consent/{day}"),
            says,
            at: at(day),
            review: review.map(at),
            orders: orders.iter().map(|own| own.parse().unwrap()).collect(),
        }
    }

    fn permit(day: i64, review: i64, orders: &[&str]) -> Paper {
        let method = Some("in jam".to_owned());
        let says = Says::Covert {
            permitted: true,
            method,
        };
        paper(says, day, Some(review), orders)
    }

    fn gaps(papers: Vec<Paper>, day: i64) -> Vec<CovertGap> {
        let unread = Vec::new();
        let own = Papers { papers, unread };
        own.covert(&"o".parse().unwrap(), at(day)).gaps(at(day))
    }

    #[test]
    fn covert_holds_on_the_newest_papers_about_the_order() {
        use CovertGap::{BestInterest, Capacity, Method, Overdue, Review};
        let lacks = |day, orders: &[&str]| paper(Says::Capacity(false), day, None, orders);
        let has = |day| paper(Says::Capacity(true), day, None, &[]);
        let deny = |day| {
            let says = Says::Covert {
                permitted: false,
                method: None,
            };
            paper(says, day, None, &["o"])
        };
        let mut early = lacks(1, &[]);
        early.review = Some(at(6));
        let table: [(Vec<Paper>, i64, &[CovertGap]); 10] = [
            (vec![], 5, &[Capacity, BestInterest, Method, Review]),
            (vec![lacks(1, &[]), permit(2, 9, &["o"])], 5, &[]),
            (vec![lacks(1, &["o"]), permit(2, 9, &["o", "x"])], 5, &[]),
            (vec![lacks(1, &["x"]), permit(2, 9, &["o"])], 5, &[Capacity]),
            (
                vec![lacks(1, &[]), permit(2, 9, &[])],
                5,
                &[BestInterest, Method, Review],
            ),
            (vec![lacks(1, &[]), permit(2, 9, &["o"])], 9, &[Overdue]),
            (vec![early, permit(2, 9, &["o"])], 7, &[Overdue]),
            (
                vec![lacks(1, &[]), has(3), permit(2, 9, &["o"])],
                5,
                &[Capacity],
            ),
            (
                vec![lacks(1, &[]), permit(2, 9, &["o"]), deny(2)],
                5,
                &[BestInterest, Method, Review],
            ),
            (
                vec![lacks(6, &[]), permit(7, 9, &["o"])],
                5,
                &[Capacity, BestInterest, Method, Review],
            ),
        ];
        for (place, (papers, day, wanted)) in table.into_iter().enumerate() {
            assert_eq!(gaps(papers, day), wanted, "row {place}");
        }
    }

    #[test]
    fn the_newest_assessment_holds_and_of_two_the_stricter() {
        use SelfLevel::{Independent, StaffGive};
        let alone = |level, day, orders: &[&str]| paper(Says::Alone(level), day, Some(9), orders);
        let gap = |papers: Vec<Paper>, unread: Vec<UnreadPaper>, day| {
            let own = Papers { papers, unread };
            let found = own.self_care(&"o".parse().unwrap(), at(day));
            found.map_or(Some(SelfGap::Missing), |own| own.gap(at(day)))
        };
        assert_eq!(gap(vec![alone(Independent, 1, &[])], vec![], 5), None);
        let later = vec![alone(Independent, 1, &["o"]), alone(StaffGive, 2, &[])];
        assert_eq!(gap(later, vec![], 5), Some(SelfGap::StaffGive));
        let same = vec![alone(StaffGive, 2, &[]), alone(Independent, 2, &["o"])];
        assert_eq!(gap(same, vec![], 5), Some(SelfGap::StaffGive));
        let old = vec![alone(Independent, 1, &[])];
        assert_eq!(gap(old.clone(), vec![], 9), Some(SelfGap::Overdue));
        let unread = |kind| UnreadPaper {
            name: "Consent/bad".to_owned(),
            kind,
            why: "no level".to_owned(),
        };
        let bad = vec![unread(PaperKind::SelfAdministration)];
        assert_eq!(gap(old.clone(), bad, 5), Some(SelfGap::Missing));
        assert_eq!(gap(old, vec![unread(PaperKind::Capacity)], 5), None);
    }

    #[test]
    fn capacity_in_general_is_what_no_order_narrows() {
        let papers = vec![
            paper(Says::Capacity(false), 1, None, &[]),
            paper(Says::Capacity(true), 2, None, &["o"]),
        ];
        let own = Papers {
            papers,
            unread: Vec::new(),
        };
        assert_eq!(own.capacity(at(0)), None);
        assert_eq!(own.capacity(at(3)), Some(false));
    }
}
