//! Versions read lately, kept in memory in the clear: people look at the same charts again and again.
//! One process owns the data folder and one thread writes a tenant's record, so that what it changes can
//! be dropped here exactly: the writer closes the stripes of the resources it is about to change, and
//! opens them after the commit and before anybody is told of it. Must not be asked about a history or a
//! search, and must not outlive an erasure.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::port::resource::{ResourceKey, StoredVersion};

const STRIPES: usize = 64;
/// What an entry takes beside its body and id, roughly, in bytes.
const OVERHEAD: usize = 240;

/// Current versions by keyed hash of their resource's name.
pub(super) struct Recent {
    stripes: [Mutex<Stripe>; STRIPES],
    /// Bytes that a stripe may hold.
    limit: usize,
}

#[derive(Default)]
struct Stripe {
    /// Grows with every change: what was read before one is not kept after it.
    generation: u64,
    /// Writers at work on resources of this stripe.
    closed: u32,
    bytes: usize,
    versions: HashMap<i64, StoredVersion>,
}

/// What is known.
pub(super) enum Known {
    /// The current version.
    Version(StoredVersion),
    /// Nothing; what is read now may be kept, with this.
    Nothing(Ticket),
}

/// The right to keep what is read after it was given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket(Option<u64>);

/// Stripes that a writer is changing; opened again when dropped.
pub(super) struct Closed<'a> {
    recent: &'a Recent,
    stripes: u64,
}

impl Recent {
    /// Holds up to so many KiB; 0 keeps nothing.
    pub(super) fn new(kib: u32) -> Self {
        Self {
            stripes: std::array::from_fn(|_| Mutex::default()),
            limit: kib as usize * 1024 / STRIPES,
        }
    }

    /// The current version of the resource with this hash.
    pub(super) fn get(&self, rh: i64, key: &ResourceKey) -> Known {
        let stripe = self.stripe(rh).lock();
        if stripe.closed > 0 || self.limit == 0 {
            return Known::Nothing(Ticket(None));
        }
        match stripe.versions.get(&rh) {
            Some(version) if version.key == *key => Known::Version(version.clone()),
            _ => Known::Nothing(Ticket(Some(stripe.generation))),
        }
    }

    /// Keeps what was read, unless something changed since the ticket was given.
    pub(super) fn put(&self, rh: i64, ticket: Ticket, version: &StoredVersion) {
        let cost = cost(version);
        let Some(generation) = ticket.0.filter(|_| cost <= self.limit / 4) else {
            return;
        };
        let mut stripe = self.stripe(rh).lock();
        if stripe.closed > 0 || stripe.generation != generation {
            return;
        }
        while stripe.bytes + cost > self.limit {
            // Any will do: the hash orders them at random.
            let Some(other) = stripe.versions.keys().next().copied() else {
                break;
            };
            stripe.forget(other);
        }
        stripe.forget(rh);
        stripe.bytes += cost;
        stripe.versions.insert(rh, version.clone());
    }

    /// Drops these and keeps nothing of their stripes until the guard is dropped.
    pub(super) fn close(&self, changed: impl Iterator<Item = i64>) -> Closed<'_> {
        let mut stripes = 0u64;
        for rh in changed {
            let place = place(rh);
            let mut stripe = self.stripe(rh).lock();
            if stripes & 1 << place == 0 {
                stripes |= 1 << place;
                stripe.closed += 1;
            }
            stripe.forget(rh);
        }
        Closed {
            recent: self,
            stripes,
        }
    }

    /// Drops all and keeps nothing until the guard is dropped.
    pub(super) fn close_all(&self) -> Closed<'_> {
        for stripe in &self.stripes {
            let mut stripe = stripe.lock();
            stripe.closed += 1;
            stripe.bytes = 0;
            stripe.versions.clear();
        }
        Closed {
            recent: self,
            stripes: u64::MAX,
        }
    }

    fn stripe(&self, rh: i64) -> &Mutex<Stripe> {
        // The place is below the number of stripes by its mask.
        self.stripes.get(place(rh)).unwrap_or(&self.stripes[0])
    }
}

