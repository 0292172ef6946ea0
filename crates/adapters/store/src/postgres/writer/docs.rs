//! Documents within a batch: their versions and look-ups as the units before left them.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use kernel::TenantId;
use tokio_postgres::Error;

use super::rows::Work;
use crate::port::change::CommitError;
use crate::port::doc::DocExpected;
use crate::prepare::{PreparedDoc, PreparedUnit};

const VERSIONS: &str = "SELECT d.kind, d.id, d.version FROM doc d JOIN unnest($2::int2[], $3::text[]) AS a (kind, id)
    ON d.kind = a.kind AND d.id = a.id COLLATE \"C\" WHERE d.tn = $1 ORDER BY d.kind, d.id FOR UPDATE OF d";
const LOOKUPS: &str =
    "SELECT l.v, l.kind, l.id FROM doc_lookup l WHERE l.tn = $1 AND l.v = ANY($2) UNION
    SELECT l.v, l.kind, l.id FROM doc_lookup l JOIN unnest($3::int2[], $4::text[]) AS a (kind, id)
    ON l.kind = a.kind AND l.id = a.id COLLATE \"C\" WHERE l.tn = $1";
const DELETE: &str = "DELETE FROM doc d USING unnest($2::int2[], $3::text[]) AS a (kind, id)
    WHERE d.tn = $1 AND d.kind = a.kind AND d.id = a.id COLLATE \"C\"";
const UPSERT: &str =
    "INSERT INTO doc (tn, kind, id, version, updated, expires, body) SELECT $1, * FROM
    unnest($2::int2[], $3::text[], $4::int4[], $5::int8[], $6::int8[], $7::bytea[])
    ON CONFLICT (tn, kind, id) DO UPDATE SET version = excluded.version, updated = excluded.updated,
    expires = excluded.expires, body = excluded.body";
const INSERT: &str =
    "INSERT INTO doc (tn, kind, id, version, updated, expires, body) SELECT $1, * FROM
    unnest($2::int2[], $3::text[], $4::int4[], $5::int8[], $6::int8[], $7::bytea[])";
const LOOKUP_DELETE: &str =
    "DELETE FROM doc_lookup l USING unnest($2::int2[], $3::text[]) AS a (kind, id)
    WHERE l.tn = $1 AND l.kind = a.kind AND l.id = a.id COLLATE \"C\"";
const LOOKUP_INSERT: &str = "INSERT INTO doc_lookup (tn, v, kind, id) SELECT $1, * FROM unnest($2::bytea[], $3::int2[], $4::text[])";

type Name<'u> = (u8, &'u str);

#[derive(Default)]
struct State<'u> {
    version: Option<u32>,
    /// Whether the database has it.
    stored: bool,
    write: Option<&'u PreparedDoc>,
}

/// The documents that a batch is about.
#[derive(Default)]
pub(super) struct Docs<'u> {
    states: HashMap<Name<'u>, State<'u>>,
    /// Who holds a look-up.
    holders: HashMap<[u8; 16], (u8, String)>,
}

/// Columns of kinds and ids.
#[derive(Default)]
struct Names<'u>(Vec<i16>, Vec<&'u str>);

impl<'u> Names<'u> {
    fn push(&mut self, (kind, id): Name<'u>) {
        self.0.push(i16::from(kind));
        self.1.push(id);
    }
}

