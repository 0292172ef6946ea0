//! The rows of a batch, collected by column and written with one statement per table. Must be flushed
//! before anything in the same transaction searches.

use deadpool_postgres::Transaction;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::super::connect::Value;
use crate::index::{COMPARTMENT, Difference, PackedIndex, is_link};

const RES: &str = "INSERT INTO res (tn, rid, rh, ty, fid, ver, vid, kind, kid, pm, ix) SELECT $1, * FROM
    unnest($2::int8[], $3::int8[], $4::int4[], $5::text[], $6::int4[], $7::int8[], $8::int2[], $9::bytea[], $10::int8[], $11::bytea[])";
const RES_UPDATE: &str = "UPDATE res r SET ver = d.ver, vid = d.vid, kind = d.kind, kid = d.kid, pm = d.pm, ix = d.ix FROM
    unnest($2::int8[], $3::int8[], $4::int4[], $5::text[], $6::int4[], $7::int8[], $8::int2[], $9::bytea[], $10::int8[], $11::bytea[])
    AS d (rid, rh, ty, fid, ver, vid, kind, kid, pm, ix) WHERE r.tn = $1 AND r.rid = d.rid";
const VER: &str = "INSERT INTO ver (tn, vid, rid, ver, ty, kind, body) SELECT $1, * FROM
    unnest($2::int8[], $3::int8[], $4::int4[], $5::int4[], $6::int2[], $7::bytea[])";
const KEY: &str = "INSERT INTO ix_key (tn, p, v, rid) SELECT $1, * FROM unnest($2::int4[], $3::int8[], $4::int8[]) ON CONFLICT DO NOTHING";
const KEY_DELETE: &str =
    "DELETE FROM ix_key k USING unnest($2::int4[], $3::int8[], $4::int8[]) AS d (p, v, rid)
    WHERE k.tn = $1 AND k.p = d.p AND k.v = d.v AND k.rid = d.rid";
const LINK: &str = "INSERT INTO ix_ref (tn, p, v, rid) SELECT $1, * FROM unnest($2::int4[], $3::int8[], $4::int8[]) ON CONFLICT DO NOTHING";
const LINK_DELETE: &str =
    "DELETE FROM ix_ref k USING unnest($2::int4[], $3::int8[], $4::int8[]) AS d (p, v, rid)
    WHERE k.tn = $1 AND k.rid = d.rid AND k.p = d.p AND k.v = d.v";
const RANGE: &str = "INSERT INTO ix_rng (tn, p, u, lo, hi, rid) SELECT $1, * FROM
    unnest($2::int4[], $3::int8[], $4::int8[], $5::int8[], $6::int8[]) ON CONFLICT DO NOTHING";
const RANGE_DELETE: &str = "DELETE FROM ix_rng k USING unnest($2::int4[], $3::int8[], $4::int8[], $5::int8[], $6::int8[])
    AS d (p, u, lo, hi, rid) WHERE k.tn = $1 AND k.p = d.p AND k.u = d.u AND k.lo = d.lo AND k.hi = d.hi AND k.rid = d.rid";
const TEXT: &str = "INSERT INTO ix_txt (tn, p, v, rid) SELECT $1, * FROM unnest($2::int4[], $3::text[], $4::int8[]) ON CONFLICT DO NOTHING";
const TEXT_DELETE: &str =
    "DELETE FROM ix_txt k USING unnest($2::int4[], $3::text[], $4::int8[]) AS d (p, v, rid)
    WHERE k.tn = $1 AND k.p = d.p AND k.v = d.v COLLATE \"C\" AND k.rid = d.rid";
const PATIENT: &str = "INSERT INTO ix_pat (tn, rid, v) SELECT $1, * FROM unnest($2::int8[], $3::int8[]) ON CONFLICT DO NOTHING";
const PATIENT_DELETE: &str = "DELETE FROM ix_pat WHERE tn = $1 AND rid = ANY($2)";
const STAGE: &str = "INSERT INTO log_stage (tn, log, w, n, s, leaf, payload) SELECT $1, * FROM
    unnest($2::int2[], $3::uuid[], $4::int8[], $5::int8[], $6::bytea[], $7::bytea[])";
const QUEUE: &str = "INSERT INTO log_queue (tn, log, q, w, n) SELECT $1, * FROM unnest($2::int2[], $3::int8[], $4::uuid[], $5::int8[])";

/// What adds index rows, table by table, and what removes them.
const ADD: [&str; 4] = [KEY, LINK, RANGE, TEXT];
const REMOVE: [&str; 4] = [KEY_DELETE, LINK_DELETE, RANGE_DELETE, TEXT_DELETE];

/// Columns of ranges.
#[derive(Default)]
struct RangeRows {
    p: Vec<i32>,
    u: Vec<i64>,
    lo: Vec<i64>,
    hi: Vec<i64>,
    rid: Vec<i64>,
}

/// Index rows to write or to remove.
#[derive(Default)]
pub(in crate::postgres) struct IndexRows {
    keys: (Vec<i32>, Vec<i64>, Vec<i64>),
    /// Those of the keys that are also kept by resource.
    links: (Vec<i32>, Vec<i64>, Vec<i64>),
    ranges: RangeRows,
    texts: (Vec<i32>, Vec<String>, Vec<i64>),
}

