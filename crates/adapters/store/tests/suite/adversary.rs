//! Somebody goes behind the program's back, in the tables and the files: whatever was edited, removed,
//! swapped, cut short, put back or forked is found, with its exit code, its log and its place.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kernel::TenantScope;
use ledger::checkpoint::Checkpoint;
use ledger::leaf::Class;
use ledger::note::KeyKind;
use ledger::policy::Policy;
use ledger::verify::{Report, Verdict};
use ledger::{Note, SigningKey};
use store::evidence::{RecordSummary, StoreLogs, verify_logs, verify_record};
use store::{Log, Store, Unit};
use tokio::runtime::Handle;

use super::Bed;
use super::world::{World, id, patient};

/// The same statements in both dialects. One tenant's tables are all that is in reach, by their bare names;
/// its keys lie in the schema `theriac_keys`.
pub struct Sql {
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

impl Sql {
    const fn both(sql: &'static str) -> Self {
        Self {
            sqlite: sql,
            postgres: sql,
        }
    }
}

/// What an adversary with the owner's password or the disk can do.
#[async_trait]
pub trait Hand: Bed {
    /// Whether the newest checkpoint lies among the stored ones only, and not in the head's row too.
    const ONE_NEWEST: bool;

    /// Closes what is open, so that files and rows can be changed.
    async fn close(&mut self);
    /// Opens the store as `theriac verify` does.
    async fn examine(&mut self, world: &World) -> Arc<dyn Store>;
    /// Runs statements in a tenant's tables.
    fn sql(&self, scope: &TenantScope, sql: &Sql);
    /// Keeps a copy of all databases under a name. Head files are not in it.
    fn keep(&self, name: &str);
    /// Puts such a copy in the place of the databases.
    fn put_back(&self, name: &str);
    /// Swaps the records of two tenants; their keys stay where they are.
    fn swap(&self, one: &TenantScope, other: &TenantScope);
    /// The folder with the head files in `heads`.
    fn data(&self) -> PathBuf;
}

/// What must be found first among what weighs most.
#[derive(Debug, PartialEq, Eq)]
pub struct Expected {
    pub code: u8,
    pub log: Log,
    pub index: Option<u64>,
}

const fn altered(index: u64) -> Expected {
    of_changes(1, Some(index))
}
const fn incomplete(index: u64) -> Expected {
    of_changes(2, Some(index))
}
pub const fn of_changes(code: u8, index: Option<u64>) -> Expected {
    Expected {
        code,
        log: Log::Changes,
        index,
    }
}

/// Entries of [`clinic`]'s change log.
const ENTRIES: u64 = 8;
/// Its entries when the copy `early` was kept.
const EARLY: u64 = 5;

/// Patients p0 to p5 by entries 0 to 5, an update of p1 by entry 6, the deletion of p5 by entry 7, each
/// with a checkpoint of its own; two looks. Keeps `early` after five entries and `whole` at the end.
async fn clinic(hand: &mut impl Hand) -> World {
    let world = World::new();
    let store = hand.open(&world, Duration::ZERO).await;
    world.found(&*store).await;
    for number in 0..EARLY {
        put(&world, &*store, &format!("p{number}"), "Kept").await;
    }
    hand.close().await;
    hand.keep("early");
    let save = Sql::both("CREATE TABLE saved AS SELECT * FROM log_head");
    hand.sql(&world.scope, &save);
    let store = hand.open(&world, Duration::ZERO).await;
    put(&world, &*store, "p5", "Kept").await;
    put(&world, &*store, "p1", "Changed").await;
    world
        .delete(&*store, "Patient/p5", Some("p5"))
        .await
        .unwrap();
    for name in ["p0", "p1"] {
        let look = world.entry(Log::Access, Class::Read, Some(name));
        store.record_access(&world.scope, vec![look]).await.unwrap();
        store.settle(&world.scope).await.unwrap();
    }
    hand.close().await;
    hand.keep("whole");
    world
}

async fn put(world: &World, store: &dyn Store, name: &str, family: &str) {
    world.put(store, &[&patient(name, family)]).await.unwrap();
    store.settle(&world.scope).await.unwrap();
}

pub type Found = (Report, Vec<RecordSummary>);

async fn verify(hand: &mut impl Hand, world: &World, held: &[Checkpoint]) -> Found {
    let store = hand.examine(world).await;
    let found = verify_open(store, hand.data(), held.to_vec()).await;
    hand.close().await;
    found
}

/// Verifies an open store with the head files of a data folder.
pub async fn verify_open(store: Arc<dyn Store>, data: PathBuf, held: Vec<Checkpoint>) -> Found {
    let handle = Handle::current();
    let work = tokio::task::spawn_blocking(move || {
        let policy = Policy::of_logs(vec![store.log_verifier().parse().unwrap()]);
        let mut logs = StoreLogs::new(store, handle, Some(&data), |_, _, _| {});
        let mut report = verify_logs(&mut logs, &policy, &held).unwrap();
        let record = verify_record(&mut logs, &mut report).unwrap();
        (report, record.into_values().collect())
    });
    work.await.unwrap()
}

/// The first finding of the verdict.
pub fn worst(report: &Report) -> Expected {
    let verdict = report.verdict();
    let finding = report
        .findings
        .iter()
        .find(|finding| finding.verdict == verdict)
        .unwrap_or_else(|| panic!("nothing was found"));
    let log = if finding.log.contains("/access/") {
        Log::Access
    } else {
        assert!(finding.log.contains("/changes/"), "{finding}");
        Log::Changes
    };
    Expected {
        code: verdict.exit_code(),
        log,
        index: finding.index,
    }
}

pub fn assert_sound(report: &Report) {
    assert_eq!(report.verdict(), Verdict::Sound, "{:#?}", report.findings);
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
}

async fn run(hand: &mut impl Hand, world: &World, cases: Vec<(&str, Sql, Expected)>) {
    let heads = Heads::keep(hand);
    for (name, sql, expected) in cases {
        hand.sql(&world.scope, &sql);
        let (report, _) = verify(hand, world, &[]).await;
        assert_eq!(worst(&report), expected, "{name}: {:#?}", report.findings);
        hand.put_back("whole");
        heads.put_back(hand);
    }
}

/// The head files, kept by somebody else.
struct Heads(Vec<(PathBuf, Vec<u8>)>);

impl Heads {
    fn keep(hand: &impl Hand) -> Self {
        let items = std::fs::read_dir(hand.data().join("heads")).unwrap();
        let files = items.map(|item| item.unwrap().path());
        Self(
            files
                .map(|path| (path.clone(), std::fs::read(path).unwrap()))
                .collect(),
        )
    }
    fn put_back(&self, hand: &impl Hand) {
        Self::remove(hand);
        std::fs::create_dir_all(hand.data().join("heads")).unwrap();
        for (path, bytes) in &self.0 {
            std::fs::write(path, bytes).unwrap();
        }
    }
    fn remove(hand: &impl Hand) {
        let heads = hand.data().join("heads");
        if heads.exists() {
            std::fs::remove_dir_all(heads).unwrap();
        }
    }
}

/// The newest checkpoint of a tenant's change log, as somebody outside would keep it.
async fn checkpoint(hand: &mut impl Hand, world: &World) -> Checkpoint {
    let store = hand.examine(world).await;
    let head = store.log_head(&world.scope, Log::Changes).await.unwrap();
    hand.close().await;
    Checkpoint::of_note(&Note::parse(&head.checkpoint).unwrap()).unwrap()
}

pub async fn an_untouched_store_is_sound(hand: &mut impl Hand) {
    let world = clinic(hand).await;
    let (report, record) = verify(hand, &world, &[]).await;
    assert_sound(&report);
    let versions: Vec<u64> = record.iter().map(|of| of.versions).collect();
    assert_eq!(versions, [ENTRIES]);
    let sizes: Vec<u64> = report.logs.iter().map(|log| log.entries).collect();
    assert_eq!(sizes.iter().sum::<u64>(), ENTRIES + 2);
}

pub async fn edits_are_found<H: Hand>(hand: &mut H) {
    let world = clinic(hand).await;
    let mut cases = ledger_edits(H::ONE_NEWEST);
    cases.extend(record_edits());
    run(hand, &world, cases).await;
}

/// A staged entry on PostgreSQL by its place.
macro_rules! placed {
    ($set:literal, $log:literal, $index:literal) => {
        concat!(
            "UPDATE log_stage s SET ",
            $set,
            " FROM log_entry e WHERE e.log = ",
            $log,
            " AND e.idx = ",
            $index,
            " AND (s.tn, s.log, s.w, s.n) = (e.tn, e.log, e.w, e.n)"
        )
    };
}

fn ledger_edits(one_newest: bool) -> Vec<(&'static str, Sql, Expected)> {
    vec![
        (
            "an entry's leaf edited",
            Sql {
                sqlite: "UPDATE log_changes SET leaf = CAST(replace(CAST(leaf AS TEXT), 'success', 'denied') AS BLOB) WHERE idx = 2",
                postgres: placed!("leaf = convert_to(replace(convert_from(leaf, 'UTF8'), 'success', 'denied'), 'UTF8')", "1", "2"),
            },
            altered(2),
        ),
        (
            "an entry's payload edited",
            Sql {
                sqlite: "UPDATE log_changes SET payload = CAST(substr(payload, 1, 40) || x'00' || substr(payload, 42) AS BLOB) WHERE idx = 3",
                postgres: placed!("payload = overlay(payload placing '\\x00'::bytea from 41)", "1", "3"),
            },
            altered(3),
        ),
        (
            "an entry removed from the middle",
            Sql {
                sqlite: "DELETE FROM log_changes WHERE idx = 3",
                postgres: "DELETE FROM log_entry WHERE log = 1 AND idx = 3",
            },
            incomplete(3),
        ),
        (
            "the last entry removed",
            Sql {
                sqlite: "DELETE FROM log_changes WHERE idx = 7",
                postgres: "DELETE FROM log_entry WHERE log = 1 AND idx = 7",
            },
            incomplete(7),
        ),
        (
            "what an entry says removed",
            Sql {
                sqlite: "DELETE FROM log_changes WHERE idx = 2",
                postgres: "DELETE FROM log_stage s USING log_entry e WHERE e.log = 1 AND e.idx = 2 AND (s.tn, s.log, s.w, s.n) = (e.tn, e.log, e.w, e.n)",
            },
            incomplete(2),
        ),
        (
            "a look removed",
            Sql {
                sqlite: "DELETE FROM log_access WHERE idx = 1",
                postgres: "DELETE FROM log_entry WHERE log = 2 AND idx = 1",
            },
            Expected {
                code: 2,
                log: Log::Access,
                index: Some(1),
            },
        ),
        (
            "two entries swapped",
            Sql {
                sqlite: "UPDATE log_changes SET idx = idx + 1000 WHERE idx IN (1, 4);
                    UPDATE log_changes SET idx = 4 WHERE idx = 1001; UPDATE log_changes SET idx = 1 WHERE idx = 1004",
                postgres: "UPDATE log_entry SET idx = idx + 1000 WHERE log = 1 AND idx IN (1, 4);
                    UPDATE log_entry SET idx = 4 WHERE log = 1 AND idx = 1001;
                    UPDATE log_entry SET idx = 1 WHERE log = 1 AND idx = 1004",
            },
            altered(1),
        ),
        (
            "an entry repeated over another",
            Sql {
                sqlite: "UPDATE log_changes SET leaf = (SELECT leaf FROM log_changes WHERE idx = 0),
                    payload = (SELECT payload FROM log_changes WHERE idx = 0) WHERE idx = 4",
                postgres: placed!("leaf = (SELECT f.leaf FROM log_stage f JOIN log_entry o USING (tn, log, w, n) WHERE o.log = 1 AND o.idx = 0),
                    payload = (SELECT f.payload FROM log_stage f JOIN log_entry o USING (tn, log, w, n) WHERE o.log = 1 AND o.idx = 0)", "1", "4"),
            },
            altered(4),
        ),
        (
            "an older checkpoint's signature edited",
            Sql::both("UPDATE log_checkpoint SET note = substr(note, 1, length(note) - 12) || 'AAAAAAAAAA' || substr(note, length(note) - 1) WHERE log = 1 AND size = 3"),
            altered(3),
        ),
        (
            "the newest checkpoint's signature edited",
            Sql {
                sqlite: "UPDATE log_checkpoint SET note = substr(note, 1, length(note) - 12) || 'AAAAAAAAAA' || substr(note, length(note) - 1) WHERE log = 1 AND size = 8",
                postgres: "UPDATE log_head SET note = substr(note, 1, length(note) - 12) || 'AAAAAAAAAA' || substr(note, length(note) - 1) WHERE log = 1",
            },
            altered(ENTRIES),
        ),
        (
            "the newest checkpoint removed",
            Sql::both("DELETE FROM log_checkpoint WHERE log = 1 AND size = 8"),
            of_changes(2, (!one_newest).then_some(ENTRIES)),
        ),
    ]
}

fn record_edits() -> Vec<(&'static str, Sql, Expected)> {
    vec![
        (
            "a version's body edited",
            Sql {
                sqlite: "UPDATE ver SET body = CAST(substr(body, 1, length(body) - 1) || x'00' AS BLOB) WHERE ver = 2 AND kind = 2",
                postgres: "UPDATE ver SET body = set_byte(body, length(body) - 1, 0) WHERE ver = 2 AND kind = 2",
            },
            altered(6),
        ),
        (
            "an older body put in a version's place",
            Sql::both("UPDATE ver SET body = (SELECT o.body FROM ver o WHERE o.rid = ver.rid AND o.ver = 1) WHERE ver = 2 AND kind = 2"),
            altered(6),
        ),
        (
            "a head pointed back",
            Sql::both("UPDATE res SET ver = 1, kind = 1, vid = (SELECT o.vid FROM ver o WHERE o.rid = res.rid AND o.ver = 1) WHERE ver = 2 AND kind = 2"),
            altered(6),
        ),
        (
            "a head marked as erased",
            Sql::both("UPDATE res SET kind = 4 WHERE fid = 'p2'"),
            altered(2),
        ),
        (
            "a head hidden under another name",
            Sql::both("UPDATE res SET rh = rh + 1 WHERE fid = 'p2'"),
            altered(2),
        ),
        (
            "an update passed off as a creation",
            Sql::both(
                "UPDATE ver SET kind = 1 WHERE ver = 2 AND kind = 2; UPDATE res SET kind = 1 WHERE ver = 2 AND kind = 2",
            ),
            altered(6),
        ),
        (
            "a first version removed with its head",
            Sql::both("DELETE FROM ver WHERE rid = (SELECT rid FROM res WHERE fid = 'p3'); DELETE FROM res WHERE fid = 'p3'"),
            incomplete(3),
        ),
        (
            "an update undone",
            Sql::both("DELETE FROM ver WHERE ver = 2 AND kind = 2;
                UPDATE res SET ver = 1, kind = 1, vid = (SELECT o.vid FROM ver o WHERE o.rid = res.rid AND o.ver = 1) WHERE ver = 2 AND kind = 2"),
            incomplete(6),
        ),
        (
            "a deletion undone",
            Sql::both("DELETE FROM ver WHERE ver = 2 AND kind = 3;
                UPDATE res SET ver = 1, kind = 1, vid = (SELECT o.vid FROM ver o WHERE o.rid = res.rid AND o.ver = 1) WHERE ver = 2 AND kind = 3"),
            incomplete(7),
        ),
        (
            "a deletion without an entry",
            Sql {
                sqlite: "INSERT INTO ver (vid, rid, ver, ty, kind, body) SELECT (SELECT max(vid) + 1 FROM ver), rid, 2, ty, 3, NULL FROM res WHERE fid = 'p0';
                    UPDATE res SET ver = 2, kind = 3, vid = (SELECT max(vid) FROM ver) WHERE fid = 'p0'",
                postgres: "INSERT INTO ver (tn, vid, rid, ver, ty, kind, body) SELECT tn, (SELECT max(vid) + 1 FROM ver), rid, 2, ty, 3, NULL FROM res WHERE fid = 'p0';
                    UPDATE res SET ver = 2, kind = 3, vid = (SELECT max(vid) FROM ver) WHERE fid = 'p0'",
            },
            of_changes(1, None),
        ),
        (
            "a version without an entry",
            Sql {
                sqlite: "INSERT INTO ver (vid, rid, ver, ty, kind, body) SELECT (SELECT max(vid) + 1 FROM ver), rid, 2, ty, 2, body FROM ver WHERE ver = 1 AND rid = (SELECT rid FROM res WHERE fid = 'p0')",
                postgres: "INSERT INTO ver (tn, vid, rid, ver, ty, kind, body) SELECT tn, (SELECT max(vid) + 1 FROM ver), rid, 2, ty, 2, body FROM ver WHERE ver = 1 AND rid = (SELECT rid FROM res WHERE fid = 'p0')",
            },
            of_changes(1, None),
        ),
        (
            "a version taken from its resource",
            Sql::both("DELETE FROM res WHERE fid = 'p4'"),
            of_changes(1, None),
        ),
        (
            "a key declared destroyed",
            Sql {
                sqlite: "INSERT INTO erasure (kid, done) SELECT kid, 1 FROM res WHERE fid = 'p3'",
                postgres: "INSERT INTO erasure (tn, kid, subject) SELECT tn, kid, '\\x00' FROM res WHERE fid = 'p3'",
            },
            incomplete(3),
        ),
        (
            "a key destroyed without a word",
            Sql::both("DELETE FROM theriac_keys.dek WHERE kid = (SELECT kid FROM res WHERE fid = 'p4')"),
            incomplete(4),
        ),
    ]
}

pub async fn edits_of_a_long_log_are_found(hand: &mut impl Hand) {
    let world = clinic(hand).await;
    let store = hand.open(&world, Duration::ZERO).await;
    for round in 0..3 {
        let names = (0..100).map(|n| patient(&format!("t{round}-{n}"), "T"));
        let changes = names.map(|json| world.change(&*store, &json, None));
        let unit = Unit {
            changes: changes.collect(),
            ..Unit::default()
        };
        store.commit(&world.scope, unit).await.unwrap();
        store.settle(&world.scope).await.unwrap();
    }
    hand.close().await;
    hand.keep("whole");
    let (report, _) = verify(hand, &world, &[]).await;
    assert_sound(&report);
    let cases = vec![
        (
            "a tile edited",
            Sql {
                sqlite: "UPDATE log_tile SET hashes = CAST(substr(hashes, 1, 3200) || x'0000000000000000000000000000000000000000000000000000000000000000' || substr(hashes, 3233) AS BLOB) WHERE log = 1 AND level = 0",
                postgres: "UPDATE log_tile SET hashes = overlay(hashes placing '\\x00000000'::bytea from 3201) WHERE log = 1 AND level = 0",
            },
            altered(100),
        ),
        (
            "a tile removed",
            Sql::both("DELETE FROM log_tile WHERE log = 1 AND level = 0"),
            incomplete(0),
        ),
        (
            "an entry below a full tile edited",
            Sql {
                sqlite: "UPDATE log_changes SET leaf = CAST(replace(CAST(leaf AS TEXT), 'success', 'denied') AS BLOB) WHERE idx = 150",
                postgres: placed!("leaf = convert_to(replace(convert_from(leaf, 'UTF8'), 'success', 'denied'), 'UTF8')", "1", "150"),
            },
            altered(150),
        ),
        (
            "an entry below a full tile removed",
            Sql {
                sqlite: "DELETE FROM log_changes WHERE idx = 100",
                postgres: "DELETE FROM log_entry WHERE log = 1 AND idx = 100",
            },
            incomplete(100),
        ),
        (
            "a payload late in the log edited",
            Sql {
                sqlite: "UPDATE log_changes SET payload = CAST(substr(payload, 1, 40) || x'00' || substr(payload, 42) AS BLOB) WHERE idx = 290",
                postgres: placed!("payload = overlay(payload placing '\\x00'::bytea from 41)", "1", "290"),
            },
            altered(290),
        ),
        (
            "entries swapped across the tiles",
            Sql {
                sqlite: "UPDATE log_changes SET idx = idx + 1000 WHERE idx IN (20, 280);
                    UPDATE log_changes SET idx = 280 WHERE idx = 1020; UPDATE log_changes SET idx = 20 WHERE idx = 1280",
                postgres: "UPDATE log_entry SET idx = idx + 1000 WHERE log = 1 AND idx IN (20, 280);
                    UPDATE log_entry SET idx = 280 WHERE log = 1 AND idx = 1020;
                    UPDATE log_entry SET idx = 20 WHERE log = 1 AND idx = 1280",
            },
            altered(20),
        ),
    ];
    run(hand, &world, cases).await;
}

/// Entries, checkpoints and head agree with each other and are cut at five.
const CUT: Sql = Sql {
    sqlite: "DELETE FROM log_changes WHERE idx >= 5; DELETE FROM log_checkpoint WHERE log = 1 AND size > 5;
        DELETE FROM log_head WHERE log = 1; INSERT INTO log_head SELECT * FROM saved WHERE log = 1",
    postgres: "DELETE FROM log_entry WHERE log = 1 AND idx >= 5; DELETE FROM log_checkpoint WHERE log = 1 AND size > 5;
        DELETE FROM log_stage s WHERE log = 1 AND NOT EXISTS (SELECT 1 FROM log_entry e WHERE (s.tn, s.log, s.w, s.n) = (e.tn, e.log, e.w, e.n));
        DELETE FROM log_head WHERE log = 1; INSERT INTO log_head SELECT * FROM saved WHERE log = 1",
};

pub async fn a_log_cut_short_is_found(hand: &mut impl Hand) {
    let world = clinic(hand).await;
    let heads = Heads::keep(hand);
    let newest = checkpoint(hand, &world).await;
    hand.sql(&world.scope, &CUT);
    let (report, _) = verify(hand, &world, &[]).await;
    assert_eq!(worst(&report), incomplete(EARLY), "{:#?}", report.findings);
    // Without its head file the log agrees with itself, but the record has more than it tells of.
    Heads::remove(hand);
    let (report, _) = verify(hand, &world, &[]).await;
    assert_eq!(
        worst(&report),
        of_changes(1, None),
        "{:#?}",
        report.findings
    );
    let without = report
        .findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Altered);
    assert_eq!(without.count() as u64, ENTRIES - EARLY);
    // Whoever kept a checkpoint knows how much is missing.
    Heads::remove(hand);
    let (report, _) = verify(hand, &world, &[newest]).await;
    assert_eq!(worst(&report), incomplete(EARLY), "{:#?}", report.findings);
    hand.put_back("whole");
    heads.put_back(hand);
    assert_sound(&verify(hand, &world, &[]).await.0);
}

pub async fn a_checkpoint_of_a_stranger_is_not_trusted(hand: &mut impl Hand) {
    let world = clinic(hand).await;
    let newest = checkpoint(hand, &world).await;
    let stranger = SigningKey::from_seed("test.example", KeyKind::Log, &[9; 32]).unwrap();
    let note = newest.sign(&[&stranger]).unwrap();
    let table = |table: &str, rest: &str| {
        format!("UPDATE {table} SET note = '{note}' WHERE log = 1 {rest}")
    };
    let stored = table("log_checkpoint", "AND size = 8");
    let both = format!("{stored}; {}", table("log_head", ""));
    let sql = Sql {
        sqlite: stored.leak(),
        postgres: both.leak(),
    };
    hand.sql(&world.scope, &sql);
    let (report, _) = verify(hand, &world, &[]).await;
    assert_eq!(
        worst(&report),
        of_changes(3, Some(ENTRIES)),
        "{:#?}",
        report.findings
    );
}

pub async fn an_older_backup_in_place_of_the_store_is_found(hand: &mut impl Hand) {
    let world = clinic(hand).await;
    let newest = checkpoint(hand, &world).await;
    hand.put_back("early");
    let (report, _) = verify(hand, &world, &[]).await;
    assert_eq!(worst(&report), incomplete(EARLY), "{:#?}", report.findings);
    let access = report
        .findings
        .iter()
        .find(|finding| finding.log.contains("/access/"));
    assert_eq!(
        access.map(|finding| finding.index),
        Some(Some(0)),
        "{:#?}",
        report.findings
    );
    // Without head files it is a sound store of its time; an outsider's checkpoint tells.
    Heads::remove(hand);
    assert_sound(&verify(hand, &world, &[]).await.0);
    let (report, _) = verify(hand, &world, &[newest]).await;
    assert_eq!(worst(&report), incomplete(EARLY), "{:#?}", report.findings);
}

pub async fn a_fork_is_found_by_the_head_file_and_by_whoever_kept_a_checkpoint(
    hand: &mut impl Hand,
) {
    let world = clinic(hand).await;
    let newest = checkpoint(hand, &world).await;
    let heads = Heads::keep(hand);
    hand.put_back("early");
    Heads::remove(hand);
    let early = checkpoint(hand, &world).await;
    assert_eq!((early.size, newest.size), (EARLY, ENTRIES));
    let store = hand.open(&world, Duration::ZERO).await;
    for name in ["f5", "f6", "f7", "f8"] {
        put(&world, &*store, name, "Forked").await;
    }
    hand.close().await;
    assert_sound(&verify(hand, &world, &[]).await.0);
    let (report, _) = verify(hand, &world, std::slice::from_ref(&newest)).await;
    assert_eq!(worst(&report), altered(0), "{:#?}", report.findings);
    // The more was kept, the closer the place.
    let (report, _) = verify(hand, &world, &[early.clone(), newest]).await;
    assert_eq!(worst(&report), altered(EARLY), "{:#?}", report.findings);
    heads.put_back(hand);
    let (report, _) = verify(hand, &world, &[early]).await;
    assert_eq!(worst(&report), altered(EARLY), "{:#?}", report.findings);
}

pub async fn swapped_tenants_are_found(hand: &mut impl Hand) {
    let world = clinic(hand).await;
    let twin = world.beside(2);
    let store = hand.open(&world, Duration::ZERO).await;
    twin.found(&*store).await;
    for number in 0..3 {
        put(&twin, &*store, &format!("p{number}"), "Twin").await;
    }
    hand.close().await;
    assert_sound(&verify(hand, &world, &[]).await.0);
    hand.swap(&world.scope, &twin.scope);
    let (report, _) = verify(hand, &world, &[]).await;
    assert_eq!(report.verdict(), Verdict::Altered);
    for (of, size) in [(&world, 3), (&twin, ENTRIES)] {
        let origin = format!("{}/changes", of.scope.tenant());
        let found = report.findings.iter().any(|finding| {
            finding.verdict == Verdict::Altered
                && finding.log.contains(&origin)
                && finding.index == Some(size)
                && finding.what.contains("is of")
        });
        assert!(found, "{origin} at {size}: {:#?}", report.findings);
    }
}

pub async fn an_erased_patient_is_no_finding(hand: &mut impl Hand) {
    let world = clinic(hand).await;
    let store = hand.open(&world, Duration::ZERO).await;
    for name in ["p1", "p5"] {
        let entry = world.entry(Log::Changes, Class::Erase, Some(name));
        store.erase(&world.scope, &id(name), entry).await.unwrap();
    }
    store.settle(&world.scope).await.unwrap();
    hand.close().await;
    let (report, record) = verify(hand, &world, &[]).await;
    assert_sound(&report);
    // Two versions each: an update in one case, a deletion in the other.
    assert_eq!(
        record
            .iter()
            .map(|of| (of.versions, of.erased))
            .collect::<Vec<_>>(),
        [(ENTRIES, 4)]
    );
    // What is gone cannot be read, but it is counted.
    hand.keep("whole");
    let cases = vec![(
        "a version under a destroyed key removed",
        Sql::both("DELETE FROM ver WHERE ver = 2 AND kind = 2"),
        incomplete(6),
    )];
    run(hand, &world, cases).await;
}