impl<'u> Docs<'u> {
    /// Locks and reads them.
    pub(super) async fn load(
        &mut self,
        transaction: &Transaction<'_>,
        tenant: TenantId,
        units: &[&'u PreparedUnit],
    ) -> Result<(), Error> {
        let mut names = Names::default();
        let mut asked: Vec<&[u8]> = Vec::new();
        for doc in units.iter().flat_map(|unit| &unit.docs) {
            let name = (doc.kind.number(), doc.id.as_str());
            if self.states.insert(name, State::default()).is_none() {
                names.push(name);
            }
            asked.extend(doc.lookups.iter().map(|(_, v)| v.as_slice()));
        }
        if names.0.is_empty() {
            return Ok(());
        }
        let tn = tenant.as_uuid();
        let statement = transaction.prepare_cached(VERSIONS).await?;
        let rows = transaction
            .query(&statement, &[&tn, &names.0, &names.1])
            .await?;
        let found: HashMap<(i16, &str), i32> = rows
            .iter()
            .map(|row| ((row.get(0), row.get(1)), row.get(2)))
            .collect();
        for ((kind, id), state) in &mut self.states {
            if let Some(version) = found.get(&(i16::from(*kind), *id)) {
                state.version = Some(*version as u32);
                state.stored = true;
            }
        }
        let statement = transaction.prepare_cached(LOOKUPS).await?;
        for row in transaction
            .query(&statement, &[&tn, &asked, &names.0, &names.1])
            .await?
        {
            if let Ok(v) = <[u8; 16]>::try_from(row.get::<_, &[u8]>(0)) {
                self.holders
                    .insert(v, (row.get::<_, i16>(1) as u8, row.get(2)));
            }
        }
        Ok(())
    }

    /// Why a unit's documents cannot be written.
    pub(super) fn conflict(&self, unit: &PreparedUnit) -> Option<CommitError> {
        unit.docs.iter().enumerate().find_map(|(at, doc)| {
            let twice = unit.docs.iter().take(at).any(|other| {
                (other.kind == doc.kind && other.id == doc.id)
                    || other
                        .lookups
                        .iter()
                        .any(|(_, v)| doc.lookups.iter().any(|(_, w)| v == w))
            });
            if twice {
                Some(CommitError::Malformed(
                    "a document or look-up appears twice",
                ))
            } else {
                self.doc_conflict(doc)
            }
        })
    }

    fn doc_conflict(&self, doc: &PreparedDoc) -> Option<CommitError> {
        let version = self
            .states
            .get(&(doc.kind.number(), doc.id.as_str()))
            .and_then(|state| state.version);
        let fits = match doc.expected {
            DocExpected::Any => true,
            DocExpected::Absent => version.is_none(),
            DocExpected::Version(expected) => version == Some(expected),
        };
        let conflict = |lookup| {
            Some(CommitError::DocConflict {
                kind: doc.kind,
                id: doc.id.clone(),
                lookup,
            })
        };
        if !fits {
            return conflict(None);
        }
        let other = |v: &[u8; 16]| {
            self.holders
                .get(v)
                .is_some_and(|(_, holder)| *holder != doc.id)
        };
        doc.lookups
            .iter()
            .find(|(_, v)| other(v))
            .and_then(|(name, _)| conflict(Some(name)))
    }

    pub(super) fn apply(&mut self, unit: &'u PreparedUnit) {
        for doc in &unit.docs {
            let (kind, id) = (doc.kind.number(), doc.id.as_str());
            self.holders
                .retain(|_, (of, holder)| !(*of == kind && holder == id));
            self.holders
                .extend(doc.lookups.iter().map(|(_, v)| (*v, (kind, id.to_owned()))));
            let state = self.states.entry((kind, id)).or_default();
            state.version = doc.body.as_ref().map(|_| state.version.unwrap_or(0) + 1);
            state.write = Some(doc);
        }
    }

    /// Writes them. What was not there is inserted and must not meet another's, so that two replicas
    /// cannot both create it.
    pub(super) async fn flush(
        &mut self,
        transaction: &Transaction<'_>,
        tenant: TenantId,
    ) -> Result<(), Error> {
        let tn = tenant.as_uuid();
        let (mut touched, mut deleted) = (Names::default(), Names::default());
        let (mut created, mut updated) = (Bodies::default(), Bodies::default());
        let mut lookups: (Vec<&[u8]>, Names<'u>) = (Vec::new(), Names::default());
        let mut written: Vec<(Name<'u>, u32, bool, &'u PreparedDoc)> = Vec::new();
        for (name, state) in &mut self.states {
            if let Some(doc) = state.write.take() {
                written.push((*name, state.version.unwrap_or(0), state.stored, doc));
                state.stored = doc.body.is_some();
            }
        }
        written.sort_unstable_by_key(|(name, ..)| *name);
        for (name, version, stored, doc) in written {
            touched.push(name);
            match &doc.body {
                None => deleted.push(name),
                Some(body) if stored => updated.push(name, version, doc, body),
                Some(body) => created.push(name, version, doc, body),
            }
            for (_, v) in &doc.lookups {
                lookups.0.push(v.as_slice());
                lookups.1.push(name);
            }
        }
        let mut work = Work::new(transaction);
        work.add(
            !touched.0.is_empty(),
            LOOKUP_DELETE,
            vec![&tn, &touched.0, &touched.1],
        );
        work.add(
            !deleted.0.is_empty(),
            DELETE,
            vec![&tn, &deleted.0, &deleted.1],
        );
        created.add(&mut work, &tn, INSERT);
        updated.add(&mut work, &tn, UPSERT);
        work.run().await?;
        let mut work = Work::new(transaction);
        let (hashes, Names(kinds, ids)) = &lookups;
        work.add(
            !hashes.is_empty(),
            LOOKUP_INSERT,
            vec![&tn, hashes, kinds, ids],
        );
        work.run().await
    }
}

/// Columns of documents.
#[derive(Default)]
struct Bodies<'u> {
    names: Names<'u>,
    versions: Vec<i32>,
    updated: Vec<i64>,
    expires: Vec<Option<i64>>,
    sealed: Vec<&'u [u8]>,
}

impl<'u> Bodies<'u> {
    fn push(&mut self, name: Name<'u>, version: u32, doc: &PreparedDoc, body: &'u [u8]) {
        self.names.push(name);
        self.versions.push(version as i32);
        self.updated.push(doc.updated);
        self.expires.push(doc.expires);
        self.sealed.push(body);
    }
    fn add<'a>(&'a self, work: &mut Work<'a>, tn: &'a uuid::Uuid, sql: &'static str) {
        let Names(kinds, ids) = &self.names;
        work.add(
            !kinds.is_empty(),
            sql,
            vec![
                tn,
                kinds,
                ids,
                &self.versions,
                &self.updated,
                &self.expires,
                &self.sealed,
            ],
        );
    }
}
