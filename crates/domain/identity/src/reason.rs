//! Why a decision fell as it did: a code for machines, a sentence for people, a policy id for the
//! ledger. Must not name the patient or the resource: reasons are shown and logged.

use core::fmt;

use kernel::PurposeOfUse;
use uuid::Uuid;

use crate::class::Class;
use crate::interaction::Interaction;
use crate::permissions::EDITION;
use crate::role::Role;

/// What carried the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReasonCode {
    /// The role may, and needs no reach here.
    Role,
    /// The role may, for every patient of the tenant.
    RoleInTenant,
    /// The role may, and the patient belongs to one of its branches.
    RoleAtBranch,
    /// The role may, and a relationship leads to the patient.
    Relationship,
    /// It is the subject's own record.
    OwnRecord,
    /// The role may search or list, narrowed to those it reaches.
    Narrowed,
    /// A break-glass grant.
    BreakGlass,
    /// A support grant.
    Support,
    /// A task of the platform.
    System,
    /// No role of the subject may.
    NoRole,
    /// The roles may, but no scope of the client or token.
    NoScope,
    /// The role may, but reaches none (or not all) of the patients.
    OutOfReach,
    /// About patients, but in no patient's compartment; only roles with the whole tenant reach it.
    NoPatient,
    /// All types at once need the whole tenant in every class.
    NeedsEveryClass,
    /// The operation needs the whole tenant.
    NeedsTenant,
    /// The type is not known.
    UnknownType,
    /// The password must be changed first.
    PasswordChangeRequired,
    /// The second step of signing in is to come.
    SecondStepRequired,
    /// The support grant is missing, over, or not for content.
    NeedsSupport,
    /// The task of the platform may not.
    NotThisTask,
    /// Only in the instance itself.
    NeedsInstance,
}

impl ReasonCode {
    /// The code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::RoleInTenant => "role-in-tenant",
            Self::RoleAtBranch => "role-at-branch",
            Self::Relationship => "relationship",
            Self::OwnRecord => "own-record",
            Self::Narrowed => "narrowed",
            Self::BreakGlass => "break-glass",
            Self::Support => "support",
            Self::System => "system",
            Self::NoRole => "no-role",
            Self::NoScope => "no-scope",
            Self::OutOfReach => "out-of-reach",
            Self::NoPatient => "no-patient",
            Self::NeedsEveryClass => "needs-every-class",
            Self::NeedsTenant => "needs-tenant",
            Self::UnknownType => "unknown-type",
            Self::PasswordChangeRequired => "password-change-required",
            Self::SecondStepRequired => "second-step-required",
            Self::NeedsSupport => "needs-support",
            Self::NotThisTask => "not-this-task",
            Self::NeedsInstance => "needs-instance",
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a decision fell as it did. Small and without allocation; texts are made when asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reason {
    pub(crate) code: ReasonCode,
    pub(crate) interaction: Interaction,
    pub(crate) role: Option<Role>,
    pub(crate) class: Option<Class>,
    pub(crate) prior: Option<Uuid>,
}

impl Reason {
    /// The code, for the ledger's `reason` and for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code.as_str()
    }
    /// The code as a value.
    #[must_use]
    pub const fn kind(&self) -> ReasonCode {
        self.code
    }
    /// The role that carried it.
    #[must_use]
    pub const fn role(&self) -> Option<Role> {
        self.role
    }
    /// The relationship, break-glass or support grant it rests on: the entry's `prior`.
    #[must_use]
    pub const fn prior(&self) -> Option<Uuid> {
        self.prior
    }
    /// Whether this use must be marked for review.
    #[must_use]
    pub const fn must_be_reviewed(&self) -> bool {
        matches!(self.code, ReasonCode::BreakGlass)
    }
    /// The purpose to record instead of the request's, where the decision settles it.
    #[must_use]
    pub const fn purpose(&self) -> Option<PurposeOfUse> {
        match self.code {
            ReasonCode::BreakGlass => Some(PurposeOfUse::EmergencyTreatment),
            ReasonCode::OwnRecord => Some(PurposeOfUse::PatientRequest),
            ReasonCode::Support => Some(PurposeOfUse::SystemAdministration),
            _ => None,
        }
    }
    /// The id of the rule, such as `permissions-1/nurse/measurements/read/role-at-branch`.
    #[must_use]
    pub fn policy_id(&self) -> String {
        format!(
            "permissions-{EDITION}/{}/{}/{}/{}",
            self.role.map_or("-", Role::as_str),
            self.class.map_or("-", Class::as_str),
            self.interaction,
            self.code
        )
    }
    /// The sentence for people.
    #[must_use]
    pub fn sentence(&self) -> String {
        self.to_string()
    }
}

