//! The subject: a signed-in person, client, operator or system task in one tenant, with everything that
//! decisions look at. Made here from documents that were loaded under a scope of that tenant; must not
//! decide (see [`mod@crate::decide`]) and must not be kept beyond the documents' lives.

use kernel::{
    Actor, ActorId, ActorKind, BranchId, Categorised, Category, LogicalId, PurposeOfUse, TenantId,
    TenantScope, Timestamp, UserId,
};
use uuid::Uuid;

use crate::admit::SystemTask;
use crate::documents::{
    ApiClient, AuthenticationLevel, Branch, BranchState, BreakGlassGrant, Relationship,
    RoleAssignment, Scope, SupportGrant, User, UserState,
};
use crate::interaction::Interaction;
use crate::role::{DefaultReach, Role};

/// A branch and the Organization resource that stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BranchLink {
    /// The branch.
    pub branch: BranchId,
    /// The logical id of its Organization: what a search is narrowed by.
    pub organization: LogicalId,
}

/// Whom a role reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Every patient of the tenant.
    Tenant,
    /// The patients of these branches.
    Branches(Vec<BranchLink>),
    /// These patients' own records.
    OwnRecord(Vec<LogicalId>),
}

/// A role and whom it reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The role.
    pub role: Role,
    /// Whom it reaches.
    pub reach: Reach,
}

/// A patient reached beside the branches, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientLink {
    /// The relationship or grant.
    pub id: Uuid,
    /// The patient.
    pub patient: LogicalId,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Option<Timestamp>,
}

impl PatientLink {
    /// Whether it counts at a time.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

/// What must happen before the subject may do anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pending {
    /// The second step of signing in.
    SecondStep,
    /// A change of the password.
    PasswordChange,
}

/// What an operator was let into a tenant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    /// The support grant.
    pub id: Uuid,
    /// Whether clinical content may be touched.
    pub content: bool,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl Support {
    /// Whether it counts at a time.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

/// What kind of subject it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Person { user: UserId },
    Client { operations: Vec<Interaction> },
    Operator { support: Option<Support> },
    System { task: SystemTask },
}

/// A subject in one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub(crate) tenant: TenantId,
    pub(crate) actor: Actor,
    pub(crate) kind: Kind,
    pub(crate) standings: Vec<Standing>,
    pub(crate) relationships: Vec<PatientLink>,
    pub(crate) grants: Vec<PatientLink>,
    pub(crate) scopes: Option<Vec<Scope>>,
    pub(crate) pending: Option<Pending>,
    practitioner: Option<LogicalId>,
    level: Option<AuthenticationLevel>,
}

/// Why no subject was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// The document belongs to another tenant. Answers like a wrong credential.
    #[error("this sign-in is not known here: check the address and sign in again")]
    OtherTenant,
    /// Suspended or left.
    #[error("this account is not active: ask an administrator to activate it")]
    NotActive,
    /// An operator role outside the instance, or another role in it.
    #[error(
        "role {0} cannot be held here: operators belong to the instance, all other roles to a tenant"
    )]
    WrongPlace(Role),
    /// A support grant for another operator or tenant, or one that is over.
    #[error("there is no support grant for this operator and tenant now: make one with a reason")]
    NoSupport,
}

impl Categorised for SubjectError {
    fn category(&self) -> Category {
        match self {
            Self::OtherTenant | Self::NotActive => Category::Unauthenticated,
            Self::WrongPlace(_) => Category::Unprocessable,
            Self::NoSupport => Category::NotFound,
        }
    }
}

/// What a subject is made from besides its own document.
#[derive(Debug, Clone, Copy, Default)]
pub struct Surroundings<'a> {
    /// The tenant's branches.
    pub branches: &'a [Branch],
    /// Relationships of the user, and of the branches of the user.
    pub relationships: &'a [Relationship],
    /// The user's break-glass grants.
    pub grants: &'a [BreakGlassGrant],
    /// The branch acted at.
    pub at: Option<BranchId>,
}

impl Subject {
    /// A person. `scope` is the scope under which the documents were loaded; grants of others and
    /// relationships of branches that the user does not belong to are left out.
    pub fn user(
        scope: &TenantScope,
        user: &User,
        level: AuthenticationLevel,
        around: &Surroundings<'_>,
    ) -> Result<Self, SubjectError> {
        let tenant = scope.tenant();
        if user.tenant != tenant {
            return Err(SubjectError::OtherTenant);
        }
        if user.state != UserState::Active {
            return Err(SubjectError::NotActive);
        }
        let standings = standings(tenant, &user.roles, around.branches, &user.patients)?;
        let operator = user.has_role(Role::Operator);
        let pending = match level {
            AuthenticationLevel::PasswordOnly => Some(Pending::SecondStep),
            _ if user.must_change => Some(Pending::PasswordChange),
            _ => None,
        };
        Ok(Self {
            tenant,
            actor: Actor {
                id: user.id.into(),
                kind: if operator {
                    ActorKind::Operator
                } else {
                    ActorKind::User
                },
                name: user.display_name.clone(),
                role: main_role(&user.roles),
                branch: around.at,
            },
            kind: if operator {
                Kind::Operator { support: None }
            } else {
                Kind::Person { user: user.id }
            },
            relationships: links(user.id, &standings, around.relationships),
            grants: grants(tenant, user.id, around.grants),
            standings,
            scopes: None,
            pending,
            practitioner: user.practitioner.clone(),
            level: Some(level),
        })
    }