impl IndexRows {
    pub(in crate::postgres) fn collect(&mut self, rid: i64, index: &PackedIndex) {
        for row in index.keys() {
            self.keys.0.push(i32::from(row.p));
            self.keys.1.push(row.v);
            self.keys.2.push(rid);
            if is_link(row.p) {
                self.links.0.push(i32::from(row.p));
                self.links.1.push(row.v);
                self.links.2.push(rid);
            }
        }
        for row in index.ranges() {
            self.ranges.p.push(i32::from(row.p));
            self.ranges.u.push(row.u);
            self.ranges.lo.push(row.lo);
            self.ranges.hi.push(row.hi);
            self.ranges.rid.push(rid);
        }
        for row in index.texts() {
            self.texts.0.push(i32::from(row.p));
            self.texts.1.push(storable(&row.v));
            self.texts.2.push(rid);
        }
    }

    pub(in crate::postgres) async fn remove(
        &self,
        transaction: &Transaction<'_>,
        tn: Uuid,
    ) -> Result<(), Error> {
        let tn = &tn;
        let mut work = Work::new(transaction);
        self.push(&mut work, tn, &REMOVE);
        work.run().await
    }

    pub(in crate::postgres) async fn add(
        &self,
        transaction: &Transaction<'_>,
        tn: Uuid,
    ) -> Result<(), Error> {
        let tn = &tn;
        let mut work = Work::new(transaction);
        self.push(&mut work, tn, &ADD);
        work.run().await
    }

    fn push<'a>(
        &'a self,
        work: &mut Work<'a>,
        tn: &'a Uuid,
        [keys, links, ranges, texts]: &[&'static str; 4],
    ) {
        for ((p, v, rid), sql) in [(&self.keys, keys), (&self.links, links)] {
            work.add(!rid.is_empty(), sql, vec![tn, p, v, rid]);
        }
        let RangeRows { p, u, lo, hi, rid } = &self.ranges;
        work.add(!rid.is_empty(), ranges, vec![tn, p, u, lo, hi, rid]);
        let (p, v, rid) = &self.texts;
        work.add(!rid.is_empty(), texts, vec![tn, p, v, rid]);
    }
}

/// PostgreSQL's texts hold no NUL; both sides of every comparison replace it.
pub(in crate::postgres) fn storable(text: &str) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text.to_owned()
    }
}

/// Columns of heads.
#[derive(Default)]
struct HeadRows<'u> {
    rid: Vec<i64>,
    rh: Vec<i64>,
    ty: Vec<i32>,
    fid: Vec<&'u str>,
    ver: Vec<i32>,
    vid: Vec<i64>,
    kind: Vec<i16>,
    kid: Vec<Option<Vec<u8>>>,
    pm: Vec<i64>,
    ix: Vec<&'u [u8]>,
}

/// A head to be written.
pub(super) struct HeadRow<'u> {
    pub(super) rid: i64,
    pub(super) rh: i64,
    pub(super) ty: u16,
    pub(super) fid: &'u str,
    pub(super) ver: u32,
    pub(super) vid: i64,
    pub(super) kind: u8,
    pub(super) kid: Option<Vec<u8>>,
    pub(super) pm: u64,
    pub(super) ix: &'u [u8],
}

impl<'u> HeadRows<'u> {
    fn push(&mut self, row: HeadRow<'u>) {
        self.rid.push(row.rid);
        self.rh.push(row.rh);
        self.ty.push(i32::from(row.ty));
        self.fid.push(row.fid);
        self.ver.push(row.ver as i32);
        self.vid.push(row.vid);
        self.kind.push(i16::from(row.kind));
        self.kid.push(row.kid);
        self.pm.push(row.pm as i64);
        self.ix.push(row.ix);
    }
    fn add<'a>(&'a self, work: &mut Work<'a>, tn: &'a Uuid, sql: &'static str) {
        let columns: Vec<Value<'a>> = vec![
            tn, &self.rid, &self.rh, &self.ty, &self.fid, &self.ver, &self.vid, &self.kind,
            &self.kid, &self.pm, &self.ix,
        ];
        work.add(!self.rid.is_empty(), sql, columns);
    }
}

/// Columns of versions.
#[derive(Default)]
struct VersionRows<'u> {
    vid: Vec<i64>,
    rid: Vec<i64>,
    ver: Vec<i32>,
    ty: Vec<i32>,
    kind: Vec<i16>,
    body: Vec<Option<&'u [u8]>>,
}

/// Columns of entries.
#[derive(Default)]
struct StageRows<'u> {
    log: Vec<i16>,
    writer: Vec<Uuid>,
    counter: Vec<i64>,
    subject: Vec<Option<i64>>,
    leaf: Vec<Vec<u8>>,
    payload: Vec<&'u [u8]>,
    order: Vec<i64>,
}

