//! A circuit breaker per destination: after several failures in a row it is left alone for a while, then
//! one call tries it. Must not know what a failure is.

use std::time::Duration;

use parking_lot::Mutex;

/// Failures in a row that open it.
const FAILURES: u32 = 5;
/// How long it stays open.
const REST: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    // Monotonic nanoseconds until which nobody calls.
    until: u64,
    // A call is trying it.
    trying: bool,
}

/// The breaker.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

impl Breaker {
    /// Whether a call may be made now; otherwise how long to wait.
    pub(crate) fn admit(&self, now: u64) -> Result<(), Duration> {
        let mut state = self.0.lock();
        if state.failures < FAILURES {
            return Ok(());
        }
        if now < state.until {
            return Err(Duration::from_nanos(state.until - now));
        }
        if state.trying {
            return Err(Duration::from_secs(1));
        }
        state.trying = true;
        Ok(())
    }

    /// How a call ended.
    pub(crate) fn ended(&self, is_well: bool, now: u64) {
        let mut state = self.0.lock();
        state.trying = false;
        if is_well {
            state.failures = 0;
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES {
            state.until = now.saturating_add(u64::try_from(REST.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// A call was given up before it ended.
    pub(crate) fn left(&self) {
        self.0.lock().trying = false;
    }

    /// Whether it has nothing to remember.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.lock().failures == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn it_rests_after_failures_and_lets_one_call_try() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert_eq!(breaker.admit(0), Ok(()));
            breaker.ended(false, 0);
        }
        assert_eq!(breaker.admit(SECOND), Err(Duration::from_secs(29)));
        assert_eq!(breaker.admit(30 * SECOND), Ok(()));
        assert!(breaker.admit(30 * SECOND).is_err(), "only one tries");
        breaker.ended(false, 30 * SECOND);
        assert!(breaker.admit(31 * SECOND).is_err());
        assert_eq!(breaker.admit(60 * SECOND), Ok(()));
        breaker.left();
        assert_eq!(breaker.admit(60 * SECOND), Ok(()));
        breaker.ended(true, 60 * SECOND);
        assert_eq!(breaker.admit(60 * SECOND), Ok(()));
        assert!(breaker.is_idle());
    }

    #[test]
    fn successes_between_failures_keep_it_closed() {
        let breaker = Breaker::default();
        for at in 0..40 {
            assert_eq!(breaker.admit(at), Ok(()));
            breaker.ended(at % 4 == 0, at);
        }
    }
}