    /// An API client. Its scopes always apply.
    pub fn client(
        scope: &TenantScope,
        client: &ApiClient,
        branches: &[Branch],
    ) -> Result<Self, SubjectError> {
        let tenant = scope.tenant();
        if client.tenant != tenant {
            return Err(SubjectError::OtherTenant);
        }
        if client.state != UserState::Active {
            return Err(SubjectError::NotActive);
        }
        if let Some(assignment) = client.roles.iter().find(|a| a.role == Role::Operator) {
            return Err(SubjectError::WrongPlace(assignment.role));
        }
        Ok(Self {
            tenant,
            actor: Actor {
                id: client.id.into(),
                kind: ActorKind::Client,
                name: client.name.clone(),
                role: main_role(&client.roles),
                branch: None,
            },
            kind: Kind::Client {
                operations: client.operations.clone(),
            },
            standings: standings(tenant, &client.roles, branches, &[])?,
            relationships: Vec::new(),
            grants: Vec::new(),
            scopes: Some(client.scopes.clone()),
            pending: None,
            practitioner: None,
            level: None,
        })
    }

    /// An operator at the command line of the machine, in the instance's own tenant.
    #[must_use]
    pub fn operator_at_console(id: ActorId, name: &str) -> Self {
        Self {
            tenant: TenantId::INSTANCE,
            actor: Actor {
                id,
                kind: ActorKind::Operator,
                name: name.to_owned(),
                role: Role::Operator.as_str().to_owned(),
                branch: None,
            },
            kind: Kind::Operator { support: None },
            standings: vec![Standing {
                role: Role::Operator,
                reach: Reach::Tenant,
            }],
            relationships: Vec::new(),
            grants: Vec::new(),
            scopes: None,
            pending: None,
            practitioner: None,
            level: None,
        }
    }

    /// The operator in the tenant that a support grant opens.
    pub fn supporting(&self, grant: &SupportGrant, now: Timestamp) -> Result<Self, SubjectError> {
        let Kind::Operator { support: None } = self.kind else {
            return Err(SubjectError::NoSupport);
        };
        let fits = grant.operator == self.actor.id && self.tenant.is_instance();
        if !fits || grant.tenant.is_instance() || !grant.is_active(now) {
            return Err(SubjectError::NoSupport);
        }
        let mut inside = self.clone();
        inside.tenant = grant.tenant;
        inside.kind = Kind::Operator {
            support: Some(Support {
                id: grant.id,
                content: grant.content,
                from: grant.granted,
                until: grant.expires,
            }),
        };
        Ok(inside)
    }

    /// A task of the platform itself.
    #[must_use]
    pub fn system(tenant: TenantId, task: SystemTask) -> Self {
        Self {
            tenant,
            actor: Actor {
                id: task.actor(),
                kind: ActorKind::System,
                name: task.as_str().to_owned(),
                role: "system".to_owned(),
                branch: None,
            },
            kind: Kind::System { task },
            standings: Vec::new(),
            relationships: Vec::new(),
            grants: Vec::new(),
            scopes: None,
            pending: None,
            practitioner: None,
            level: None,
        }
    }

    /// The subject narrowed by the scopes of a token: both those it had and these must allow.
    #[must_use]
    pub fn limited_to(mut self, scopes: Option<&[Scope]>) -> Self {
        let Some(scopes) = scopes else { return self };
        self.scopes = Some(match self.scopes.take() {
            None => scopes.to_vec(),
            Some(own) => own
                .iter()
                .flat_map(|a| scopes.iter().filter_map(|b| a.both(b)))
                .collect(),
        });
        self
    }

