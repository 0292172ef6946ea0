-- One tenant's record and ledger. Row ids come from the application: no sequences, triggers, foreign keys.

CREATE TABLE meta (k TEXT NOT NULL PRIMARY KEY, v) WITHOUT ROWID;

-- Heads: one row per resource ever stored. rid: row; rh: keyed hash of Type/id; ty: type number; fid: id;
-- ver, vid: current version and its row; kind: what made it; kid: data key of the current body;
-- pm: presence bitmap; ix: packed index entries.
CREATE TABLE res (
  rid INTEGER PRIMARY KEY, rh INTEGER NOT NULL, ty INTEGER NOT NULL, fid TEXT NOT NULL,
  ver INTEGER NOT NULL, vid INTEGER NOT NULL, kind INTEGER NOT NULL, kid BLOB,
  pm INTEGER NOT NULL, ix BLOB NOT NULL
);
CREATE INDEX res_rh ON res (rh);
CREATE INDEX res_ty ON res (ty);
CREATE INDEX res_updated ON res (ty, vid);

-- Versions, append-only. body is null for a deletion.
CREATE TABLE ver (
  vid INTEGER PRIMARY KEY, rid INTEGER NOT NULL, ver INTEGER NOT NULL, ty INTEGER NOT NULL,
  kind INTEGER NOT NULL, body BLOB
);
CREATE UNIQUE INDEX ver_rid ON ver (rid, ver);
CREATE INDEX ver_ty ON ver (ty);

-- Index entries of living resources. p: parameter; v: keyed hash or folded text; u: unit or scope.
CREATE TABLE ix_key (p INTEGER NOT NULL, v INTEGER NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY (p, v, rid)) WITHOUT ROWID;
CREATE TABLE ix_rng (
  p INTEGER NOT NULL, u INTEGER NOT NULL, lo INTEGER NOT NULL, hi INTEGER NOT NULL, rid INTEGER NOT NULL,
  PRIMARY KEY (p, u, lo, hi, rid)
) WITHOUT ROWID;
-- Rows without unit or scope are also found by upper bound and by resource; the others are many and few
-- of each kind.
CREATE INDEX ix_rng_hi ON ix_rng (p, hi) WHERE u = 0;
CREATE INDEX ix_rng_rid ON ix_rng (rid, p) WHERE u = 0;
CREATE TABLE ix_txt (p INTEGER NOT NULL, v TEXT NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY (p, v, rid)) WITHOUT ROWID;
CREATE INDEX ix_txt_rid ON ix_txt (rid, p);
-- Patient compartments by resource; kept when a resource is deleted, so that its history stays in reach.
CREATE TABLE ix_pat (rid INTEGER NOT NULL, v INTEGER NOT NULL, PRIMARY KEY (rid, v)) WITHOUT ROWID;

CREATE TABLE doc (
  kind INTEGER NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, updated INTEGER NOT NULL,
  expires INTEGER, body BLOB NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE doc_lookup (v BLOB NOT NULL PRIMARY KEY, kind INTEGER NOT NULL, id TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX doc_lookup_doc ON doc_lookup (kind, id);

-- The two logs. One table each, so that both grow at their ends.
CREATE TABLE log_changes (idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL, payload BLOB NOT NULL);
CREATE TABLE log_access (idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL, payload BLOB NOT NULL);
CREATE VIEW log_entry (log, idx, leaf, payload) AS
  SELECT 1, idx, leaf, payload FROM log_changes UNION ALL SELECT 2, idx, leaf, payload FROM log_access;
CREATE TABLE log_tile (log INTEGER NOT NULL, level INTEGER NOT NULL, idx INTEGER NOT NULL, hashes BLOB NOT NULL);
CREATE UNIQUE INDEX log_tile_at ON log_tile (log, level, idx);
-- edge: the tree's right edge when the newest full tile was written; later entries are replayed onto it.
CREATE TABLE log_head (
  log INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, edge BLOB NOT NULL
);
CREATE TABLE log_checkpoint (log INTEGER NOT NULL, size INTEGER NOT NULL, note TEXT NOT NULL, PRIMARY KEY (log, size)) WITHOUT ROWID;
CREATE TABLE log_subject (log INTEGER NOT NULL, s INTEGER NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (log, s, idx)) WITHOUT ROWID;

-- Destroyed data keys. done = 0: the record says so, the key may still be there.
CREATE TABLE erasure (kid BLOB NOT NULL PRIMARY KEY, done INTEGER NOT NULL) WITHOUT ROWID
