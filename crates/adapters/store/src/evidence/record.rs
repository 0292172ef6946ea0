//! Versions against entries. Both streams come in about the order of their commits, so that what waits
//! for its other half is little in a sound record. What is left over at the end is named by its entry.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use ::ledger::leaf::{Class, KeyId, Outcome};
use ::ledger::payload::Payload;
use ::ledger::verify::{Report, Verdict};
use ::ledger::{Hash, Leaf};
use kernel::{RowId, TenantScope};

use super::RecordSummary;
use super::logs::StoreLogs;
use crate::port::error::StoreError;
use crate::port::evidence::{VersionEvidence, VersionProof};
use crate::port::ledger::{Log, LogEntry};

/// Version rows asked for at a time.
const AT_A_TIME: u32 = 256;

/// An entry that says it made a version.
#[derive(Clone, Copy)]
struct Made {
    index: u64,
    /// Where there was nothing, or a deletion.
    creates: bool,
}

/// What waits for its other half.
#[derive(Default)]
struct Waiting {
    /// Entries of changes, by what they commit to.
    entries: HashMap<Hash, Made>,
    /// Entries that commit to what another one does already.
    again: Vec<u64>,
    versions: HashMap<RowId, VersionEvidence>,
    by_commitment: HashMap<Hash, RowId>,
    /// Keys that an entry says were destroyed.
    erased: HashSet<KeyId>,
    /// Versions that are what their entries say, with something around them that is not.
    odd: Vec<(u64, RowId, &'static str)>,
    summary: RecordSummary,
}

impl Waiting {
    fn entry(&mut self, index: u64, leaf: &Leaf) {
        if leaf.outcome != Outcome::Success {
            return;
        }
        if leaf.class == Class::Erase {
            self.erased.extend(leaf.erased);
        }
        let makes = matches!(leaf.class, Class::Create | Class::Update | Class::Delete);
        let Some(commitment) = leaf.resource.filter(|_| makes) else {
            return;
        };
        let made = Made {
            index,
            creates: leaf.class == Class::Create,
        };
        if let Some(row) = self.by_commitment.remove(&commitment) {
            if let Some(version) = self.versions.remove(&row) {
                self.met(made, &version);
            }
        } else if let Some(before) = self.entries.insert(commitment, made) {
            self.again.push(before.index);
        }
    }

    fn version(&mut self, version: VersionEvidence) {
        self.summary.versions += 1;
        if let VersionProof::Commitments { any_of, .. } = &version.proof {
            if let Some(made) = any_of.iter().find_map(|one| self.entries.remove(one)) {
                return self.met(made, &version);
            }
            for one in any_of {
                self.by_commitment.insert(*one, version.row);
            }
        }
        self.versions.insert(version.row, version);
    }

