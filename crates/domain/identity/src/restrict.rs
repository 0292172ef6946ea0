//! Searches narrowed by data: which branches and patients a subject's search or history may show. The
//! store adds it to the query (a key per branch's Organization and per patient), so that counts, pages
//! and totals never speak of what the subject may not see. Must agree with [`crate::decide()`]; a
//! property test holds them together.

use kernel::LogicalId;

use crate::class::Class;
use crate::decide::{About, Answer, Decision, PatientRef, Request, decide};
use crate::permissions::cell;
use crate::reason::Reason;
use crate::subject::{BranchLink, Kind, Reach, Subject};

/// What a search may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restriction<'s> {
    /// Everything that matches.
    Unrestricted {
        /// Why.
        reason: Reason,
    },
    /// Only resources in the compartments of these patients.
    Narrowed {
        /// Why.
        reason: Reason,
        /// Whose.
        to: Narrowing<'s>,
    },
    /// Nothing: the search is denied.
    Denied {
        /// Why.
        reason: Reason,
        /// How to answer.
        answer: Answer,
    },
}

/// The patients a search is narrowed to: those of the branches, and these. A resource that lies in no
/// patient's compartment is not shown. Both empty shows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing<'s> {
    /// Branches: patients whose `managingOrganization` is one of their Organizations.
    pub branches: Vec<&'s BranchLink>,
    /// Single patients: own records, relationships, and break-glass grants when the purpose is
    /// emergency treatment. Sorted, none twice.
    pub patients: Vec<&'s LogicalId>,
}

impl Narrowing<'_> {
    /// Whether nothing can match.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.branches.is_empty() && self.patients.is_empty()
    }

    /// Whether a resource about these patients may be shown.
    #[must_use]
    pub fn shows(&self, patients: &[PatientRef<'_>]) -> bool {
        patients.iter().any(|patient| {
            self.patients.binary_search(&patient.id).is_ok()
                || patient
                    .organization
                    .is_some_and(|o| self.branches.iter().any(|link| link.organization == *o))
        })
    }
}

/// What a search or history may show; `request.about` is not looked at.
#[must_use]
pub fn search_restriction<'s>(subject: &'s Subject, request: &Request<'_>) -> Restriction<'s> {
    let request = Request {
        about: About::Type,
        ..*request
    };
    let reason = match decide(subject, &request) {
        Decision::Deny { reason, answer } => return Restriction::Denied { reason, answer },
        Decision::Allow { reason } => reason,
    };
    let class = request.resource_type.and_then(Class::of);
    let (Some(class), Kind::Person { .. } | Kind::Client { .. }) = (class, &subject.kind) else {
        return Restriction::Unrestricted { reason };
    };
    if !class.is_about_patients() {
        return Restriction::Unrestricted { reason };
    }
    let mut to = Narrowing::default();
    let mut related = false;
    for standing in &subject.standings {
        if !cell(standing.role, class).contains(request.interaction) {
            continue;
        }
        match &standing.reach {
            Reach::Tenant => return Restriction::Unrestricted { reason },
            Reach::OwnRecord(own) => to.patients.extend(own),
            Reach::Branches(branches) => {
                related = true;
                for link in branches {
                    if !to.branches.contains(&link) {
                        to.branches.push(link);
                    }
                }
            }
        }
    }
    let live = |links: &'s [crate::subject::PatientLink]| {
        links
            .iter()
            .filter(|link| link.is_active(request.now))
            .map(|link| &link.patient)
    };
    if related {
        to.patients.extend(live(&subject.relationships));
    }
    if subject.emergency(class, &request).is_some() {
        to.patients.extend(live(&subject.grants));
    }
    to.patients.sort_unstable();
    to.patients.dedup();
    Restriction::Narrowed { reason, to }
}
