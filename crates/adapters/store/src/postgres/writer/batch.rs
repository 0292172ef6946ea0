//! A batch: many units decided and written in one transaction. Heads and documents are locked first, so that
//! another replica waits; each unit's conditions are then decided in order, against what the units before it
//! do; rows are written together at the end, or before a search that must see them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use deadpool_postgres::Transaction;
use kernel::{Ids, RowId, TenantId, VersionId};
use uuid::Uuid;

use super::super::failure::Failure;
use super::super::read::kind_of;
use super::docs::Docs;
use super::guards::criteria;
use super::rows::{HeadRow, Rows, StageRow};
use crate::assemble::PreparedEntry;
use crate::index::{Difference, PackedIndex};
use crate::keys::Kid;
use crate::port::change::{ChangeKind, CommitError, EntryReceipt, Expected};
use crate::port::error::StoreError;
use crate::port::ledger::Log;
use crate::port::resource::Head;
use crate::prepare::{PreparedChange, PreparedUnit};

const KEYS: &str = "SELECT kid FROM dek WHERE tn = $1 AND kid = ANY($2) ORDER BY kid FOR KEY SHARE";
const HEADS: &str = "SELECT rid, ty, fid, ver, vid, kind, pm, ix FROM res WHERE tn = $1 AND rh = ANY($2) ORDER BY rid FOR UPDATE";
const TAKEN: &str = "SELECT vid FROM ver WHERE tn = $1 AND vid = ANY($2)";

/// The writer's place in the logs: who it is and how many entries it made in each.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    pub(super) writer: Uuid,
    made: [u64; 2],
}

impl Counters {
    pub(super) fn new(writer: Uuid) -> Self {
        Self {
            writer,
            made: [0; 2],
        }
    }
    /// Leaves out a counter: an entry that was acknowledged will never come.
    pub(super) fn skip(&mut self, log: Log) {
        let _ = self.next(log);
    }
    fn next(&mut self, log: Log) -> u64 {
        let [changes, access] = &mut self.made;
        let made = if log == Log::Changes { changes } else { access };
        *made += 1;
        *made
    }
}

/// An entry that was staged.
#[derive(Debug, Clone, Copy)]
pub(in crate::postgres) struct Staged {
    pub(in crate::postgres) log: Log,
    pub(in crate::postgres) writer: Uuid,
    pub(in crate::postgres) counter: u64,
    pub(in crate::postgres) leaf: ::ledger::Hash,
}

/// A unit's answer: its receipts, or why it was refused by its own conditions.
pub(super) type Answer = Result<Vec<EntryReceipt>, CommitError>;

struct HeadState<'u> {
    head: Head,
    index: Cow<'u, PackedIndex>,
    /// What the database has; none where the row is not written yet.
    written: Option<Cow<'u, PackedIndex>>,
    /// The newest change that is not written yet.
    change: Option<&'u PreparedChange>,
    /// The newest change since the last flush that names compartments.
    compartments: Option<&'u PreparedChange>,
}

pub(super) struct Batch<'u, 't> {
    pub(super) transaction: &'t Transaction<'t>,
    pub(super) tenant: TenantId,
    place: &'t str,
    ids: &'t dyn Ids,
    tenant_kid: Kid,
    heads: HashMap<(u16, &'u str), HeadState<'u>>,
    docs: Docs<'u>,
    alive: HashSet<Kid>,
    taken: HashSet<i64>,
    pub(super) criteria: Vec<i64>,
    rows: Rows<'u>,
    /// Changes since the last flush.
    pub(super) waiting: Vec<&'u PreparedChange>,
    pub(super) staged: Vec<Staged>,
}

/// What a batch works with.
pub(super) struct Around<'t> {
    pub(super) transaction: &'t Transaction<'t>,
    pub(super) tenant: TenantId,
    pub(super) place: &'t str,
    pub(super) ids: &'t dyn Ids,
    pub(super) tenant_kid: Kid,
}

