//! Reasons to reach a patient outside one's branches: relationships, emergency grants, support grants.

use kernel::{BranchId, Categorised, Category, LogicalId, TenantId, Timestamp, UserId};
use uuid::Uuid;

use super::Schema;

/// Who is related to a patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// One person.
    User(UserId),
    /// Everybody at a branch: the patient is shared with it.
    Branch(BranchId),
}

/// What the relationship is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelationshipKind {
    /// Member of the care team.
    CareTeam,
    /// Referred for an opinion or a stay.
    Referral,
    /// Covering for somebody else.
    Cover,
}

/// An explicit link between staff and a patient, beside the one that `Patient.managingOrganization`
/// makes. Both add reach; neither takes any away. Explicit links are exceptions: a branch with thousands
/// of shared patients should manage them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Relationship {
    /// Schema of this document.
    pub schema: Schema<1>,
    /// Its id.
    pub id: Uuid,
    /// Who.
    pub party: Party,
    /// To whom: the logical id of the Patient.
    pub patient: LogicalId,
    /// What it is.
    pub kind: RelationshipKind,
    /// From when it counts.
    pub from: Timestamp,
    /// Until when; `None` while it lasts.
    pub until: Option<Timestamp>,
    /// Who made it.
    pub made_by: UserId,
}

impl Relationship {
    /// Whether it counts at a time.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

/// Why somebody broke the glass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakGlassReason {
    /// Danger to life.
    LifeThreatening,
    /// Urgent care without danger to life.
    UrgentCare,
    /// The patient came from another branch without notice.
    UnplannedTransfer,
    /// Protection of the patient or of others.
    Safeguarding,
    /// Anything else; the text says what.
    Other,
}

impl BreakGlassReason {
    /// Every reason, in the order shown.
    pub const ALL: [Self; 5] = [
        Self::LifeThreatening,
        Self::UrgentCare,
        Self::UnplannedTransfer,
        Self::Safeguarding,
        Self::Other,
    ];
    /// The code in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LifeThreatening => "life-threatening",
            Self::UrgentCare => "urgent-care",
            Self::UnplannedTransfer => "unplanned-transfer",
            Self::Safeguarding => "safeguarding",
            Self::Other => "other",
        }
    }
}

/// How long emergency access lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakGlassPolicy {
    /// Minutes when none are asked for.
    pub default_minutes: u32,
    /// Minutes at most.
    pub longest_minutes: u32,
}

impl Default for BreakGlassPolicy {
    /// 60 minutes, at most 240.
    fn default() -> Self {
        Self {
            default_minutes: 60,
            longest_minutes: 240,
        }
    }
}

/// What a reviewer found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReviewOutcome {
    /// The access was right.
    Justified,
    /// It was not, and was dealt with.
    NotJustified,
    /// It is being looked into.
    Escalated,
}

/// A review of an emergency grant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Review {
    /// Who reviewed.
    pub by: UserId,
    /// When.
    pub when: Timestamp,
    /// What was found.
    pub outcome: ReviewOutcome,
    /// In words.
    pub note: String,
}

/// Emergency access of one user to one patient for a while. Every use is logged with its id, and it
/// waits in the review queue until somebody else reviewed it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BreakGlassGrant {
    /// Schema of this document.
    pub schema: Schema<1>,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Its id: the `prior` of every entry that rests on it.
    pub id: Uuid,
    /// Whose it is.
    pub user: UserId,
    /// To which patient.
    pub patient: LogicalId,
    /// Why, coded.
    pub reason: BreakGlassReason,
    /// Why, in words.
    pub text: String,
    /// From when.
    pub granted: Timestamp,
    /// Until when.
    pub expires: Timestamp,
    /// The review, once there is one.
    pub reviewed: Option<Review>,
}