/// `read prescriptions`, `erase a patient`.
struct What(Interaction, Option<Class>);

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.phrase())?;
        match self.1 {
            Some(class) => write!(f, " {}", class.phrase()),
            None if self.0.is_with_resources() => f.write_str(" resources of every kind"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = What(self.interaction, self.class);
        let who = self.role.map_or("this caller", Role::with_article);
        match self.code {
            ReasonCode::RoleInTenant if self.is_about_patients() => {
                write!(f, "{who} may {what} of every patient")
            }
            ReasonCode::Role | ReasonCode::RoleInTenant => write!(f, "{who} may {what}"),
            ReasonCode::RoleAtBranch => {
                write!(f, "{who} may {what} of patients of their branches")
            }
            ReasonCode::Relationship => {
                write!(f, "{who} may {what} of patients they are related to")
            }
            ReasonCode::OwnRecord => write!(f, "{who} may {what} of their own record"),
            ReasonCode::Narrowed => {
                write!(f, "{who} may {what}, narrowed to the patients they reach")
            }
            ReasonCode::Support => write!(f, "an operator may {what} under a support grant"),
            ReasonCode::System => write!(f, "a task of the platform may {what}"),
            ReasonCode::BreakGlass => {
                f.write_str("emergency access: every use is recorded and reviewed")
            }
            _ => self.denial(f, &what, who),
        }
    }
}

impl Reason {
    fn is_about_patients(&self) -> bool {
        self.class.is_some_and(Class::is_about_patients)
    }

    fn denial(&self, f: &mut fmt::Formatter<'_>, what: &What, who: &str) -> fmt::Result {
        match self.code {
            ReasonCode::NoRole => write!(
                f,
                "your roles do not allow you to {what}: ask an administrator if you need it"
            ),
            ReasonCode::NoScope => write!(
                f,
                "no scope of this client or token allows it to {what}: ask an administrator to add it"
            ),
            ReasonCode::OutOfReach => write!(
                f,
                "{who} may {what} of patients they reach by branch, care team or own record, and this is not one"
            ),
            ReasonCode::NoPatient => write!(
                f,
                "this belongs to no patient, and {who} without the whole tenant may {what} of their patients only"
            ),
            ReasonCode::NeedsEveryClass => f.write_str(
                "all types at once need permission for every type: ask for one type at a time",
            ),
            ReasonCode::NeedsTenant => write!(
                f,
                "to {what} a role for the whole tenant is needed: yours is bound to branches"
            ),
            ReasonCode::UnknownType => {
                f.write_str("this is not a FHIR R4 resource type: check its spelling")
            }
            ReasonCode::PasswordChangeRequired => {
                f.write_str("the password must be changed first: choose a new one")
            }
            ReasonCode::SecondStepRequired => {
                f.write_str("the code of the second step is still to come: enter it")
            }
            ReasonCode::NeedsSupport => write!(
                f,
                "to {what} an operator needs a live support grant that covers it: make one with a reason"
            ),
            ReasonCode::NeedsInstance => write!(
                f,
                "an operator may {what} in the instance itself only: do it there"
            ),
            _ => write!(f, "this task of the platform may not {what}"),
        }
    }
}