/// All rows of a batch but those of documents.
#[derive(Default)]
pub(super) struct Rows<'u> {
    created: HeadRows<'u>,
    updated: HeadRows<'u>,
    versions: VersionRows<'u>,
    added: IndexRows,
    removed: IndexRows,
    patients: (Vec<i64>, Vec<i64>),
    patients_replaced: Vec<i64>,
    stage: StageRows<'u>,
}

/// An entry to be staged.
pub(super) struct StageRow<'u> {
    pub(super) log: u8,
    pub(super) writer: Uuid,
    pub(super) counter: u64,
    pub(super) order: i64,
    pub(super) subject: Option<i64>,
    pub(super) leaf: Vec<u8>,
    pub(super) payload: &'u [u8],
}

impl<'u> Rows<'u> {
    pub(super) fn create(&mut self, row: HeadRow<'u>, index: &PackedIndex) {
        self.added.collect(row.rid, index);
        self.created.push(row);
    }
    pub(super) fn update(&mut self, row: HeadRow<'u>, difference: &Difference) {
        self.removed.collect(row.rid, &difference.removed);
        self.added.collect(row.rid, &difference.added);
        self.updated.push(row);
    }
    pub(super) fn compartments(&mut self, rid: i64, index: &PackedIndex, replace: bool) {
        if replace {
            self.patients_replaced.push(rid);
        }
        for row in index.keys().iter().take_while(|row| row.p == COMPARTMENT) {
            self.patients.0.push(rid);
            self.patients.1.push(row.v);
        }
    }
    pub(super) fn version(
        &mut self,
        vid: i64,
        rid: i64,
        ver: u32,
        ty: u16,
        kind: u8,
        body: Option<&'u [u8]>,
    ) {
        let rows = &mut self.versions;
        rows.vid.push(vid);
        rows.rid.push(rid);
        rows.ver.push(ver as i32);
        rows.ty.push(i32::from(ty));
        rows.kind.push(i16::from(kind));
        rows.body.push(body);
    }
    pub(super) fn stage(&mut self, row: StageRow<'u>) {
        let rows = &mut self.stage;
        rows.log.push(i16::from(row.log));
        rows.writer.push(row.writer);
        rows.counter.push(row.counter as i64);
        rows.subject.push(row.subject);
        rows.leaf.push(row.leaf);
        rows.payload.push(row.payload);
        rows.order.push(row.order);
    }

    /// Writes all, in as few round trips as there are, and empties the buffers.
    pub(super) async fn flush(
        &mut self,
        transaction: &Transaction<'_>,
        tn: Uuid,
    ) -> Result<(), Error> {
        let rows = core::mem::take(self);
        let tn = &tn;
        let mut work = Work::new(transaction);
        rows.created.add(&mut work, tn, RES);
        rows.updated.add(&mut work, tn, RES_UPDATE);
        let VersionRows {
            vid,
            rid,
            ver,
            ty,
            kind,
            body,
        } = &rows.versions;
        work.add(
            !vid.is_empty(),
            VER,
            vec![tn, vid, rid, ver, ty, kind, body],
        );
        rows.removed.push(&mut work, tn, &REMOVE);
        rows.added.push(&mut work, tn, &ADD);
        let StageRows {
            log,
            writer: w,
            counter: n,
            subject: s,
            leaf,
            payload,
            order,
        } = &rows.stage;
        work.add(!n.is_empty(), STAGE, vec![tn, log, w, n, s, leaf, payload]);
        work.add(!n.is_empty(), QUEUE, vec![tn, log, order, w, n]);
        work.add(
            !rows.patients_replaced.is_empty(),
            PATIENT_DELETE,
            vec![tn, &rows.patients_replaced],
        );
        work.run().await?;
        let (rid, v) = &rows.patients;
        let mut work = Work::new(transaction);
        work.add(!rid.is_empty(), PATIENT, vec![tn, rid, v]);
        work.run().await
    }
}

/// Statements sent together.
pub(in crate::postgres) struct Work<'a> {
    transaction: &'a Transaction<'a>,
    statements: Vec<BoxFuture<'a, Result<u64, Error>>>,
}

impl<'a> Work<'a> {
    pub(in crate::postgres) fn new(transaction: &'a Transaction<'_>) -> Self {
        Self {
            transaction,
            statements: Vec::new(),
        }
    }
    pub(in crate::postgres) fn add(
        &mut self,
        wanted: bool,
        sql: &'static str,
        values: Vec<Value<'a>>,
    ) {
        if wanted {
            let transaction = self.transaction;
            let statement = async move {
                let statement = transaction.prepare_cached(sql).await?;
                transaction.execute(&statement, &values).await
            };
            self.statements.push(statement.boxed());
        }
    }
    pub(in crate::postgres) async fn run(self) -> Result<(), Error> {
        let mut first = None;
        for answer in join_all(self.statements).await {
            if let Err(error) = answer {
                // Those sent after the one that failed only say that the transaction is over.
                let follows = error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION);
                if first.is_none() || !follows {
                    first = Some(error);
                }
                if !follows {
                    break;
                }
            }
        }
        first.map_or(Ok(()), Err)
    }
}
