//! How often a change that lost a race is repeated. The race is always lost to a commit that
//! succeeded, so that the house as a whole makes progress.

use std::time::Duration;

const MOST: u32 = 12;

/// Counts attempts.
pub(crate) struct Retry {
    attempt: u32,
}

impl Retry {
    pub(crate) fn new() -> Self {
        Self { attempt: 0 }
    }

    /// Whether to try again; waits a little longer each time.
    pub(crate) async fn again(&mut self) -> bool {
        self.attempt += 1;
        if self.attempt > MOST {
            return false;
        }
        if self.attempt > 2 {
            tokio::time::sleep(Duration::from_millis(u64::from(self.attempt))).await;
        } else {
            tokio::task::yield_now().await;
        }
        true
    }
}