/// Why a grant was not made or not reviewed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The text is too short or too long.
    #[error(
        "the reason needs 10 to 1000 characters in your own words: say what makes it necessary"
    )]
    Text,
    /// The time is zero or too long.
    #[error("emergency access lasts 1 to {longest} minutes: ask for less and renew it if needed")]
    Minutes {
        /// Minutes at most.
        longest: u32,
    },
    /// Reviewer and user are the same person.
    #[error("nobody reviews their own emergency access: ask another reviewer")]
    OwnGrant,
    /// There is a review.
    #[error("this emergency access was reviewed already: reload the list")]
    AlreadyReviewed,
}

impl Categorised for GrantError {
    fn category(&self) -> Category {
        match self {
            Self::Text | Self::Minutes { .. } => Category::Unprocessable,
            Self::OwnGrant => Category::Forbidden,
            Self::AlreadyReviewed => Category::Conflict,
        }
    }
}

impl BreakGlassGrant {
    /// Makes a grant from now on for some minutes (`None`: the policy's default).
    #[expect(
        clippy::too_many_arguments,
        reason = "a constructor of a flat document"
    )]
    pub fn request(
        tenant: TenantId,
        id: Uuid,
        user: UserId,
        patient: LogicalId,
        reason: BreakGlassReason,
        text: &str,
        minutes: Option<u32>,
        policy: &BreakGlassPolicy,
        now: Timestamp,
    ) -> Result<Self, GrantError> {
        let text = text.trim();
        if !(10..=1000).contains(&text.chars().count()) {
            return Err(GrantError::Text);
        }
        let minutes = minutes.unwrap_or(policy.default_minutes);
        if minutes == 0 || minutes > policy.longest_minutes {
            return Err(GrantError::Minutes {
                longest: policy.longest_minutes,
            });
        }
        Ok(Self {
            schema: Schema,
            tenant,
            id,
            user,
            patient,
            reason,
            text: text.to_owned(),
            granted: now,
            expires: now.plus_seconds(i64::from(minutes) * 60),
            reviewed: None,
        })
    }

    /// Whether it gives access at a time. A review that found it not justified ends it.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        let stopped = self
            .reviewed
            .as_ref()
            .is_some_and(|review| review.outcome == ReviewOutcome::NotJustified);
        self.granted <= now && now < self.expires && !stopped
    }

    /// The grant ended now by its user.
    #[must_use]
    pub fn ended(&self, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.expires = next.expires.min(now);
        next
    }

    /// The grant with a review. An escalated one may be reviewed again.
    pub fn reviewed(
        &self,
        by: UserId,
        outcome: ReviewOutcome,
        note: &str,
        now: Timestamp,
    ) -> Result<Self, GrantError> {
        if by == self.user {
            return Err(GrantError::OwnGrant);
        }
        if self
            .reviewed
            .as_ref()
            .is_some_and(|review| review.outcome != ReviewOutcome::Escalated)
        {
            return Err(GrantError::AlreadyReviewed);
        }
        let mut next = self.clone();
        next.reviewed = Some(Review {
            by,
            when: now,
            outcome,
            note: note.trim().chars().take(1000).collect(),
        });
        Ok(next)
    }

    /// Whether it waits in the review queue.
    #[must_use]
    pub fn awaits_review(&self) -> bool {
        self.reviewed
            .as_ref()
            .is_none_or(|review| review.outcome == ReviewOutcome::Escalated)
    }
}

/// Lets one operator of the instance into one tenant for a while.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SupportGrant {
    /// Schema of this document.
    pub schema: Schema<1>,
    /// Its id: the `prior` of every entry that rests on it.
    pub id: Uuid,
    /// The tenant it opens.
    pub tenant: TenantId,
    /// The operator it opens it for.
    pub operator: kernel::ActorId,
    /// Why, in words.
    pub text: String,
    /// Whether clinical content may be touched: read, imported, exported, erased.
    pub content: bool,
    /// From when.
    pub granted: Timestamp,
    /// Until when; at most 24 hours later.
    pub expires: Timestamp,
}

impl SupportGrant {
    /// The longest life, in minutes.
    pub const LONGEST_MINUTES: u32 = 24 * 60;

