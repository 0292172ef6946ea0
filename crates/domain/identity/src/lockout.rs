//! Lock-out after failed attempts: free tries, then a growing delay. A pure state machine; an attempt
//! made while locked is refused unseen and does not count, so that nobody is kept out for ever by
//! others' tries.

use kernel::{Categorised, Category, Timestamp};

/// When and how long to lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockOutPolicy {
    /// Failures in a row from which on each failure locks.
    pub free_failures: u16,
    /// Seconds of the first lock; each further failure doubles it.
    pub first_seconds: i64,
    /// Seconds of the longest lock.
    pub longest_seconds: i64,
    /// Seconds without an attempt after which failures are forgotten.
    pub forget_seconds: i64,
}

impl Default for LockOutPolicy {
    /// Five failures, then 1, 2, 4 ... 60 minutes; forgotten after a day.
    fn default() -> Self {
        Self {
            free_failures: 5,
            first_seconds: 60,
            longest_seconds: 3600,
            forget_seconds: 24 * 3600,
        }
    }
}

/// Failed attempts of a user so far. Passwords and codes count together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LockOut {
    /// Failures in a row.
    #[serde(default)]
    pub failures: u16,
    /// The last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Timestamp>,
    /// No attempt counts before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_until: Option<Timestamp>,
}

/// Locked for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed attempts: wait {} minutes, or ask an administrator to unlock", self.minutes())]
pub struct Locked {
    /// Seconds still to wait, at least 1.
    pub seconds: i64,
}

impl Locked {
    /// Minutes still to wait, rounded up.
    #[must_use]
    pub const fn minutes(&self) -> i64 {
        self.seconds.saturating_add(59) / 60
    }
}

impl Categorised for Locked {
    fn category(&self) -> Category {
        Category::Throttled
    }
}

impl LockOut {
    /// Whether an attempt may be made now. Ask before looking at the password.
    pub fn check(&self, now: Timestamp) -> Result<(), Locked> {
        match self.locked_until {
            Some(until) if now < until => Err(Locked {
                seconds: now.seconds_since(until).saturating_neg(),
            }),
            _ => Ok(()),
        }
    }

    /// The state after a failed attempt. An attempt while locked changes nothing.
    #[must_use]
    pub fn failed(self, policy: &LockOutPolicy, now: Timestamp) -> Self {
        if self.check(now).is_err() {
            return self;
        }
        let forgotten = self
            .last_failure
            .is_some_and(|last| now.seconds_since(last) >= policy.forget_seconds);
        let before = if forgotten { 0 } else { self.failures };
        let failures = before.saturating_add(1);
        Self {
            failures,
            last_failure: Some(now),
            locked_until: policy
                .delay_seconds(failures)
                .map(|seconds| now.plus_seconds(seconds)),
        }
    }

    /// The state after success, or after an administrator unlocked.
    #[must_use]
    pub fn cleared() -> Self {
        Self::default()
    }
}

impl LockOutPolicy {
    /// Seconds to lock after this many failures in a row.
    #[must_use]
    pub fn delay_seconds(&self, failures: u16) -> Option<i64> {
        let doublings = failures.checked_sub(self.free_failures)?;
        let factor = 1_i64.checked_shl(u32::from(doublings.min(40)))?;
        Some(
            self.first_seconds
                .saturating_mul(factor)
                .min(self.longest_seconds),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Timestamp = Timestamp::from_millis(1_772_698_150_000);

    #[test]
    fn five_tries_then_a_growing_delay() {
        let policy = LockOutPolicy::default();
        let mut state = LockOut::default();
        let mut now = START;
        let mut waits = Vec::new();
        for _ in 0..13 {
            state = state.failed(&policy, now);
            let wait = state
                .locked_until
                .map_or(0, |until| until.seconds_since(now));
            waits.push(wait);
            now = now.plus_seconds(wait + 1);
        }
        assert_eq!(
            waits,
            [0, 0, 0, 0, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
        );
        assert_eq!(
            state.failed(&policy, now.plus_seconds(24 * 3600)).failures,
            1
        );
        assert_eq!(LockOut::cleared().check(now), Ok(()));
    }

    #[test]
    fn the_wait_is_told_in_whole_minutes() {
        let state = LockOut {
            failures: 5,
            last_failure: Some(START),
            locked_until: Some(START.plus_seconds(60)),
        };
        let locked = state.check(START).unwrap_err();
        assert_eq!((locked.seconds, locked.minutes()), (60, 1));
        assert_eq!(
            state.check(START.plus_seconds(30)).unwrap_err().minutes(),
            1
        );
        let half = Timestamp::from_micros(START.as_micros() + 59_500_000);
        assert_eq!(state.check(half).unwrap_err().seconds, 1);
        assert_eq!(state.check(START.plus_seconds(60)), Ok(()));
    }

    proptest! {
        /// Whatever the order of attempts: a lock lasts at most the longest time after a counted
        /// failure, attempts while locked change nothing, and no run of five counted failures within
        /// the memory stays without a lock.
        #[test]
        fn locks_hold_and_end(steps in proptest::collection::vec((0i64..4000, any::<bool>()), 1..60)) {
            let policy = LockOutPolicy::default();
            let mut state = LockOut::default();
            let mut now = START;
            let mut counted = 0u16;
            for (wait, success) in steps {
                now = now.plus_seconds(wait);
                let open = state.check(now).is_ok();
                if !open {
                    prop_assert_eq!(state.failed(&policy, now), state);
                    continue;
                }
                if success {
                    state = LockOut::cleared();
                    counted = 0;
                } else {
                    state = state.failed(&policy, now);
                    counted += 1;
                    prop_assert_eq!(state.failures, counted);
                    prop_assert_eq!(state.locked_until.is_some(), counted >= 5);
                }
                if let Some(until) = state.locked_until {
                    prop_assert!(until <= now.plus_seconds(policy.longest_seconds));
                }
                prop_assert!(state.check(now.plus_seconds(policy.longest_seconds)).is_ok());
            }
        }

        #[test]
        fn delays_never_shrink(failures in 0u16..u16::MAX) {
            let policy = LockOutPolicy::default();
            prop_assert!(policy.delay_seconds(failures) <= policy.delay_seconds(failures + 1));
        }
    }
}
