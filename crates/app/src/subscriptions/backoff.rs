//! When a failed notification is tried again: twice as long each time, with jitter, so that many that
//! failed together do not come back together.

use kernel::{Ids, Timestamp};

/// The time of the next attempt after so many failures in a row; `pause_s` is the longest pause.
pub(crate) fn next(ids: &dyn Ids, now: Timestamp, failures: u32, pause_s: i64) -> Timestamp {
    let doubled = 1_i64 << failures.saturating_sub(1).min(20);
    let most = doubled.min(pause_s.max(1)).saturating_mul(1_000_000);
    let mut random = [0; 8];
    ids.fill(&mut random);
    // Between half of it and all of it.
    let half = most / 2;
    let jitter = i64::from_le_bytes(random).rem_euclid(half.max(1));
    Timestamp::from_micros(now.as_micros().saturating_add(half + jitter))
}

#[cfg(test)]
mod tests {
    use testkit::clock::FixedClock;
    use testkit::ids::SeededIds;

    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_differ() {
        let ids = SeededIds::default();
        let now = FixedClock::START;
        let pause = |failures| next(&ids, now, failures, 60).as_micros() - now.as_micros();
        for (failures, most) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (40, 60)] {
            for _ in 0..50 {
                let found = pause(failures);
                assert!(
                    (most * 500_000..=most * 1_000_000).contains(&found),
                    "{failures}: {found}"
                );
            }
        }
        assert_ne!(pause(7), pause(7));
    }
}