    /// Makes a grant from now on.
    pub fn make(
        tenant: TenantId,
        id: Uuid,
        operator: kernel::ActorId,
        text: &str,
        content: bool,
        minutes: u32,
        now: Timestamp,
    ) -> Result<Self, GrantError> {
        let text = text.trim();
        if !(10..=1000).contains(&text.chars().count()) {
            return Err(GrantError::Text);
        }
        if minutes == 0 || minutes > Self::LONGEST_MINUTES {
            return Err(GrantError::Minutes {
                longest: Self::LONGEST_MINUTES,
            });
        }
        Ok(Self {
            schema: Schema,
            id,
            tenant,
            operator,
            text: text.to_owned(),
            content,
            granted: now,
            expires: now.plus_seconds(i64::from(minutes) * 60),
        })
    }

    /// Whether it opens the tenant at a time.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.granted <= now && now < self.expires
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_772_698_150_000);

    fn user(n: u128) -> UserId {
        UserId::from_uuid(Uuid::from_u128(n))
    }

    fn ask(text: &str, minutes: Option<u32>) -> Result<BreakGlassGrant, GrantError> {
        BreakGlassGrant::request(
            TenantId::from_uuid(Uuid::from_u128(1)),
            Uuid::from_u128(9),
            user(3),
            "p1".parse().unwrap(),
            BreakGlassReason::UrgentCare,
            text,
            minutes,
            &BreakGlassPolicy::default(),
            NOW,
        )
    }

    #[test]
    fn a_grant_needs_words_and_a_time_limit() {
        assert_eq!(ask("short", None), Err(GrantError::Text));
        assert_eq!(ask("            ", None), Err(GrantError::Text));
        let long = Err(GrantError::Minutes { longest: 240 });
        assert_eq!(ask("collapsed in the corridor", Some(0)), long);
        assert_eq!(ask("collapsed in the corridor", Some(241)), long);
        let grant = ask(" collapsed in the corridor ", None).unwrap();
        assert_eq!(grant.text, "collapsed in the corridor");
        assert!(grant.is_active(NOW) && grant.is_active(NOW.plus_seconds(3599)));
        assert!(!grant.is_active(NOW.plus_seconds(3600)));
        assert!(!grant.is_active(NOW.plus_seconds(-1)));
        assert!(
            !grant
                .ended(NOW.plus_seconds(60))
                .is_active(NOW.plus_seconds(60))
        );
    }

    #[test]
    fn nobody_reviews_their_own_and_nobody_twice() {
        let grant = ask("collapsed in the corridor", None).unwrap();
        assert!(grant.awaits_review());
        let own = grant.reviewed(user(3), ReviewOutcome::Justified, "", NOW);
        assert_eq!(own, Err(GrantError::OwnGrant));
        let raised = grant
            .reviewed(user(4), ReviewOutcome::Escalated, "asked the ward", NOW)
            .unwrap();
        assert!(raised.awaits_review() && raised.is_active(NOW));
        let closed = raised
            .reviewed(user(5), ReviewOutcome::NotJustified, "no", NOW)
            .unwrap();
        assert!(!closed.awaits_review() && !closed.is_active(NOW));
        assert_eq!(
            closed.reviewed(user(4), ReviewOutcome::Justified, "", NOW),
            Err(GrantError::AlreadyReviewed)
        );
    }

    #[test]
    fn support_is_short() {
        let make = |minutes| {
            SupportGrant::make(
                TenantId::from_uuid(Uuid::from_u128(1)),
                Uuid::from_u128(2),
                kernel::ActorId::from_uuid(Uuid::from_u128(3)),
                "ticket 4711: import stuck",
                false,
                minutes,
                NOW,
            )
        };
        assert!(make(0).is_err() && make(1441).is_err());
        let grant = make(30).unwrap();
        assert!(grant.is_active(NOW) && !grant.is_active(NOW.plus_seconds(1800)));
    }
}