impl<'u, 't> Batch<'u, 't> {
    /// Locks and reads all that the units' conditions are about. `careful` also looks whether row ids are
    /// taken, to tell a defect from a collision.
    pub(super) async fn load(
        around: Around<'t>,
        units: &[&'u PreparedUnit],
        careful: bool,
    ) -> Result<Self, Failure> {
        let mut batch = Self {
            transaction: around.transaction,
            tenant: around.tenant,
            place: around.place,
            ids: around.ids,
            tenant_kid: around.tenant_kid,
            heads: HashMap::new(),
            docs: Docs::default(),
            alive: HashSet::from([around.tenant_kid]),
            taken: HashSet::new(),
            criteria: criteria(units),
            rows: Rows::default(),
            waiting: Vec::new(),
            staged: Vec::new(),
        };
        let changes: Vec<&PreparedChange> = units.iter().flat_map(|unit| &unit.changes).collect();
        batch.lock_criteria().await?;
        batch.load_keys(&changes).await?;
        batch.load_heads(&changes).await?;
        if careful {
            batch.load_taken(&changes).await?;
        }
        batch
            .docs
            .load(around.transaction, around.tenant, units)
            .await
            .map_err(|error| batch.failed(&error))?;
        Ok(batch)
    }

    pub(super) fn failed(&self, error: &tokio_postgres::Error) -> Failure {
        Failure::of(self.place, error)
    }

    /// Decides a unit and, where its conditions hold, applies it.
    pub(super) async fn unit(
        &mut self,
        unit: &'u PreparedUnit,
        counters: &mut Counters,
    ) -> Result<Answer, Failure> {
        for change in &unit.changes {
            if let Some(refused) = self.stale(change) {
                return Ok(Err(refused));
            }
        }
        if let Some(at) = self.first_changed_guard(unit).await? {
            return Ok(Err(CommitError::GuardChanged { guard: at }));
        }
        if let Some(refused) = self.docs.conflict(unit) {
            return Ok(Err(refused));
        }
        let mut receipts = Vec::with_capacity(unit.changes.len() + unit.entries.len());
        for change in &unit.changes {
            self.apply(change);
            receipts.push(self.stage(&change.entry, counters)?);
        }
        self.docs.apply(unit);
        for entry in &unit.entries {
            receipts.push(self.stage(entry, counters)?);
        }
        Ok(Ok(receipts))
    }

    /// Writes what is decided, and gives the criteria free at the commit.
    pub(super) async fn finish(&mut self) -> Result<(), Failure> {
        self.flush().await?;
        let docs = self.docs.flush(self.transaction, self.tenant).await;
        docs.map_err(|error| self.failed(&error))?;
        self.release_criteria().await
    }

    /// Stages an entry: its leaf gets the writer's next counter.
    pub(super) fn stage(
        &mut self,
        entry: &'u PreparedEntry,
        counters: &mut Counters,
    ) -> Result<EntryReceipt, Failure> {
        let mut leaf = entry.leaf.clone();
        leaf.writer = counters.writer;
        leaf.counter = counters.next(entry.log);
        let bytes = leaf
            .to_bytes()
            .map_err(|error| StoreError::Engine(error.to_string()))?;
        let hash = ::ledger::leaf_hash(&bytes);
        self.staged.push(Staged {
            log: entry.log,
            writer: leaf.writer,
            counter: leaf.counter,
            leaf: hash,
        });
        self.rows.stage(StageRow {
            log: entry.log as u8,
            writer: leaf.writer,
            counter: leaf.counter,
            order: self.ids.row_id().0,
            subject: entry.subject,
            leaf: bytes,
            payload: &entry.payload,
        });
        Ok(EntryReceipt {
            leaf: hash,
            index: None,
        })
    }

    /// Patients' keys must not be destroyed while this transaction seals with them.
    async fn load_keys(&mut self, changes: &[&PreparedChange]) -> Result<(), Failure> {
        let mut kids: Vec<&[u8]> = changes
            .iter()
            .filter(|change| change.kid != self.tenant_kid)
            .map(|change| change.kid.as_slice())
            .collect();
        kids.sort_unstable();
        kids.dedup();
        if kids.is_empty() {
            return Ok(());
        }
        let rows = self.query(KEYS, &[&self.tenant.as_uuid(), &kids]).await?;
        self.alive.extend(
            rows.iter()
                .filter_map(|row| Kid::try_from(row.get::<_, &[u8]>(0)).ok()),
        );
        Ok(())
    }

    async fn load_heads(&mut self, changes: &[&'u PreparedChange]) -> Result<(), Failure> {
        if changes.is_empty() {
            return Ok(());
        }
        let asked: HashMap<(u16, &str), &'u PreparedChange> = changes
            .iter()
            .map(|change| ((change.key.ty.0, change.key.id.as_str()), *change))
            .collect();
        let mut hashes: Vec<i64> = changes.iter().map(|change| change.rh).collect();
        hashes.sort_unstable();
        hashes.dedup();
        for row in self
            .query(HEADS, &[&self.tenant.as_uuid(), &hashes])
            .await?
        {
            let Some(change) = asked.get(&(row.get::<_, i32>(1) as u16, row.get::<_, &str>(2)))
            else {
                continue;
            };
            let index =
                PackedIndex::decode(row.get(7), row.get::<_, i64>(6) as u64).map_err(|error| {
                    StoreError::Damaged {
                        place: "res.ix".to_owned(),
                        detail: error.to_string(),
                    }
                })?;
            let head = Head {
                row: RowId(row.get(0)),
                version: VersionId(row.get::<_, i32>(3) as u32),
                version_row: RowId(row.get(4)),
                kind: kind_of(row.get(5)),
            };
            let index: Cow<'u, PackedIndex> = Cow::Owned(index);
            let state = HeadState {
                head,
                index: index.clone(),
                written: Some(index),
                change: None,
                compartments: None,
            };
            self.heads
                .insert((change.key.ty.0, change.key.id.as_str()), state);
        }
        Ok(())
    }

    async fn load_taken(&mut self, changes: &[&PreparedChange]) -> Result<(), Failure> {
        let rows: Vec<i64> = changes.iter().map(|change| change.version_row.0).collect();
        let found = self.query(TAKEN, &[&self.tenant.as_uuid(), &rows]).await?;
        self.taken
            .extend(found.iter().map(|row| row.get::<_, i64>(0)));
        Ok(())
    }

    async fn query(
        &self,
        sql: &str,
        values: &[super::super::connect::Value<'_>],
    ) -> Result<Vec<tokio_postgres::Row>, Failure> {
        let statement = self
            .transaction
            .prepare_cached(sql)
            .await
            .map_err(|error| self.failed(&error))?;
        self.transaction
            .query(&statement, values)
            .await
            .map_err(|error| self.failed(&error))
    }

    fn stale(&self, change: &PreparedChange) -> Option<CommitError> {
        let current = self
            .heads
            .get(&(change.key.ty.0, change.key.id.as_str()))
            .map(|state| state.head);
        let fits = match (change.expected, current) {
            (Expected::Absent, None) => true,
            (Expected::Version(version), Some(head)) => head.version == version,
            _ => false,
        };
        if !fits {
            return Some(CommitError::Stale {
                key: change.key.clone(),
                current,
            });
        }
        if let Some(head) = current
            && (head.row != change.row || change.version_row <= head.version_row)
        {
            return Some(CommitError::Malformed(
                "a version's row does not follow its head",
            ));
        }
        let repeated = || {
            self.waiting
                .iter()
                .any(|other| other.version_row == change.version_row)
        };
        if self.taken.contains(&change.version_row.0) || repeated() {
            return Some(CommitError::Malformed("a row id is taken"));
        }
        // The patient's key was destroyed since the unit was prepared: preparing it again makes a new one.
        (!self.alive.contains(&change.kid)).then_some(CommitError::Store(StoreError::Busy))
    }

    fn apply(&mut self, change: &'u PreparedChange) {
        let head = Head {
            row: change.row,
            version: change.version,
            version_row: change.version_row,
            kind: change.kind,
        };
        let compartments = (change.kind != ChangeKind::Delete).then_some(change);
        let index = Cow::Borrowed(&change.index);
        let name = (change.key.ty.0, change.key.id.as_str());
        if let Some(state) = self.heads.get_mut(&name) {
            state.head = head;
            state.index = index;
            state.change = Some(change);
            state.compartments = compartments.or(state.compartments);
        } else {
            let change = Some(change);
            self.heads.insert(
                name,
                HeadState {
                    head,
                    index,
                    written: None,
                    change,
                    compartments,
                },
            );
        }
        let (vid, rid) = (change.version_row.0, change.row.0);
        self.rows.version(
            vid,
            rid,
            change.version.0,
            change.key.ty.0,
            change.kind as u8,
            change.body.as_deref(),
        );
        self.waiting.push(change);
    }

    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        let tenant_kid = self.tenant_kid;
        let mut dirty: Vec<&mut HeadState<'u>> = self
            .heads
            .values_mut()
            .filter(|state| state.change.is_some())
            .collect();
        // Every replica locks in the same order.
        dirty.sort_unstable_by_key(|state| state.head.row);
        for state in dirty {
            let Some(change) = state.change.take() else {
                continue;
            };
            let row = head_row(change, tenant_kid);
            let rid = row.rid;
            match &state.written {
                None => self.rows.create(row, &state.index),
                Some(before) => self.rows.update(row, &difference(before, &state.index)),
            }
            if let Some(named) = state.compartments.take() {
                self.rows
                    .compartments(rid, &named.index, state.written.is_some());
            }
            state.written = Some(state.index.clone());
        }
        self.waiting.clear();
        let flushed = self
            .rows
            .flush(self.transaction, self.tenant.as_uuid())
            .await;
        flushed.map_err(|error| self.failed(&error))
    }
}

fn difference(before: &PackedIndex, after: &PackedIndex) -> Difference {
    PackedIndex::difference(before, after)
}

fn head_row(change: &PreparedChange, tenant_kid: Kid) -> HeadRow<'_> {
    let deletes = change.kind == ChangeKind::Delete;
    HeadRow {
        rid: change.row.0,
        rh: change.rh,
        ty: change.key.ty.0,
        fid: change.key.id.as_str(),
        ver: change.version.0,
        vid: change.version_row.0,
        kind: change.kind as u8,
        kid: (change.kid != tenant_kid).then(|| change.kid.to_vec()),
        pm: change.index.presence(),
        ix: if deletes { &[] } else { &change.ix },
    }
}
