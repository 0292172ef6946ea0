//! Browser sessions, kept on the server. The cookie's text form is made in [`crate::credential`]; the
//! anti-forgery token in [`crate::csrf`].

use kernel::{BranchId, Categorised, Category, SessionId, TenantId, Timestamp, UserId};

use super::Schema;
use crate::sealed::{Digest32, SecretBytes};

/// How sure we are who it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum AuthenticationLevel {
    /// The password was right; the second step is still to come. Admits to nothing but that step.
    PasswordOnly,
    /// The password was right and no second step is set up.
    Password,
    /// Password and one-time or recovery code.
    PasswordAndCode,
}

/// How long sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionPolicy {
    /// Seconds without a request after which it ends.
    pub idle_seconds: i64,
    /// Seconds after which it ends whatever happens.
    pub absolute_seconds: i64,
    /// Seconds between writes of `last_seen`.
    pub touch_seconds: i64,
}

impl Default for SessionPolicy {
    /// 15 minutes idle, 12 hours in all, a write a minute at most.
    fn default() -> Self {
        Self {
            idle_seconds: 15 * 60,
            absolute_seconds: 12 * 3600,
            touch_seconds: 60,
        }
    }
}

/// A browser session.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Session {
    /// Schema of this document.
    pub schema: Schema<1>,
    /// The tenant it belongs to; a cookie for one tenant is nothing in another.
    pub tenant: TenantId,
    /// Its id, which the cookie names.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// Hash of the cookie's secret.
    pub hash: Digest32,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used, to [`SessionPolicy::touch_seconds`].
    pub last_seen: Timestamp,
    /// When it ends unless used.
    pub idle_until: Timestamp,
    /// When it ends in any case.
    pub absolute_until: Timestamp,
    /// What anti-forgery tokens are derived from.
    pub csrf_seed: SecretBytes<32>,
    /// How sure we are who it is.
    pub level: AuthenticationLevel,
    /// The branch acted at.
    pub branch: Option<BranchId>,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Expired {
    /// Not used for too long.
    #[error("you were signed out after a while without activity: sign in again")]
    Idle,
    /// It reached its longest life.
    #[error("your session reached its longest life: sign in again")]
    Absolute,
}

impl Categorised for Expired {
    fn category(&self) -> Category {
        Category::Unauthenticated
    }
}

impl Session {
    /// A session that begins now.
    #[must_use]
    #[expect(
        clippy::too_many_arguments,
        reason = "a constructor of a flat document"
    )]
    pub fn begin(
        tenant: TenantId,
        id: SessionId,
        user: UserId,
        hash: Digest32,
        csrf_seed: SecretBytes<32>,
        level: AuthenticationLevel,
        policy: &SessionPolicy,
        now: Timestamp,
    ) -> Self {
        let absolute_until = now.plus_seconds(policy.absolute_seconds);
        Self {
            schema: Schema,
            tenant,
            id,
            user,
            hash,
            created: now,
            last_seen: now,
            idle_until: now.plus_seconds(policy.idle_seconds).min(absolute_until),
            absolute_until,
            csrf_seed,
            level,
            branch: None,
        }
    }

    /// Whether it is live at a time. A clock that went back before the session began ends it too.
    pub fn check(&self, now: Timestamp) -> Result<(), Expired> {
        if now >= self.absolute_until || now < self.created {
            Err(Expired::Absolute)
        } else if now >= self.idle_until {
            Err(Expired::Idle)
        } else {
            Ok(())
        }
    }

    /// The session after a use, when that is worth a write; `None` when it was written just now.
    #[must_use]
    pub fn touched(&self, policy: &SessionPolicy, now: Timestamp) -> Option<Self> {
        if now.seconds_since(self.last_seen) < policy.touch_seconds {
            return None;
        }
        let mut next = self.clone();
        next.last_seen = now;
        next.idle_until = now
            .plus_seconds(policy.idle_seconds)
            .min(self.absolute_until);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn begin(policy: &SessionPolicy) -> Session {
        Session::begin(
            TenantId::from_uuid(Uuid::from_u128(1)),
            SessionId::from_uuid(Uuid::from_u128(2)),
            UserId::from_uuid(Uuid::from_u128(3)),
            Digest32::new([4; 32]),
            SecretBytes::new([5; 32]),
            AuthenticationLevel::Password,
            policy,
            Timestamp::from_millis(1_000_000),
        )
    }

    #[test]
    fn sessions_end_idle_and_absolutely() {
        let policy = SessionPolicy::default();
        let session = begin(&policy);
        let at = |seconds| session.created.plus_seconds(seconds);
        assert_eq!(session.check(at(0)), Ok(()));
        assert_eq!(session.check(at(899)), Ok(()));
        assert_eq!(session.check(at(900)), Err(Expired::Idle));
        assert_eq!(session.check(at(12 * 3600)), Err(Expired::Absolute));
        assert_eq!(session.check(at(-1)), Err(Expired::Absolute));

        assert_eq!(session.touched(&policy, at(59)), None);
        let mut live = session.clone();
        let mut now = 0;
        while now + 600 < 12 * 3600 {
            now += 600;
            assert_eq!(live.check(at(now)), Ok(()), "{now}");
            live = live.touched(&policy, at(now)).unwrap();
        }
        assert_eq!(live.check(at(12 * 3600)), Err(Expired::Absolute));
        assert!(live.idle_until <= live.absolute_until);
    }

    #[test]
    fn newer_schemas_are_refused_and_documents_round_trip() {
        let session = begin(&SessionPolicy::default());
        let json = serde_json::to_string(&session).unwrap();
        assert_eq!(serde_json::from_str::<Session>(&json).unwrap(), session);
        let newer = json.replace("\"schema\":1", "\"schema\":2");
        let error = serde_json::from_str::<Session>(&newer).unwrap_err();
        assert!(error.to_string().contains("use a newer theriac"));
    }
}
