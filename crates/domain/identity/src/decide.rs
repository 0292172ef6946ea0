//! The decision: may this subject do this, and why. Pure and without allocation; the caller brings the
//! time, the patients a resource is about and the organisations those belong to.
//!
//! Every use-case asks twice where it loads something: first [`About::Type`] (is it worth loading), then
//! [`About::Record`] with what was loaded, and for a change once more with what is to be written.
//! Searches ask [`crate::search_restriction`], which narrows the query itself.

use kernel::{LogicalId, PurposeOfUse, Timestamp};
use uuid::Uuid;

use crate::admit::SystemTask;
use crate::class::Class;
use crate::interaction::Interaction;
use crate::permissions::{cell, emergency_cell, may_operate};
use crate::reason::{Reason, ReasonCode};
use crate::role::Role;
use crate::subject::{Kind, PatientLink, Pending, Reach, Standing, Subject, Support};

/// A patient that a resource is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatientRef<'a> {
    /// The logical id.
    pub id: &'a LogicalId,
    /// The Organization that `Patient.managingOrganization` names, if it is one of this tenant. May be
    /// left out when [`Subject::needs_organizations`] says so; a patient that does not exist has none.
    pub organization: Option<&'a LogicalId>,
}

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About<'a> {
    /// A type, or an operation: nothing particular. Allows no access to any one resource by itself.
    Type,
    /// One resource and the patients in whose compartments it lies.
    Record(&'a [PatientRef<'a>]),
}

/// A question.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What is to be done.
    pub interaction: Interaction,
    /// The resource type; `None` for operations, and for all types at once.
    pub resource_type: Option<&'a str>,
    /// About what.
    pub about: About<'a>,
    /// Why. Break-glass grants count for [`PurposeOfUse::EmergencyTreatment`] only.
    pub purpose: PurposeOfUse,
    /// When.
    pub now: Timestamp,
}

impl<'a> Request<'a> {
    /// An operation.
    #[must_use]
    pub const fn operation(interaction: Interaction, now: Timestamp) -> Self {
        Self {
            interaction,
            resource_type: None,
            about: About::Type,
            purpose: PurposeOfUse::SystemAdministration,
            now,
        }
    }
    /// An interaction with a type.
    #[must_use]
    pub const fn of_type(
        interaction: Interaction,
        resource_type: &'a str,
        purpose: PurposeOfUse,
        now: Timestamp,
    ) -> Self {
        Self {
            interaction,
            resource_type: Some(resource_type),
            about: About::Type,
            purpose,
            now,
        }
    }
    /// The same question about one resource.
    #[must_use]
    pub const fn about(mut self, patients: &'a [PatientRef<'a>]) -> Self {
        self.about = About::Record(patients);
        self
    }
}

/// How a denial is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// As if the resource did not exist: same status, body and headers. A `PUT` that would create
    /// answers so too, whatever the denial says, or its status would tell hidden from missing.
    NotFound,
    /// Openly, with the reason: it follows from the caller's own roles and gives nothing away.
    Forbidden,
}

/// The decision, always with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Allowed.
    Allow {
        /// Why.
        reason: Reason,
    },
    /// Denied; an entry is due.
    Deny {
        /// Why.
        reason: Reason,
        /// How to answer.
        answer: Answer,
    },
}

impl Decision {
    /// Whether it is allowed.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow { .. })
    }
    /// Why.
    #[must_use]
    pub const fn reason(&self) -> &Reason {
        match self {
            Self::Allow { reason } | Self::Deny { reason, .. } => reason,
        }
    }
}

