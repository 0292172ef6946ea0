//! How often a change that lost a race is repeated. The race is always lost to a commit that
//! succeeded, so that the house as a whole makes progress.

use std::time::Duration;

const MOST: u32 = 12;
/// For what many change at once: seconds of losing every race.
const BUSY: u32 = 200;
/// For what must not be given up while others make progress: minutes of losing every race.
const PATIENT: u32 = 2_000;

/// Counts attempts.
pub(crate) struct Retry {
    attempt: u32,
    most: u32,
}

impl Retry {
    pub(crate) fn new() -> Self {
        Self {
            attempt: 0,
            most: MOST,
        }
    }

    /// For what many change at the same moment, such as the stock of one medicine.
    pub(crate) fn busy() -> Self {
        Self {
            attempt: 0,
            most: BUSY,
        }
    }

    /// For what must be counted, such as a failed sign-in.
    pub(crate) fn patient() -> Self {
        Self {
            attempt: 0,
            most: PATIENT,
        }
    }

    /// Whether to try again; waits a little longer each time.
    pub(crate) async fn again(&mut self) -> bool {
        self.attempt += 1;
        if self.attempt > self.most {
            return false;
        }
        if self.attempt > 2 {
            tokio::time::sleep(Duration::from_millis(u64::from(self.attempt.min(50)))).await;
        } else {
            tokio::task::yield_now().await;
        }
        true
    }
}