    fn met(&mut self, made: Made, version: &VersionEvidence) {
        if let VersionProof::Commitments { any_of, .. } = &version.proof {
            for one in any_of {
                self.by_commitment.remove(one);
            }
        }
        let why = if !version.head_agrees {
            "its resource's head does not show it"
        } else if version.creates != made.creates {
            "it says otherwise what was there before"
        } else {
            return;
        };
        self.odd.push((made.index, version.row, why));
    }
}

/// An entry without its version, looked at closely.
struct Bare {
    index: u64,
    key: Option<KeyId>,
    /// What its payload says it made, where it opens.
    named: Option<(String, String, u32)>,
}

/// Pairs a tenant's versions with the entries of its change log. `lacks`: the log lacks entries.
pub(super) fn pair<P: FnMut(&str, u64, u64)>(
    logs: &mut StoreLogs<P>,
    scope: &TenantScope,
    origin: &str,
    lacks: bool,
    report: &mut Report,
) -> Result<RecordSummary, StoreError> {
    let store = logs.store();
    let size = logs.size_of(origin).unwrap_or_default();
    let mut waiting = Waiting::default();
    let (mut next_entry, mut after, mut more) = (0, None, true);
    while next_entry < size || more {
        // Whoever has less waiting reads on: in a sound record little waits on either side.
        let versions = more && waiting.versions.len() <= waiting.entries.len();
        if next_entry < size && !versions {
            for entry in logs.entries_from(scope, Log::Changes, next_entry)? {
                // Entries beyond are of another bundle, when this one has a gap.
                if entry.index < next_entry + 256
                    && entry.index < size
                    && let Ok(leaf) = Leaf::parse(&entry.leaf)
                {
                    waiting.entry(entry.index, &leaf);
                }
            }
            next_entry = (next_entry + 256).min(size);
            logs.tell(origin, next_entry, size);
        } else {
            let rows = logs.wait(store.version_evidence(scope, after, AT_A_TIME))?;
            after = rows.last().map(|last| last.row).or(after);
            more = !rows.is_empty();
            for row in rows {
                waiting.version(row);
            }
        }
    }
    let bare = bare_entries(logs, scope, &waiting)?;
    Ok(settle(waiting, bare, origin, lacks, report))
}

fn bare_entries<P: FnMut(&str, u64, u64)>(
    logs: &StoreLogs<P>,
    scope: &TenantScope,
    waiting: &Waiting,
) -> Result<Vec<Bare>, StoreError> {
    let mut indexes: Vec<u64> = waiting.entries.values().map(|made| made.index).collect();
    indexes.extend(&waiting.again);
    indexes.sort_unstable();
    let store = logs.store();
    let mut bare = Vec::with_capacity(indexes.len());
    for index in indexes {
        let entries = logs.wait(store.log_entries(scope, Log::Changes, index, 1))?;
        let Some(entry) = entries.into_iter().find(|entry| entry.index == index) else {
            continue;
        };
        bare.push(Bare {
            index,
            key: Leaf::parse(&entry.leaf).ok().and_then(|leaf| leaf.key),
            named: logs.wait(named(store.as_ref(), scope, &entry)),
        });
    }
    Ok(bare)
}

/// What an entry's payload says it made; `None` where it does not open.
async fn named(
    store: &dyn crate::port::Store,
    scope: &TenantScope,
    entry: &LogEntry,
) -> Option<(String, String, u32)> {
    let payload: Payload = store.open_payload(scope, entry).await.ok().flatten()?;
    let facts = payload.resource?;
    Some((facts.ty.into_owned(), facts.id?, facts.version?))
}

fn name_of(version: &VersionEvidence) -> Option<(String, String, u32)> {
    let key = version.key.as_ref()?;
    let ty = fhir::Definitions::r4().resource_name(key.ty);
    Some((ty.to_owned(), key.id.as_str().to_owned(), version.version.0))
}

/// The key of a version that cannot be read without it.
fn sealed_under(version: &VersionEvidence) -> Option<KeyId> {
    match &version.proof {
        VersionProof::Erased(key) | VersionProof::Locked(key) => Some(*key),
        VersionProof::Commitments { or_erased, .. } => *or_erased,
        VersionProof::Broken(_) => None,
    }
}

fn settle(
    mut waiting: Waiting,
    bare: Vec<Bare>,
    origin: &str,
    lacks: bool,
    report: &mut Report,
) -> RecordSummary {
    let mut found: Vec<(Option<u64>, Verdict, String)> = Vec::new();
    for (index, row, why) in &waiting.odd {
        let what = format!(
            "the version in row {}, which entry {index} recorded, is not what it was: {why}",
            row.0
        );
        found.push((Some(*index), Verdict::Altered, what));
    }
    let mut by_name: HashMap<(String, String, u32), RowId> = HashMap::new();
    for version in waiting.versions.values() {
        if let Some(name) = name_of(version) {
            by_name.insert(name, version.row);
        }
    }
    let mut by_key: BTreeMap<KeyId, VecDeque<u64>> = BTreeMap::new();
    for entry in bare {
        let row = entry.named.as_ref().and_then(|name| by_name.remove(name));
        if let Some(version) = row.and_then(|row| waiting.versions.remove(&row)) {
            let (verdict, what) = mismatch(&version, entry.index);
            found.push((Some(entry.index), verdict, what));
        } else if entry.named.is_none()
            && let Some(key) = entry.key
        {
            by_key.entry(key).or_default().push_back(entry.index);
        } else {
            found.push(gone(entry.index));
        }
    }
    let mut rest: Vec<VersionEvidence> = waiting.versions.drain().map(|(_, one)| one).collect();
    rest.sort_unstable_by_key(|version| version.row);
    for version in rest {
        // Without the key there are only numbers to compare.
        let entry = sealed_under(&version).and_then(|key| {
            let entries = by_key.get_mut(&key)?;
            Some((key, entries.pop_front()?))
        });
        match entry {
            Some((key, _)) if waiting.erased.contains(&key) => waiting.summary.erased += 1,
            Some((_, index)) => {
                let what = format!(
                    "the key of the version that entry {index} recorded is gone and no entry says that it was erased"
                );
                found.push((Some(index), Verdict::Incomplete, what));
            }
            None => found.push(unrecorded(&version, lacks)),
        }
    }
    found.extend(by_key.into_values().flatten().map(gone));
    found.sort_by_key(|(index, ..)| index.unwrap_or(u64::MAX));
    for (index, verdict, what) in found {
        report.add(verdict, origin, index, what);
    }
    waiting.summary
}

fn gone(index: u64) -> (Option<u64>, Verdict, String) {
    let what = format!("the version that entry {index} recorded is not in the record");
    (Some(index), Verdict::Incomplete, what)
}

fn mismatch(version: &VersionEvidence, index: u64) -> (Verdict, String) {
    let (row, number) = (version.row.0, version.version.0);
    let what = match &version.proof {
        VersionProof::Broken(why) => {
            format!("version {number} in row {row}, which entry {index} recorded, {why}")
        }
        _ => format!("version {number} in row {row} is not the one that entry {index} recorded"),
    };
    (Verdict::Altered, what)
}

fn unrecorded(version: &VersionEvidence, lacks: bool) -> (Option<u64>, Verdict, String) {
    let (row, number) = (version.row.0, version.version.0);
    let why = match &version.proof {
        VersionProof::Broken(why) => format!(" and {why}"),
        _ => String::new(),
    };
    let what = format!("version {number} in row {row} has no entry{why}");
    // Where the log lacks entries, theirs may be among them.
    let broken = matches!(version.proof, VersionProof::Broken(_));
    let verdict = if lacks && !broken {
        Verdict::Incomplete
    } else {
        Verdict::Altered
    };
    (None, verdict, what)
}