/// Decides.
#[must_use]
pub fn decide(subject: &Subject, request: &Request<'_>) -> Decision {
    let ask = Ask { subject, request };
    match subject.pending {
        Some(Pending::SecondStep) => return ask.forbid(ReasonCode::SecondStepRequired, None, None),
        Some(Pending::PasswordChange) if request.interaction != Interaction::ManageOwnAccount => {
            return ask.forbid(ReasonCode::PasswordChangeRequired, None, None);
        }
        _ => {}
    }
    let class = match request.resource_type {
        None => None,
        Some(name) => match Class::of(name) {
            None => return ask.forbid(ReasonCode::UnknownType, None, None),
            class => class,
        },
    };
    match &subject.kind {
        Kind::System { task } => ask.system(*task, class),
        Kind::Operator { support } => ask.operator(*support, class),
        Kind::Person { .. } | Kind::Client { .. } => match class {
            _ if !request.interaction.is_with_resources() => ask.operation(),
            None => ask.every_class(),
            Some(class) => ask.resource(class),
        },
    }
}

impl Subject {
    /// Whether a decision about resources of a type looks at the patients' organisations; when not,
    /// they need not be loaded.
    #[must_use]
    pub fn needs_organizations(&self, interaction: Interaction, resource_type: &str) -> bool {
        let Some(class) = Class::of(resource_type) else {
            return false;
        };
        let mut bound = false;
        for standing in &self.standings {
            if class.is_about_patients() && cell(standing.role, class).contains(interaction) {
                match &standing.reach {
                    Reach::Tenant => return false,
                    Reach::Branches(branches) => bound |= !branches.is_empty(),
                    Reach::OwnRecord(_) => {}
                }
            }
        }
        bound
    }

    /// Whether scopes, where there are any, cover an interaction.
    pub(crate) fn scopes_cover(
        &self,
        interaction: Interaction,
        resource_type: Option<&str>,
    ) -> bool {
        self.scopes.as_deref().is_none_or(|scopes| {
            scopes
                .iter()
                .any(|scope| scope.covers(interaction, resource_type))
        })
    }

    /// The newest live grant, when the purpose and the table let grants count for a class.
    pub(crate) fn emergency(&self, class: Class, request: &Request<'_>) -> Option<&PatientLink> {
        if request.purpose != PurposeOfUse::EmergencyTreatment
            || !emergency_cell(class).contains(request.interaction)
            || !self.may_break_glass()
        {
            return None;
        }
        self.grants
            .iter()
            .filter(|grant| grant.is_active(request.now))
            .max_by_key(|grant| grant.from)
    }
}

/// How a patient is reached, from best to last.
type Reached = (ReasonCode, Option<Uuid>);

struct Ask<'a> {
    subject: &'a Subject,
    request: &'a Request<'a>,
}