    /// The tenant it is in.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }
    /// Who, as the ledger records it.
    #[must_use]
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }
    /// The user, when it is a person of a tenant.
    #[must_use]
    pub const fn user_id(&self) -> Option<UserId> {
        match self.kind {
            Kind::Person { user } => Some(user),
            _ => None,
        }
    }
    /// The Practitioner resource of the person.
    #[must_use]
    pub const fn practitioner(&self) -> Option<&LogicalId> {
        self.practitioner.as_ref()
    }
    /// How sure we are who it is; `None` for clients, console and system.
    #[must_use]
    pub const fn level(&self) -> Option<AuthenticationLevel> {
        self.level
    }
    /// The scopes that narrow it; `None` where none do.
    #[must_use]
    pub fn scopes(&self) -> Option<&[Scope]> {
        self.scopes.as_deref()
    }
    /// What must happen first.
    #[must_use]
    pub const fn pending(&self) -> Option<Pending> {
        self.pending
    }
    /// The roles with their reach.
    #[must_use]
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }
    /// Whether it holds a role.
    #[must_use]
    pub fn has_role(&self, role: Role) -> bool {
        self.standings.iter().any(|standing| standing.role == role)
    }
    /// The support grant an operator is in the tenant by.
    #[must_use]
    pub const fn support(&self) -> Option<Support> {
        match self.kind {
            Kind::Operator { support } => support,
            _ => None,
        }
    }

    /// Whether it may ask for emergency access at all. The same for every patient, existing or not, so
    /// that offering it gives nothing away.
    #[must_use]
    pub fn may_break_glass(&self) -> bool {
        matches!(self.kind, Kind::Person { .. })
            && self.standings.iter().any(|standing| {
                crate::permissions::may_operate(standing.role, Interaction::BreakGlass)
            })
    }

    /// Whether a role of it counts at a branch, or it acts there.
    #[must_use]
    pub fn belongs_to(&self, branch: BranchId) -> bool {
        self.actor.branch == Some(branch)
            || self.standings.iter().any(|standing| match &standing.reach {
                Reach::Branches(links) => links.iter().any(|link| link.branch == branch),
                Reach::Tenant | Reach::OwnRecord(_) => false,
            })
    }

    /// Whether it may administer a user (roles, state, password, second step, lock, relationships),
    /// beside [`Interaction::ManageUsers`]: nobody gives themselves anything.
    #[must_use]
    pub fn may_administer(&self, user: UserId) -> bool {
        self.actor.id != ActorId::from(user)
    }

    /// The live break-glass grant to a patient.
    #[must_use]
    pub fn emergency_grant(&self, patient: &LogicalId, now: Timestamp) -> Option<&PatientLink> {
        self.grants
            .iter()
            .find(|grant| grant.patient == *patient && grant.is_active(now))
    }

    /// The purpose that a page about a patient should act with: emergency treatment while a grant to
    /// the patient is live, otherwise `usual`. A role that reaches the patient anyway is found first by
    /// the decision, so that such a use is not marked.
    #[must_use]
    pub fn purpose_for(
        &self,
        patient: &LogicalId,
        usual: PurposeOfUse,
        now: Timestamp,
    ) -> PurposeOfUse {
        if self.emergency_grant(patient, now).is_some() {
            PurposeOfUse::EmergencyTreatment
        } else {
            usual
        }
    }
}

fn main_role(roles: &[RoleAssignment]) -> String {
    roles
        .first()
        .map_or("none", |assignment| assignment.role.as_str())
        .to_owned()
}

fn standings(
    tenant: TenantId,
    roles: &[RoleAssignment],
    branches: &[Branch],
    own: &[LogicalId],
) -> Result<Vec<Standing>, SubjectError> {
    roles
        .iter()
        .map(|assignment| {
            let role = assignment.role;
            if (role == Role::Operator) != tenant.is_instance() {
                return Err(SubjectError::WrongPlace(role));
            }
            let reach = match (role.default_reach(), &assignment.branches) {
                // A patient's reach is never widened by naming branches.
                (DefaultReach::OwnRecord, _) => Reach::OwnRecord(own.to_vec()),
                (DefaultReach::Tenant, None) => Reach::Tenant,
                (DefaultReach::NamedBranches, None) => Reach::Branches(Vec::new()),
                (_, Some(ids)) => Reach::Branches(open_branches(ids, branches)),
            };
            Ok(Standing { role, reach })
        })
        .collect()
}

fn open_branches(ids: &[BranchId], branches: &[Branch]) -> Vec<BranchLink> {
    branches
        .iter()
        .filter(|branch| branch.state == BranchState::Active && ids.contains(&branch.id))
        .map(|branch| BranchLink {
            branch: branch.id,
            organization: branch.organization.clone(),
        })
        .collect()
}

fn links(user: UserId, standings: &[Standing], all: &[Relationship]) -> Vec<PatientLink> {
    use crate::documents::Party;
    let at = |wanted: BranchId| {
        standings.iter().any(|standing| match &standing.reach {
            Reach::Branches(branches) => branches.iter().any(|link| link.branch == wanted),
            _ => false,
        })
    };
    all.iter()
        .filter(|relationship| match relationship.party {
            Party::User(id) => id == user,
            Party::Branch(id) => at(id),
        })
        .map(|relationship| PatientLink {
            id: relationship.id,
            patient: relationship.patient.clone(),
            from: relationship.from,
            until: relationship.until,
        })
        .collect()
}

fn grants(tenant: TenantId, user: UserId, all: &[BreakGlassGrant]) -> Vec<PatientLink> {
    all.iter()
        // `is_active` at its first moment: drops those that a review or their user stopped.
        .filter(|grant| {
            grant.tenant == tenant && grant.user == user && grant.is_active(grant.granted)
        })
        .map(|grant| PatientLink {
            id: grant.id,
            patient: grant.patient.clone(),
            from: grant.granted,
            until: Some(grant.expires),
        })
        .collect()
}
