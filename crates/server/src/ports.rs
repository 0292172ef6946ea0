//! The real clock and the real id source. The only place that reads either.

use std::cell::RefCell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kernel::{Clock, Ids, RowId, Timestamp};
use uuid::Uuid;
use zeroize::Zeroizing;

/// The system's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Starts the monotonic reading at zero.
    #[must_use]
    pub fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let started = Instant::now();
        Self { started }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Ids from the system's random source; row ids from the clock, a node number and a counter.
#[derive(Debug)]
pub struct SystemIds {
    clock: SystemClock,
    node: u16,
    // The last row id's time and counter: milliseconds << 12 | counter.
    last: AtomicI64,
}

impl SystemIds {
    /// `node` tells replicas of one PostgreSQL database apart; 0 to 1023.
    #[must_use]
    pub fn new(node: u16) -> Self {
        Self {
            clock: SystemClock::new(),
            node: node & 0x3ff,
            last: AtomicI64::new(0),
        }
    }

    fn split(id: RowId) -> i64 {
        (id.unix_ms() << 12) | (id.0 & 0xfff)
    }
}

impl Ids for SystemIds {
    fn uuid(&self) -> Uuid {
        let mut random = [0; 10];
        self.fill(&mut random);
        let millis = u64::try_from(self.clock.now().as_millis()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    fn row_id(&self) -> RowId {
        let now = self.clock.now().as_millis() << 12;
        // The next id is the clock's, or one above the last when the clock stands still or jumped back.
        let update = |last: i64| Some(if now > last { now } else { last + 1 });
        let previous = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
        let last = previous.unwrap_or_else(|unchanged| unchanged);
        let next = if now > last { now } else { last + 1 };
        RowId::from_parts(next >> 12, self.node, (next & 0xfff) as u16)
    }

    fn raise_row_floor(&self, floor: RowId) {
        self.last
            .fetch_max(Self::split(floor) + 1, Ordering::Relaxed);
    }

    fn fill(&self, buffer: &mut [u8]) {
        RANDOM.with_borrow_mut(|stock| stock.fill(buffer));
    }
}

/// Random bytes taken from the system in one call for many nonces: a request needs a few dozen, and a
/// call costs more than they do. Bytes are wiped as they are given out, so none is given twice and none
/// can be read later.
struct Stock {
    bytes: Zeroizing<[u8; STOCK]>,
    given: usize,
}

const STOCK: usize = 2048;

thread_local! {
    static RANDOM: RefCell<Stock> =
        RefCell::new(Stock { bytes: Zeroizing::new([0; STOCK]), given: STOCK });
}

impl Stock {
    fn fill(&mut self, buffer: &mut [u8]) {
        if buffer.len() > STOCK / 8 {
            return from_system(buffer);
        }
        if STOCK - self.given < buffer.len() {
            from_system(self.bytes.as_mut_slice());
            self.given = 0;
        }
        let from = self.bytes.iter_mut().skip(self.given);
        for (target, byte) in buffer.iter_mut().zip(from) {
            *target = core::mem::take(byte);
        }
        self.given += buffer.len();
    }
}

fn from_system(buffer: &mut [u8]) {
    #[expect(clippy::disallowed_methods, reason = "this is the random source")]
    let filled = getrandom::fill(buffer);
    if filled.is_err() {
        // Without a random source no key or token may be made: there is nothing safe to continue with.
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_ids_increase_also_when_the_floor_is_ahead_of_the_clock() {
        let ids = SystemIds::new(7);
        let first = ids.row_id();
        let second = ids.row_id();
        assert!(second > first);
        let ahead = RowId::from_parts(first.unix_ms() + 60_000, 7, 5);
        ids.raise_row_floor(ahead);
        let third = ids.row_id();
        assert!(third > ahead, "{third:?} {ahead:?}");
        assert!(ids.row_id() > third);
    }

    #[test]
    fn random_bytes_are_given_once() {
        let ids = SystemIds::new(0);
        let mut seen = std::collections::HashSet::new();
        for length in (8..40).cycle().take(2000) {
            let mut bytes = vec![0u8; length];
            ids.fill(&mut bytes);
            assert!(seen.insert(bytes.iter().take(8).copied().collect::<Vec<u8>>()));
        }
        let mut many = vec![0u8; 3 * STOCK];
        ids.fill(&mut many);
        assert!(
            many.chunks(16)
                .all(|part| part.iter().any(|byte| *byte != 0))
        );
        let (one, two) = (ids.uuid(), ids.uuid());
        assert!(one != two && one.get_version_num() == 7);
    }

    #[test]
    fn row_ids_are_unique_under_contention() {
        let ids = SystemIds::new(0);
        let mut all: Vec<RowId> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..5000).map(|_| ids.row_id()).collect::<Vec<_>>()))
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 20_000);
    }
}