const fn place(rh: i64) -> usize {
    (rh as u64 >> 32) as usize % STRIPES
}

fn cost(version: &StoredVersion) -> usize {
    let body = version.body.as_ref().map_or(0, bytes::Bytes::len);
    OVERHEAD + body + version.key.id.as_str().len()
}

impl Stripe {
    fn forget(&mut self, rh: i64) {
        if let Some(version) = self.versions.remove(&rh) {
            self.bytes -= cost(&version);
        }
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        for (place, stripe) in self.recent.stripes.iter().enumerate() {
            if self.stripes & 1 << place != 0 {
                let mut stripe = stripe.lock();
                stripe.closed -= 1;
                stripe.generation += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kernel::{RowId, VersionId};

    use super::*;
    use crate::port::change::ChangeKind;

    fn version(number: u32, bytes: usize) -> StoredVersion {
        StoredVersion {
            key: ResourceKey {
                ty: fhir::TypeId(1),
                id: "x".parse().unwrap(),
            },
            row: RowId(1),
            version: VersionId(number),
            version_row: RowId(i64::from(number)),
            kind: ChangeKind::Update,
            body: Some(Bytes::from(vec![b'x'; bytes])),
            erased: false,
        }
    }

    fn ticket(recent: &Recent, rh: i64) -> Ticket {
        match recent.get(rh, &version(1, 1).key) {
            Known::Nothing(ticket) => ticket,
            Known::Version(found) => panic!("version {} is known", found.version.0),
        }
    }

    fn known(recent: &Recent, rh: i64) -> Option<u32> {
        match recent.get(rh, &version(1, 1).key) {
            Known::Version(found) => Some(found.version.0),
            Known::Nothing(_) => None,
        }
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let recent = Recent::new(1024);
        let before = ticket(&recent, 7);
        recent.put(7, before, &version(1, 10));
        assert_eq!(known(&recent, 7), Some(1));

        let late = ticket(&recent, 8);
        let closed = recent.close([7, 8].into_iter());
        assert_eq!(known(&recent, 7), None);
        let during = ticket(&recent, 7);
        recent.put(7, during, &version(1, 10));
        recent.put(8, late, &version(1, 10));
        drop(closed);
        assert_eq!((known(&recent, 7), known(&recent, 8)), (None, None));
        recent.put(7, during, &version(1, 10));
        recent.put(8, late, &version(1, 10));
        assert_eq!((known(&recent, 7), known(&recent, 8)), (None, None));

        recent.put(7, ticket(&recent, 7), &version(2, 10));
        assert_eq!(known(&recent, 7), Some(2));
        drop(recent.close_all());
        assert_eq!(known(&recent, 7), None);
    }

    #[test]
    fn memory_is_bounded_and_a_hash_alone_is_no_match() {
        let recent = Recent::new(64);
        for rh in 0..100 {
            recent.put(rh, ticket(&recent, rh), &version(1, 10));
        }
        let held: usize = recent
            .stripes
            .iter()
            .map(|stripe| stripe.lock().bytes)
            .sum();
        assert!(held > 0 && held <= 64 * 1024, "{held}");
        recent.put(1 << 40, ticket(&recent, 1 << 40), &version(1, 60_000));
        assert_eq!(known(&recent, 1 << 40), None);

        recent.put(1 << 33, ticket(&recent, 1 << 33), &version(1, 1));
        let other = ResourceKey {
            ty: fhir::TypeId(2),
            id: "x".parse().unwrap(),
        };
        assert!(matches!(recent.get(1 << 33, &other), Known::Nothing(_)));

        let none = Recent::new(0);
        none.put(1, ticket(&none, 1), &version(1, 1));
        assert_eq!(known(&none, 1), None);
    }
}