impl Ask<'_> {
    fn reason(
        &self,
        code: ReasonCode,
        role: Option<Role>,
        class: Option<Class>,
        prior: Option<Uuid>,
    ) -> Reason {
        Reason {
            code,
            interaction: self.request.interaction,
            role,
            class,
            prior,
        }
    }
    fn allow(&self, (code, prior): Reached, role: Option<Role>, class: Option<Class>) -> Decision {
        Decision::Allow {
            reason: self.reason(code, role, class, prior),
        }
    }
    fn forbid(&self, code: ReasonCode, role: Option<Role>, class: Option<Class>) -> Decision {
        Decision::Deny {
            reason: self.reason(code, role, class, None),
            answer: Answer::Forbidden,
        }
    }

    fn system(&self, task: SystemTask, class: Option<Class>) -> Decision {
        let interaction = self.request.interaction;
        let may = if interaction.is_with_resources() {
            task.touches_content()
        } else {
            task.may_operate(interaction)
        };
        if may {
            self.allow((ReasonCode::System, None), None, class)
        } else {
            self.forbid(ReasonCode::NotThisTask, None, class)
        }
    }

    fn operator(&self, support: Option<Support>, class: Option<Class>) -> Decision {
        let interaction = self.request.interaction;
        let role = Some(Role::Operator);
        let permitted = match class {
            _ if !interaction.is_with_resources() => may_operate(Role::Operator, interaction),
            Some(class) => cell(Role::Operator, class).contains(interaction),
            None => false,
        };
        if !permitted {
            return self.forbid(ReasonCode::NoRole, role, class);
        }
        let Some(support) = support else {
            // In the instance itself: there is no record, only the running of it.
            let local = !interaction.is_with_resources()
                && !matches!(
                    interaction,
                    Interaction::Erase | Interaction::Export | Interaction::Import
                );
            return if local {
                self.allow((ReasonCode::Role, None), role, class)
            } else {
                self.forbid(ReasonCode::NeedsSupport, role, class)
            };
        };
        if matches!(
            interaction,
            Interaction::ManageTenants | Interaction::GrantSupport
        ) {
            return self.forbid(ReasonCode::NeedsInstance, role, class);
        }
        if support.is_active(self.request.now)
            && (support.content || !needs_content(interaction, class))
        {
            self.allow((ReasonCode::Support, Some(support.id)), role, class)
        } else {
            self.forbid(ReasonCode::NeedsSupport, role, class)
        }
    }

    fn operation(&self) -> Decision {
        let interaction = self.request.interaction;
        let personal = matches!(
            interaction,
            Interaction::ManageOwnAccount | Interaction::BreakGlass
        );
        let covered = match &self.subject.kind {
            Kind::Client { operations } => !personal && operations.contains(&interaction),
            // A narrowed token of a person is for resources only.
            _ => self.subject.scopes.is_none(),
        };
        let mut bound = None;
        for Standing { role, reach } in &self.subject.standings {
            if !may_operate(*role, interaction) {
                continue;
            }
            if !covered {
                return self.forbid(ReasonCode::NoScope, Some(*role), None);
            }
            if personal {
                return self.allow((ReasonCode::Role, None), Some(*role), None);
            }
            if *reach == Reach::Tenant {
                return self.allow((ReasonCode::RoleInTenant, None), Some(*role), None);
            }
            if is_of_the_house(interaction) {
                return self.allow((ReasonCode::Narrowed, None), Some(*role), None);
            }
            let at_branches = matches!(reach, Reach::Branches(branches) if !branches.is_empty());
            if at_branches && is_narrowable(interaction) {
                return self.allow((ReasonCode::Narrowed, None), Some(*role), None);
            }
            bound = Some(*role);
        }
        match bound {
            Some(role) => self.forbid(ReasonCode::NeedsTenant, Some(role), None),
            None => self.forbid(ReasonCode::NoRole, None, None),
        }
    }

    /// All types at once: only with the whole tenant in every class. The audit class is left out, as
    /// no AuditEvent is stored as a resource.
    fn every_class(&self) -> Decision {
        let interaction = self.request.interaction;
        if !self.subject.scopes_cover(interaction, None) {
            return self.forbid(ReasonCode::NoScope, None, None);
        }
        let every = Class::ALL
            .into_iter()
            .filter(|class| *class != Class::Audit)
            .all(|class| {
                self.subject.standings.iter().any(|standing| {
                    standing.reach == Reach::Tenant
                        && cell(standing.role, class).contains(interaction)
                })
            });
        let role = self.subject.standings.first().map(|s| s.role);
        if every && self.request.about == About::Type {
            self.allow((ReasonCode::RoleInTenant, None), role, None)
        } else {
            self.forbid(ReasonCode::NeedsEveryClass, role, None)
        }
    }

    fn resource(&self, class: Class) -> Decision {
        let (subject, request) = (self.subject, self.request);
        let mut permitted = None;
        let mut narrowed = None;
        let covered = subject.scopes_cover(request.interaction, request.resource_type);
        for standing in &subject.standings {
            if !cell(standing.role, class).contains(request.interaction) {
                continue;
            }
            if !covered {
                return self.forbid(ReasonCode::NoScope, Some(standing.role), Some(class));
            }
            permitted = permitted.or(Some(standing.role));
            match self.reach(standing, class) {
                Some((ReasonCode::Narrowed, _)) => narrowed = narrowed.or(Some(standing.role)),
                Some(reached) => return self.allow(reached, Some(standing.role), Some(class)),
                None => {}
            }
        }
        if covered && let Some(grant) = self.by_emergency(class) {
            let role = permitted.or_else(|| subject.standings.first().map(|s| s.role));
            return self.allow((ReasonCode::BreakGlass, Some(grant)), role, Some(class));
        }
        if let Some(role) = narrowed {
            return self.allow((ReasonCode::Narrowed, None), Some(role), Some(class));
        }
        let Some(role) = permitted else {
            return self.forbid(ReasonCode::NoRole, None, Some(class));
        };
        let code = match request.about {
            About::Record([]) => ReasonCode::NoPatient,
            _ => ReasonCode::OutOfReach,
        };
        Decision::Deny {
            reason: self.reason(code, Some(role), Some(class), None),
            answer: if request.interaction == Interaction::Create {
                Answer::Forbidden
            } else {
                Answer::NotFound
            },
        }
    }

    fn reach(&self, standing: &Standing, class: Class) -> Option<Reached> {
        if !class.is_about_patients() {
            return Some((ReasonCode::Role, None));
        }
        if standing.reach == Reach::Tenant {
            return Some((ReasonCode::RoleInTenant, None));
        }
        match self.request.about {
            About::Type => Some((ReasonCode::Narrowed, None)),
            About::Record(patients) if self.request.interaction.is_look() => patients
                .iter()
                .find_map(|patient| self.reached(standing, patient)),
            About::Record(patients) => {
                let mut weakest = None;
                for patient in patients {
                    let reached = self.reached(standing, patient)?;
                    weakest = weakest.max(Some(reached));
                }
                weakest
            }
        }
    }

    fn reached(&self, standing: &Standing, patient: &PatientRef<'_>) -> Option<Reached> {
        match &standing.reach {
            Reach::Tenant => Some((ReasonCode::RoleInTenant, None)),
            Reach::OwnRecord(own) => own
                .contains(patient.id)
                .then_some((ReasonCode::OwnRecord, None)),
            Reach::Branches(branches) => {
                let at_branch = patient.organization.is_some_and(|organization| {
                    branches.iter().any(|b| b.organization == *organization)
                });
                if at_branch {
                    return Some((ReasonCode::RoleAtBranch, None));
                }
                self.subject
                    .relationships
                    .iter()
                    .find(|link| link.patient == *patient.id && link.is_active(self.request.now))
                    .map(|link| (ReasonCode::Relationship, Some(link.id)))
            }
        }
    }

    /// The grant that opens what is asked about, when one does.
    fn by_emergency(&self, class: Class) -> Option<Uuid> {
        let (subject, request) = (self.subject, self.request);
        let newest = subject.emergency(class, request)?;
        match request.about {
            // A list with the grants' patients in it is a use of them.
            About::Type => Some(newest.id),
            About::Record(patients) => {
                let granted = |p: &PatientRef<'_>| subject.emergency_grant(p.id, request.now);
                let used = patients.iter().find_map(granted)?;
                let otherwise = |p: &PatientRef<'_>| {
                    subject.standings.iter().any(|standing| {
                        cell(standing.role, class).contains(request.interaction)
                            && self.reached(standing, p).is_some()
                    })
                };
                let whole = request.interaction.is_look()
                    || patients
                        .iter()
                        .all(|p| granted(p).is_some() || otherwise(p));
                whole.then_some(used.id)
            }
        }
    }
}

/// Whether an operation can be done with some patients of a tenant; each resource is decided by itself then.
const fn is_narrowable(interaction: Interaction) -> bool {
    matches!(interaction, Interaction::Export | Interaction::Merge)
}

/// Whether an operation is with things of the house, such as medicines on a shelf: whoever has the role does
/// it, and what of it is about a patient is decided by itself.
const fn is_of_the_house(interaction: Interaction) -> bool {
    matches!(
        interaction,
        Interaction::OrderMedicines | Interaction::ApproveOrders
    )
}

/// Whether an operator touches clinical content by it, directly or by making accounts that do.
fn needs_content(interaction: Interaction, class: Option<Class>) -> bool {
    match class {
        Some(class) => class.is_about_patients(),
        None => matches!(
            interaction,
            Interaction::Erase
                | Interaction::Export
                | Interaction::Import
                | Interaction::ExportAudit
                | Interaction::ManageUsers
                | Interaction::ManageClients
        ),
    }
}
